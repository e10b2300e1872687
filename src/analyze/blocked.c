/* SPDX-License-Identifier: MIT */
/*
 * What stands still when the trace ends: locks that goroutines wait for, who has them, and what
 * these are at. A holder that waits for a lock itself leads on to the next one; where that leads
 * back, nobody will ever go on.
 *
 * When a process ends, the waits and calls of its threads are told to end, and the threads, all in
 * the same moment. What a thread was in just before, it never left.
 */
#include <errno.h>
#include <stdlib.h>

#include "analyze/locks.h"

#define MOMENT_NS 1000 /* a wait's end, its thread's start and end: a nanosecond each */

/* A goroutine that ended in the middle of a wait or call. */
struct stele__fallen {
	uint64_t thread;
	const struct stele__name *name;
	struct stele__block block;
};

void stele__blocked_note(struct stele__flow *go, int64_t time)
{
	const struct stele__object *object = go->object;
	struct stele__block *b = &go->block;

	if (go->state != STELE_STATE_WAITING && go->state != STELE_STATE_SYSCALL)
		return;
	b->end = time;
	b->ns = time - go->since;
	stele__ns_add(&b->ns, go->before);
	b->state = go->state;
	b->object = object && object->is_lock ? object : NULL;
	b->owner =
		b->object ? stele__locks_owner(object, go->since, time, go->holder) : STELE_NO_ID;
	b->site = go->site;
	b->call = go->file ? go->file : go->call;
	b->reason = go->reason;
}

static int fallen_compare(const void *left, const void *right)
{
	const struct stele__fallen *a = left, *b = right;

	return (a->block.end > b->block.end) - (a->block.end < b->block.end);
}

/* The newest half stays. */
static void fallen_thin(struct stele_analysis *a)
{
	size_t half = a->fallen_count / 2;

	qsort(a->fallen, a->fallen_count, sizeof(*a->fallen), fallen_compare);
	for (size_t i = 0; i < a->fallen_count - half; i++)
		a->fallen[i] = a->fallen[half + i];
	a->fallen_count -= half;
}

int stele__blocked_gone(struct stele_analysis *a, const struct stele__flow *go, int64_t time)
{
	if (!go->block.state || time - go->block.end > MOMENT_NS || go->times.thread == STELE_NO_ID)
		return 0;
	if (!a->fallen)
		a->fallen = calloc(STELE__FALLEN_MAX, sizeof(*a->fallen));
	if (!a->fallen)
		return -ENOMEM;
	if (a->fallen_count == STELE__FALLEN_MAX)
		fallen_thin(a);
	a->fallen[a->fallen_count++] =
		(struct stele__fallen){go->times.thread, stele__flow_label(a, go), go->block};
	return 0;
}

/* ---- in the end ---- */

/* All that is blocked, alive or not. */
struct blocked_walk {
	struct stele_analysis *a;
	struct stele__fallen *all;
	uint32_t count, max;
	struct stele__keymap threads; /* of them */
	struct stele_blockage *locks;
	uint32_t lock_count, lock_max;
};

static int blocked_add(struct blocked_walk *w, const struct stele__fallen *f)
{
	if (stele__list_reserve(&w->all, w->count, &w->max, sizeof(*w->all)) < 0)
		return -ENOMEM;
	w->all[w->count++] = *f;
	return 0;
}

static int blocked_collect(struct blocked_walk *w, int64_t time)
{
	struct stele_analysis *a = w->a;
	struct stele__flow *go;
	size_t at = 0;
	int r = 0;

	while (r == 0 && (go = stele__keymap_each(&a->goroutines, &at))) {
		if (go->state != STELE_STATE_WAITING && go->state != STELE_STATE_SYSCALL)
			continue;
		/* Fibers by the million wait for what is no lock. */
		if (go->times.thread == STELE_NO_ID && !(go->object && go->object->is_lock))
			continue;
		stele__blocked_note(go, time);
		r = blocked_add(w, &(struct stele__fallen){go->times.thread,
							   stele__flow_label(a, go), go->block});
	}
	for (size_t i = 0; r == 0 && i < a->fallen_count; i++)
		if (time - a->fallen[i].block.end <= MOMENT_NS + 8 * (int64_t)a->trust.goroutines)
			r = blocked_add(w, &a->fallen[i]);
	for (uint32_t i = 0; r == 0 && i < w->count; i++)
		if (w->all[i].thread != STELE_NO_ID)
			r = stele__keymap_add(&w->threads, w->all[i].thread, &w->all[i]);
	return r;
}

