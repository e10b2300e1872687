/* SPDX-License-Identifier: MIT */
/*
 * A ring that is full: replaced by one four times as big, or waited for, or the event is lost.
 *
 * Replacement: prepare the successor, set the closed bit in the old head (so that an interrupted
 * emission that still holds the old ring fails its CAS), publish the successor by a local CAS on
 * the thread's word. Whoever meets a closed ring without successor does the rest of it. The old
 * ring stays with its thread: an interrupted emission may hold it for ever.
 */
#include "arena/arena.h"
#include "record/thread.h"
#include "sys/sys.h"

/* Rings of the largest size that may follow each other because of a hole. */
#define SAME_SIZE_MAX 4

/* Waiting for the drain: at most this for one event, looking again this often. */
#define WAIT_NS_MAX	 1000000000u
#define WAIT_NS_STEP	 20000000u
#define HEARTBEAT_NS_MAX 500000000u

static bool record_is_written(struct stele_ring *ring, uint64_t position)
{
	uint64_t header = stele__load_relaxed(&stele__ring_record(ring, position)->header);

	return (header & 1) == stele__record_lap(position, ring->shift);
}

bool stele__ring_has_hole(struct stele_ring *ring)
{
	uint64_t tail = stele__load_acquire(&ring->tail);
	uint64_t head = stele__load_relaxed(&ring->head) & ~STELE_HEAD_CLOSED;

	for (uint64_t at = head; at != tail; at--)
		if (!record_is_written(ring, at - 1))
			return true;
	return false;
}

static struct stele_ring *ring_take_between(uint32_t want, uint32_t least)
{
	for (uint32_t c = want;; c--) {
		struct stele_ring *ring = stele__ring_take(stele__recorder.arena, c);

		if (ring || c == least)
			return ring;
	}
}

static void ring_close(struct stele_ring *ring)
{
	uint64_t h;

	do {
		h = stele__load_relaxed(&ring->head);
	} while (!(h & STELE_HEAD_CLOSED) &&
		 !stele__local_cas(&ring->head, h, h | STELE_HEAD_CLOSED));
}

bool stele__ring_replace(struct stele_ring *ring, uint32_t want, uint32_t least)
{
	struct stele_ring *next = ring_take_between(want, least);

	if (!next)
		return false;
	next->slot = ring->slot;
	next->incarnation = ring->incarnation;
	next->sequence = ring->sequence + 1;
	next->replaced = next->size_class > ring->size_class ? 0 : ring->replaced + 1;
	stele__store_release(&next->state, STELE_RING_PREPARED);
	STELE_POINT("grow.prepared");
	ring_close(ring);
	STELE_POINT("grow.closed");
	if (stele__local_cas((uint64_t *)&stele__thread.ring, (uint64_t)(uintptr_t)ring,
			     (uint64_t)(uintptr_t)next)) {
		STELE_POINT("grow.published");
		stele__store_release(&next->state, STELE_RING_LIVE);
	} else {
		stele__ring_give(stele__recorder.arena, next);
	}
	return true;
}

/* Has the drain stopped coming? 0: it has not come yet, and the wait is bounded in any case. */
static bool drain_is_dead(void)
{
	uint64_t last = stele__load_relaxed(&stele__recorder.arena->heartbeat_ns);
	uint64_t now = stele__sys_monotonic_ns();

	return last && now > last && now - last > HEARTBEAT_NS_MAX;
}

/*
 * Waits for the drain to free space. Only when no emission of this thread is unfinished: a handler
 * would otherwise wait for the very emission that it interrupted.
 */
static int ring_wait(struct stele_ring *ring, uint64_t full_tail)
{
	struct stele_slot *slot = stele__thread_slot(ring);
	uint64_t begin = stele__sys_monotonic_ns();
	uint64_t now = begin;
	int cause = STELE_LOSS_RING_FULL;

	stele__local_add(&slot->waited_count, 1);
	while (now - begin < WAIT_NS_MAX) {
		uint32_t seen = stele__load_acquire(&slot->tail_futex); /* pairs with the drain */

		stele__store_relaxed(&slot->waiting, 1);
		if (stele__load_acquire(&ring->tail) != full_tail) {
			cause = STELE_ROOM_MADE;
			break;
		}
		if (drain_is_dead()) {
			cause = STELE_LOSS_DRAIN_DEAD;
			break;
		}
		stele__sys_futex_wait(&slot->tail_futex, seen, WAIT_NS_STEP);
		now = stele__sys_monotonic_ns();
	}
	stele__store_relaxed(&slot->waiting, 0);
	stele__local_add(&slot->waited_ns, stele__sys_monotonic_ns() - begin);
	return cause;
}

/*
 * `tail` is the one that the ring was found full with, not tail_seen: a handler that came since
 * then may have waited for room, seen a newer tail, and left nothing that the drain could free.
 */
int stele__ring_make_room(struct stele_ring *ring, uint64_t tail)
{
	uint32_t class = ring->size_class;
	bool may_grow = class < stele__recorder.arena->ring_class_max;
	bool hole;

	if (stele__load_acquire(&ring->tail) != tail)
		return STELE_ROOM_MADE;
	if (may_grow && stele__ring_replace(ring, class + 1, class + 1))
		return STELE_ROOM_MADE;
	hole = !record_is_written(ring, tail);
	STELE_POINT("grow.looked");
	if (stele__load_acquire(&ring->tail) != tail)
		return STELE_ROOM_MADE;
	/* The drain cannot pass a hole: neither can this ring be emptied, nor is waiting safe. */
	if (hole) {
		if (ring->replaced < SAME_SIZE_MAX && stele__ring_replace(ring, class, class))
			return STELE_ROOM_MADE;
		return STELE_LOSS_RING_FULL;
	}
	if (stele__recorder.arena->on_full == STELE_ON_FULL_BLOCK && !stele__ring_has_hole(ring))
		return ring_wait(ring, tail);
	return may_grow ? STELE_LOSS_ARENA_FULL : STELE_LOSS_RING_FULL;
}
