/* SPDX-License-Identifier: MIT */
/*
 * A traced process without a process: threads that put records straight into an arena, at times of
 * the test's choosing, and a drain that reads them into memory. Holes, closed and duplicate rings,
 * deaths and reuse are made by hand.
 */
#ifndef STELE_TESTS_SYNTHETIC_H
#define STELE_TESTS_SYNTHETIC_H

#include "arena/arena.h"
#include "drain/drain.h"

#define SYNTHETIC_TIDS_MAX 4096
#define SYNTHETIC_BEGIN_NS 1000000000ull

struct synthetic_thread {
	struct stele_slot *slot;
	struct stele_ring *ring;
	uint32_t tid;
};

struct synthetic {
	struct stele_arena *arena;
	struct stele_drain *drain;
	int fd;
	uint64_t now; /* ns; each emission moves it on by `step` */
	uint64_t step;
	uint64_t first;	  /* the next look at the clock finds this; 0: now */
	uint64_t wall_ns; /* by which the wall clock was set forward; modulo 2^64: back */
	uint64_t rate;	  /* ticks per ns of the records' clock */
	unsigned version;
	bool torn;
	/* Set before it is opened. */
	bool keep;		       /* the drain keeps records until they are written */
	bool excerpts;		       /* any generation may be a trace's first */
	const struct stele_sink *sink; /* in place of `out`; NULL: none */
	struct stele_watch watch;
	struct stele_switches switches;

	uint8_t *out; /* what the sink got */
	size_t out_bytes, out_max;
	uint64_t writes, fail_at; /* the sink fails at this write; 0: never */

	uint32_t tids[SYNTHETIC_TIDS_MAX]; /* live */
	uint32_t tid_count;
	uint32_t unlisted; /* lives, but is missing from the list of the living; 0: none */
};

/* rate 1: a clock in ns; others: a counter. The program ends if there is no memory. */
void synthetic_open(struct synthetic *s, uint64_t arena_bytes, unsigned version, uint64_t rate);
void synthetic_close(struct synthetic *s);
/* The drain dies (which kept everything), and another one goes on. */
void synthetic_take_over(struct synthetic *s);
/* The same for the machine; false: nobody can go on, there is no drain. */
bool synthetic_restart(struct synthetic *s);

/* A thread is born; with a THREAD_BEGIN record unless flags is UINT64_MAX. */
struct synthetic_thread synthetic_thread(struct synthetic *s, uint32_t tid, uint64_t g,
					 uint64_t flags);
/* Its id disappears from the living. */
void synthetic_die(struct synthetic *s, const struct synthetic_thread *t);

/* Both return the token. The record is stamped with the present time, which then moves on. */
uint64_t synthetic_emit(struct synthetic *s, struct synthetic_thread *t, enum stele_kind kind,
			uint64_t a, uint64_t b, uint64_t c);
/* Reserves without writing. */
uint64_t synthetic_reserve(struct synthetic_thread *t);
/* Writes a reserved record, stamped `time`. */
void synthetic_fill(struct synthetic *s, struct synthetic_thread *t, uint64_t token, uint64_t time,
		    enum stele_kind kind, uint64_t a, uint64_t b, uint64_t c);

/* Replaces the ring by one of this class; an empty duplicate of the same sequence may be left. */
void synthetic_replace(struct synthetic *s, struct synthetic_thread *t, uint32_t size_class,
		       bool duplicate);

uint32_t synthetic_string(struct synthetic *s, const char *text);
uint32_t synthetic_stack(struct synthetic *s, const uint64_t *pcs, uint32_t count);

/* Ends the recording as an ordinary exit would. */
int synthetic_finish(struct synthetic *s);

/* Is `out` a valid trace? What is wrong goes to stdout as TAP comments. */
bool synthetic_is_valid(const struct synthetic *s);
/* The number of wire events of this type in `out`. */
uint64_t synthetic_count(const struct synthetic *s, unsigned type);
/* The trace's time of its last event. */
uint64_t synthetic_last_ns(const struct synthetic *s);

#endif
