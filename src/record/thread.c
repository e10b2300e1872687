/* SPDX-License-Identifier: MIT */
/*
 * A thread enters the arena with its first event: slot and ring are prepared completely and
 * published by one local CAS on the thread's word; whoever loses that race (a handler was faster)
 * gives both back.
 */
#include "record/thread.h"

#include "arena/arena.h"
#include "record/capture.h"
#include "record/reentry.h"
#include "stele/trace.h"
#include "sys/sys.h"

STELE_TLS struct stele_thread stele__thread;

/* 1 MiB: of 800,000 records a second the drain, which comes each 20 ms, finds it half full. */
#define EMIT_CLASS_AMPLE 4

static const uint64_t switch_off;
STELE_EXPORT const uint64_t *stele__switch = &switch_off;
struct stele_recorder stele__recorder = {.on = &switch_off};

static struct stele_ring *thread_prepare_ring(struct stele_slot *slot)
{
	struct stele_ring *ring = stele__ring_take(stele__recorder.arena, 0);

	if (!ring)
		return NULL;
	ring->slot = stele__slot_index(stele__recorder.arena, slot);
	ring->incarnation = slot->incarnation;
	ring->sequence = 0;
	return ring;
}

static struct stele_slot *thread_prepare_slot(uint64_t *g, uint64_t *flags)
{
	struct stele_slot *slot = stele__slot_take(stele__recorder.arena);

	if (!slot)
		return NULL;
	slot->tid = stele__sys_tid();
	if (!*g)
		*g = stele__add_relaxed(&stele__recorder.arena->goroutines, 1) + 1;
	if (slot->tid == stele__recorder.arena->pid)
		*flags |= STELE_THREAD_MAIN;
	slot->goroutine = *g;
	slot->birth = stele__add_relaxed(&stele__recorder.arena->births, 1) + 1;
	return slot;
}

static void thread_give_up(struct stele_slot *slot, struct stele_ring *ring)
{
	if (ring)
		stele__ring_give(stele__recorder.arena, ring);
	if (slot)
		stele__slot_give(stele__recorder.arena, slot);
}

bool stele__thread_enter(uint64_t g, uint64_t flags, uint64_t entry_pc)
{
	struct stele_slot *slot = thread_prepare_slot(&g, &flags);
	struct stele_ring *ring = slot ? thread_prepare_ring(slot) : NULL;

	if (!ring) {
		thread_give_up(slot, NULL);
		return false;
	}
	stele__thread.captures = stele__capture_begin(ring->slot);
	stele__store_relaxed(&ring->head, 1);
	stele__emit_write(ring, 0, stele__emit_clock(STELE_KIND_THREAD_BEGIN),
			  STELE_KIND_THREAD_BEGIN, g, flags, entry_pc);
	/* Pairs with the drain's scan: it looks at slot and ring only after their states. */
	stele__store_release(&slot->state, STELE_SLOT_LIVE);
	stele__store_release(&ring->state, STELE_RING_PREPARED);
	STELE_POINT("thread.prepared");
	if (!stele__local_cas((uint64_t *)&stele__thread.ring, 0, (uint64_t)(uintptr_t)ring)) {
		/* A handler entered this thread. */
		stele__thread.captures = stele__capture_state(stele__thread.ring->slot);
		thread_give_up(slot, ring);
		return true;
	}
	STELE_POINT("thread.published");
	stele__store_release(&ring->state, STELE_RING_LIVE);
	return true;
}

/* As if its memory were lent for ever: it has no ring, and gets none. */
void stele__thread_leave_out(void)
{
	stele__thread.lender = stele__sys_tid();
}

void stele__emit_count_loss(struct stele_ring *ring, enum stele_kind kind, int cause)
{
	struct stele_slot *slot = stele__thread_slot(ring);

	stele__local_add(&slot->dropped[cause][stele__kind_classes[kind]], 1);
}

/* The thread has a ring that has room: the fast path over again, with a fresh tail. */
static uint64_t emit_once(struct stele_ring *ring, uint64_t h, enum stele_kind kind, uint64_t a,
			  uint64_t b, uint64_t c)
{
	uint64_t time = stele__emit_clock(kind);

	if (!stele__local_cas(&ring->head, h, h + 1))
		return 0;
	stele__emit_write(ring, h, time, kind, a, b, c);
	return stele__token(ring->sequence, h);
}

