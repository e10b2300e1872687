/* SPDX-License-Identifier: MIT */
/*
 * Reading the rings: each thread's records in the order of its rings and positions, up to a time.
 *
 *   ring    tail          next                 head
 *           | freed ...   | L . . . . H . . .  |         . written   H hole   L late
 *
 * Records are encoded straight from the ring. A stream stops at a record that needs another
 * thread's first (stalled), and at a hole until that is declared late; behind a late record it
 * reads on, but frees nothing. `tail` is published in batches and never chases the head; with
 * `keep` it is only published when the generation that has the records is in the sink.
 */
#include <stdlib.h>
#include <string.h>

#include "drain/machine.h"
#include "sys/sys.h"

#define LATE_MAX 64 /* late records of one thread that are remembered */

static bool ring_is_written(const struct stele_drain_ring *ring, uint64_t position)
{
	/* Pairs with the writer's store of the header, which comes last. */
	uint64_t header = stele__load_acquire(&ring->records[position & ring->mask].header);

	return (header & 1) == stele__record_lap(position, ring->shift);
}

STELE_INLINE struct stele_record ring_copy(const struct stele_drain_ring *ring, uint64_t position)
{
	const struct stele_record *r = &ring->records[position & ring->mask];

	return (struct stele_record){
		stele__load_relaxed(&r->header),
		stele__load_relaxed(&r->a),
		stele__load_relaxed(&r->b),
		stele__load_relaxed(&r->c),
	};
}

/* The full time of a record, which holds its lower 56 bits: the one nearest to now. */
STELE_INLINE uint64_t take_unwrap(const struct stele_drain *d, uint64_t header)
{
	unsigned spare = 64 - STELE_TIME_BITS;
	int64_t ahead = (int64_t)((stele__record_time(header) - d->pair.ticks) << spare) >> spare;

	return d->pair.ticks + (uint64_t)ahead;
}

uint64_t stele__take_free_to(const struct stele_drain_thread *t,
			     const struct stele_drain_ring *ring)
{
	uint64_t tail = ring->next;

	for (uint32_t i = 0; i < t->late_count; i++)
		if (t->late[i].ring == ring && t->late[i].position < tail)
			tail = t->late[i].position;
	return tail;
}

static void ring_release(const struct stele_drain_thread *t, struct stele_drain_ring *ring)
{
	uint64_t tail = stele__take_free_to(t, ring);

	if (tail == ring->tail)
		return;
	ring->tail = tail;
	stele__store_release(&ring->shared->tail, tail); /* pairs with the writer's reload */
}

/* Does it give back what it has read as soon as it has? */
static bool take_gives(const struct stele_drain *d)
{
	return !d->options.keep && !d->options.shared;
}

static void ring_publish(const struct stele_drain *d, const struct stele_drain_thread *t,
			 struct stele_drain_ring *ring)
{
	if (take_gives(d))
		ring_release(t, ring);
}

static bool late_add(struct stele_drain *d, struct stele_drain_thread *t, uint64_t position)
{
	if (t->late_count >= LATE_MAX)
		return false;
	if (t->late_count == t->late_max &&
	    !stele__vector_grow(d, &t->late, t->late_count, &t->late_max, sizeof(*t->late)))
		return false;
	t->late[t->late_count++] = (struct stele_late){t->current, position};
	d->stats.late++;
	return true;
}

/* Late records that were written after all. */
static uint64_t late_take(struct stele_drain *d, struct stele_drain_thread *t)
{
	uint32_t kept = 0, count = t->late_count;
	uint64_t taken = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct stele_late late = t->late[i];
		struct stele_record r;

		if (!ring_is_written(late.ring, late.position)) {
			t->late[kept++] = late;
			continue;
		}
		r = ring_copy(late.ring, late.position);
		taken++;
		if (stele__record_kind(r.header) != STELE_KIND_CONT)
			stele__convert_late(d, t, &r, take_unwrap(d, r.header),
					    stele__token(late.ring->sequence, late.position));
	}
	t->late_count = kept;
	for (struct stele_drain_ring *ring = t->rings; taken && ring; ring = ring->following)
		ring_publish(d, t, ring);
	return taken;
}

