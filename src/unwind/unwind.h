/* SPDX-License-Identifier: MIT */
/*
 * Capturing the calling thread's stack, of code built without frame pointers: by the rows of
 * .eh_frame, each computed once. Signals: safe, no locks, no allocation, bounded, and no read
 * outside the stack and the modules' unwind data. Design: docs/design/unwind.md.
 */
#ifndef STELE_UNWIND_UNWIND_H
#define STELE_UNWIND_UNWIND_H

#include "base/compiler.h"

struct stele_trail;

/* The thread's own stack: [low, high). Both 0: unknown, only the caller is recorded. */
struct stele_stack_bounds {
	uintptr_t low;
	uintptr_t high;
};

/* The registers where a walk begins. */
struct stele_unwind_start {
	uintptr_t pc; /* a return address, or (own true) any address in the function that asks */
	uintptr_t sp;
	uintptr_t fp;
	bool own;	  /* the first frame is the asking function itself and is not wanted */
	uintptr_t caller; /* with own: what to record if not even that frame can be left */
	bool interrupted; /* pc is where a signal stopped the first frame; without a trail */
	uintptr_t link;	  /* with interrupted, on AArch64: the link register */
};

struct stele_unwind_result {
	uint32_t frames;
	bool truncated;	 /* more frames than fit */
	bool broken;	 /* the walk ended at missing or impossible data */
	bool kept;	 /* the trail holds this very walk: its value may be set */
	bool same;	 /* as the walk that the trail's value is of: no pcs are given */
	uintptr_t frame; /* stack pointer of the innermost frame recorded, at its call */
};

/*
 * Where the caller of the function that expands this was, at its call. That function has a frame
 * pointer, as all of ours do.
 */
#if defined(__x86_64__)
STELE_INLINE struct stele_unwind_start stele__unwind_start(void)
{
	const uintptr_t *frame = __builtin_frame_address(0);

	return (struct stele_unwind_start){
		.pc = frame[1], .sp = (uintptr_t)(frame + 2), .fp = frame[0]};
}
#elif defined(__aarch64__)
/* The caller's stack pointer is not to be had from the frame record: begin in this very frame. */
STELE_INLINE struct stele_unwind_start stele__unwind_start(void)
{
	struct stele_unwind_start start = {.own = true,
					   .caller = (uintptr_t)__builtin_return_address(0)};

	__asm__ volatile("adr %0, .\n\tmov %1, sp\n\tmov %2, x29"
			 : "=r"(start.pc), "=r"(start.sp), "=r"(start.fp));
	return start;
}
#endif

/* A pointer signed for AArch64's pointer authentication has its signature in the top bits. */
STELE_INLINE uintptr_t stele__pc_strip(uintptr_t pc)
{
#if defined(__aarch64__)
	return pc & ((1ull << 48) - 1);
#else
	return pc;
#endif
}

/*
 * Fills pcs, innermost first, with addresses that lie inside the calling instruction (return
 * address - 1); the pc that a signal interrupted stands as it is. Frames of hidden modules are
 * left out.
 *
 * trail: the calling thread's, taken for this walk; NULL: none. With it, max is the same each time.
 */
struct stele_unwind_result stele__unwind(const struct stele_unwind_start *start,
					 const struct stele_stack_bounds *bounds, uint64_t *pcs,
					 uint32_t max, struct stele_trail *trail);

#endif
