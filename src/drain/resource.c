/* SPDX-License-Identifier: MIT */
/*
 * Goroutines and procs as a reader of the trace tracks them, and the events that change them.
 *
 * Invariant: `state`, `seq`, `owner` are what the reader has after the events written so far, if it
 * takes each lane in order. Each resource is mentioned by a status (or a creation) before anything
 * else is said of it in a generation; that resets its sequence numbers.
 */
#include <errno.h>
#include <stdlib.h>

#include "drain/machine.h"

struct stele_drain_go *stele__go_find(struct stele_drain *d, uint64_t id)
{
	return stele__lookup_get(&d->gos, id, 0);
}

struct stele_drain_go *stele__go_new(struct stele_drain *d, uint64_t id, unsigned state)
{
	struct stele_drain_go *go;

	if (d->go_count >= STELE_GO_COUNT_MAX || stele__go_find(d, id) ||
	    stele__lookup_get(&d->retired, id, STELE_RETIRED_GO)) {
		d->stats.unexplained++;
		return NULL;
	}
	go = calloc(1, sizeof(*go));
	if (!go || stele__lookup_put(&d->gos, id, 0, go)) {
		free(go);
		d->error = d->error ? d->error : -ENOMEM;
		return NULL;
	}
	go->id = id;
	go->state = (uint8_t)state;
	go->generation = d->generation;
	go->next = d->go_list;
	if (go->next)
		go->next->previous = go;
	d->go_list = go;
	d->go_count++;
	return go;
}

void stele__go_delete(struct stele_drain *d, struct stele_drain_go *go)
{
	stele__lookup_remove(&d->gos, go->id, 0);
	if (stele__lookup_put(&d->retired, go->id, STELE_RETIRED_GO, d))
		d->error = d->error ? d->error : -ENOMEM;
	if (go->owner && go->owner->go == go)
		go->owner->go = NULL;
	if (go->previous)
		go->previous->next = go->next;
	else
		d->go_list = go->next;
	if (go->next)
		go->next->previous = go->previous;
	d->go_count--;
	free(go->regions);
	free(go);
}

struct stele_drain_proc *stele__proc_find(struct stele_drain *d, uint64_t p)
{
	struct stele_drain_proc *proc = stele__lookup_get(&d->runtime_procs, p, 0);

	if (proc || p >= UINT32_MAX || d->runtime_procs.count >= STELE_PROC_ID_BASE)
		return proc;
	proc = calloc(1, sizeof(*proc));
	if (!proc || stele__lookup_put(&d->runtime_procs, p, 0, proc)) {
		free(proc);
		return NULL;
	}
	proc->id = STELE_PROC_ID_BASE + p;
	return proc;
}

static void resource_event0(struct stele_drain *d, struct stele_lane *l, uint8_t type,
			    uint64_t time)
{
	stele__lane_end(l, stele__lane_begin(d, l, type, time));
}

static void resource_event1(struct stele_drain *d, struct stele_lane *l, uint8_t type,
			    uint64_t time, uint64_t a)
{
	uint8_t *p = stele__lane_begin(d, l, type, time);

	stele__lane_end(l, stele__varint_put(p, a));
}

static void resource_event2(struct stele_drain *d, struct stele_lane *l, uint8_t type,
			    uint64_t time, uint64_t a, uint64_t b)
{
	uint8_t *p = stele__varint_put(stele__lane_begin(d, l, type, time), a);

	stele__lane_end(l, stele__varint_put(p, b));
}

static void resource_event3(struct stele_drain *d, struct stele_lane *l, uint8_t type,
			    uint64_t time, uint64_t a, uint64_t b, uint64_t c)
{
	uint8_t *p = stele__varint_put(stele__lane_begin(d, l, type, time), a);

	stele__lane_end(l, stele__varint_put(stele__varint_put(p, b), c));
}

/* Running and Syscall name the thread and must be written by it; the others nobody. */
void stele__go_mention(struct stele_drain *d, struct stele_lane *l, struct stele_drain_go *go,
		       uint64_t time)
{
	bool bound = go->state == STELE_GO_RUNNING || go->state == STELE_GO_SYSCALL;

	if (go->generation == d->generation)
		return;
	go->generation = d->generation;
	go->seq = 0;
	resource_event3(d, l, STELE_EV_GO_STATUS, time, go->id, bound ? l->m : STELE_NONE_ID,
			go->state);
}

