/* SPDX-License-Identifier: MIT */
#include "supervise/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic.h"

_Noreturn static void child_run(const struct stele_command_line *line,
				const struct stele_signals *signals, int go_fd, int error_fd)
{
	ssize_t got;
	char go;
	int error;

	do {
		got = read(go_fd, &go, 1);
	} while (got < 0 && errno == EINTR);
	if (got != 1)
		_exit(125);
	stele__signals_restore(signals);
	execve(line->path, line->argv, line->envp);
	if (errno == ENOEXEC && line->shell_argv)
		execve(line->shell_argv[0], line->shell_argv, line->envp);
	error = errno;
	/* The status is what the supervisor makes of the error; this one is never seen. */
	if (write(error_fd, &error, sizeof(error)) != sizeof(error))
		_exit(125);
	_exit(126);
}

int stele__child_fork(const struct stele_command_line *line, const struct stele_signals *signals,
		      struct stele_child *ret_child)
{
	int go[2], report[2], error;
	pid_t pid;

	if (pipe2(go, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(report, O_CLOEXEC) < 0) {
		error = -errno;
		close(go[0]);
		close(go[1]);
		return error;
	}
	pid = fork();
	error = -errno;
	if (pid == 0) {
		close(go[1]); /* or the end of the supervisor would go unnoticed */
		child_run(line, signals, go[0], report[1]);
	}
	close(go[0]);
	close(report[1]);
	if (pid < 0) {
		close(go[1]);
		close(report[0]);
		return error;
	}
	*ret_child = (struct stele_child){.pid = pid, .go_fd = go[1], .error_fd = report[0]};
	return 0;
}

static void child_reap(struct stele_child *child)
{
	while (!child->gone) {
		pid_t pid = waitpid(child->pid, &child->status, 0);

		if (pid == child->pid || (pid < 0 && errno != EINTR))
			stele__store_relaxed(&child->gone, true);
	}
}

int stele__child_go(struct stele_child *child)
{
	int error = 0;
	ssize_t got;

	/* It may have been killed already: then the write fails, and so says its status. */
	got = write(child->go_fd, "", 1);
	close(child->go_fd);
	do {
		got = read(child->error_fd, &error, sizeof(error));
	} while (got < 0 && errno == EINTR);
	close(child->error_fd);
	if (got != sizeof(error))
		return 0; /* closed by exec */
	child_reap(child);
	return -error;
}

void stele__child_cancel(struct stele_child *child)
{
	close(child->go_fd);
	close(child->error_fd);
	child_reap(child);
}

enum stele_child_change stele__child_poll(struct stele_child *child)
{
	enum stele_child_change change = STELE_CHILD_SAME;
	int status;

	while (!child->gone) {
		pid_t pid = waitpid(child->pid, &status, WNOHANG | WUNTRACED);

		if (pid == 0)
			return change;
		if (pid < 0) {
			if (errno == EINTR)
				continue;
			status = 0; /* nobody else reaps it: cannot happen, must not loop */
		}
		if (pid > 0 && WIFSTOPPED(status)) {
			int signal = WSTOPSIG(status);

			change = signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU
					 ? STELE_CHILD_STOPPED
					 : STELE_CHILD_SAME;
			continue;
		}
		stele__store_relaxed(&child->gone, true);
		child->status = status;
	}
	return STELE_CHILD_GONE;
}

bool stele__child_is_stopped(const struct stele_child *child)
{
	char path[64], text[512];
	const char *end;
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)child->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	end = strrchr(text, ')'); /* the name before it may hold anything */
	return end && end[1] == ' ' && end[2] == 'T';
}

int stele__child_exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
