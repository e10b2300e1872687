/* SPDX-License-Identifier: MIT */
/*
 * What a call stack costs, from code without frame pointers, warm: an event with a stack under
 * 'stele record', and libgcc's walk of the same stack beside it.
 */
#include <stddef.h>
#include <unwind.h>

#include "bench/timer.h"
#include "stele/runtime.h"

#define DEPTH	 10
#define ROUNDS	 21
#define CALLS	 3000
#define PAUSE_MS 4 /* lets the drain catch up: it is the writer that is measured */

static volatile unsigned frames;

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *context, void *arg)
{
	(void)arg;
	frames += _Unwind_GetIP(context) != 0;
	return _URC_NO_REASON;
}

static double median_of(void (*call)(void))
{
	double rounds[ROUNDS];

	for (unsigned r = 0; r < ROUNDS; r++) {
		uint64_t begin;

		bench_sleep_ms(PAUSE_MS);
		begin = bench_now_ns();
		for (unsigned i = 0; i < CALLS; i++)
			call();
		rounds[r] = (double)(bench_now_ns() - begin) / CALLS;
	}
	return bench_median(rounds, ROUNDS);
}

static void wait_with_stack(void)
{
	stele_wake(stele_block(STELE_WAIT_MUTEX, NULL));
}

/* The same two events without a walk: what is left is the stack's. */
static void two_events(void)
{
	static stele_name name;

	if (!name)
		name = stele_name_intern("bench");
	stele_counter(name, 1);
	stele_counter(name, 2);
}

static void walk_by_libgcc(void)
{
	_Unwind_Backtrace(count_frame, NULL);
}

static __attribute__((noinline)) void descend(unsigned depth)
{
	char spill[48];

	BENCH_KEEP(spill);
	if (depth) {
		descend(depth - 1);
	} else {
		frames = 0;
		walk_by_libgcc();
		bench_print("stack_frames", frames);
		bench_print("stack_libgcc_ns", median_of(walk_by_libgcc));
		bench_print("stack_ns", median_of(wait_with_stack) - median_of(two_events));
	}
	BENCH_KEEP(spill);
}

int main(void)
{
	descend(DEPTH);
	return 0;
}
