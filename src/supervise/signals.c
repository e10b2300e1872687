/* SPDX-License-Identifier: MIT */
#include "supervise/signals.h"

#include <errno.h>
#include <unistd.h>

/* A closed pipe or a file size limit shall be an error of write, not the supervisor's death. */
static const int signals_ignored[STELE_SIGNALS_IGNORED] = {SIGPIPE, SIGXFSZ};

/* All but those that a fault of the supervisor raises, and those that a terminal uses to keep a
 * background process from writing. */
static void signals_fill(sigset_t *set)
{
	static const int kept[] = {SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,  SIGABRT, SIGTRAP,
				   SIGSYS,  SIGTTIN, SIGTTOU, SIGPIPE, SIGXFSZ, SIGXCPU};

	sigfillset(set);
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(kept); i++)
		sigdelset(set, kept[i]);
}

int stele__signals_take(struct stele_signals *ret_signals)
{
	struct sigaction standard = {.sa_handler = SIG_DFL}, ignore = {.sa_handler = SIG_IGN};
	struct stele_signals signals;
	sigset_t set;

	signals_fill(&set);
	signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals.fd < 0)
		return -errno;
	/* Ignored by whoever started us, it would make children vanish without a status. */
	sigaction(SIGCHLD, &standard, &signals.child);
	for (size_t i = 0; i < STELE_SIGNALS_IGNORED; i++)
		sigaction(signals_ignored[i], &ignore, &signals.ignored[i]);
	sigprocmask(SIG_BLOCK, &set, &signals.mask);
	*ret_signals = signals;
	return 0;
}

void stele__signals_restore(const struct stele_signals *signals)
{
	sigaction(SIGCHLD, &signals->child, NULL);
	for (size_t i = 0; i < STELE_SIGNALS_IGNORED; i++)
		sigaction(signals_ignored[i], &signals->ignored[i], NULL);
	sigprocmask(SIG_SETMASK, &signals->mask, NULL);
}

bool stele__signals_next(const struct stele_signals *signals, struct signalfd_siginfo *ret_info)
{
	return read(signals->fd, ret_info, sizeof(*ret_info)) == sizeof(*ret_info);
}

bool stele__signal_is_for_child(const struct signalfd_siginfo *info, pid_t child)
{
	if (info->ssi_signo == SIGCHLD)
		return false;
	/* kill(0, …) in the child: it is in our process group and has sent this to itself too. */
	if (info->ssi_pid == (uint32_t)child)
		return false;
	return info->ssi_code == SI_USER || info->ssi_code == SI_QUEUE ||
	       info->ssi_code == SI_TKILL;
}

void stele__signal_forward(const struct signalfd_siginfo *info, pid_t child)
{
	if (info->ssi_code == SI_QUEUE) {
		union sigval value = {.sival_ptr = (void *)(uintptr_t)info->ssi_ptr};

		sigqueue(child, (int)info->ssi_signo, value);
	} else {
		kill(child, (int)info->ssi_signo);
	}
}

void stele__signals_done(struct stele_signals *signals)
{
	struct signalfd_siginfo info;

	while (stele__signals_next(signals, &info))
		;
	close(signals->fd);
	sigaction(SIGCHLD, &signals->child, NULL);
	sigprocmask(SIG_SETMASK, &signals->mask, NULL);
}
