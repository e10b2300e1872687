/* SPDX-License-Identifier: MIT */
/* Which threads of a process exist. */
#ifndef STELE_DRAIN_LIVENESS_H
#define STELE_DRAIN_LIVENESS_H

#include "base/compiler.h"

/*
 * Stores the ids of a process's threads, at most max; returns their number, which may be more.
 * 0: there is no such process; -errno: unknown. While threads end, some that live may be missing.
 * Allocates nothing.
 */
int64_t stele__liveness_threads(int pid, uint32_t *tids, size_t max);

/* False: the process has no such thread, for certain. */
bool stele__liveness_exists(int pid, uint32_t tid);

#endif
