/* SPDX-License-Identifier: MIT */
/* A thread's place in the arena: its slot and its first ring. */
#ifndef STELE_RECORD_THREAD_H
#define STELE_RECORD_THREAD_H

#include "record/capture.h"
#include "record/emit.h"

/* The slot of a thread that has a ring. */
STELE_INLINE struct stele_slot *stele__thread_slot(const struct stele_ring *ring)
{
	return stele__arena_slot(stele__recorder.arena, ring->slot);
}

/* The calling thread's stack is now this one, if it has a ring; 0: it is not known. */
STELE_INLINE void stele__thread_stand_on(const void *low, const void *high)
{
	struct stele_ring *ring = stele__load_relaxed(&stele__thread.ring);
	struct stele_capture_state *captures = stele__thread.captures;
	struct stele_slot *slot;

	if (!ring)
		return;
	slot = stele__thread_slot(ring);
	if (captures)
		captures->stack = (struct stele_stack_bounds){(uintptr_t)low, (uintptr_t)high};
	stele__store_relaxed(&slot->stack_low, (uint64_t)(uintptr_t)low);
	stele__store_relaxed(&slot->stack_high, (uint64_t)(uintptr_t)high);
}

/*
 * Gives the calling thread a slot and a ring that begins with THREAD_BEGIN, unless a handler did
 * so meanwhile. g 0: nobody announced the thread. False: no slot or no ring is left.
 */
bool stele__thread_enter(uint64_t g, uint64_t flags, uint64_t entry_pc) STELE_HIDDEN;

/* Counts an event of the calling thread as lost, for a reason of enum stele_loss. */
void stele__emit_count_loss(struct stele_ring *ring, enum stele_kind kind, int cause) STELE_HIDDEN;

/* The calling thread is the recorder's own: whatever it emits is nothing. Before its first event.
 */
void stele__thread_leave_out(void) STELE_HIDDEN;

/* Is a record of the calling thread's ring reserved and not yet written? */
bool stele__ring_has_hole(struct stele_ring *ring) STELE_HIDDEN;

/*
 * The ring is full for this kind while its tail is `tail`: makes room by a bigger ring, or by
 * waiting if the arena says so and this emission may. STELE_ROOM_MADE: try again; else the event is
 * lost for this reason (enum stele_loss).
 */
#define STELE_ROOM_MADE (-1)
int stele__ring_make_room(struct stele_ring *ring, uint64_t tail) STELE_HIDDEN;

/*
 * Closes a ring and puts a successor in its place, of size class `want` or, if there is none left,
 * of a smaller one down to `least`. True also if somebody else was faster; false: no ring is left.
 */
bool stele__ring_replace(struct stele_ring *ring, uint32_t want, uint32_t least) STELE_HIDDEN;

#endif
