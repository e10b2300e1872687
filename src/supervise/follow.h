/* SPDX-License-Identifier: MIT */
/*
 * The processes that were born of the traced one (--follow-fork): each finds an arena offered on a
 * board (arena/board.h), and gets a trace file of its own. A thread here makes the offers, begins
 * a recording when one is taken, and ends it when the process has gone.
 */
#ifndef STELE_SUPERVISE_FOLLOW_H
#define STELE_SUPERVISE_FOLLOW_H

#include "supervise/session.h"

struct stele_follow;

/* The options must outlive it. -errno or STELE_E_*. */
int stele__follow_new(const struct stele_session_options *options,
		      struct stele_follow **ret_follow);

/* What the first process's arena needs to know. */
uint32_t stele__follow_board(const struct stele_follow *follow);

/* 0 or -errno: no thread. */
int stele__follow_start(struct stele_follow *follow);

/* Is any of the processes still there? One that was just born may not be known yet. */
bool stele__follow_is_idle(const struct stele_follow *follow);

/* Ends the thread; recordings of processes that are still there end here, too. Accepts NULL. */
void stele__follow_stop(struct stele_follow *follow);

/* After the stop. `first`: the first process's arena, which tells of its children. */
void stele__follow_totals(struct stele_follow *follow, struct stele_arena *first,
			  struct stele_followed *ret_followed);
void stele__follow_free(struct stele_follow *follow);

#endif
