/* SPDX-License-Identifier: MIT */
/*
 * Threads that lose their processor and get it back, as the kernel tells (struct stele_switches).
 *
 * What they do by themselves, wait or call, their own records tell; what is in a wait or call
 * anyway, its switches say nothing new of. Of the rest: who runs and loses the processor though it
 * could go on is runnable; who blocks in the kernel without a word (page faults, calls that are not
 * seen) waits. Both end when it has a processor again, at the latest with its next record.
 *
 * Workers of runtimes are left out: their goroutines are handed from one to the next by numbers
 * that only the runtime counts.
 */
#include <errno.h>
#include <stdlib.h>

#include "drain/machine.h"

#define OFFCPU_MAX   16384u	/* of one thread, that wait for its records */
#define OFFCPU_TOKEN UINT64_MAX /* of no record */

struct stele_drain_offcpu {
	bool off; /* it has no processor, and the trace says so */
	struct stele_switch *switches;
	uint32_t next, count, max;
};

static void offcpu_add(struct stele_drain *d, struct stele_drain_thread *t,
		       const struct stele_switch *s)
{
	struct stele_drain_offcpu *o = t->offcpu;

	if (!o)
		o = t->offcpu = calloc(1, sizeof(*o));
	if (!o || o->count - o->next >= OFFCPU_MAX) {
		d->stats.switches_lost++;
		return;
	}
	if (o->next && o->next == o->count)
		o->next = o->count = 0;
	if (stele__vector_grow(d, &o->switches, o->count, &o->max, sizeof(*o->switches)))
		o->switches[o->count++] = *s;
}

int stele__offcpu_restore(struct stele_drain_thread *t, uint64_t token)
{
	if (token != OFFCPU_TOKEN || t->offcpu)
		return 0;
	t->offcpu = calloc(1, sizeof(*t->offcpu));
	if (!t->offcpu)
		return -ENOMEM;
	t->offcpu->off = true;
	return 0;
}

void stele__offcpu_done(struct stele_drain_thread *t)
{
	if (t->offcpu)
		free(t->offcpu->switches);
	free(t->offcpu);
}

void stele__offcpu_take(struct stele_drain *d)
{
	const struct stele_switches *source = &d->options.switches;
	struct stele_lookup threads = {0};
	const struct stele_switch *s;
	uint64_t lost = 0;
	size_t count = source->take ? source->take(source->arg, &s, &lost) : 0;

	/* Of two with one id the later one: the other one is gone. */
	for (uint32_t i = 0; count && i < d->thread_count; i++)
		if (!d->threads[i]->gone)
			stele__lookup_put(&threads, d->threads[i]->tid, 0, d->threads[i]);
	for (size_t i = 0; i < count; i++) {
		struct stele_drain_thread *t = stele__lookup_get(&threads, s[i].tid, 0);

		if (t)
			offcpu_add(d, t, &s[i]);
	}
	d->stats.switches += count;
	d->stats.switches_lost += lost;
	stele__lookup_done(&threads, NULL);
}

static bool offcpu_runs(const struct stele_drain_thread *t)
{
	return t->begun && !t->ended && t->go && t->goroutine && t->go->id == t->goroutine &&
	       t->go->state == STELE_GO_RUNNING && t->proc;
}

static void offcpu_lose(struct stele_drain *d, struct stele_drain_thread *t, bool preempted,
			uint64_t time)
{
	const struct stele_drain_interval blocked = {.token = OFFCPU_TOKEN,
						     .wait = STELE_WAIT_CODE_KERNEL};
	struct stele_drain_go *go = t->go;

	if (!offcpu_runs(t))
		return;
	t->offcpu->off = true;
	if (preempted) {
		stele__go_stop(d, t, STELE_WAIT_CODE_PREEMPTED, 0, time);
		stele__go_bind(t, go);
	} else {
		stele__interval_open(d, t, &blocked, time);
	}
}

static void offcpu_get(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time)
{
	if (!t->offcpu->off)
		return;
	t->offcpu->off = false;
	if (t->go && t->go->state == STELE_GO_RUNNABLE && t->go->id == t->goroutine && t->proc)
		stele__go_start(d, t, t->go, time);
	else
		stele__interval_close(d, t, OFFCPU_TOKEN, time);
}

void stele__offcpu_until(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time)
{
	struct stele_drain_offcpu *o = t->offcpu;

	while (o->next < o->count) {
		const struct stele_switch *s = &o->switches[o->next];
		uint64_t at = s->ns >> STELE_WIRE_SHIFT;

		if (at > time)
			break;
		o->next++;
		if (at < d->floor)
			at = d->floor;
		if (s->kind == STELE_SWITCH_IN)
			offcpu_get(d, t, at);
		else
			offcpu_lose(d, t, s->kind == STELE_SWITCH_PREEMPTED, at);
	}
}

void stele__offcpu_runs(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time)
{
	stele__offcpu_until(d, t, time);
	offcpu_get(d, t, time);
}
