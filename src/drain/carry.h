/* SPDX-License-Identifier: MIT */
/*
 * What a drain needs to go on behind a generation that another one has written: own data of that
 * generation (tag STELE_OWN_CARRY), made with the option `keep`. The trace is its own checkpoint:
 * a generation that is whole in the file has it, and what comes after is still in the arena.
 *
 *   record := kind:u value:u…
 *
 * A record of a thread or goroutine speaks for those of its parts that follow. CARRY_END is the
 * last one. The numbers are meant for the very build that made the arena, which its fingerprint
 * proves, and for no other reader. docs/design/recover.md
 */
#ifndef STELE_DRAIN_CARRY_H
#define STELE_DRAIN_CARRY_H

#include "drain/drain.h"

enum stele_carry_kind {
	STELE_CARRY_DRAIN = 1,
	STELE_CARRY_CLOCK,
	STELE_CARRY_STATS,
	STELE_CARRY_MODULE,
	STELE_CARRY_TYPE, /* in the generation that met it first only */
	STELE_CARRY_TASK,
	STELE_CARRY_MEMORY,
	STELE_CARRY_GO,
	STELE_CARRY_REGION, /* of the goroutine */
	STELE_CARRY_PROC,
	STELE_CARRY_THREAD,
	STELE_CARRY_RING,     /* of the thread, as the next ones */
	STELE_CARRY_INTERVAL, /* outermost first */
	STELE_CARRY_LATE,
	STELE_CARRY_LOSS,
	STELE_CARRY_ORDER,    /* the thread of a slot waits for the one of another to be finished */
	STELE_CARRY_DEPARTED, /* a slot that may not have been given back yet */
	STELE_CARRY_END,
};

/* Flags of STELE_CARRY_THREAD. */
enum stele_carry_thread {
	STELE_CARRY_BEGUN = 1,
	STELE_CARRY_ENDED = 2,
	STELE_CARRY_GONE = 4,
	STELE_CARRY_LASTED = 8,
	STELE_CARRY_HAS_GO = 16,
	STELE_CARRY_HAS_PROC = 32,
};

/* A trace up to its last whole generation. */
struct stele_carry {
	const uint8_t *trace; /* the caller's, as long as the drain is made */
	uint64_t bytes;	      /* up to the end of that generation; 0: there is none */
	uint64_t begin;	      /* where it begins */
	unsigned version;
};

/*
 * Looks for the last whole generation that can be gone on from. 0, also if there is none;
 * STELE_E_UNSUPPORTED: these bytes are no trace.
 */
int stele__carry_find(const void *trace, size_t bytes, struct stele_carry *ret_carry);

#endif