void stele__proc_mention(struct stele_drain *d, struct stele_lane *l, struct stele_drain_proc *proc,
			 uint64_t time)
{
	if (proc->generation == d->generation)
		return;
	if (proc->state == STELE_PROC_BAD)
		proc->state = STELE_PROC_IDLE;
	proc->generation = d->generation;
	proc->seq = 0;
	resource_event2(d, l, STELE_EV_PROC_STATUS, time, proc->id, proc->state);
}

/* Once a generation, by the first thread that may: how many threads could run at once. */
static void context_announce(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time)
{
	if (d->procs_generation == d->generation || !t->proc || !t->go ||
	    t->go->state != STELE_GO_RUNNING)
		return;
	d->procs_generation = d->generation;
	resource_event2(d, &t->lane, STELE_EV_PROCS_CHANGE, time, d->thread_count, 0);
}

void stele__context_mention(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time)
{
	if (t->proc)
		stele__proc_mention(d, &t->lane, t->proc, time);
	if (t->go && t->go->owner == t)
		stele__go_mention(d, &t->lane, t->go, time);
	context_announce(d, t, time);
}

void stele__go_bind(struct stele_drain_thread *t, struct stele_drain_go *go)
{
	if (go->owner && go->owner != t && go->owner->go == go)
		go->owner->go = NULL;
	go->owner = t;
	t->go = go;
}

void stele__go_start(struct stele_drain *d, struct stele_drain_thread *t, struct stele_drain_go *go,
		     uint64_t time)
{
	STELE_ASSERT(go->state == STELE_GO_RUNNABLE && t->proc);
	stele__context_mention(d, t, time);
	stele__go_mention(d, &t->lane, go, time);
	resource_event2(d, &t->lane, STELE_EV_GO_START, time, go->id, ++go->seq);
	go->state = STELE_GO_RUNNING;
	stele__go_bind(t, go);
	context_announce(d, t, time);
}

void stele__go_unblock(struct stele_drain *d, struct stele_drain_thread *t,
		       struct stele_drain_go *go, uint32_t stack, uint64_t time)
{
	STELE_ASSERT(go->state == STELE_GO_WAITING);
	stele__context_mention(d, t, time);
	stele__go_mention(d, &t->lane, go, time);
	go->seq++;
	resource_event3(d, &t->lane, STELE_EV_GO_UNBLOCK, time, go->id, go->seq,
			stele__intern_stack(d, stack));
	go->state = STELE_GO_RUNNABLE;
}

void stele__go_block(struct stele_drain *d, struct stele_drain_thread *t, unsigned wait,
		     uint32_t stack, uint64_t time)
{
	STELE_ASSERT(t->go->state == STELE_GO_RUNNING && t->proc);
	stele__context_mention(d, t, time);
	resource_event2(d, &t->lane, STELE_EV_GO_BLOCK, time, stele__intern_wait(d, wait),
			stele__intern_stack(d, stack));
	t->go->state = STELE_GO_WAITING;
	t->go->standing = (struct stele_drain_standing){
		.begin = time, .stack = stack, .wait = (uint16_t)wait};
}

void stele__go_release(struct stele_drain_thread *t)
{
	t->go->owner = NULL;
	t->go = NULL;
}

void stele__go_stop(struct stele_drain *d, struct stele_drain_thread *t, unsigned wait,
		    uint32_t stack, uint64_t time)
{
	STELE_ASSERT(t->go->state == STELE_GO_RUNNING && t->proc);
	stele__context_mention(d, t, time);
	resource_event2(d, &t->lane, STELE_EV_GO_STOP, time, stele__intern_wait(d, wait),
			stele__intern_stack(d, stack));
	t->go->state = STELE_GO_RUNNABLE;
	stele__go_release(t);
}

void stele__go_destroy(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time)
{
	STELE_ASSERT(t->go->state == STELE_GO_RUNNING && t->proc);
	stele__context_mention(d, t, time);
	resource_event0(d, &t->lane, STELE_EV_GO_DESTROY, time);
	stele__go_delete(d, t->go);
}

