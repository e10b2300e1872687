/* SPDX-License-Identifier: MIT */
/*
 * The thread that runs the drains while the program runs. It sleeps on the arena's bell, which a
 * writer strikes when its ring is half full, and looks by itself every few milliseconds.
 */
#ifndef STELE_DRAIN_PUMP_H
#define STELE_DRAIN_PUMP_H

#include <pthread.h>

#include "drain/team.h"

struct stele_pump {
	/* Given by the owner before the start. */
	struct stele_arena *arena;
	struct stele_team *team;
	/* In the pump's thread, first of all; NULL: nothing. */
	void (*enter)(void *arg);
	/* There after each tick; taken: as stele__drain_tick returned it. */
	void (*after_tick)(void *arg, int64_t taken);
	void *arg;

	/* The pump's. */
	pthread_t thread;
	uint32_t stop;	      /* owner release / pump acquire */
	uint64_t tick_ns_max; /* to be read after the stop */
};

/* Starts with all signals blocked, as the caller has them. 0 or -errno. */
int stele__pump_start(struct stele_pump *pump);

/* Ends the thread after its present tick; the drain is the caller's again. */
void stele__pump_stop(struct stele_pump *pump);

#endif
