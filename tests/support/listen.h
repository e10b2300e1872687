/* SPDX-License-Identifier: MIT */
/* What a child process does, says on stderr, and how it ends. */
#ifndef STELE_TESTS_LISTEN_H
#define STELE_TESTS_LISTEN_H

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs run() in a child, which ends with what that returns. *ret_status as waitpid has it; the text
 * is good until the next call. */
static inline const char *child_says(int (*run)(void), int *ret_status)
{
	static char text[65536];
	size_t length = 0;
	ssize_t n;
	int fd[2];
	pid_t child;

	fflush(stdout);
	*ret_status = -1;
	if (pipe(fd) < 0 || (child = fork()) < 0)
		return "no child";
	if (child == 0) {
		dup2(fd[1], STDERR_FILENO);
		close(fd[0]);
		close(fd[1]);
		_exit(run());
	}
	close(fd[1]);
	while ((n = read(fd[0], text + length, sizeof(text) - 1 - length)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	close(fd[0]);
	waitpid(child, ret_status, 0);
	return text;
}

#endif
