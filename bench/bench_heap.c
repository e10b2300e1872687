/* SPDX-License-Identifier: MIT */
/*
 * Two threads that do nothing but malloc and free, ten frames deep: the function that allocates,
 * six callers, the thread's routine, and two frames of libc. Prints the time of a pair.
 *
 *	bench_heap [PAIRS]
 */
#include <pthread.h>
#include <stdlib.h>

#include "bench/timer.h"

#define THREADS 2
#define SIZES	64

static long pairs = 1000000;

static __attribute__((noinline)) void call_0(void)
{
	for (long i = 0; i < pairs; i++) {
		void *p = malloc(16 + (size_t)(i % SIZES));

		BENCH_KEEP(p);
		free(p);
	}
}

#define CALL(n, next)                                                                              \
	static __attribute__((noinline)) void call_##n(void)                                       \
	{                                                                                          \
		call_##next();                                                                     \
		__asm__ volatile(""); /* no tail call */                                           \
	}

CALL(1, 0)
CALL(2, 1)
CALL(3, 2)
CALL(4, 3)
CALL(5, 4)
CALL(6, 5)

static void *heap_thread(void *argument)
{
	call_6();
	return argument;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	uint64_t begin;

	if (argc > 1)
		pairs = atol(argv[1]);
	begin = bench_now_ns();
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, heap_thread, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	bench_print("pair_ns", (double)(bench_now_ns() - begin) / (double)pairs);
	return 0;
}
