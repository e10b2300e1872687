/* SPDX-License-Identifier: MIT */
#include "supervise/recorder.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "drain/liveness.h"
#include "format/spec.h"
#include "stele/version.h"
#include "supervise/perfswitch.h"
#include "sys/sys.h"

/* A free that is encoded late may stand behind the next alloc of its address: a thread that was
 * stopped in the middle of an event is waited for longer than usual. */
#define RECORDER_HEAP_LATE_NS 500000000ull
#define RECORDER_LOOK_NS      20000000ull

void stele__recorder_say(const struct stele_session_options *options, enum stele_say level,
			 const char *format, ...)
{
	char text[PATH_MAX + 1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	options->say(options->arg, level, text);
}

void stele__recorder_blame_arena(const struct stele_session_options *options, int error)
{
	unsigned long long mib = options->arena_bytes >> 20;

	if (!options->arena)
		stele__recorder_say(options, STELE_SAY_ERROR,
				    "cannot make a buffer of %llu MiB: %s", mib,
				    stele_strerror(error));
	else if (error == -EEXIST)
		stele__recorder_say(options, STELE_SAY_ERROR,
				    "'%s' exists: it may be what a recorder left that was killed "
				    "('stele recover %s'); -f overwrites it",
				    options->arena, options->arena);
	else if (error == -EBUSY)
		stele__recorder_say(options, STELE_SAY_ERROR, "another recorder uses '%s'",
				    options->arena);
	else
		stele__recorder_say(options, STELE_SAY_ERROR,
				    "cannot make a buffer of %llu MiB in '%s': %s", mib,
				    options->arena, stele_strerror(error));
}

int stele__recorder_arena(struct stele_recorder *r, const struct stele_session_options *chosen,
			  uint32_t board)
{
	struct stele_arena_options options = {
		.bytes = chosen->arena_bytes,
		.clock = stele__arena_clock(),
		.reentry = chosen->reentry,
		.on_full = chosen->on_full,
		.events = chosen->dormant ? 0 : chosen->events,
		.stack_frames_max = chosen->stack_frames_max,
		.cpu_hz = chosen->cpu_hz,
		.heap_sample_bytes = chosen->heap_sample_bytes,
		.supervisor = (uint32_t)getpid(),
		.board = board,
	};
	struct rlimit limit = {0}, raised;
	bool limited = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < options.bytes;
	int error;

	r->options = chosen;
	r->output.fd = r->file.fd = -1;
	/* The limit for files is not meant for shared memory, but holds for it. */
	raised = limit;
	raised.rlim_cur = raised.rlim_max;
	if (limited)
		setrlimit(RLIMIT_FSIZE, &raised);
	error = stele__arenafile_create(chosen->arena, chosen->force, options.bytes, &r->file);
	if (error == 0)
		error = stele__arena_create(r->file.fd, &options, &r->arena);
	if (limited)
		setrlimit(RLIMIT_FSIZE, &limit);
	if (error < 0)
		stele__arenafile_close(&r->file, true);
	return error;
}

static int recorder_pid(const struct stele_recorder *r)
{
	uint32_t pid = stele__load_acquire(&r->arena->pid);

	return pid ? (int)pid : r->pid;
}

/* Which threads the traced process has: none once it was reaped. */
static int64_t recorder_threads(void *arg, uint32_t *tids, size_t max)
{
	const struct stele_recorder *r = arg;

	return stele__load_acquire(&r->gone) ? 0
					     : stele__liveness_threads(recorder_pid(r), tids, max);
}

static bool recorder_thread_exists(void *arg, uint32_t tid)
{
	const struct stele_recorder *r = arg;

	return !stele__load_acquire(&r->gone) && stele__liveness_exists(recorder_pid(r), tid);
}

static int recorder_create_drain(struct stele_recorder *r)
{
	struct stele_drain_options options = {
		.version = r->options->version,
		.sink = r->flight ? stele__flight_sink(r->flight)
				  : (struct stele_sink){.write = stele__tracefile_write,
							.arg = &r->output},
		.excerpts = r->flight != NULL,
		.watch = r->owner.watch,
		.symbolizer = stele__symbols_symbolizer(r->symbols),
		.liveness = {recorder_threads, recorder_thread_exists, r},
		.program = *r->image ? r->options->argv[0] : NULL,
		.keep = r->options->arena != NULL,
		.generation_ns = r->options->generation_ns,
		.late_ns = r->options->events & STELE_EVENTS_MEMORY ? RECORDER_HEAP_LATE_NS : 0,
	};

	if (r->switches)
		options.switches = stele__perfswitch_source(r->switches);

	return stele__drain_new(r->arena, &options, &r->drain);
}

static int recorder_open_output(struct stele_recorder *r)
{
	const struct stele_session_options *o = r->options;
	char path[PATH_MAX];
	int error = stele__tracefile_name(o->output, o->argv[0], r->pid, path, sizeof(path));

	if (error == 0)
		error = stele__tracefile_open(path, o->force, &r->output);
	if (error == -EEXIST)
		stele__recorder_say(r->options, STELE_SAY_ERROR, "'%s' exists; -f overwrites it",
				    path);
	else if (error == -ENOTTY)
		stele__recorder_say(r->options, STELE_SAY_ERROR,
				    "'%s' is a terminal, and a trace is binary", path);
	else if (error == -ENXIO)
		stele__recorder_say(r->options, STELE_SAY_ERROR,
				    "nobody reads the pipe '%s': begin with its reader", path);
	else if (error < 0)
		stele__recorder_say(r->options, STELE_SAY_ERROR, "cannot create '%s': %s",
				    error == -ENAMETOOLONG ? o->output : path,
				    stele_strerror(error));
	return error;
}

static int recorder_open_flight(struct stele_recorder *r)
{
	int error = stele__flight_new(&r->options->flight.limits, &r->flight);

	if (error < 0)
		stele__recorder_say(r->options, STELE_SAY_ERROR,
				    "cannot keep a trace in memory: %s", stele_strerror(error));
	return error;
}

/* For 'stele recover': where to go on. */
static int recorder_note_output(const struct stele_recorder *r)
{
	char path[PATH_MAX];

	if (!r->options->arena)
		return 0;
	if (!r->output.ours || !realpath(r->output.path, path)) {
		stele__recorder_say(r->options, STELE_SAY_ERROR,
				    "'%s' is no ordinary file: with --arena the trace must be one, "
				    "to be gone on with after a crash",
				    r->output.path);
		return -EINVAL;
	}
	stele__arenafile_boot(r->arena->boot);
	r->arena->trace =
		strlen(path) <= STELE_STRING_MAX ? stele__dictionary_string(r->arena, path) : 0;
	return 0;
}

/* The names of the program and of libc are needed in nearly every recording. */
static struct stele_symbols *recorder_create_symbols(const struct stele_recorder *r)
{
	struct stele_symbols *symbols = stele__symbols_new();
	Dl_info libc;

	/* No server is to be asked: it could take minutes. */
	unsetenv("DEBUGINFOD_URLS");
	if (symbols && *r->image) {
		stele__symbols_prepare(symbols, r->image);
		if (dladdr((void *)(uintptr_t)fork, &libc))
			stele__symbols_prepare(symbols, libc.dli_fname);
	}
	return symbols;
}

/* Of a process that was followed, what its threads did before is not told. */
static void recorder_open_switches(struct stele_recorder *r)
{
	if (r->options->switches != STELE_SWITCHES_NEVER)
		r->unswitched = stele__perfswitch_open(r->pid, &r->switches);
}

int stele__recorder_open(struct stele_recorder *r, int pid, const char *image)
{
	int error;

	r->pid = pid;
	r->image = image;
	error = r->options->flight.on ? recorder_open_flight(r) : recorder_open_output(r);
	if (error < 0)
		return error;
	error = recorder_note_output(r);
	if (error < 0) {
		stele__tracefile_discard(&r->output);
		return error;
	}
	recorder_open_switches(r);
	r->symbols = recorder_create_symbols(r);
	error = r->symbols ? recorder_create_drain(r) : -ENOMEM;
	if (error == 0)
		error = r->output.error; /* not even the header could be written */
	if (error < 0) {
		stele__recorder_say(r->options, STELE_SAY_ERROR, "cannot write '%s': %s",
				    r->flight ? "the trace" : r->output.path,
				    stele_strerror(error));
		stele__tracefile_discard(&r->output);
	}
	return error;
}

/* Says once that writing failed. The drain goes on and drops what it reads: the program does not
 * notice. */
static void recorder_check_output(struct stele_recorder *r)
{
	if (!r->output.error || r->write_failed)
		return;
	r->write_failed = true;
	stele__recorder_say(r->options, STELE_SAY_ERROR,
			    "cannot write '%s': %s; the program goes on, its trace ends here",
			    r->flight ? "the trace" : r->output.path,
			    stele_strerror(r->output.error));
}

/* The cut that was begun for somebody is done when its generation is. */
static void recorder_serve_cut(struct stele_recorder *r)
{
	uint32_t wanted = stele__load_acquire(&r->cuts_wanted);

	if (r->cut_pending && stele__drain_generation(r->drain) > r->cut_generation) {
		r->cut_pending = false;
		stele__store_release(&r->cuts_done, r->cuts_begun);
		stele__sys_futex_wake(&r->cuts_done, INT_MAX);
	}
	if (r->cut_pending || wanted == r->cuts_begun)
		return;
	r->cuts_begun = wanted;
	r->cut_pending = true;
	r->cut_generation = stele__drain_want_cut(r->drain);
}

uint32_t stele__recorder_want_cut(struct stele_recorder *r)
{
	uint32_t ticket = stele__add_acq_rel(&r->cuts_wanted, 1) + 1;

	stele__bell_strike(r->arena);
	return ticket;
}

int stele__recorder_await_cut(struct stele_recorder *r, uint32_t ticket, uint64_t end_ns)
{
	uint32_t done;

	while (done = stele__load_acquire(&r->cuts_done), (int32_t)(done - ticket) < 0) {
		uint64_t now = stele__sys_monotonic_ns();

		if (stele__load_acquire(&r->complete)) /* pairs with recorder_complete */
			return 0;
		if (now >= end_ns)
			return -ETIMEDOUT;
		/* Looks up now and then: of a recording that ends nobody tells. */
		stele__sys_futex_wait(&r->cuts_done, done,
				      end_ns - now < RECORDER_LOOK_NS ? end_ns - now
								      : RECORDER_LOOK_NS);
	}
	return 0;
}

static void recorder_note_figures(struct stele_recorder *r)
{
	struct stele_drain_stats stats;

	stele__drain_stats(r->drain, &stats);
	stele__store_relaxed(&r->seen.events, stats.events);
	stele__store_relaxed(&r->seen.lost, stele__drain_lost(&stats));
}

static void recorder_look_for_wishes(struct stele_recorder *r)
{
	uint32_t wanted = stele__load_relaxed(&r->arena->snapshots);

	if (wanted != r->snapshots && r->owner.snapshot_wanted)
		r->owner.snapshot_wanted(r->owner.arg);
	r->snapshots = wanted;
	if (r->flight && stele__flight_is_pressed(r->flight))
		stele__drain_want_cut(r->drain);
}

/* In the pump's thread. */
static void recorder_after_tick(void *arg, int64_t taken)
{
	struct stele_recorder *r = arg;

	if (taken < 0 && !r->output.error)
		r->output.error = (int)taken;
	recorder_check_output(r);
	recorder_note_figures(r);
	recorder_serve_cut(r);
	recorder_look_for_wishes(r);
	if (!r->process) {
		r->process = stele__load_acquire(&r->arena->pid);
		stele__symbols_set_process(r->symbols, (int)r->process);
	}
}

int stele__recorder_start(struct stele_recorder *r)
{
	int error;

	r->team = (struct stele_team){.drains = {r->drain}, .count = 1};
	r->pump = (struct stele_pump){
		.arena = r->arena, .team = &r->team, .after_tick = recorder_after_tick, .arg = r};
	error = stele__pump_start(&r->pump);
	if (error < 0)
		stele__recorder_say(r->options, STELE_SAY_ERROR,
				    "no thread for the drain: %s; the rings alone are kept",
				    stele_strerror(error));
	r->pumping = error == 0;
	if (r->options->arena && error == 0 &&
	    stele__durable_start(&r->durable, r->output.fd, r->file.fd) < 0)
		stele__recorder_say(r->options, STELE_SAY_WARNING,
				    "the trace will not survive a crash of the machine: there is "
				    "no thread for that");
	return error;
}

void stele__recorder_stop(struct stele_recorder *r)
{
	if (r->pumping)
		stele__pump_stop(&r->pump);
	r->pumping = false;
	stele__durable_stop(&r->durable);
}

bool stele__recorder_was_joined(const struct stele_recorder *r)
{
	return stele__load_acquire(&r->arena->pid) != 0;
}

/* There is nothing more to come. */
static void recorder_complete(struct stele_recorder *r)
{
	stele__store_release(&r->complete, 1); /* pairs with stele__recorder_await_cut */
}

static void recorder_finish_drain(struct stele_recorder *r, const struct stele_ending *ending,
				  struct stele_session_result *result)
{
	int error;

	result->ending = *ending;
	error = stele__drain_finish(r->drain, &result->ending);
	if (error < 0 && !r->output.error)
		r->output.error = error;
	recorder_check_output(r);
	recorder_complete(r);
	stele__drain_stats(r->drain, &result->drain);
}

static void recorder_close_output(struct stele_recorder *r, struct stele_session_result *result)
{
	uint64_t valid = r->output.error ? result->drain.valid_bytes : r->output.bytes;
	int error;

	if (r->flight) {
		result->recorded = result->ring = true;
		return;
	}
	/* A header alone is no trace. */
	if (valid <= STELE_HEADER_BYTES) {
		stele__recorder_say(r->options, STELE_SAY_ERROR,
				    "nothing of the trace could be kept: no part of it was whole "
				    "(--generation makes them shorter)");
		stele__tracefile_discard(&r->output);
		result->status = STELE_SESSION_FAILED;
		return;
	}
	error = stele__tracefile_finish(&r->output, valid);
	if (error < 0)
		stele__recorder_say(r->options, STELE_SAY_ERROR, "cannot complete '%s': %s",
				    r->output.path, stele_strerror(error));
	result->recorded = true;
	result->cut_short = r->output.error || error < 0;
	result->file_bytes = valid;
	snprintf(result->path, sizeof(result->path), "%s", r->output.path);
}

static const char *recorder_clock_name(const struct stele_arena *arena)
{
	switch (arena->clock) {
	case STELE_CLOCK_TSC:
		return "TSC";
	case STELE_CLOCK_CNTVCT:
		return "CNTVCT";
	default:
		return "CLOCK_MONOTONIC";
	}
}

void stele__recorder_tell(const struct stele_arena *arena, const struct stele_symbols *symbols,
			  struct stele_session_result *result)
{
	struct stele_symbols_stats names;

	result->heap = stele__load_relaxed(&arena->events) & STELE_EVENTS_MEMORY;
	result->images = arena->images;
	result->clock = recorder_clock_name(arena);
	stele__symbols_stats(symbols, &names);
	result->symbols_ns = names.spent_ns;
	if (names.worst)
		snprintf(result->worst_module, sizeof(result->worst_module), "%s", names.worst);
}

void stele__recorder_finish(struct stele_recorder *r, const struct stele_ending *ending,
			    struct stele_session_result *result)
{
	recorder_finish_drain(r, ending, result);
	stele__recorder_tell(r->arena, r->symbols, result);
	result->tick_ns_max = r->pump.tick_ns_max;
	result->unswitched = r->unswitched;
	recorder_close_output(r, result);
}

void stele__recorder_discard(struct stele_recorder *r)
{
	recorder_complete(r);
	stele__tracefile_discard(&r->output);
}

void stele__recorder_release(struct stele_recorder *r)
{
	stele__drain_free(r->drain);
	stele__perfswitch_close(r->switches);
	stele__flight_free(r->flight);
	stele__symbols_free(r->symbols);
	stele__arena_unmap(r->arena);
	stele__arenafile_close(&r->file, true);
}
