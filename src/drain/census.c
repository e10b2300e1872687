/* SPDX-License-Identifier: MIT */
/*
 * Which threads there are: found by scanning ring headers, gone when they no longer exist. A slot
 * and its rings belong to their thread until then, and are given back here.
 */
#include <errno.h>
#include <stdlib.h>

#include "drain/machine.h"

#define ASK_NS	       1000000000u
#define ASK_SOON_NS    10000000u
#define RING_SHIFT_MAX 40

/* Was the ring ever its thread's? (See enum stele_ring_state.) A closed one was. */
static bool ring_was_published(const struct stele_ring *ring)
{
	uint64_t head = stele__load_acquire(&ring->head);

	return stele__load_relaxed(&ring->state) == STELE_RING_LIVE ||
	       head > (ring->sequence == 0 ? 1 : 0);
}

/* Copies the constants if they describe a ring inside the arena's data. */
static bool ring_describe(const struct stele_drain *d, struct stele_ring *shared,
			  struct stele_drain_ring *ret_ring)
{
	uint64_t mask = stele__load_relaxed(&shared->mask);
	uint32_t shift = stele__load_relaxed(&shared->shift);
	uint64_t at = (uint64_t)((char *)shared - (char *)d->arena) +
		      (uint64_t)stele__load_relaxed(&shared->data_delta);

	if (shift >= RING_SHIFT_MAX || mask != (1ull << shift) - 1 || at % 32 ||
	    at < d->data_begin || at > d->data_end ||
	    (mask + 1) * sizeof(struct stele_record) > d->data_end - at)
		return false;
	*ret_ring = (struct stele_drain_ring){
		.shared = shared,
		.records = (struct stele_record *)(void *)((char *)d->arena + at),
		.mask = mask,
		.shift = shift,
		.sequence = stele__load_relaxed(&shared->sequence),
		/* 0, unless an earlier drain has read it. */
		.next = stele__load_relaxed(&shared->tail),
		.tail = stele__load_relaxed(&shared->tail),
	};
	return true;
}

/* A thread id is reused only after its thread is gone: the younger one waits for the older. */
static void thread_order(struct stele_drain *d, struct stele_drain_thread *t)
{
	for (uint32_t i = 0; i < d->thread_count; i++) {
		struct stele_drain_thread *o = d->threads[i];
		struct stele_drain_thread *old = o->birth < t->birth ? o : t;
		struct stele_drain_thread *young = old == o ? t : o;

		if (o == t || o->tid != t->tid || !young->fresh)
			continue;
		old->gone = true;
		if (!young->predecessor || young->predecessor->birth < old->birth)
			young->predecessor = old;
	}
}

struct stele_drain_thread *stele__thread_new(struct stele_drain *d, uint32_t index)
{
	struct stele_slot *slot = &d->slots[index];
	struct stele_drain_thread *t = calloc(1, sizeof(*t));

	if (t)
		t->tid = stele__load_relaxed(&slot->tid);
	if (!t || stele__lane_init(&t->lane, t->tid)) {
		/* Its events would be missing without a word. */
		d->error = -ENOMEM;
		free(t);
		return NULL;
	}
	t->slot = slot;
	t->slot_index = index;
	t->incarnation = stele__load_relaxed(&slot->incarnation);
	t->birth = stele__load_relaxed(&slot->birth);
	t->goroutine = stele__load_relaxed(&slot->goroutine);
	d->by_slot[index] = t;
	d->threads[d->thread_count++] = t;
	return t;
}

static struct stele_drain_thread *thread_meet(struct stele_drain *d, uint32_t index)
{
	struct stele_drain_thread *t = stele__thread_new(d, index);

	if (!t)
		return NULL;
	t->fresh = true;
	thread_order(d, t);
	/* The first thread's id comes again only by exec: it is the same thread in a new image. */
	if (!t->predecessor || t->tid != stele__load_relaxed(&d->arena->pid))
		d->stats.threads++;
	return t;
}

/* The thread that a ring header names, if what it says fits together. */
static struct stele_drain_thread *ring_thread(struct stele_drain *d, const struct stele_ring *ring)
{
	uint32_t index = stele__load_relaxed(&ring->slot);
	uint32_t incarnation = stele__load_relaxed(&ring->incarnation);

