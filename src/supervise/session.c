/* SPDX-License-Identifier: MIT */
/*
 * The order of things: judge the program; make the arena; fork the child, which waits; create the
 * file, whose name holds the child's pid; let the child execute; drain until it is gone; finish.
 * Everything that can fail for reasons of ours is done before the program begins to run.
 */
#include "supervise/session.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "format/spec.h"
#include "stele/version.h"
#include "supervise/child.h"
#include "supervise/liveness.h"
#include "supervise/locate.h"
#include "supervise/pump.h"
#include "supervise/signals.h"
#include "supervise/symbols.h"
#include "supervise/target.h"
#include "supervise/tracefile.h"
#include "sys/sys.h"

#define SESSION_FRAMES_MAX 64

/* A free that is encoded late may stand behind the next alloc of its address: a thread that was
 * stopped in the middle of an event is waited for longer than usual. */
#define SESSION_HEAP_LATE_NS 500000000ull

struct session {
	const struct stele_session_options *options;
	struct stele_target target;
	struct stele_signals signals;
	struct stele_child child;
	struct stele_tracefile output;
	struct stele_arena *arena;
	int arena_fd;
	struct stele_symbols *symbols;
	struct stele_drain *drain;
	bool write_failed; /* and said */
	uint32_t process;  /* the traced process's pid, once it has attached */
	uint64_t tick_ns_max;
};

