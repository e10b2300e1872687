/* SPDX-License-Identifier: MIT */
/*
 * The order of things: judge the program; make the arena; fork the child, which waits; create the
 * file, whose name holds the child's pid; let the child execute; drain until it is gone; finish.
 * Everything that can fail for reasons of ours is done before the program begins to run.
 */
#include "supervise/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "stele/version.h"
#include "supervise/child.h"
#include "supervise/control.h"
#include "supervise/definitions.h"
#include "supervise/ending.h"
#include "supervise/follow.h"
#include "supervise/locate.h"
#include "supervise/recorder.h"
#include "supervise/signals.h"
#include "supervise/target.h"
#include "sys/sys.h"

/* When the child is gone: how often it is looked whether others are there, and for how long. */
#define SESSION_LOOK_MS	    20
#define SESSION_QUIET_LOOKS 5

/* Whoever ran so long that there should be so many samples has some. */
#define SESSION_SAMPLES_SURE 20

struct session {
	const struct stele_session_options *options;
	struct stele_target target;
	struct stele_signals signals;
	struct stele_child child;
	struct stele_recorder recorder;
	struct stele_follow *follow;   /* NULL: nobody is followed */
	struct stele_control *control; /* NULL: no memory for one */
};

/* Before the program runs --------------------------------------------------------------------- */