	if (index >= d->slot_max ||
	    stele__load_acquire(&d->slots[index].state) == STELE_SLOT_FREE ||
	    stele__load_relaxed(&d->slots[index].incarnation) != incarnation)
		return NULL;
	if (!d->by_slot[index])
		return thread_meet(d, index);
	return d->by_slot[index]->incarnation == incarnation ? d->by_slot[index] : NULL;
}

bool stele__census_attach(struct stele_drain *d, struct stele_drain_thread *t, uint32_t index)
{
	struct stele_drain_ring *ring = &d->rings[index];

	if (ring->thread || !ring_describe(d, &d->ring_headers[index], ring))
		return false;
	ring->thread = t;
	ring->following = t->rings;
	t->rings = ring;
	return true;
}

void stele__census_scan(struct stele_drain *d)
{
	uint32_t count = stele__load_acquire(&d->arena->ring_bump);

	for (uint32_t i = 0; i < count && i < d->ring_max; i++) {
		struct stele_drain_ring *ring = &d->rings[i];
		struct stele_ring *shared = &d->ring_headers[i];
		struct stele_drain_thread *t;

		/* Acquire: slot, incarnation and sequence were written before. */
		if (ring->thread || stele__load_acquire(&shared->state) == STELE_RING_FREE ||
		    !ring_was_published(shared))
			continue;
		t = ring_thread(d, shared);
		if (t)
			stele__census_attach(d, t, i);
	}
	for (uint32_t i = 0; i < d->thread_count; i++)
		d->threads[i]->fresh = false;
}

static int census_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Sorted ids of the live threads; their number, or negative: unknown. */
static int64_t census_list(struct stele_drain *d)
{
	for (;;) {
		int64_t n =
			d->options.liveness.threads(d->options.liveness.arg, d->tids, d->tid_max);
		uint32_t *more;

		if (n < 0)
			return n;
		if (n <= d->tid_max) {
			if (n)
				qsort(d->tids, (size_t)n, sizeof(*d->tids), census_compare);
			return n;
		}
		if (n > INT32_MAX)
			return -ERANGE;
		more = realloc(d->tids, (size_t)n * 2 * sizeof(*more));
		if (!more)
			return -ENOMEM;
		d->tids = more;
		d->tid_max = (uint32_t)n * 2;
	}
}

static uint32_t census_ended(const struct stele_drain *d)
{
	uint32_t ended = 0;

	for (uint32_t i = 0; i < d->thread_count; i++)
		ended += stele__load_relaxed(&d->threads[i]->slot->state) == STELE_SLOT_ENDED;
	return ended;
}

/*
 * A list made while threads come and go may miss some: Linux loses its place in it when the thread
 * it stands at ends. What the list does not name is therefore asked for by name.
 */
static bool census_exists(const struct stele_drain *d, uint32_t tid, int64_t listed)
{
	return (listed &&
		bsearch(&tid, d->tids, (size_t)listed, sizeof(*d->tids), census_compare)) ||
	       d->options.liveness.exists(d->options.liveness.arg, tid);
}

/*
 * Only threads found before the question can be judged by the answer: one that does not exist then
 * is dead, and whatever it wrote is visible by now.
 */
void stele__census_ask(struct stele_drain *d, bool now)
{
	uint64_t since = d->pair.monotonic_ns - d->asked_ns;
	uint32_t known = d->thread_count;
	int64_t count;

	if (!d->options.liveness.threads)
		return;
	if (!now && since < ASK_SOON_NS)
		return;
	if (!now && since < ASK_NS && census_ended(d) <= d->slot_max / 16)
		return;
	d->asked_ns = d->pair.monotonic_ns;
	count = census_list(d);
	for (uint32_t i = 0; count >= 0 && i < known; i++) {
		struct stele_drain_thread *t = d->threads[i];

		if (!t->gone && !census_exists(d, t->tid, count))
			t->gone = true;
	}
}

void stele__census_image(struct stele_drain *d, struct stele_drain_thread *t)
{
	for (uint32_t i = 0; i < d->thread_count; i++) {
		struct stele_drain_thread *o = d->threads[i];

		if (o->birth >= t->birth)
			continue;
		o->gone = true;
		o->lasted = false;
	}
}

