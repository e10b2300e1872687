/* SPDX-License-Identifier: MIT */
#include "supervise/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "drain/carry.h"
#include "drain/liveness.h"
#include "format/spec.h"
#include "stele/version.h"
#include "supervise/arenafile.h"
#include "supervise/recorder.h"
#include "supervise/symbols.h"
#include "supervise/tracefile.h"

struct recover {
	const struct stele_recover_options *options;
	struct stele_arenafile file;
	struct stele_arena *arena; /* a copy */
	bool torn;		   /* the machine went down since */
	int pid;		   /* of the traced process, if it lives; else 0 */
	bool clock_begun;	   /* the first clock was asked for */

	char trace[PATH_MAX];
	void *bytes; /* of the trace, mapped; NULL: it is empty */
	size_t byte_count;
	struct stele_carry carry;

	struct stele_tracefile output;
	struct stele_symbols *symbols;
	struct stele_drain *drain;
};

static void STELE_PRINTF(3, 4)
	recover_say(const struct recover *r, enum stele_say level, const char *format, ...)
{
	char text[2 * PATH_MAX + 1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	r->options->say(r->options->arg, level, text);
}

/* What is left ------------------------------------------------------------------------------- */

static int recover_open_arena(struct recover *r)
{
	const char *path = r->options->arena;
	int error = stele__arenafile_open(path, &r->file);

	if (error == -EBUSY) {
		recover_say(r, STELE_SAY_ERROR,
			    "'%s' is in use: its recorder lives and writes the trace itself", path);
		return error;
	}
	if (error == 0)
		error = stele__arena_map_copy(r->file.fd, &r->arena);
	if (error == STELE_E_CORRUPT)
		recover_say(r, STELE_SAY_ERROR, "'%s' is not what 'stele record --arena' makes",
			    path);
	else if (error == STELE_E_MISMATCH)
		recover_say(r, STELE_SAY_ERROR,
			    "'%s' was made by another build of stele, which must recover it, too",
			    path);
	else if (error < 0)
		recover_say(r, STELE_SAY_ERROR, "cannot open '%s': %s", path,
			    stele_strerror(error));
	return error;
}

/* The process may have outlived its recorder. */
static void recover_look_for_process(struct recover *r)
{
	uint32_t pid = stele__load_relaxed(&r->arena->pid);
	uint64_t boot[2];

	r->torn = stele__arenafile_boot(boot) && memcmp(boot, r->arena->boot, sizeof(boot)) != 0;
	if (r->torn) {
		recover_say(r, STELE_SAY_WARNING,
			    "the machine was started anew since then: what it had not written to "
			    "its disk is missing");
		return;
	}
	if (!pid || pid > INT32_MAX || !stele__arenafile_is_mapped(&r->file, (int)pid))
		return;
	r->pid = (int)pid;
	recover_say(r, STELE_SAY_WARNING,
		    "process %d goes on; what it has done until now is recovered", r->pid);
}

static int recover_find_trace(struct recover *r)
{
	const struct stele_entry *e = stele__dictionary_get(r->arena, r->arena->trace);

	if (r->options->trace) {
		snprintf(r->trace, sizeof(r->trace), "%s", r->options->trace);
		return 0;
	}
	if (e && e->kind == STELE_ENTRY_STRING && e->length < sizeof(r->trace)) {
		memcpy(r->trace, e + 1, e->length);
		return 0;
	}
	recover_say(r, STELE_SAY_ERROR, "'%s' does not say where its trace is: --trace=FILE does",
		    r->options->arena);
	return -ENOENT;
}

static int recover_map_trace(struct recover *r)
{
	int fd = open(r->trace, O_RDONLY | O_CLOEXEC), error = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		error = -errno;
	else if (!S_ISREG(st.st_mode))
		error = -EINVAL;
	if (error == 0 && st.st_size) {
		r->byte_count = (size_t)st.st_size;
		r->bytes = mmap(NULL, r->byte_count, PROT_READ, MAP_PRIVATE, fd, 0);
		if (r->bytes == MAP_FAILED) {
			error = -errno;
			r->bytes = NULL;
		}
	}
	if (fd >= 0)
		close(fd);
	return error;
}

/* Up to where the trace is whole. A file that is empty or has only its header is a beginning, too.
 */
static int recover_open_trace(struct recover *r)
{
	int error = recover_find_trace(r);

	if (error < 0)
		return error;
	error = recover_map_trace(r);
	if (error < 0) {
		recover_say(r, STELE_SAY_ERROR,
			    "cannot read '%s', which holds the recording's first part: %s%s",
			    r->trace, stele_strerror(error),
			    r->options->trace ? "" : " (if it was moved: --trace=FILE)");
		return error;
	}
	if (r->byte_count < STELE_HEADER_BYTES)
		return 0;
	error = stele__carry_find(r->bytes, r->byte_count, &r->carry);
	if (error < 0)
		recover_say(r, STELE_SAY_ERROR, "'%s' is not a trace", r->trace);
	return error;
}

/* The output ---------------------------------------------------------------------------------- */

static int recover_open_output(struct recover *r)
{
	const char *path = r->options->output ? r->options->output : r->trace;
	int error;

	if (r->options->output)
		error = stele__tracefile_open(path, r->options->force, &r->output);
	else
		error = stele__tracefile_continue(path, r->carry.bytes, &r->output);
	if (error == 0 && r->options->output)
		error = stele__tracefile_write(&r->output, r->bytes, r->carry.bytes);
	if (error == -EEXIST)
		recover_say(r, STELE_SAY_ERROR, "'%s' exists; -f overwrites it", path);
	else if (error < 0)
		recover_say(r, STELE_SAY_ERROR, "cannot write '%s': %s", path,
			    stele_strerror(error));
	return error;
}

/* Going on ------------------------------------------------------------------------------------ */

static struct stele_clock_pair recover_clock(void *arg)
{
	struct recover *r = arg;
	const struct stele_arena_clock *c = r->clock_begun
						    ? &r->arena->clock_last[r->arena->heartbeat & 1]
						    : &r->arena->clock_first;

	r->clock_begun = true;
	return (struct stele_clock_pair){c->ticks, c->monotonic_ns, c->realtime_ns};
}

static int64_t recover_threads(void *arg, uint32_t *tids, size_t max)
{
	const struct recover *r = arg;

	return r->pid ? stele__liveness_threads(r->pid, tids, max) : 0;
}

static bool recover_thread_exists(void *arg, uint32_t tid)
{
	const struct recover *r = arg;

	return r->pid && stele__liveness_exists(r->pid, tid);
}

static int recover_create_drain(struct recover *r)
{
	struct stele_drain_options options = {
		.version = r->carry.version ? r->carry.version : r->arena->trace_version,
		.sink = {stele__tracefile_write, &r->output},
		.symbolizer = stele__symbols_symbolizer(r->symbols),
		.liveness = {recover_threads, recover_thread_exists, r},
		.clock = {recover_clock, r},
		.carry = r->carry.bytes ? &r->carry : NULL,
		.torn = r->torn,
		.still = true,
	};
	int error = stele__drain_new(r->arena, &options, &r->drain);

	if (error == STELE_E_CORRUPT && r->torn && r->carry.bytes) {
		recover_say(r, STELE_SAY_WARNING,
			    "'%s' cannot be used any more: the trace ends with its last whole "
			    "generation",
			    r->options->arena);
		return 0;
	}
	if (error < 0)
		recover_say(r, STELE_SAY_ERROR, "'%s' and '%s' do not belong together: %s",
			    r->options->arena, r->trace, stele_strerror(error));
	return error;
}

static int recover_write(struct recover *r, struct stele_session_result *result)
{
	const struct stele_ending ending = {.recovered = true, .interrupted = r->pid != 0};
	int error = 0;

	result->ending = ending;
	if (r->drain) {
		error = stele__drain_finish(r->drain, &ending);
		stele__drain_stats(r->drain, &result->drain);
	}
	result->file_bytes = r->output.error ? result->drain.valid_bytes : r->output.bytes;
	if (!error)
		error = stele__tracefile_finish(&r->output, result->file_bytes);
	if (error < 0)
		recover_say(r, STELE_SAY_ERROR, "cannot write '%s': %s", r->output.path,
			    stele_strerror(error));
	return error;
}

static void recover_tell(const struct recover *r, struct stele_session_result *result)
{
	result->recorded = r->drain != NULL;
	snprintf(result->path, sizeof(result->path), "%s", r->output.path);
	result->wall_ns = result->drain.ended_ns - r->arena->clock_first.monotonic_ns;
	stele__recorder_tell(r->arena, r->symbols, result);
}

static int recover_all(struct recover *r, struct stele_session_result *result)
{
	int error = recover_open_arena(r);

	if (error == 0)
		error = recover_open_trace(r);
	if (error < 0)
		return error;
	recover_look_for_process(r);
	r->symbols = stele__symbols_new();
	error = r->symbols ? recover_open_output(r) : -ENOMEM;
	if (error == 0)
		error = recover_create_drain(r);
	if (error == 0)
		error = recover_write(r, result);
	if (error == 0)
		recover_tell(r, result);
	return error;
}

int stele__recover(const struct stele_recover_options *options,
		   struct stele_session_result *ret_result)
{
	struct recover r = {.options = options, .file.fd = -1, .output.fd = -1};
	int error;

	*ret_result = (struct stele_session_result){0};
	/* No server is to be asked: it could take minutes. */
	unsetenv("DEBUGINFOD_URLS");
	error = recover_all(&r, ret_result);
	if (options->output)
		stele__tracefile_discard(&r.output); /* if it was not finished */
	stele__drain_free(r.drain);
	stele__symbols_free(r.symbols);
	if (r.bytes)
		munmap(r.bytes, r.byte_count);
	stele__arena_unmap(r.arena);
	stele__arenafile_close(&r.file, false);
	return error;
}
