/* SPDX-License-Identifier: MIT */
/* What the benchmarks share: a clock that is not the one measured, medians, one line a result. */
#ifndef STELE_BENCH_TIMER_H
#define STELE_BENCH_TIMER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

/* The value is used, as far as the compiler knows, and memory may have changed. */
#define BENCH_KEEP(value) __asm__ volatile("" : : "r"(value) : "memory")

static inline uint64_t bench_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void bench_sleep_ms(unsigned ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}

/* The clock that a tracer reads at best. */
static inline uint64_t bench_ticks(void)
{
#if defined(__x86_64__)
	return __rdtsc();
#elif defined(__aarch64__)
	uint64_t ticks;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
#else
	return bench_now_ns();
#endif
}

static int bench_compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median; sorts the values. */
static inline double bench_median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), bench_compare);
	return values[count / 2];
}

/* tools/bench.py reads these lines. */
static inline void bench_print(const char *name, double value)
{
	printf("%s %.3f\n", name, value);
}

#endif