static void thread_count_losses(struct stele_drain *d, struct stele_drain_thread *t)
{
	uint64_t waited = stele__load_relaxed(&t->slot->waited_count);
	uint64_t waited_ns = stele__load_relaxed(&t->slot->waited_ns);

	for (unsigned i = 0; i < STELE__LOSS_COUNT; i++) {
		for (unsigned j = 0; j < STELE__CLASS_COUNT; j++) {
			uint64_t seen = stele__load_relaxed(&t->slot->dropped[i][j]);

			if (seen == t->dropped[i][j])
				continue;
			stele__own_loss(d, t, i, j, seen - t->dropped[i][j]);
			d->stats.dropped[i][j] += seen - t->dropped[i][j];
			t->dropped[i][j] = seen;
		}
	}
	d->stats.waited_count += waited - t->waited_count;
	d->stats.waited_ns += waited_ns - t->waited_ns;
	t->waited_count = waited;
	t->waited_ns = waited_ns;
}

void stele__census_losses(struct stele_drain *d)
{
	for (uint32_t i = 0; i < d->thread_count; i++)
		thread_count_losses(d, d->threads[i]);
	for (unsigned kind = 0; kind < STELE__KIND_COUNT; kind++)
		d->stats.skipped[kind] = stele__load_relaxed(&d->arena->skipped[kind]);
	d->stats.no_slot = stele__load_relaxed(&d->arena->no_slot);
	d->stats.dictionary_full = stele__load_relaxed(&d->arena->dictionary_full);
	d->stats.children = stele__load_relaxed(&d->arena->children);
	d->stats.heap_sample_bytes = stele__load_relaxed(&d->arena->heap_sample_bytes);
}

/* A header whose constants were overwritten is not given back: it would poison the pool. */
static bool ring_is_sane(const struct stele_drain *d, const struct stele_drain_ring *ring)
{
	struct stele_drain_ring now;

	return ring_describe(d, ring->shared, &now) && now.mask == ring->mask &&
	       now.records == ring->records &&
	       stele__load_relaxed(&ring->shared->size_class) < STELE_RING_CLASSES;
}

void stele__census_give(struct stele_drain *d, const struct stele_drain_thread *t, uint32_t slot,
			uint32_t incarnation)
{
	uint32_t count = stele__load_acquire(&d->arena->ring_bump);

	for (uint32_t i = 0; i < count && i < d->ring_max; i++) {
		struct stele_drain_ring *ring = &d->rings[i];
		struct stele_ring *shared = &d->ring_headers[i];
		bool own = t && ring->thread == t;

		/* Prepared and never published: only its own thread could, and that is gone. */
		if (!ring->thread && stele__load_acquire(&shared->state) != STELE_RING_FREE &&
		    stele__load_relaxed(&shared->slot) == slot &&
		    stele__load_relaxed(&shared->incarnation) == incarnation)
			own = ring_describe(d, shared, ring);
		if (!own)
			continue;
		if (ring_is_sane(d, ring))
			stele__ring_give(d->arena, shared);
		ring->thread = NULL;
	}
	stele__slot_give(d->arena, &d->slots[slot]);
}

void stele__census_depart(struct stele_drain *d, struct stele_drain_thread *t)
{
	thread_count_losses(d, t);
	if (t->announce)
		stele__own_thread(d, t);
	for (uint32_t i = 0; i < d->thread_count; i++) {
		if (d->threads[i]->predecessor == t)
			d->threads[i]->predecessor = NULL;
		if (d->threads[i] == t)
			d->threads[i--] = d->threads[--d->thread_count];
	}
	t->departed = true;
	t->departed_next = d->departed;
	d->departed = t;
	d->departed_count++;
}

void stele__thread_free(struct stele_drain_thread *t)
{
	stele__lane_done(&t->lane);
	stele__lane_done(&t->details);
	stele__offcpu_done(t);
	free(t->late);
	free(t);
}

void stele__census_forget(struct stele_drain *d, struct stele_drain_thread *t, bool give)
{
	struct stele_drain_thread **at = &d->departed;

	while (*at != t)
		at = &(*at)->departed_next;
	*at = t->departed_next;
	d->departed_count--;
	for (struct stele_drain_ring *ring = t->rings; !give && ring; ring = ring->following)
		ring->thread = NULL;
	if (give)
		stele__census_give(d, t, t->slot_index, t->incarnation);
	d->by_slot[t->slot_index] = NULL;
	stele__thread_free(t);
}

void stele__census_release(struct stele_drain *d)
{
	while (d->departed)
		stele__census_forget(d, d->departed, true);
}
