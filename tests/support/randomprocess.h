/* SPDX-License-Identifier: MIT */
/*
 * A synthetic process that does at random what processes do: threads come and go, wait, call the
 * system, allocate, annotate, lose events. Its seed decides all of it.
 */
#ifndef STELE_TESTS_RANDOMPROCESS_H
#define STELE_TESTS_RANDOMPROCESS_H

#include "support/synthetic.h"

#define ARENA_BYTES (16u << 20)
#define THREADS_MAX 6

struct process {
	struct synthetic s;
	struct synthetic_thread threads[THREADS_MAX];
	bool alive[THREADS_MAX];
	uint64_t open[THREADS_MAX]; /* token of the wait or system call, 0: none */
	bool syscall[THREADS_MAX];  /* it is one */
	uint64_t objects, tasks, gos, random;
	uint32_t tids, name, stacks[8];
};

static uint64_t next_random(struct process *p, uint64_t below)
{
	p->random = p->random * 6364136223846793005ull + 1442695040888963407ull;
	return (p->random >> 33) % below;
}

static uint64_t stack_of(struct process *p)
{
	return p->stacks[next_random(p, STELE_ARRAY_LENGTH(p->stacks))];
}

/* Begins with what the test wants of the synthetic process; all else is zero. */
static void process_open(struct process *p, unsigned version, uint64_t seed)
{
	p->random = seed;
	p->tids = 100;
	synthetic_open(&p->s, ARENA_BYTES, version, 3);
	p->name = synthetic_string(&p->s, "name");
	for (unsigned i = 0; i < STELE_ARRAY_LENGTH(p->stacks); i++) {
		const uint64_t pcs[] = {0x401001 + i, 0x402001};

		p->stacks[i] = synthetic_stack(&p->s, pcs, 2);
	}
}

/* Not so full that the drain cuts for its sake: when it does depends on its life. */
static bool has_room(const struct synthetic_thread *t)
{
	return t->ring->head - t->ring->tail < t->ring->mask / 3;
}

static void thread_begin(struct process *p, unsigned i)
{
	unsigned parent = (unsigned)next_random(p, THREADS_MAX);
	uint64_t g = ++p->gos;
	bool created = p->alive[parent] && !p->open[parent] && has_room(&p->threads[parent]);

	if (created)
		synthetic_emit(&p->s, &p->threads[parent], STELE_KIND_GO_CREATE, g, 0x401000,
			       stack_of(p));
	p->threads[i] = synthetic_thread(&p->s, p->tids++, g, created ? STELE_THREAD_CREATED : 0);
	p->alive[i] = true;
	p->open[i] = 0;
}

static void thread_end(struct process *p, unsigned i)
{
	if (next_random(p, 2))
		synthetic_emit(&p->s, &p->threads[i], STELE_KIND_THREAD_END, 0, 0, 0);
	synthetic_die(&p->s, &p->threads[i]);
	p->alive[i] = false;
}

static void thread_wait(struct process *p, unsigned i)
{
	struct synthetic_thread *t = &p->threads[i];

	if (p->open[i]) {
		synthetic_emit(&p->s, t,
			       p->syscall[i] ? STELE_KIND_SYSCALL_END : STELE_KIND_GO_WAKE,
			       p->open[i], 0, 0);
		p->open[i] = 0;
		return;
	}
	p->syscall[i] = next_random(p, 2);
	p->open[i] = synthetic_emit(&p->s, t,
				    p->syscall[i] ? STELE_KIND_SYSCALL_BEGIN : STELE_KIND_GO_BLOCK,
				    stack_of(p) << 32 | 2, 0, 0);
}

static void thread_memory(struct process *p, struct synthetic_thread *t)
{
	uint64_t address = 0x7f0000000000 + t->tid * 0x100000ull + next_random(p, 8) * 8192;

	switch (next_random(p, 3)) {
	case 0:
		synthetic_emit(&p->s, t, STELE_KIND_SPAN_ALLOC, address, 8192, 1);
		break;
	case 1:
		synthetic_emit(&p->s, t, STELE_KIND_SPAN_FREE, address, 0, 0);
		break;
	default:
		synthetic_emit(&p->s, t, STELE_KIND_OBJECT_ALLOC, 0x600000 + 16 * ++p->objects,
			       16 * next_random(p, 8), stack_of(p));
		break;
	}
}

static void thread_annotate(struct process *p, struct synthetic_thread *t)
{
	switch (next_random(p, 6)) {
	case 5:
		/* The first time only: it is never ended. */
		synthetic_emit(&p->s, t, STELE_KIND_TASK_BEGIN, 1000000 + t->tid, 0, 0);
		break;
	case 0:
		synthetic_emit(&p->s, t, STELE_KIND_TASK_BEGIN, ++p->tasks, 0,
			       (uint64_t)p->name | stack_of(p) << 32);
		break;
	case 1:
		if (p->tasks)
			synthetic_emit(&p->s, t, STELE_KIND_TASK_END, 1 + next_random(p, p->tasks),
				       0, 0);
		break;
	case 2:
		synthetic_emit(&p->s, t, STELE_KIND_REGION_BEGIN, next_random(p, 3), 0, p->name);
		break;
	case 3:
		/* Of any one, or of none. */
		synthetic_emit(&p->s, t, STELE_KIND_REGION_END, next_random(p, 3), 0, p->name);
		break;
	default:
		synthetic_emit(&p->s, t, STELE_KIND_COUNTER, p->name, next_random(p, 1000), 0);
		break;
	}
}

static void process_step(struct process *p)
{
	unsigned i = (unsigned)next_random(p, THREADS_MAX);
	struct synthetic_thread *t = &p->threads[i];

	if (!p->alive[i]) {
		thread_begin(p, i);
		return;
	}
	if (!has_room(t)) {
		synthetic_replace(&p->s, t, 2, false);
		return;
	}
	switch (next_random(p, 40)) {
	case 0:
		thread_end(p, i);
		break;
	case 28:
		t->slot->dropped[STELE_LOSS_RING_FULL][STELE_CLASS_USER]++;
		break;
	case 1 ... 12:
		thread_wait(p, i);
		break;
	case 13 ... 24:
		thread_annotate(p, t);
		break;
	case 25 ... 27:
		synthetic_emit(&p->s, t, STELE_KIND_THREAD_NAME, p->name, 0, 0);
		break;
	default:
		thread_memory(p, t);
		break;
	}
}

/* A second and more; then the drain cuts, because there is something to cut. */
static void process_pause(struct process *p)
{
	while (!p->alive[0])
		process_step(p);
	synthetic_emit(&p->s, &p->threads[0], STELE_KIND_COUNTER, p->name, 1, 0);
	stele__drain_tick(p->s.drain);
	p->s.now += 1100000000;
}

#endif
