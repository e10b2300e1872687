/* SPDX-License-Identifier: MIT */
/*
 * Emitting one event: the fast path, inlined into every entry point. The slow paths are in
 * thread.c (no slot yet), grow.c (ring full or closed) and reentry.c (a policy is watched over).
 *
 * Protocol (docs/design/reentrancy.md):
 *   1. load the thread's ring and its head h; full or closed: slow path
 *   2. read the clock
 *   3. local CAS head h -> h + 1; failed: a nested emission came in between, start over
 *   4. write the words, the header last
 * The clock is read inside the loop, so ring order and time order are one. A nested emission takes
 * the next record; the outer one finishes its own afterwards. Nothing is handed over in between.
 */
#ifndef STELE_RECORD_EMIT_H
#define STELE_RECORD_EMIT_H

#include "arena/layout.h"
#include "sys/clock.h"

/* All that a thread keeps outside the arena: 64 bytes of static TLS. */
struct stele_thread {
	struct stele_ring *ring; /* local CAS only; NULL: no slot yet, or not recording */
	struct stele_capture_state *captures; /* where there is a ring: the slot's; may be NULL */
	struct stele_ring *lent; /* the ring while a vfork child runs on this thread's memory */
	uint64_t lender;	 /* this thread's tid meanwhile; 0: it is not lent */
	uint64_t sample_left;	 /* bytes of objects up to the next sample: sample.c */
	uint64_t sample_random;	 /* 0: not begun */
	struct stele_emission *emission; /* unfinished ones, if they are watched: reentry.c */
	struct stele_emission *outermost;
};

extern STELE_TLS struct stele_thread stele__thread STELE_HIDDEN;

/*
 * What an emission looks at of the process's recording, together: where the caches are the kernel's
 * each line is a wait. All but the word behind `on` is set before recording begins.
 */
struct stele_recorder {
	const uint64_t *on; /* as stele__switch, which a program may have its own copy of */
	struct stele_arena *arena;
	bool clock_is_counter;
} __attribute__((aligned(STELE_CACHE_LINE)));

extern struct stele_recorder stele__recorder STELE_HIDDEN;

/* stele_enabled(), from within. */
STELE_INLINE bool stele__is_on(void)
{
	const uint64_t *on = __atomic_load_n(&stele__recorder.on, __ATOMIC_ACQUIRE);

	return STELE_LIKELY(__atomic_load_n(on, __ATOMIC_RELAXED) != 0);
}

/* The ring is absent, full, closed or watched: everything that is not the fast path. */
uint64_t stele__emit_slow(enum stele_kind kind, uint64_t a, uint64_t b, uint64_t c) STELE_HIDDEN;

/* The same without regard to what the emission may be within. */
uint64_t stele__emit_unwatched(enum stele_kind kind, uint64_t a, uint64_t b,
			       uint64_t c) STELE_HIDDEN;

/* When an emission happened. The clock costs as much as all the rest. */
enum stele_emit_when {
	STELE_EMIT_ORDERED,   /* behind all that other threads have done before it */
	STELE_EMIT_UNORDERED, /* behind what this thread has */
	STELE_EMIT_SWITCHED,  /* with the record before it, if by that its goroutine has left */
};

STELE_INLINE uint64_t stele__emit_read_clock(bool ordered)
{
	if (STELE_UNLIKELY(!stele__recorder.clock_is_counter))
		return stele__clock_vdso();
	return ordered ? stele__clock_counter_ordered() : stele__clock_counter();
}

STELE_INLINE uint64_t stele__emit_clock(enum stele_kind kind)
{
	return stele__emit_read_clock(stele__kind_flags[kind] & STELE_KIND_ORDERED);
}

/* The header of the record at h; 0: an emission is unfinished there. */
STELE_INLINE uint64_t stele__emit_header(struct stele_ring *ring, uint64_t h)
{
	uint64_t header = stele__load_relaxed(&stele__ring_record(ring, h)->header);

	return (header & 1) == stele__record_lap(h, ring->shift) ? header : 0;
}

/* For the record at h. */
STELE_INLINE uint64_t stele__emit_time(enum stele_emit_when when, struct stele_ring *ring,
				       uint64_t h)
{
	uint64_t before = when == STELE_EMIT_SWITCHED && h ? stele__emit_header(ring, h - 1) : 0;
	unsigned kind = stele__record_kind(before);

	if (kind == STELE_KIND_GO_PARK || kind == STELE_KIND_GO_STOP ||
	    kind == STELE_KIND_GO_DESTROY)
		return stele__record_time(before);
	return stele__emit_read_clock(when == STELE_EMIT_ORDERED);
}

/* Step 4: the record at h is this emission's alone. */
STELE_INLINE void stele__emit_write(struct stele_ring *ring, uint64_t h, uint64_t time,
				    enum stele_kind kind, uint64_t a, uint64_t b, uint64_t c)
{
	struct stele_record *r = stele__ring_record(ring, h);
	uint64_t header = stele__record_header(time, kind, stele__record_lap(h, ring->shift));

	STELE_POINT("emit.reserved");
	stele__store_relaxed(&r->a, a);
	stele__store_relaxed(&r->b, b);
	stele__store_relaxed(&r->c, c);
	STELE_POINT("emit.written");
	stele__store_release(&r->header, header); /* pairs with the drain's load of the header */
}

/* Which of a ring's two limits applies. */
STELE_INLINE unsigned stele__emit_limit(enum stele_kind kind)
{
	return stele__kind_classes[kind] != STELE_CLASS_STATE;
}

/*
 * Records one event, which happened `when`, whatever its kind has. Both must be constants for the
 * fast path to be fast. Returns the record's token, 0 if it was dropped (and
 * counted) or nothing is being recorded.
 * Threads: any. Signals: safe, re-entrant at any instruction.
 */
STELE_INLINE uint64_t stele__emit_as(enum stele_kind kind, enum stele_emit_when when, uint64_t a,
				     uint64_t b, uint64_t c)
{
	for (;;) {
		struct stele_ring *ring = stele__load_relaxed(&stele__thread.ring);
		uint64_t h, time;

		if (STELE_UNLIKELY(!ring))
			return stele__emit_slow(kind, a, b, c);
		h = stele__load_relaxed(&ring->head);
		/* A closed ring's h is so large that it always looks full. */
		if (STELE_UNLIKELY(h - stele__load_relaxed(&ring->tail_seen) >
				   stele__load_relaxed(&ring->limit[stele__emit_limit(kind)])))
			return stele__emit_slow(kind, a, b, c);
		STELE_POINT("emit.checked");
		time = stele__emit_time(when, ring, h);
		if (STELE_LIKELY(stele__local_cas(&ring->head, h, h + 1))) {
			stele__emit_write(ring, h, time, kind, a, b, c);
			return stele__token(ring->sequence, h);
		}
	}
}

/* As its kind has it. */
STELE_INLINE uint64_t stele__emit(enum stele_kind kind, uint64_t a, uint64_t b, uint64_t c)
{
	return stele__emit_as(kind,
			      stele__kind_flags[kind] & STELE_KIND_ORDERED ? STELE_EMIT_ORDERED
									   : STELE_EMIT_UNORDERED,
			      a, b, c);
}

#endif
