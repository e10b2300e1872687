/* SPDX-License-Identifier: MIT */
/*
 * A value over time, in at most STELE_CURVE_STEPS steps of one width: the greatest that it was in
 * each. When time goes beyond the last step, two become one: whatever the trace's length, memory
 * and resolution are bounded, and no peak is lost.
 */
#ifndef STELE_ANALYZE_CURVE_H
#define STELE_ANALYZE_CURVE_H

#include "base/compiler.h"
#include "stele/analyze.h"

struct stele__curve {
	struct stele_curve c;
	unsigned shift; /* step_ns is 1 << shift */
	uint64_t now;	/* what the value is since the last change */
};

/* From `time` on (not before the last one) it is `value`. */
void stele__curve_set(struct stele__curve *curve, int64_t time, uint64_t value);

/* It ends at `time`: it was the last value until then. */
void stele__curve_end(struct stele__curve *curve, int64_t time);

#endif
