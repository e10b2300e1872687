/* SPDX-License-Identifier: MIT */
/* The clock of a trace. */
#ifndef STELE_READ_TICKS_H
#define STELE_READ_TICKS_H

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

#include "base/compiler.h"

/*
 * Ticks as nanoseconds, with the rounding of Go's reader. What does not fit becomes what x86-64
 * makes of it, INT64_MIN: Go's reader relies on that, too.
 */
STELE_INLINE int64_t stele__ticks_scale(double ticks, double ns_per_tick)
{
	double ns = ticks * ns_per_tick;

#if defined(__x86_64__)
	return _mm_cvttsd_si64(_mm_set_sd(ns));
#else
	return ns > -9223372036854775808.0 && ns < 9223372036854775808.0 ? (int64_t)ns : INT64_MIN;
#endif
}

STELE_INLINE int64_t stele__ticks_ns(uint64_t ticks, double ns_per_tick)
{
	return stele__ticks_scale(ticks >> 63 ? (double)ticks : (double)(int64_t)ticks,
				  ns_per_tick);
}

#endif