static struct stele_blockage *blocked_lock(struct blocked_walk *w,
					   const struct stele__object *object)
{
	for (uint32_t i = 0; i < w->lock_count; i++)
		if (w->locks[i].address == object->address)
			return &w->locks[i];
	if (stele__list_reserve(&w->locks, w->lock_count, &w->lock_max, sizeof(*w->locks)) < 0)
		return NULL;
	w->locks[w->lock_count] = (struct stele_blockage){.lock = stele__locks_class(object),
							  .address = object->address,
							  .holder_thread = STELE_NO_ID,
							  .next = SIZE_MAX};
	return &w->locks[w->lock_count++];
}

static int blocked_waiter(struct blocked_walk *w, const struct stele__fallen *f)
{
	struct stele_blockage *b = blocked_lock(w, f->block.object);

	if (!b)
		return -ENOMEM;
	b->waiters++;
	if (f->block.owner != STELE_NO_ID)
		b->holder_thread = f->block.owner;
	if (f->block.ns < b->longest_ns)
		return 0;
	b->longest_ns = f->block.ns;
	b->waiter = f->name->text;
	b->waiter_thread = f->thread;
	b->waiter_stack = f->block.site ? f->block.site->s.stack : 0;
	return 0;
}

static int blocked_compare(const void *left, const void *right)
{
	const struct stele_blockage *a = left, *b = right;
	int r = (a->longest_ns < b->longest_ns) - (a->longest_ns > b->longest_ns);

	return r ? r : (a->address > b->address) - (a->address < b->address);
}

/* The holder is blocked itself. */
static void blocked_holder(const struct blocked_walk *w, struct stele_blockage *b,
			   const struct stele__fallen *f)
{
	bool waits = f->block.state == STELE_STATE_WAITING;

	b->holder = f->name->text;
	b->state = f->block.state;
	b->what = waits		  ? f->block.reason->text
		  : f->block.call ? f->block.call->s.name
				  : (struct stele_string){"", 0};
	b->ns = f->block.ns;
	b->stack = f->block.site ? f->block.site->s.stack : 0;
	for (uint32_t i = 0; f->block.object && i < w->lock_count; i++)
		if (w->locks[i].address == f->block.object->address)
			b->next = i;
}

static void blocked_describe(const struct blocked_walk *w, struct stele_blockage *b, int64_t time)
{
	const struct stele__fallen *f = stele__keymap_get(&w->threads, b->holder_thread);
	const struct stele__flow *go = stele__flow_of_thread(w->a, b->holder_thread);

	if (f) {
		blocked_holder(w, b, f);
	} else if (go) {
		b->holder = stele__flow_label(w->a, go)->text;
		b->state = go->state;
		b->ns = time - go->since;
	}
}

/* Who is on a way that leads back to itself. `seen` has the number of the walk that came by. */
static int blocked_mark(const struct blocked_walk *w)
{
	uint32_t *seen = calloc(w->lock_count + 1, sizeof(*seen));

	if (!seen)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->lock_count; i++) {
		size_t at = i;

		for (; at != SIZE_MAX && !seen[at]; at = w->locks[at].next)
			seen[at] = i + 1;
		if (at == SIZE_MAX || seen[at] != i + 1)
			continue;
		for (; !w->locks[at].deadlock; at = w->locks[at].next)
			w->locks[at].deadlock = true;
	}
	free(seen);
	return 0;
}

int stele__blocked_finish(struct stele_analysis *a, int64_t time)
{
	struct blocked_walk w = {.a = a};
	int r;

	stele__keymap_init(&w.threads);
	r = blocked_collect(&w, time);
	for (uint32_t i = 0; r == 0 && i < w.count; i++)
		if (w.all[i].block.object && w.lock_count < STELE__BLOCKAGES_MAX)
			r = blocked_waiter(&w, &w.all[i]);
	if (w.lock_count)
		qsort(w.locks, w.lock_count, sizeof(*w.locks), blocked_compare);
	for (uint32_t i = 0; i < w.lock_count; i++)
		blocked_describe(&w, &w.locks[i], time);
	if (r == 0)
		r = blocked_mark(&w);
	a->blockages = w.locks;
	a->blockage_count = w.lock_count;
	stele__keymap_done(&w.threads);
	free(w.all);
	return r;
}

STELE_EXPORT const struct stele_blockage *
stele_analysis_blockages(const struct stele_analysis *analysis, size_t *ret_count)
{
	*ret_count = analysis->blockage_count;
	return analysis->blockages;
}