/* May the hole at which t stands be passed over? */
static bool hole_pass(struct stele_drain *d, struct stele_drain_thread *t)
{
	struct stele_drain_ring *ring = t->current;

	if (t->gone || d->giving_up) {
		d->stats.abandoned++;
		return true;
	}
	if (!t->hole_since_ns || t->hole_position != ring->next) {
		t->hole_since_ns = d->pair.monotonic_ns;
		t->hole_position = ring->next;
	}
	if (d->pair.monotonic_ns - t->hole_since_ns < d->options.late_ns)
		t->in_hole = true;
	else if (late_add(d, t, ring->next))
		return true;
	return false;
}

static void stall_note(const struct stele_drain *d, struct stele_drain_thread *t, uint64_t ticks)
{
	t->stalled = true;
	if (t->stalled_since_ns && t->stalled_time == ticks)
		return;
	t->stalled_since_ns = d->pair.monotonic_ns;
	t->stalled_time = ticks;
}

/* Records are written by another core: two lie in a line, and a few lines are on their way. */
#define PREFETCH_RECORDS 16

/* Up to `end`, on one lap. False: at a hole, at a stall, or behind `limit`. */
static bool ring_take_lap(struct stele_drain *d, struct stele_drain_thread *t, uint64_t end,
			  uint64_t limit, uint64_t *taken)
{
	struct stele_drain_ring *ring = t->current;
	const struct stele_record *records = ring->records;
	const uint64_t mask = ring->mask, lap = stele__record_lap(ring->next, ring->shift);

	for (; ring->next < end; ring->next++) {
		struct stele_record r;
		uint64_t ticks;

		__builtin_prefetch(&records[(ring->next + PREFETCH_RECORDS) & mask]);
		r.header = stele__load_acquire(&records[ring->next & mask].header);
		if (STELE_UNLIKELY((r.header & 1) != lap)) {
			if (!hole_pass(d, t))
				return false;
			continue;
		}
		if (stele__record_kind(r.header) == STELE_KIND_CONT)
			continue; /* of the record before, or of a hole */
		r = ring_copy(ring, ring->next);
		ticks = take_unwrap(d, r.header);
		if (STELE_UNLIKELY(ticks > limit))
			return false;
		if (STELE_UNLIKELY(!stele__convert(
			    d, t, &r, ticks, stele__token(ring->sequence, ring->next), false))) {
			stall_note(d, t, ticks);
			return false;
		}
		++*taken;
	}
	return true;
}

/* One ring up to `end`, published at each quarter. */
static uint64_t ring_take(struct stele_drain *d, struct stele_drain_thread *t, uint64_t end,
			  uint64_t limit)
{
	struct stele_drain_ring *ring = t->current;
	uint64_t quarter = (ring->mask + 1) / 4;
	uint64_t taken = 0;

	while (ring->next < end) {
		uint64_t stop = (ring->next / quarter + 1) * quarter;

		if (!ring_take_lap(d, t, stop < end ? stop : end, limit, &taken))
			break;
		ring_publish(d, t, ring);
	}
	return taken;
}

static struct stele_drain_ring *thread_next_ring(const struct stele_drain_thread *t)
{
	for (struct stele_drain_ring *ring = t->rings; ring; ring = ring->following)
		if (ring->sequence == t->sequence)
			return ring;
	return NULL;
}

/* Up to the limit, unless its own records of before are still to come. */
static void thread_switches(struct stele_drain *d, struct stele_drain_thread *t, uint64_t limit)
{
	if (t->offcpu && !t->in_hole && !t->stalled)
		stele__offcpu_until(d, t,
				    limit == UINT64_MAX
					    ? UINT64_MAX
					    : stele__timeline_wire(&d->timeline, limit));
}

