/* SPDX-License-Identifier: MIT */
/*
 * The processes that were born of the traced one (--follow-fork): each finds an arena offered on a
 * board (arena/board.h), and gets a trace file of its own. A thread here makes the offers, begins
 * a recording when one is taken, and ends it when the process has gone.
 */
#ifndef STELE_SUPERVISE_FOLLOW_H
#define STELE_SUPERVISE_FOLLOW_H

#include "arena/board.h"
#include "supervise/recorder.h"

struct stele_follow;

/* The options must outlive it. -errno or STELE_E_*. */
int stele__follow_new(const struct stele_session_options *options,
		      struct stele_follow **ret_follow);

/* What the first process's arena needs to know. */
uint32_t stele__follow_board(const struct stele_follow *follow);

/* For whoever controls their recordings; before the start. All is called in other threads. */
struct stele_follower {
	struct stele_recorder_owner owner; /* of each recorder */
	/* A process has ended, its recording is complete and still there. It may take its time. */
	void (*ended)(void *arg, int pid, const struct stele_ending *ending);
};
void stele__follow_control(struct stele_follow *follow, const struct stele_follower *follower);

/* 0 or -errno: no thread. */
int stele__follow_start(struct stele_follow *follow);

/* Is any of the processes still there? One that was just born may not be known yet. */
bool stele__follow_is_idle(const struct stele_follow *follow);

#define STELE_FOLLOW_MAX STELE_BOARD_PLACES /* processes at once */

/*
 * The recorders of those that are there, and of some that have just ended: they stay until they are
 * let go of, which should be soon. Room for STELE_FOLLOW_MAX; how many there are. Threads: any,
 * between start and stop.
 */
size_t stele__follow_hold(struct stele_follow *follow, struct stele_recorder **ret_recorders);
void stele__follow_let_go(struct stele_follow *follow);

/* What is recorded of all of them, and of those to come: enum stele_events. Threads: as above. */
void stele__follow_switch(struct stele_follow *follow, uint32_t events);

/* Ends the thread; recordings of processes that are still there end here, too. Accepts NULL. */
void stele__follow_stop(struct stele_follow *follow);

/* After the stop. `first`: the first process's arena, which tells of its children. */
void stele__follow_totals(struct stele_follow *follow, struct stele_arena *first,
			  struct stele_followed *ret_followed);
void stele__follow_free(struct stele_follow *follow);

#endif
