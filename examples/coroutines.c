/* SPDX-License-Identifier: MIT */
/*
 * A scheduler of one's own, told to Stele: coroutines by ucontext, in turn on one thread. What
 * there is for the tracer begins with stele_ and is explained in docs/instrument.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include <stele/runtime.h>

#define COROUTINES  4
#define STACK_BYTES (64 << 10)

struct coroutine {
	struct stele_goroutine trace;
	ucontext_t context;
	char *stack;
	int state; /* 0: runnable, 1: waits, 2: has ended */
	void (*entry)(struct coroutine *self);
};

static struct stele_proc proc; /* one: this thread's right to run coroutines */
static ucontext_t loop;
static struct coroutine coroutines[COROUTINES];

static void start(unsigned index)
{
	struct coroutine *c = &coroutines[index];

	c->entry(c);
	c->state = 2;
	stele_stack_free(c->stack, STACK_BYTES);
	stele_sched_end(&c->trace);
}

static void create(unsigned index, void (*entry)(struct coroutine *))
{
	struct coroutine *c = &coroutines[index];

	c->entry = entry;
	c->stack = malloc(STACK_BYTES);
	getcontext(&c->context);
	c->context.uc_stack.ss_sp = c->stack;
	c->context.uc_stack.ss_size = STACK_BYTES;
	c->context.uc_link = &loop;
	makecontext(&c->context, (void (*)(void))start, 1, index);
	stele_sched_create(&c->trace, (const void *)entry); /* before it can run */
	stele_stack_alloc(c->stack, STACK_BYTES);
}

static void yield(struct coroutine *c)
{
	stele_sched_yield(&c->trace, STELE_WAIT_YIELD);
	swapcontext(&c->context, &loop);
}

static void wait(struct coroutine *c, const void *object)
{
	c->state = 1;
	stele_sched_park(&c->trace, STELE_WAIT_CONDITION, object);
	swapcontext(&c->context, &loop);
}

static void wake(struct coroutine *c)
{
	stele_sched_ready(&c->trace); /* before anybody can run it */
	c->state = 0;
}

static int run_all(void)
{
	int ran = 0;

	for (unsigned i = 0; i < COROUTINES; i++) {
		struct coroutine *c = &coroutines[i];

		if (c->state != 0)
			continue;
		stele_sched_start(&proc, &c->trace, c->stack, c->stack + STACK_BYTES);
		swapcontext(&loop, &c->context);
		ran = 1;
	}
	return ran;
}

/* What runs on it: three count, and the last waits for them ----------------------------------- */

static unsigned counted;

static void count(struct coroutine *self)
{
	for (unsigned i = 0; i < 100; i++) {
		if (++counted == 300)
			wake(&coroutines[COROUTINES - 1]);
		yield(self);
	}
}

static void wait_for_count(struct coroutine *self)
{
	wait(self, &counted);
	printf("counted to %u\n", counted);
}

int main(void)
{
	stele_sched_worker(); /* this thread has no goroutine but those it runs */
	stele_sched_acquire(&proc);
	for (unsigned i = 0; i < COROUTINES; i++)
		create(i, i < COROUTINES - 1 ? count : wait_for_count);
	while (run_all())
		;
	stele_sched_release();
	for (unsigned i = 0; i < COROUTINES; i++)
		free(coroutines[i].stack);
	return 0;
}
