/* SPDX-License-Identifier: MIT */
/*
 * The scenario that Stele was begun for: a stack that grows while an event is being written, which
 * is three events more. Each entry point of the tracer is called with the stack pointer at each
 * place above the end of the stack, so that growing falls on each of its instructions that is the
 * first to touch a new page.
 *
 * usage: seed [ROUNDS [PLACES]]: prints how many calls there were, and in how many the stack grew.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "fiber/scheduler.h"
#include "stele/stele.h"

/* A call keeps the stack pointer aligned to 16: these are all places that there are. */
#define STEP	   16u
#define PLACES_MAX 512u /* no entry point needs 8 KiB */

static stele_name counter;
static stele_task_id task;
static stele_interval interval;
static stele_goroutine_id created;
static unsigned long calls, grown;
static char memory[2][4096] __attribute__((aligned(4096)));

/* Entry points, in pairs where one begins what the other ends. */
static void task_begin(void)
{
	task = stele_task_begin("task", 0);
}

static void region_begin(void)
{
	stele_region_begin("region", task);
}

static void write_log(void)
{
	stele_log(task, "key", "message");
}

static void count(void)
{
	stele_counter(counter, (int64_t)calls);
}

static void region_end(void)
{
	stele_region_end("region", task);
}

static void task_end(void)
{
	stele_task_end(task);
}

static void object_alloc(void)
{
	stele_object_alloc(memory[0], 64);
}

static void object_free(void)
{
	stele_object_free(memory[0]);
}

static void span_alloc(void)
{
	stele_span_alloc(memory[1], sizeof(memory[1]), 1);
}

static void span_free(void)
{
	stele_span_free(memory[1], sizeof(memory[1]));
}

static void stack_alloc(void)
{
	stele_stack_alloc(memory[1], sizeof(memory[1]));
}

static void stack_free(void)
{
	stele_stack_free(memory[1], sizeof(memory[1]));
}

static void block(void)
{
	interval = stele_block(STELE_WAIT_MUTEX, memory);
}

static void wake(void)
{
	stele_wake(interval);
}

static void syscall_begin(void)
{
	interval = stele_syscall_begin(SYS_read, 7);
}

static void syscall_end(void)
{
	stele_syscall_end(interval, 1);
}

static void goroutine_create(void)
{
	created = stele_goroutine_create((const void *)memory);
}

static void goroutine_cancel(void)
{
	stele_goroutine_cancel(created);
}

static void label(void)
{
	stele_goroutine_label("label");
}

static void thread_name(void)
{
	stele_thread_set_name("worker");
}

/* A text that is not in the dictionary yet. */
static void intern(void)
{
	static char text[32];

	snprintf(text, sizeof(text), "text %lu", calls % 5000);
	counter = stele_name_intern(text);
}

static void (*const entries[])(void) = {
	task_begin,   region_begin, write_log,	   count,	region_end,	  task_end,
	object_alloc, object_free,  span_alloc,	   span_free,	stack_alloc,	  stack_free,
	block,	      wake,	    syscall_begin, syscall_end, goroutine_create, goroutine_cancel,
	label,	      thread_name,  intern,
};

/* With the stack pointer `place` bytes above the end of the stack: hence the gap. */
static __attribute__((noinline)) void call_at(void (*entry)(void), struct stele__stack *s,
					      size_t place)
{
	char *here = __builtin_frame_address(0);
	uint32_t before = s->grown;
	volatile char *gap = __builtin_alloca((size_t)(here - s->low) - place - 256);

	__asm__ volatile("" : : "r"(gap) : "memory");
	entry();
	calls++;
	grown += s->grown != before;
}

/*
 * One round over all places. As many frames further in as `deeper` says: a tracer that knew the
 * stack from an earlier round would need less of it.
 */
static __attribute__((noinline)) void seed_round(unsigned places, uint32_t *now, unsigned deeper)
{
	struct stele__stack *s = stele_fiber_self()->stack;

	if (deeper) {
		seed_round(places, now, deeper - 1);
		__asm__ volatile("" : : : "memory"); /* no tail call */
		return;
	}
	for (unsigned place = 0; place < places; place++)
		for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
			/* Nobody else knows this stack: it may shrink under its user. */
			stele__stack_shrink(s, __builtin_frame_address(0), *now += 100);
			call_at(entries[i], s, place * STEP);
		}
}

static void seed(void *arg)
{
	unsigned *shape = arg; /* rounds, places */
	uint32_t now = 0;

	counter = stele_name_intern("counter");
	for (unsigned round = 0; round < shape[0]; round++)
		seed_round(shape[1], &now, round % 16);
}

int main(int argc, char **argv)
{
	struct stele_fiber_options options = {.workers = 1};
	unsigned shape[2] = {argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1,
			     argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : PLACES_MAX};
	int error = stele_fiber_run(&options, seed, shape);

	printf("calls %lu grown %lu\n", calls, grown);
	return error < 0 || !calls;
}