/*
 * Head and tail, with tail_seen brought up to date unless emissions are watched. Loaded again after
 * the tail: an interrupted emission's old h can lie behind the tail, and the subtraction would call
 * an empty ring full.
 */
static uint64_t emit_reload(struct stele_ring *ring, uint64_t *ret_tail)
{
	for (;;) {
		uint64_t h = stele__load_relaxed(&ring->head);
		uint64_t tail = stele__load_acquire(&ring->tail); /* pairs with the drain */

		if (stele__recorder.arena->reentry == STELE_REENTRY_NEST)
			stele__store_relaxed(&ring->tail_seen, tail);
		if (stele__load_relaxed(&ring->head) != h)
			continue;
		*ret_tail = tail;
		return h;
	}
}

/* May this event use the last eighth of its ring? Who can neither be left out nor wait may. */
static bool emit_is_urgent(struct stele_ring *ring, enum stele_kind kind)
{
	return stele__recorder.arena->on_full == STELE_ON_FULL_BLOCK ? stele__ring_has_hole(ring)
								     : !stele__emit_limit(kind);
}

/*
 * A small ring that is half full before the drain comes by itself is exchanged for a larger one, as
 * long as there is plenty: to wake the drain, on another core, costs as much as a hundred events.
 */
static bool emit_outgrows(struct stele_ring *ring, uint64_t ahead)
{
	const struct stele_arena *a = stele__recorder.arena;
	uint64_t half = (ring->mask + 1) / 2, data = a->bytes - a->data;

	return ahead > half && stele__load_relaxed(&ring->limit[1]) == half &&
	       ring->size_class < EMIT_CLASS_AMPLE && ring->size_class < a->ring_class_max &&
	       stele__load_relaxed(&a->data_bump) - a->data < data / 2 &&
	       stele__ring_replace(ring, ring->size_class + 1, ring->size_class + 1);
}

/*
 * Is there room? Half a ring ahead of the drain is where it is woken, and until it has caught up
 * only the ring's real end brings an emission here again.
 */
static bool emit_fits(struct stele_ring *ring, uint64_t ahead, enum stele_kind kind)
{
	bool waits = stele__recorder.arena->on_full == STELE_ON_FULL_BLOCK;
	uint64_t half = (ring->mask + 1) / 2;
	bool behind = ahead > half;

	if (behind && stele__load_relaxed(&ring->limit[1]) == half)
		stele__bell_strike(stele__recorder.arena);
	stele__store_relaxed(&ring->limit[0], behind ? stele__ring_room(ring, !waits) : half);
	stele__store_relaxed(&ring->limit[1], behind ? stele__ring_room(ring, false) : half);
	return ahead <= stele__ring_room(ring, false) ||
	       (ahead <= stele__ring_room(ring, true) && emit_is_urgent(ring, kind));
}

uint64_t stele__emit_slow(enum stele_kind kind, uint64_t a, uint64_t b, uint64_t c)
{
	if (!stele__is_on())
		return 0;
	return stele__recorder.arena->reentry == STELE_REENTRY_NEST
		       ? stele__emit_unwatched(kind, a, b, c)
		       : stele__emit_watched(kind, a, b, c);
}

uint64_t stele__emit_unwatched(enum stele_kind kind, uint64_t a, uint64_t b, uint64_t c)
{
	while (stele__is_on()) {
		struct stele_ring *ring = stele__load_relaxed(&stele__thread.ring);
		uint64_t h, tail, token;

		if (!ring) {
			if (stele__thread.lender)
				return 0;
			if (!stele__thread_enter(0, 0, 0)) {
				stele__add_relaxed(&stele__recorder.arena->no_slot, 1);
				return 0;
			}
			continue;
		}
		h = emit_reload(ring, &tail);
		if (h & STELE_HEAD_CLOSED) {
			if (!stele__ring_replace(ring, ring->size_class, 0)) {
				stele__emit_count_loss(ring, kind, STELE_LOSS_ARENA_FULL);
				return 0;
			}
			continue;
		}
		if (emit_outgrows(ring, h - tail))
			continue;
		if (emit_fits(ring, h - tail, kind)) {
			token = emit_once(ring, h, kind, a, b, c);
			if (token)
				return token;
			continue;
		}
		int cause = stele__ring_make_room(ring, tail);

		if (cause != STELE_ROOM_MADE) {
			stele__emit_count_loss(ring, kind, cause);
			return 0;
		}
	}
	return 0;
}
