/* SPDX-License-Identifier: MIT */
/*
 * Signals to others, which may end their waits. Of those to groups of processes, and by
 * pthread_kill, it is not known whom they are for.
 */
#include <signal.h>
#include <unistd.h>

#include "preload/preload.h"
#include "preload/resolve.h"

/* In the headers of newer libcs only. */
int tgkill(pid_t process, pid_t thread, int number);

/* Before it is sent: then it is older than whatever it ends. */
static void signal_tell(uint64_t signals, pid_t id, int number)
{
	if (stele__recording() && id > 0 && number)
		stele_release(STELE_WAIT_UNSPECIFIED,
			      (const void *)(uintptr_t)(signals | (uint32_t)id), NULL);
}

STELE_EXPORT int kill(pid_t process, int number)
{
	signal_tell(STELE_SIGNALS_TO_PROCESS, process, number);
	return STELE_REAL(kill)(process, number);
}

STELE_EXPORT int sigqueue(pid_t process, int number, const union sigval value)
{
	signal_tell(STELE_SIGNALS_TO_PROCESS, process, number);
	return STELE_REAL(sigqueue)(process, number, value);
}

STELE_EXPORT int tgkill(pid_t process, pid_t thread, int number)
{
	signal_tell(STELE_SIGNALS_TO_THREAD, thread, number);
	return STELE_REAL(tgkill)(process, thread, number);
}
