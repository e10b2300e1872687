/* SPDX-License-Identifier: MIT */
#include "cli/talk.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "stele/version.h"
#include "supervise/rendezvous.h"

int stele__talk_pid(const char *text)
{
	char *end;
	unsigned long pid;

	if (*text < '0' || *text > '9')
		return 0;
	errno = 0;
	pid = strtoul(text, &end, 10);
	return *end || errno || pid > INT_MAX ? 0 : (int)pid;
}

static int talk_blame(int pid, int error)
{
	if (error == -ESRCH)
		stele__complain("nobody records process %d: 'stele status' lists who is recorded "
				"by you ('stele record' must have started it, under the same user "
				"and XDG_RUNTIME_DIR)",
				pid);
	else if (error == -EPERM)
		stele__complain("the directory of the recorders' sockets, or one of them, is not "
				"yours alone: nothing in it is used");
	else
		stele__complain("cannot reach the recorder of process %d: %s", pid,
				stele_strerror(error));
	return STELE_EXIT_IO;
}

int stele__talk(int pid, const char *request, char *answer, size_t bytes)
{
	struct stele_rendezvous place;
	int fd = stele__rendezvous_connect(pid, &place), error;

	if (fd < 0)
		return talk_blame(pid, fd);
	error = stele__rendezvous_ask(fd, request, answer, bytes);
	close(fd);
	if (error == 0)
		return STELE_EXIT_OK;
	if (error == -EREMOTEIO)
		stele__complain("the recorder of process %d: %s", pid, answer);
	else if (error == -EPIPE)
		stele__complain("the recording of process %d has ended", pid);
	else
		talk_blame(pid, error);
	return STELE_EXIT_IO;
}
