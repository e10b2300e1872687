/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's signals: taken from a signalfd instead of interrupting, passed on to the child
 * when they were sent to the supervisor alone.
 *
 * What the terminal sends (^C, ^\, ^Z, a hang-up) goes to the whole process group, and the child
 * has it already; what somebody sent with kill(2) came to the supervisor only.
 */
#ifndef STELE_SUPERVISE_SIGNALS_H
#define STELE_SUPERVISE_SIGNALS_H

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/types.h>

#include "base/compiler.h"

#define STELE_SIGNALS_IGNORED 2

struct stele_signals {
	int fd;
	sigset_t mask; /* as the supervisor was started with: the child gets these back */
	struct sigaction child;
	struct sigaction ignored[STELE_SIGNALS_IGNORED];
};

/* Blocks what can be passed on and opens the signalfd. -errno. */
int stele__signals_take(struct stele_signals *ret_signals);

/* Puts everything back. In the child before exec; async-signal-safe. */
void stele__signals_restore(const struct stele_signals *signals);

/* The next signal that waits; false: none. */
bool stele__signals_next(const struct stele_signals *signals, struct signalfd_siginfo *ret_info);

/* Does a signal that the supervisor got have to be passed on to the child? */
bool stele__signal_is_for_child(const struct signalfd_siginfo *info, pid_t child);

/* Passes it on, with its value if it was queued. */
void stele__signal_forward(const struct signalfd_siginfo *info, pid_t child);

/* Closes the signalfd, drops what is still waiting and puts everything back, but for SIGPIPE and
 * SIGXFSZ: what is said afterwards may fail as quietly as what was said before. */
void stele__signals_done(struct stele_signals *signals);

#endif
