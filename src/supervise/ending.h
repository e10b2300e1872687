/* SPDX-License-Identifier: MIT */
/* How a process ended. */
#ifndef STELE_SUPERVISE_ENDING_H
#define STELE_SUPERVISE_ENDING_H

#include "drain/drain.h"

/* By the status that wait(2) gives of a child of ours. */
struct stele_ending stele__ending_of_status(int status);

/*
 * Of one that is not, and has ended, by its pidfd (< 0: there is none). The kernel keeps it since
 * Linux 6.15; before, it can be seen until the parent has taken it, which is a race: not known
 * then.
 */
struct stele_ending stele__ending_of(int pid, int pidfd);

/* Killed by something that was nobody's wish for it to end in peace? */
bool stele__ending_is_crash(const struct stele_ending *ending);

#endif