struct stele_drain_go *stele__go_create(struct stele_drain *d, struct stele_drain_thread *t,
					uint64_t id, uint64_t entry_pc, uint32_t stack,
					uint64_t time)
{
	struct stele_drain_go *go;

	STELE_ASSERT(t->proc);
	stele__context_mention(d, t, time);
	go = stele__go_new(d, id, STELE_GO_RUNNABLE);
	if (go)
		resource_event3(d, &t->lane, STELE_EV_GO_CREATE, time, id,
				stele__intern_entry(d, entry_pc), stele__intern_stack(d, stack));
	return go;
}

void stele__syscall_begin(struct stele_drain *d, struct stele_drain_thread *t,
			  const struct stele_drain_interval *call, uint64_t time)
{
	STELE_ASSERT(t->go->state == STELE_GO_RUNNING && t->proc);
	stele__context_mention(d, t, time);
	resource_event2(d, &t->lane, STELE_EV_GO_SYSCALL_BEGIN, time, ++t->proc->seq,
			stele__intern_call(d, call->stack, call->wait));
	t->go->state = STELE_GO_SYSCALL;
	t->go->standing = (struct stele_drain_standing){
		.begin = time,
		.object = call->file ? (uint32_t)call->object + 1ull : 0,
		.stack = call->stack,
		.wait = call->wait,
	};
	t->proc->state = STELE_PROC_SYSCALL;
}

void stele__syscall_end(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time)
{
	bool kept = t->proc && t->proc->state == STELE_PROC_SYSCALL;

	STELE_ASSERT(t->go->state == STELE_GO_SYSCALL);
	stele__context_mention(d, t, time);
	resource_event0(d, &t->lane,
			kept ? STELE_EV_GO_SYSCALL_END : STELE_EV_GO_SYSCALL_END_BLOCKED, time);
	t->go->state = kept ? STELE_GO_RUNNING : STELE_GO_RUNNABLE;
	if (kept)
		t->proc->state = STELE_PROC_RUNNING;
	context_announce(d, t, time);
}

void stele__proc_start(struct stele_drain *d, struct stele_drain_thread *t,
		       struct stele_drain_proc *proc, uint64_t time)
{
	STELE_ASSERT(!t->proc && !proc->owner);
	stele__context_mention(d, t, time);
	stele__proc_mention(d, &t->lane, proc, time);
	resource_event2(d, &t->lane, STELE_EV_PROC_START, time, proc->id, ++proc->seq);
	proc->state = STELE_PROC_RUNNING;
	proc->owner = t;
	t->proc = proc;
	context_announce(d, t, time);
}

void stele__proc_stop(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time)
{
	stele__context_mention(d, t, time);
	resource_event0(d, &t->lane, STELE_EV_PROC_STOP, time);
	t->proc->state = STELE_PROC_IDLE;
	t->proc->owner = NULL;
	t->proc = NULL;
}

void stele__proc_steal(struct stele_drain *d, struct stele_drain_thread *t,
		       struct stele_drain_proc *proc, uint64_t time)
{
	struct stele_drain_thread *loser = proc->owner;

	STELE_ASSERT(proc->state == STELE_PROC_SYSCALL && loser && loser != t);
	stele__context_mention(d, t, time);
	stele__context_mention(d, loser, time); /* a reader must know that it has p */
	resource_event3(d, &t->lane, STELE_EV_PROC_STEAL, time, proc->id, ++proc->seq, loser->tid);
	proc->state = STELE_PROC_IDLE;
	proc->owner = NULL;
	loser->proc = NULL;
}

struct stele_drain_go *stele__go_appear(struct stele_drain *d, struct stele_drain_thread *t,
					uint64_t id, uint64_t time)
{
	struct stele_drain_go *go = stele__go_new(d, id, STELE_GO_SYSCALL);

	if (!go)
		return NULL;
	STELE_ASSERT(!t->go);
	resource_event1(d, &t->lane, STELE_EV_GO_CREATE_SYSCALL, time, id);
	stele__go_bind(t, go);
	if (!t->proc)
		stele__proc_start(d, t, &d->procs[t->slot_index], time);
	stele__syscall_end(d, t, time);
	stele__go_start(d, t, go, time);
	return go;
}
