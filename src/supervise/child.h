/* SPDX-License-Identifier: MIT */
/*
 * The traced program as a process: forked, held until its trace file is there, executed, waited
 * for. It stays in the supervisor's process group and terminal, with the supervisor's own stdin,
 * stdout and stderr, signal mask and dispositions.
 */
#ifndef STELE_SUPERVISE_CHILD_H
#define STELE_SUPERVISE_CHILD_H

#include <sys/types.h>

#include "supervise/signals.h"

struct stele_child {
	pid_t pid;
	int go_fd;    /* a byte here lets it run; closed without one it exits */
	int error_fd; /* exec's errno comes out here */
	bool gone;    /* reaped */
	int status;   /* of waitpid, when gone */
};

enum stele_child_change { STELE_CHILD_SAME, STELE_CHILD_GONE, STELE_CHILD_STOPPED };

/* What is executed. */
struct stele_command_line {
	const char *path;
	char *const *argv;
	char *const *shell_argv; /* executed if the kernel does not know the format; or NULL */
	char *const *envp;
};

/* Forks. The process waits for stele__child_go. -errno. Everything pointed to must stay valid
 * until the call returns. */
int stele__child_fork(const struct stele_command_line *line, const struct stele_signals *signals,
		      struct stele_child *ret_child);

/* Lets it execute. 0, or exec's -errno: then it is gone. */
int stele__child_go(struct stele_child *child);

/* It shall not run: ends and reaps it. */
void stele__child_cancel(struct stele_child *child);

/* What has happened to it, without waiting. STOPPED: by job control. */
enum stele_child_change stele__child_poll(struct stele_child *child);

/* Is it stopped right now? */
bool stele__child_is_stopped(const struct stele_child *child);

/* The exit status that stands for a status of waitpid: 128 + signal if it was killed. */
int stele__child_exit_status(int status);

#endif