/* Takes what t has. *ret_empty: nothing is left, holes and stalls included. */
static uint64_t thread_take(struct stele_drain *d, struct stele_drain_thread *t, uint64_t limit,
			    bool *ret_empty)
{
	uint64_t taken = t->late_count ? late_take(d, t) : 0;

	t->in_hole = t->stalled = false;
	*ret_empty = false;
	for (;;) {
		struct stele_drain_ring *ring = t->current;
		uint64_t head, end;

		if (!ring)
			ring = t->current = thread_next_ring(t);
		if (!ring)
			break;
		head = stele__load_acquire(&ring->shared->head);
		end = head & ~STELE_HEAD_CLOSED;
		if (end - ring->next > ring->mask + 1)
			end = ring->next; /* impossible: forged */
		taken += ring_take(d, t, end, limit);
		ring_publish(d, t, ring);
		if (ring->next != end) {
			thread_switches(d, t, limit);
			return taken;
		}
		if (!(head & STELE_HEAD_CLOSED))
			break;
		t->sequence++;
		t->current = NULL;
	}
	thread_switches(d, t, limit);
	*ret_empty = true;
	return taken;
}

void stele__take_wake(const struct stele_drain *d, const struct stele_drain_thread *t)
{
	if (d->arena->on_full != STELE_ON_FULL_BLOCK || !stele__load_relaxed(&t->slot->waiting))
		return;
	stele__add_acq_rel(&t->slot->tail_futex, 1);
	stele__sys_futex_wake(&t->slot->tail_futex, UINT32_MAX / 2);
}

/* The thread is gone and its stream read to the end: its last words, and good-bye. */
static void thread_finish(struct stele_drain *d, struct stele_drain_thread *t)
{
	uint64_t time = stele__batch_is_open(&t->lane.batch) ? t->lane.batch.time : t->lane.last;

	if (t->lasted)
		time = stele__timeline_wire(&d->timeline, d->pair.ticks);
	d->stats.abandoned += t->late_count;
	stele__thread_close(d, t, time > d->floor ? time : d->floor);
	stele__lane_flush(d, &t->lane);
	stele__lane_flush(d, &t->details);
	stele__census_depart(d, t);
	if (take_gives(d))
		stele__census_release(d);
}

/* One pass over all threads (or those that stood still). Forgetting one moves the last to its
 * place, hence backwards. */
static uint64_t take_round(struct stele_drain *d, uint64_t limit, bool first, bool *ret_progress)
{
	uint64_t taken = 0;

	*ret_progress = false;
	for (uint32_t i = d->thread_count; i > 0; i--) {
		struct stele_drain_thread *t = d->threads[i - 1];
		uint64_t n = 0;
		bool empty;

		if (t->predecessor) {
			t->stalled = true;
			continue;
		}
		if (!first && !t->stalled)
			continue;
		n = thread_take(d, t, limit, &empty);
		if (take_gives(d))
			stele__take_wake(d, t);
		taken += n;
		*ret_progress |= n != 0;
		if (t->gone && empty) {
			thread_finish(d, t);
			*ret_progress = true;
		}
	}
	d->stats.records += taken;
	return taken;
}

/* The oldest record that has been waiting for too long, or NULL. */
static struct stele_drain_thread *take_overdue(const struct stele_drain *d)
{
	struct stele_drain_thread *oldest = NULL;

	for (uint32_t i = 0; i < d->thread_count; i++) {
		struct stele_drain_thread *t = d->threads[i];

		if (!t->stalled || t->predecessor || !t->stalled_since_ns)
			continue;
		if (!d->giving_up &&
		    d->pair.monotonic_ns - t->stalled_since_ns < d->options.late_ns)
			continue;
		if (!oldest || t->stalled_time < oldest->stalled_time)
			oldest = t;
	}
	return oldest;
}

static void take_force(struct stele_drain *d, struct stele_drain_thread *t)
{
	struct stele_drain_ring *ring = t->current;
	struct stele_record r = ring_copy(ring, ring->next);

	stele__convert(d, t, &r, take_unwrap(d, r.header), stele__token(ring->sequence, ring->next),
		       true);
	d->stats.bridged++;
	d->stats.records++;
	ring->next++;
	t->stalled_since_ns = 0;
}

