/* SPDX-License-Identifier: MIT */
#include "supervise/child.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drain/liveness.h"
#include "support/tap.h"

extern char **environ;

static struct stele_signals signals;

static struct stele_child start(const char *path, const char *script)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};
	struct stele_command_line line = {path, argv, NULL, environ};
	struct stele_child child = {0};

	CHECK_EQ(stele__child_fork(&line, &signals, &child), 0);
	return child;
}

/* The next change of the child that is one. */
static enum stele_child_change await(struct stele_child *child)
{
	for (unsigned i = 0; i < 5000; i++) {
		enum stele_child_change change = stele__child_poll(child);

		if (change != STELE_CHILD_SAME)
			return change;
		poll(NULL, 0, 2);
	}
	return STELE_CHILD_SAME;
}

static int status_of(const char *script)
{
	struct stele_child child = start("/bin/sh", script);

	CHECK_EQ(stele__child_go(&child), 0);
	CHECK_EQ(await(&child), STELE_CHILD_GONE);
	return stele__child_exit_status(child.status);
}

static void child_status_is_the_programs(void)
{
	CHECK_EQ(status_of("exit 0"), 0);
	CHECK_EQ(status_of("exit 255"), 255);
	CHECK_EQ(status_of("kill -9 $$"), 137);
	CHECK_EQ(status_of("kill -TERM $$"), 143);
}

static void child_reports_why_exec_failed(void)
{
	struct stele_child child = start("/nonexistent", "");

	CHECK_EQ(stele__child_go(&child), -ENOENT);
	CHECK(child.gone);
	child = start("/", "");
	CHECK_EQ(stele__child_go(&child), -EACCES);
}

static void child_waits_and_can_be_cancelled(void)
{
	struct stele_child child = start("/bin/sh", "exit 3");

	poll(NULL, 0, 20);
	CHECK_EQ(stele__child_poll(&child), STELE_CHILD_SAME);
	stele__child_cancel(&child);
	CHECK(child.gone);
	CHECK_EQ(kill(child.pid, 0), -1);
}

static void stop_and_continue(void)
{
	struct stele_child child = start("/bin/sh", "kill -TSTP $$; exit 5");

	CHECK_EQ(stele__child_go(&child), 0);
	CHECK_EQ(await(&child), STELE_CHILD_STOPPED);
	CHECK(stele__child_is_stopped(&child));
	kill(child.pid, SIGCONT);
	CHECK_EQ(await(&child), STELE_CHILD_GONE);
	CHECK_EQ(stele__child_exit_status(child.status), 5);
	/* SIGSTOP is somebody's doing, not the terminal's. */
	child = start("/bin/sh", "kill -STOP $$; exit 6");
	CHECK_EQ(stele__child_go(&child), 0);
	while (!stele__child_is_stopped(&child))
		poll(NULL, 0, 2);
	CHECK_EQ(stele__child_poll(&child), STELE_CHILD_SAME);
	kill(child.pid, SIGCONT);
	CHECK_EQ(await(&child), STELE_CHILD_GONE);
}

/* In a process group with a parent outside it: the kernel lets no terminal stop an orphaned one. */
static void child_stop_is_seen(void)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		setpgid(0, 0);
		stop_and_continue();
		_exit(tap_now.reports > 0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

/* Does the program find this line about itself? Without a shell, which has signals of its own. */
static int status_of_grep(const char *line)
{
	char *argv[] = {(char *)"grep", (char *)"-q", (char *)line, (char *)"/proc/self/status",
			NULL};
	struct stele_command_line command = {"/bin/grep", argv, NULL, environ};
	struct stele_child child = {0};

	CHECK_EQ(stele__child_fork(&command, &signals, &child), 0);
	CHECK_EQ(stele__child_go(&child), 0);
	CHECK_EQ(await(&child), STELE_CHILD_GONE);
	return stele__child_exit_status(child.status);
}

static void signals_are_the_childs_as_they_were(void)
{
	CHECK_EQ(status_of_grep(getenv("SIGNALS_BLOCKED")), 0);
	CHECK_EQ(status_of_grep(getenv("SIGNALS_IGNORED")), 0);
	CHECK_EQ(status_of_grep("^SigIgn:.*x"), 1);
}

static void signals_for_the_child_are_told_apart(void)
{
	struct signalfd_siginfo info = {.ssi_signo = SIGINT, .ssi_code = SI_USER, .ssi_pid = 10};

	CHECK(stele__signal_is_for_child(&info, 20));
	CHECK(!stele__signal_is_for_child(&info, 10)); /* it sent it itself */
	info.ssi_code = SI_KERNEL;		       /* the terminal's: it has it, too */
	CHECK(!stele__signal_is_for_child(&info, 20));
	info.ssi_code = SI_QUEUE;
	CHECK(stele__signal_is_for_child(&info, 20));
	info.ssi_signo = SIGCHLD;
	CHECK(!stele__signal_is_for_child(&info, 20));
}

static void liveness_counts_threads(void)
{
	struct stele_child child = start("/bin/sh", "exit 0");
	uint32_t tids[4] = {0};

	CHECK_EQ(stele__liveness_threads(child.pid, tids, 4), 1);
	CHECK_EQ(tids[0], child.pid);
	CHECK_EQ(stele__liveness_threads(child.pid, tids, 0), 1);
	CHECK(stele__liveness_exists(child.pid, (uint32_t)child.pid));
	CHECK(!stele__liveness_exists(child.pid, 1));
	stele__child_cancel(&child);
	CHECK_EQ(stele__liveness_threads(child.pid, tids, 4), 0);
	CHECK(!stele__liveness_exists(child.pid, (uint32_t)child.pid));
}

/* A line of /proc/self/status, into the environment. */
static void note_status(const char *field, const char *variable)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];

	while (fgets(line, sizeof(line), status)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, field, strlen(field)))
			setenv(variable, line, 1);
	}
	fclose(status);
}

static void signals_are_taken(void)
{
	struct signalfd_siginfo info;

	signal(SIGCHLD, SIG_IGN); /* or nothing would tell restoring from resetting */
	note_status("SigBlk:", "SIGNALS_BLOCKED");
	note_status("SigIgn:", "SIGNALS_IGNORED");
	CHECK_EQ(stele__signals_take(&signals), 0);
	kill(getpid(), SIGUSR1);
	CHECK(stele__signals_next(&signals, &info));
	CHECK_EQ(info.ssi_signo, SIGUSR1);
	CHECK(!stele__signals_next(&signals, &info));
}

static void signals_are_given_back(void)
{
	sigset_t mask;

	kill(getpid(), SIGUSR1); /* dropped with the rest */
	stele__signals_done(&signals);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	CHECK_EQ(sigismember(&mask, SIGUSR1), 0);
}

TAP_MAIN(TEST(signals_are_taken), TEST(child_status_is_the_programs),
	 TEST(child_reports_why_exec_failed), TEST(child_waits_and_can_be_cancelled),
	 TEST(child_stop_is_seen), TEST(signals_are_the_childs_as_they_were),
	 TEST(signals_for_the_child_are_told_apart), TEST(liveness_counts_threads),
	 TEST(signals_are_given_back))
