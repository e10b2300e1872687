/* SPDX-License-Identifier: MIT */
/*
 * Capturing the calling thread's stack. Signals: safe, no locks, no allocation, bounded.
 */
#ifndef STELE_UNWIND_UNWIND_H
#define STELE_UNWIND_UNWIND_H

#include "base/compiler.h"

/* The present stack's addresses: [low, high). Both 0: unknown, only the caller is recorded. */
struct stele_stack_bounds {
	uintptr_t low;
	uintptr_t high;
};

/* Where a walk begins: the frame pointer of one of our own functions. */
struct stele_unwind_start {
	uintptr_t pc; /* its return address */
	uintptr_t fp; /* __builtin_frame_address(0) in it */
};

struct stele_unwind_result {
	uint32_t frames;
	bool truncated;	 /* more frames than fit */
	bool broken;	 /* the walk ended at missing or impossible data */
	uintptr_t frame; /* stack pointer of the innermost frame recorded, at its call */
};

/*
 * Fills pcs, innermost first, with addresses that lie inside the calling instruction (return
 * address - 1). Frames of Stele's own modules at the inner end are left out.
 */
struct stele_unwind_result stele__unwind(const struct stele_unwind_start *start,
					 const struct stele_stack_bounds *bounds, uint64_t *pcs,
					 uint32_t max);

#endif
