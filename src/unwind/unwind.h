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

/* Where a walk begins: the state of the code whose frames are wanted. */
struct stele_unwind_start {
	uintptr_t pc; /* return address into the first frame wanted */
	uintptr_t sp; /* stack pointer of that frame at the call */
	uintptr_t fp; /* frame pointer register at the call */
};

struct stele_unwind_result {
	uint32_t frames;
	uint16_t flags; /* STELE_STACK_TRUNCATED, STELE_STACK_BROKEN of arena/layout.h */
};

/*
 * Fills pcs, innermost first, with addresses that lie inside the calling instruction (return
 * address - 1). At most max frames.
 */
struct stele_unwind_result stele__unwind(const struct stele_unwind_start *start,
					 const struct stele_stack_bounds *bounds, uint64_t *pcs,
					 size_t max);

#endif
