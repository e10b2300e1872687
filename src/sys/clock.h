/* SPDX-License-Identifier: MIT */
/*
 * The trace clock: a counter that all cores share, read in user space.
 *
 * TSC where the kernel itself trusts it (constant, non-stop, its clock source), CNTVCT on AArch64,
 * else vDSO nanoseconds.
 */
#ifndef STELE_SYS_CLOCK_H
#define STELE_SYS_CLOCK_H

#include <time.h>

#include "base/compiler.h"

STELE_INLINE uint64_t stele__clock_counter(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t ticks;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
#endif
}

/* Not earlier than anything this thread has read before: plain rdtsc was seen 2 µs too early. */
STELE_INLINE uint64_t stele__clock_counter_ordered(void)
{
#if defined(__x86_64__)
	uint32_t aux;

	return __builtin_ia32_rdtscp(&aux);
#elif defined(__aarch64__)
	uint64_t ticks;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(ticks)::"memory");
	return ticks;
#endif
}

STELE_INLINE uint64_t stele__clock_vdso(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* May the counter be used on this machine, by the kernel's own judgement? Reads /sys: not for
 * signal handlers. */
bool stele__clock_counter_usable(void);

/* Two readings that belong together: the trace clock and CLOCK_MONOTONIC, within ret_error_ns. */
struct stele_clock_pair {
	uint64_t ticks;
	uint64_t monotonic_ns;
	uint64_t realtime_ns;
	uint64_t error_ns;
};
struct stele_clock_pair stele__clock_pair(bool counter);

#endif
