/* SPDX-License-Identifier: MIT */
/* A process that was born of a traced one finds an arena of its own. */
#ifndef STELE_RECORD_JOIN_H
#define STELE_RECORD_JOIN_H

#include "arena/arena.h"

/*
 * Maps an arena that the supervisor of `parents` offers, or the one that this process took before
 * it executed a new program, and makes this process its owner. Waits for an offer for a while.
 * 0; -ECHILD: that recording follows nobody; another -errno: there is no offer.
 * Threads: one. Signals: safe.
 */
int stele__join(const struct stele_arena *parents, struct stele_arena **ret_arena) STELE_HIDDEN;

#endif
