/* SPDX-License-Identifier: MIT */
/* Durations of a trace whose clock may have said anything, added up. */
#ifndef STELE_ANALYZE_SUM_H
#define STELE_ANALYZE_SUM_H

#include "base/compiler.h"

/* Neither is negative; what is too much for a sum stays at the greatest one. */
STELE_INLINE void stele__ns_add(int64_t *sum, int64_t ns)
{
	if (__builtin_add_overflow(*sum, ns, sum))
		*sum = INT64_MAX;
}

struct stele_spread;

void stele__spread_merge(struct stele_spread *spread, const struct stele_spread *from);

#endif
