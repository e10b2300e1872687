/* SPDX-License-Identifier: MIT */
/*
 * What stands at a moment of a trace: the goroutines and procs there are, their states, threads and
 * sequence numbers, and what the collector is at. Fed with every event from the first on, it is
 * what a trace that begins at that moment has to say before anything else.
 *
 * Sequence numbers count from the last status, or from stele__standing_restart(). Those of the
 * collector are not followed.
 */
#ifndef STELE_SURGERY_STANDING_H
#define STELE_SURGERY_STANDING_H

#include "analyze/keymap.h"
#include "format/spec.h"
#include "stele/read.h"

struct stele__standing_go {
	uint64_t id;
	uint64_t seq;
	uint64_t thread; /* while running or in a system call */
	uint32_t stops;	 /* begun since the restart */
	uint8_t status;	 /* enum stele_go_status */
	bool assisting;	 /* in a mark assist */
};

struct stele__standing_proc {
	uint64_t id;
	uint64_t seq;
	uint64_t thread; /* that holds it */
	uint8_t status;	 /* enum stele_proc_status */
	bool sweeping;
};

struct stele__standing {
	struct stele__keymap gos, procs; /* by id; the entries are owned */
	bool collecting;
};

void stele__standing_init(struct stele__standing *standing);
void stele__standing_done(struct stele__standing *standing);

/* Takes in an event that stele__standing_tells(). 0 or -ENOMEM. */
int stele__standing_apply(struct stele__standing *standing, const struct stele_event *event);

/* Is this event on the wire, and no second or third view of one that is? */
bool stele__standing_tells(const struct stele_event *event);

/* NULL: there is none. */
struct stele__standing_go *stele__standing_go(const struct stele__standing *standing, uint64_t id);
struct stele__standing_proc *stele__standing_proc(const struct stele__standing *standing,
						  uint64_t id);

/*
 * All goroutines, or procs, by id: what is written must not depend on a hash table's order. NULL:
 * no memory. Owner: the caller, free().
 */
struct stele__standing_go **stele__standing_gos(const struct stele__standing *standing);
struct stele__standing_proc **stele__standing_procs(const struct stele__standing *standing);

/* Is the range under way that the event, of such a kind, is about? */
bool stele__standing_range(const struct stele__standing *standing, const struct stele_event *event);

/* Numbers count from here on. */
void stele__standing_restart(struct stele__standing *standing);

#endif