static bool take_has_stalls(const struct stele_drain *d)
{
	for (uint32_t i = 0; i < d->thread_count; i++)
		if (d->threads[i]->stalled)
			return true;
	return false;
}

uint64_t stele__take(struct stele_drain *d, uint64_t limit)
{
	bool progress;
	uint64_t taken = take_round(d, limit, true, &progress);

	while (take_has_stalls(d)) {
		taken += take_round(d, limit, false, &progress);
		if (!progress) {
			struct stele_drain_thread *t = take_overdue(d);

			if (!t)
				break;
			take_force(d, t);
			taken++;
		}
	}
	return taken;
}

bool stele__take_is_waiting(const struct stele_drain *d)
{
	for (uint32_t i = 0; i < d->thread_count; i++)
		if (d->threads[i]->in_hole)
			return true;
	return false;
}

void stele__take_release(struct stele_drain *d)
{
	for (uint32_t i = 0; i < d->thread_count; i++) {
		struct stele_drain_thread *t = d->threads[i];

		for (struct stele_drain_ring *ring = t->rings; ring; ring = ring->following)
			ring_release(t, ring);
		stele__take_wake(d, t);
	}
	stele__census_release(d);
}

/* A ring that is full is replaced by a larger one, by its thread, as long as there is one. */
static bool ring_is_pressed(const struct stele_drain *d, const struct stele_drain_ring *ring)
{
	uint32_t class = stele__load_relaxed(&ring->shared->size_class);

	return ring->next - ring->tail > ring->mask / 2 &&
	       (class >= d->arena->ring_class_max || class + 1 >= STELE_RING_CLASSES ||
		!stele__ring_is_left(d->arena, class + 1));
}

bool stele__take_is_pressed(const struct stele_drain *d)
{
	if (d->departed_count > d->slot_max / 16)
		return true;
	for (uint32_t i = 0; i < d->thread_count; i++) {
		const struct stele_drain_ring *ring = d->threads[i]->current;

		if (ring && ring_is_pressed(d, ring))
			return true;
	}
	return false;
}

static uint64_t ring_newest(const struct stele_drain *d, const struct stele_drain_ring *ring,
			    uint64_t newest)
{
	uint64_t head = stele__load_acquire(&ring->shared->head) & ~STELE_HEAD_CLOSED;

	if (head - ring->next > ring->mask + 1)
		return newest;
	for (uint64_t at = ring->next; at != head; at++) {
		struct stele_record r = ring_copy(ring, at);
		uint64_t ticks = take_unwrap(d, r.header);

		if (ring_is_written(ring, at) && stele__record_kind(r.header) != STELE_KIND_CONT &&
		    (int64_t)(ticks - newest) > 0)
			newest = ticks;
	}
	return newest;
}

uint64_t stele__take_newest(const struct stele_drain *d)
{
	uint64_t newest = d->pair.ticks;

	for (uint32_t i = 0; i < d->thread_count; i++)
		for (const struct stele_drain_ring *ring = d->threads[i]->rings; ring;
		     ring = ring->following)
			newest = ring_newest(d, ring, newest);
	return newest;
}

static void ring_distrust(const struct stele_drain *d, const struct stele_drain_ring *ring)
{
	uint64_t head = stele__load_acquire(&ring->shared->head) & ~STELE_HEAD_CLOSED;

	if (head - ring->next > ring->mask + 1)
		return;
	for (uint64_t at = ring->next; at != head; at++) {
		struct stele_record *r = &ring->records[at & ring->mask];
		uint64_t ticks = take_unwrap(d, r->header);

		if (ring_is_written(ring, at) && (int64_t)(ticks - d->start.ticks) < 0)
			r->header ^= 1;
	}
}

void stele__take_distrust(struct stele_drain *d)
{
	stele__census_scan(d);
	for (uint32_t i = 0; i < d->thread_count; i++)
		for (const struct stele_drain_ring *ring = d->threads[i]->rings; ring;
		     ring = ring->following)
			ring_distrust(d, ring);
}