static void STELE_PRINTF(3, 4)
	session_say(const struct session *s, enum stele_say level, const char *format, ...)
{
	char text[PATH_MAX + 1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	s->options->say(s->options->arg, level, text);
}

/* The arena ----------------------------------------------------------------------------------- */

static uint32_t session_clock(void)
{
	if (!stele__clock_counter_usable())
		return STELE_CLOCK_MONOTONIC;
#if defined(__aarch64__)
	return STELE_CLOCK_CNTVCT;
#else
	return STELE_CLOCK_TSC;
#endif
}

static int session_create_arena(struct session *s)
{
	struct stele_arena_options options = {
		.bytes = s->options->arena_bytes,
		.clock = session_clock(),
		.reentry = s->options->reentry,
		.on_full = s->options->on_full,
		.events = s->options->events,
		.stack_frames_max = SESSION_FRAMES_MAX,
		.heap_sample_bytes = s->options->heap_sample_bytes,
	};
	struct rlimit limit = {0}, raised;
	bool limited = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < options.bytes;
	int error;

	s->arena_fd = stele__sys_memfd("stele-arena");
	if (s->arena_fd < 0)
		return s->arena_fd;
	/* The limit for files is not meant for shared memory, but holds for it. */
	raised = limit;
	raised.rlim_cur = raised.rlim_max;
	if (limited)
		setrlimit(RLIMIT_FSIZE, &raised);
	error = stele__arena_create(s->arena_fd, &options, &s->arena);
	if (limited)
		setrlimit(RLIMIT_FSIZE, &limit);
	return error;
}

static int session_pid(const struct session *s)
{
	uint32_t pid = stele__load_acquire(&s->arena->pid);

	return pid ? (int)pid : s->child.pid;
}

/* Which threads the traced process has: none once it was reaped. */
static int64_t session_threads(void *arg, uint32_t *tids, size_t max)
{
	const struct session *s = arg;

	return stele__load_relaxed(&s->child.gone)
		       ? 0
		       : stele__liveness_threads(session_pid(s), tids, max);
}

static bool session_thread_exists(void *arg, uint32_t tid)
{
	const struct session *s = arg;

	return !stele__load_relaxed(&s->child.gone) && stele__liveness_exists(session_pid(s), tid);
}

static int session_create_drain(struct session *s)
{
	struct stele_drain_options options = {
		.version = s->options->version,
		.sink = {stele__tracefile_write, &s->output},
		.symbolizer = stele__symbols_symbolizer(s->symbols),
		.liveness = {session_threads, session_thread_exists, s},
		.program = s->options->argv[0],
		.late_ns = s->options->events & STELE_EVENTS_MEMORY ? SESSION_HEAP_LATE_NS : 0,
	};

	return stele__drain_new(s->arena, &options, &s->drain);
}

/* Before the program runs --------------------------------------------------------------------- */

static int session_open_output(struct session *s)
{
	const struct stele_session_options *o = s->options;
	char path[PATH_MAX];
	int error = stele__tracefile_name(o->output, o->argv[0], s->child.pid, path, sizeof(path));

	if (error == 0)
		error = stele__tracefile_open(path, o->force, &s->output);
	if (error == -EEXIST)
		session_say(s, STELE_SAY_ERROR, "'%s' exists; -f overwrites it", path);
	else if (error == -ENOTTY)
		session_say(s, STELE_SAY_ERROR, "'%s' is a terminal, and a trace is binary", path);
	else if (error < 0)
		session_say(s, STELE_SAY_ERROR, "cannot create '%s': %s",
			    error == -ENAMETOOLONG ? o->output : path, stele_strerror(error));
	return error;
}

/* The names of the program and of libc are needed in nearly every recording. */
static struct stele_symbols *session_create_symbols(const struct session *s)
{
	struct stele_symbols *symbols = stele__symbols_new();
	Dl_info libc;

	/* No server is to be asked: it could take minutes. */
	unsetenv("DEBUGINFOD_URLS");
	if (symbols) {
		stele__symbols_prepare(symbols, s->target.image);
		if (dladdr((void *)(uintptr_t)fork, &libc))
			stele__symbols_prepare(symbols, libc.dli_fname);
	}
	return symbols;
}

/* Output, symbols and drain, for a child that waits. */
static int session_prepare(struct session *s)
{
	int error = session_open_output(s);

	if (error < 0)
		return error;
	s->symbols = session_create_symbols(s);
	error = s->symbols ? session_create_drain(s) : -ENOMEM;
	if (error == 0)
		error = s->output.error; /* not even the header could be written */
	if (error < 0) {
		session_say(s, STELE_SAY_ERROR, "cannot write '%s': %s", s->output.path,
			    stele_strerror(error));
		stele__tracefile_discard(&s->output);
	}
	return error;
}

/* The child's environment; `module` is a buffer. NULL: said why. */
static char **session_environment(struct session *s, char *module, size_t bytes)
{
	extern char **environ;
	bool heap = s->options->events & STELE_EVENTS_MEMORY;
	int error = stele__locate_module(heap, module, bytes);
	char arena[64], **environment;

	if (error < 0) {
		session_say(s, STELE_SAY_ERROR, "%s",
			    error == -EINVAL
				    ? "the path of stelepreload.so holds a blank or a colon, which "
				      "LD_PRELOAD cannot express"
			    : heap ? "stelepreload-heap.so is not where it was installed, beside "
				     "stelepreload.so (STELE_PRELOAD_MODULE can name that one)"
				   : "stelepreload.so is not where it was installed "
				     "(STELE_PRELOAD_MODULE can name it)");
		return NULL;
	}
	snprintf(arena, sizeof(arena), "/proc/%d/fd/%d", (int)getpid(), s->arena_fd);
	environment = stele__locate_environment(environ, module, s->target.sanitizer, arena);
	if (!environment)
		session_say(s, STELE_SAY_ERROR, "%s", stele_strerror(-ENOMEM));
	return environment;
}

/* The command as the shell's: "sh FILE ARGUMENT…". One block; NULL: no memory. */
static char **session_shell_argv(const struct session *s)
{
	char *const *argv = s->options->argv;
	size_t count = 0;
	char **copy;

	while (argv[count])
		count++;
	copy = malloc((count + 2) * sizeof(*copy));
	if (!copy)
		return NULL;
	copy[0] = (char *)STELE_TARGET_SHELL;
	copy[1] = (char *)s->target.path;
	memcpy(copy + 2, argv + 1, count * sizeof(*copy));
	return copy;
}

/* Forks the child. False: said why. */
static bool session_fork(struct session *s, char *const *environment)
{
	char **shell_argv = s->target.plain_text ? session_shell_argv(s) : NULL;
	struct stele_command_line line = {s->target.path, s->options->argv, shell_argv,
					  environment};
	int error = stele__signals_take(&s->signals);

	if (error == 0) {
		error = stele__child_fork(&line, &s->signals, &s->child);
		if (error < 0)
			stele__signals_done(&s->signals);
	}
	if (error < 0)
		session_say(s, STELE_SAY_ERROR, "cannot start a process: %s",
			    stele_strerror(error));
	free(shell_argv);
	return error == 0;
}

/* The child executes. 0, or the exit status if exec failed. */
static int session_go(struct session *s)
{
	int error = stele__child_go(&s->child);

	if (error == 0)
		return 0;
	session_say(s, STELE_SAY_ERROR, "cannot execute '%s': %s", s->options->argv[0],
		    stele_strerror(error));
	return error == -ENOENT ? STELE_SESSION_NOT_FOUND : STELE_SESSION_NOT_EXECUTABLE;
}

/* While the program runs ---------------------------------------------------------------------- */

/* The terminal stopped the child: the shell waits for us to stop, too. */
static void session_stop(struct session *s)
{
	raise(SIGSTOP);
	/* Here again after SIGCONT, which the child has too if it went to the whole group. */
	if (stele__child_is_stopped(&s->child))
		kill(s->child.pid, SIGCONT);
}

static void session_take_signals(struct session *s)
{
	struct signalfd_siginfo info;

	while (stele__signals_next(&s->signals, &info))
		if (!s->child.gone && stele__signal_is_for_child(&info, s->child.pid))
			stele__signal_forward(&info, s->child.pid);
	if (stele__child_poll(&s->child) == STELE_CHILD_STOPPED)
		session_stop(s);
}

/* Says once that writing failed. The drain goes on and drops what it reads: the program does not
 * notice. */
static void session_check_output(struct session *s)
{
	if (!s->output.error || s->write_failed)
		return;
	s->write_failed = true;
	session_say(s, STELE_SAY_ERROR,
		    "cannot write '%s': %s; the program goes on, its trace ends here",
		    s->output.path, stele_strerror(s->output.error));
}

/* In the pump's thread. */
static void session_after_tick(void *arg, int64_t taken)
{
	struct session *s = arg;

	if (taken < 0 && !s->output.error)
		s->output.error = (int)taken;
	session_check_output(s);
	if (!s->process) {
		s->process = stele__load_acquire(&s->arena->pid);
		stele__symbols_set_process(s->symbols, (int)s->process);
	}
}

/* Signals and the child, until it is gone. */
static void session_wait(struct session *s)
{
	struct pollfd signals = {.fd = s->signals.fd, .events = POLLIN};

	while (!s->child.gone) {
		poll(&signals, 1, -1);
		session_take_signals(s);
	}
}

static void session_watch(struct session *s)
{
	struct stele_pump pump = {
		.arena = s->arena, .drain = s->drain, .after_tick = session_after_tick, .arg = s};
	int error = stele__pump_start(&pump);

	if (error < 0) {
		session_say(s, STELE_SAY_ERROR,
			    "no thread for the drain: %s; the rings alone are kept",
			    stele_strerror(error));
		session_wait(s);
		return;
	}
	session_wait(s);
	stele__pump_stop(&pump);
	s->tick_ns_max = pump.tick_ns_max;
}

/* Afterwards ---------------------------------------------------------------------------------- */

static void session_finish_drain(struct session *s, struct stele_session_result *result)
{
	int status = s->child.status, error;

	result->ending.known = true;
	if (WIFSIGNALED(status))
		result->ending.signal = WTERMSIG(status);
	else
		result->ending.exit_status = WEXITSTATUS(status);
	error = stele__drain_finish(s->drain, &result->ending);
	if (error < 0 && !s->output.error)
		s->output.error = error;
	session_check_output(s);
	stele__drain_stats(s->drain, &result->drain);
}

static void session_report_symbols(struct session *s, struct stele_session_result *result)
{
	struct stele_symbols_stats stats;

	stele__symbols_stats(s->symbols, &stats);
	result->symbols_ns = stats.spent_ns;
	if (stats.worst)
		snprintf(result->worst_module, sizeof(result->worst_module), "%s", stats.worst);
}

static void session_close_output(struct session *s, struct stele_session_result *result)
{
	uint64_t valid = s->output.error ? result->drain.valid_bytes : s->output.bytes;
	int error;

	/* A header alone is no trace. */
	if (valid <= STELE_HEADER_BYTES) {
		session_say(s, STELE_SAY_ERROR, "nothing of the trace could be kept");
		stele__tracefile_discard(&s->output);
		result->status = STELE_SESSION_FAILED;
		return;
	}
	error = stele__tracefile_finish(&s->output, valid);
	if (error < 0)
		session_say(s, STELE_SAY_ERROR, "cannot complete '%s': %s", s->output.path,
			    stele_strerror(error));
	result->recorded = true;
	result->cut_short = s->output.error || error < 0;
	result->file_bytes = valid;
	snprintf(result->path, sizeof(result->path), "%s", s->output.path);
}

static const char *session_clock_name(const struct stele_arena *arena)
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

static void session_conclude(struct session *s, struct stele_session_result *result)
{
	result->status = stele__child_exit_status(s->child.status);
	if (stele__load_acquire(&s->arena->pid) == 0) {
		session_say(s, STELE_SAY_WARNING,
			    "'%s' ran untraced and no trace is left: the preload module was not "
			    "loaded or could not join (was LD_PRELOAD or STELE_ARENA removed, "
			    "STELE_DISABLE set, or /proc not visible?)",
			    s->options->argv[0]);
		stele__tracefile_discard(&s->output);
		return;
	}
	session_finish_drain(s, result);
	session_report_symbols(s, result);
	result->heap = s->options->events & STELE_EVENTS_MEMORY;
	result->tick_ns_max = s->tick_ns_max;
	result->images = s->arena->images;
	result->clock = session_clock_name(s->arena);
	session_close_output(s, result);
}

/*
 * A descriptor of ours must not become the standard stream that somebody closed: messages would
 * go into the trace. The program gets them as they were: these are closed at exec.
 */
static void session_fill_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* All of it ----------------------------------------------------------------------------------- */

static void session_run_traced(struct session *s, char *const *environment,
			       struct stele_session_result *result)
{
	struct rlimit files;
	uint64_t begin;

	if (!session_fork(s, environment))
		return;
	if (session_prepare(s) < 0) {
		stele__child_cancel(&s->child);
		stele__signals_done(&s->signals);
		return;
	}
	/* Each module's file is kept open until its names are needed. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	begin = stele__sys_monotonic_ns();
	result->status = session_go(s);
	if (result->status == 0) {
		session_watch(s);
		result->wall_ns = stele__sys_monotonic_ns() - begin;
		session_conclude(s, result);
	} else {
		stele__tracefile_discard(&s->output);
	}
	stele__signals_done(&s->signals);
}

static void session_run_untraced(struct session *s, struct stele_session_result *result)
{
	extern char **environ;

	if (!session_fork(s, environ))
		return;
	result->status = session_go(s);
	if (result->status == 0) {
		session_wait(s);
		result->status = stele__child_exit_status(s->child.status);
	}
	stele__signals_done(&s->signals);
}

static void session_release(struct session *s)
{
	stele__drain_free(s->drain);
	stele__symbols_free(s->symbols);
	stele__arena_unmap(s->arena);
	if (s->arena_fd >= 0)
		stele__sys_close(s->arena_fd);
}

static void session_run_target(struct session *s, struct stele_session_result *result)
{
	char module[PATH_MAX], **environment;
	int error = session_create_arena(s);

	if (error < 0) {
		session_say(s, STELE_SAY_ERROR, "cannot make a buffer of %llu MiB: %s",
			    (unsigned long long)(s->options->arena_bytes >> 20),
			    stele_strerror(error));
		return;
	}
	environment = session_environment(s, module, sizeof(module));
	if (environment)
		session_run_traced(s, environment, result);
	free(environment);
}

void stele__session_run(const struct stele_session_options *options,
			struct stele_session_result *ret_result)
{
	struct session s = {.options = options, .arena_fd = -1, .output = {.fd = -1}};
	struct stele_session_result *result = ret_result;

	*result = (struct stele_session_result){.status = STELE_SESSION_FAILED};
	session_fill_streams();
	stele__target_examine(options->argv[0], getenv("PATH"), &s.target);
	switch (s.target.verdict) {
	case STELE_TARGET_NOT_FOUND:
		result->status = STELE_SESSION_NOT_FOUND;
		session_say(&s, STELE_SAY_ERROR, "%s", s.target.sentence);
		return;
	case STELE_TARGET_NOT_EXECUTABLE:
		result->status = STELE_SESSION_NOT_EXECUTABLE;
		session_say(&s, STELE_SAY_ERROR, "%s", s.target.sentence);
		return;
	case STELE_TARGET_UNTRACEABLE:
		session_say(&s, STELE_SAY_WARNING, "running it untraced: %s", s.target.sentence);
		session_run_untraced(&s, result);
		return;
	case STELE_TARGET_TRACEABLE:
		break;
	}
	if (options->disabled) {
		session_say(&s, STELE_SAY_WARNING, "running it untraced: STELE_DISABLE is set");
		session_run_untraced(&s, result);
		return;
	}
	session_run_target(&s, result);
	session_release(&s);
}
