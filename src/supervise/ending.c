/* SPDX-License-Identifier: MIT */
#include "supervise/ending.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* As in <linux/pidfd.h> since Linux 6.15, newer than the headers of many. */
struct pidfd_answer {
	uint64_t mask, cgroup;
	uint32_t pid, tgid, ppid, ids[8];
	int32_t exit_code; /* as of wait(2) */
};
#define PIDFD_ASK	_IOWR(0xff, 11, struct pidfd_answer)
#define PIDFD_KNOWS_END 8u /* a bit of mask: wanted, and had */

static bool ending_by_pidfd(int pidfd, int *ret_status)
{
	struct pidfd_answer answer = {.mask = PIDFD_KNOWS_END};

	if (pidfd < 0 || ioctl(pidfd, PIDFD_ASK, &answer) != 0 || !(answer.mask & PIDFD_KNOWS_END))
		return false;
	*ret_status = answer.exit_code;
	return true;
}

#define STAT_FIELDS_TO_EXIT 49 /* behind the state, which follows the program's name */

/* While it is a zombie. The name of the program may hold anything, also brackets. */
static bool ending_by_proc(int pid, int *ret_status)
{
	char path[64], text[2048], *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	at = strrchr(text, ')');
	if (!at || strncmp(at, ") Z ", 4) != 0)
		return false;
	at += 2;
	for (int i = 0; i < STAT_FIELDS_TO_EXIT && at; i++)
		at = strchr(at + 1, ' ');
	return at && sscanf(at, " %d", ret_status) == 1;
}

struct stele_ending stele__ending_of_status(int status)
{
	struct stele_ending ending = {.known = true};

	if (WIFSIGNALED(status))
		ending.signal = WTERMSIG(status);
	else
		ending.exit_status = WEXITSTATUS(status);
	return ending;
}

struct stele_ending stele__ending_of(int pid, int pidfd)
{
	int status;

	return ending_by_pidfd(pidfd, &status) || ending_by_proc(pid, &status)
		       ? stele__ending_of_status(status)
		       : (struct stele_ending){0};
}

bool stele__ending_is_crash(const struct stele_ending *ending)
{
	switch (ending->signal) {
	case SIGILL:
	case SIGTRAP:
	case SIGABRT:
	case SIGBUS:
	case SIGFPE:
	case SIGSEGV:
	case SIGSYS:
	case SIGKILL:
		return true;
	default:
		return false;
	}
}