/* The child's environment; `module` is a buffer. NULL: said why. */
static char **session_environment(struct session *s, char *module, size_t bytes)
{
	extern char **environ;
	bool heap = s->options->events & STELE_EVENTS_MEMORY;
	int error = stele__locate_module(heap, module, bytes);
	char arena[PATH_MAX], **environment;

	if (error < 0) {
		stele__recorder_say(
			s->options, STELE_SAY_ERROR, "%s",
			error == -EINVAL
				? "the path of stelepreload.so holds a blank or a colon, which "
				  "LD_PRELOAD cannot express"
			: heap ? "stelepreload-heap.so is not where it was installed, beside "
				 "stelepreload.so (STELE_PRELOAD_MODULE can name that one)"
			       : "stelepreload.so is not where it was installed "
				 "(STELE_PRELOAD_MODULE can name it)");
		return NULL;
	}
	stele__arenafile_name(&s->recorder.file, arena, sizeof(arena));
	environment = stele__locate_environment(environ, module, s->target.sanitizer, arena);
	if (!environment)
		stele__recorder_say(s->options, STELE_SAY_ERROR, "%s", stele_strerror(-ENOMEM));
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
		stele__recorder_say(s->options, STELE_SAY_ERROR, "cannot start a process: %s",
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
	stele__recorder_say(s->options, STELE_SAY_ERROR, "cannot execute '%s': %s",
			    s->options->argv[0], stele_strerror(error));
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

/* A signal that is meant for the recorder. */
static bool session_takes(const struct session *s, const struct signalfd_siginfo *info)
{
	if (info->ssi_signo != SIGUSR2 || !s->options->flight.on_usr2 || !s->control)
		return false;
	stele__control_trigger(s->control, "SIGUSR2 came");
	return true;
}

static void session_take_signals(struct session *s)
{
	struct signalfd_siginfo info;

	while (stele__signals_next(&s->signals, &info)) {
		if (s->child.gone || !stele__signal_is_for_child(&info, s->child.pid))
			continue;
		if (!session_takes(s, &info))
			stele__signal_forward(&info, s->child.pid);
	}
	if (stele__child_poll(&s->child) == STELE_CHILD_STOPPED)
		session_stop(s);
}

/* Something takes long. In the drain's thread. */
static void session_see(void *arg, const struct stele_watch_sight *sight)
{
	static const char *const formats[STELE_WATCH_COUNT] = {
		[STELE_WATCH_REGION] = "region '%s' took %.3f s in thread %u",
		[STELE_WATCH_SYSCALL] = "system call %s took %.3f s in thread %u",
		[STELE_WATCH_LOCK] = "a lock (%s) was waited for for %.3f s by thread %u",
		[STELE_WATCH_BLOCKED] = "a wait (%s) took %.3f s in thread %u",
	};
	const struct session *s = arg;
	char text[512];

	snprintf(text, sizeof(text), formats[sight->kind], sight->name, (double)sight->ns / 1e9,
		 sight->tid);
	stele__control_trigger(s->control, "%s", text);
}

/* In the drain's thread, too. */
static void session_want_snapshot(void *arg)
{
	const struct session *s = arg;

	stele__control_trigger(s->control, "the program wants it");
}

/* In a thread of the process's own. */
static void session_see_end(void *arg, int pid, const struct stele_ending *ending)
{
	const struct session *s = arg;

	if (!s->options->flight.on_failure || !stele__ending_is_crash(ending))
		return;
	stele__control_trigger(s->control, "process %d was killed by signal %d (%s)", pid,
			       ending->signal, strsignal(ending->signal));
	stele__control_await(s->control);
}

static void session_prepare_control(struct session *s)
{
	const struct stele_flight_options *flight = &s->options->flight;
	struct stele_follower follower = {
		.owner = {{.seen = session_see, .arg = s}, session_want_snapshot, s},
		.ended = session_see_end,
	};

	s->control = stele__control_new(&s->recorder, s->follow);
	if (!s->control || !flight->on)
		return;
	memcpy(follower.owner.watch.limit_ns, flight->watch_ns, sizeof(flight->watch_ns));
	s->recorder.owner = follower.owner;
	if (s->follow)
		stele__follow_control(s->follow, &follower);
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

/* Afterwards ---------------------------------------------------------------------------------- */

/* Was the recorder told to end? There is no child any more that this could be meant for. */
static bool session_is_interrupted(struct session *s)
{
	struct signalfd_siginfo info;
	bool interrupted = false;

	while (stele__signals_next(&s->signals, &info))
		if (!session_takes(s, &info))
			interrupted |= info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM ||
				       info.ssi_signo == SIGHUP || info.ssi_signo == SIGQUIT;
	return interrupted;
}

/* The child's own children may outlive it; one that it just gave birth to shows in a moment. */
static void session_wait_for_followed(struct session *s)
{
	struct pollfd signals = {.fd = s->signals.fd, .events = POLLIN};

	for (int quiet = 0; quiet < SESSION_QUIET_LOOKS;) {
		poll(&signals, 1, SESSION_LOOK_MS);
		if (session_is_interrupted(s))
			return;
		quiet = stele__follow_is_idle(s->follow) ? quiet + 1 : 0;
	}
}

/* How the program ended may be what a snapshot is wanted for. */
static void session_keep_end(struct session *s, const struct stele_ending *ending)
{
	const struct stele_flight_options *flight = &s->options->flight;
	bool failed = ending->signal || ending->exit_status;
	bool wanted = flight->on_end || (failed && flight->on_failure);
	char reason[600] = "";

	if (wanted && ending->signal)
		snprintf(reason, sizeof(reason), "the program was killed by signal %d (%s)",
			 ending->signal, strsignal(ending->signal));
	else if (wanted)
		snprintf(reason, sizeof(reason), "the program ended with status %d",
			 ending->exit_status);
	if (wanted)
		stele__control_insist(s->control, reason);
}

static void session_tell_snapshots(const struct session *s, struct stele_session_result *result)
{
	const struct stele_snapshots *snapshots = stele__control_snapshots(s->control);

	result->snapshots = snapshots->written;
	result->snapshots_failed = snapshots->failed;
	result->snapshots_removed = snapshots->removed;
	result->passed_over = stele__control_passed_over(s->control);
	result->cut_short = snapshots->failed > 0;
	result->file_bytes = snapshots->bytes;
	snprintf(result->path, sizeof(result->path), "%s", snapshots->last);
}

/* CPU samples were wanted, the program ran, and there are none? */
static bool session_lacks_samples(const struct session *s,
				  const struct stele_session_result *result)
{
	struct rusage used;
	double ran;

	if (!s->options->cpu_hz || s->options->dormant || result->drain.children ||
	    result->drain.events_by_kind[STELE_KIND_CPU_SAMPLE] ||
	    getrusage(RUSAGE_CHILDREN, &used) != 0)
		return false;
	ran = (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec / 1e6;
	return ran * s->options->cpu_hz > SESSION_SAMPLES_SURE;
}

static void session_conclude(struct session *s, struct stele_session_result *result)
{
	const int status = s->child.status;
	const struct stele_ending ending = stele__ending_of_status(status);

	result->status = stele__child_exit_status(status);
	if (!stele__recorder_was_joined(&s->recorder)) {
		stele__recorder_say(
			s->options, STELE_SAY_WARNING,
			"'%s' ran untraced and no trace is left: the preload module was not "
			"loaded or could not join (was LD_PRELOAD or STELE_ARENA removed, "
			"STELE_DISABLE set, or /proc not visible?)",
			s->options->argv[0]);
		stele__recorder_discard(&s->recorder);
		return;
	}
	stele__recorder_finish(&s->recorder, &ending, result);
	if (session_lacks_samples(s, result)) {
		result->unsampled = true;
		stele__recorder_say(
			s->options, STELE_SAY_WARNING,
			"there are no CPU samples: the program handles signal %d itself, "
			"or may not have timers (stele doctor)",
			SIGRTMAX - 2);
	}
	if (s->options->switches == STELE_SWITCHES_SURELY && result->unswitched)
		stele__recorder_say(
			s->options, STELE_SAY_WARNING,
			"time without a processor counts as running: the kernel may not tell of "
			"context switches: %s (stele doctor)",
			stele_strerror(result->unswitched));
	if (s->recorder.flight && s->control)
		session_keep_end(s, &ending);
}

/* Signals, the child and its recording, until it is gone; then those of its children. */
static void session_watch(struct session *s, struct stele_session_result *result)
{
	stele__recorder_start(&s->recorder);
	session_wait(s);
	stele__store_release(&s->recorder.gone, 1); /* pairs with recorder_threads */
	stele__recorder_stop(&s->recorder);
	session_conclude(s, result);
	if (s->follow)
		session_wait_for_followed(s);
	stele__control_stop(s->control);
	if (s->follow) {
		stele__follow_stop(s->follow);
		stele__follow_totals(s->follow, s->recorder.arena, &result->followed);
	}
	/* Nobody is left who could want one. */
	if (s->recorder.flight && s->control)
		session_tell_snapshots(s, result);
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
	session_prepare_control(s);
	if (stele__recorder_open(&s->recorder, s->child.pid, s->target.image) < 0) {
		stele__child_cancel(&s->child);
		stele__signals_done(&s->signals);
		return;
	}
	/* Each module's file is kept open until its names are needed. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	/* Only now: the process was forked with one thread. */
	if (s->follow && stele__follow_start(s->follow) < 0)
		stele__recorder_say(s->options, STELE_SAY_WARNING,
				    "its children are not recorded: there is no thread for them");
	/* Whoever sees the program run can reach us. */
	if (s->control)
		stele__control_start(s->control, s->child.pid);
	begin = stele__sys_monotonic_ns();
	result->status = session_go(s);
	if (result->status == 0) {
		session_watch(s, result);
		result->wall_ns = stele__sys_monotonic_ns() - begin;
	} else {
		stele__control_stop(s->control);
		stele__recorder_discard(&s->recorder);
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

static void session_run_target(struct session *s, struct stele_session_result *result)
{
	char module[PATH_MAX], **environment;
	int error = s->options->follow ? stele__follow_new(s->options, &s->follow) : 0;

	if (error == 0)
		error = stele__recorder_arena(&s->recorder, s->options,
					      s->follow ? stele__follow_board(s->follow) : 0);
	if (error < 0) {
		stele__recorder_blame_arena(s->options, error);
		return;
	}
	environment = session_environment(s, module, sizeof(module));
	if (environment)
		session_run_traced(s, environment, result);
	free(environment);
}

/* A malloc within the program comes before any that is preloaded. */
static bool session_sees_objects(const struct session *s)
{
	struct stele_definitions d;

	if (!(s->options->events & STELE_EVENTS_MEMORY) ||
	    stele__definitions_read(s->target.image, &d) < 0 || !d.malloc)
		return true;
	stele__recorder_say(s->options, STELE_SAY_WARNING,
			    "'%s' has a malloc of its own: what it allocates is not in the trace "
			    "(stele doctor)",
			    s->options->argv[0]);
	return false;
}

void stele__session_run(const struct stele_session_options *options,
			struct stele_session_result *ret_result)
{
	struct session s = {.options = options, .recorder = {.file.fd = -1}};
	struct stele_session_result *result = ret_result;

	*result = (struct stele_session_result){.status = STELE_SESSION_FAILED, .unseen = true};
	session_fill_streams();
	stele__target_examine(options->argv[0], getenv("PATH"), &s.target);
	switch (s.target.verdict) {
	case STELE_TARGET_NOT_FOUND:
		result->status = STELE_SESSION_NOT_FOUND;
		stele__recorder_say(options, STELE_SAY_ERROR, "%s", s.target.sentence);
		return;
	case STELE_TARGET_NOT_EXECUTABLE:
		result->status = STELE_SESSION_NOT_EXECUTABLE;
		stele__recorder_say(options, STELE_SAY_ERROR, "%s", s.target.sentence);
		return;
	case STELE_TARGET_UNTRACEABLE:
		stele__recorder_say(options, STELE_SAY_WARNING, "running it untraced: %s",
				    s.target.sentence);
		session_run_untraced(&s, result);
		return;
	case STELE_TARGET_TRACEABLE:
		break;
	}
	if (options->disabled) {
		stele__recorder_say(options, STELE_SAY_WARNING,
				    "running it untraced: STELE_DISABLE is set");
		session_run_untraced(&s, result);
		return;
	}
	session_run_target(&s, result);
	result->unseen = !result->recorded || result->unsampled || !session_sees_objects(&s) ||
			 (options->switches == STELE_SWITCHES_SURELY && result->unswitched);
	stele__follow_stop(s.follow);
	stele__follow_free(s.follow);
	stele__control_free(s.control);
	stele__recorder_release(&s.recorder);
}
