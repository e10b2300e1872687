/* SPDX-License-Identifier: MIT */
/*
 * Stacks of fibers: contiguous, grown where they are. Addresses are there up to a limit; all below
 * what is in use is guard pages, and the fault at the first touch of one makes it twice as large,
 * as often as is needed.
 *
 *   span | always guard | guard …                 | in use, 8 KiB << order | this structure |
 *        |              limit                     low                      the stack's high end
 *
 * The fault is handled on the thread's alternate signal stack, at whatever instruction it comes;
 * the kernel does not do so for memory that it touches itself (stele__stack_touch before).
 *
 * Owner: who runs on it, or has it parked. Design: docs/design/runtime.md
 */
#ifndef STELE_FIBER_STACK_H
#define STELE_FIBER_STACK_H

#include "base/compiler.h"
#include "fiber/pages.h"

#define STELE__STACK_BYTES_MIN 8192u /* in use at first */
#define STELE__STACK_LIMIT_MIN (16u << 10)
#define STELE__STACK_LIMIT_MAX (64u << 20)
#define STELE__STACK_GUARD     (16u << 10) /* below the limit */
#define STELE__STACK_HEADROOM  (16u << 10) /* what the kernel may write below a caller's frame */

/* At its own stack's high end. */
struct stele__stack {
	char *low;   /* of what is in use: the growing handler's, and its owner's */
	char *limit; /* the lowest address that it may have */
	struct stele__span *span;
	struct stele__stack *next; /* in a list of unused ones */
	uint32_t state;		   /* order, in use, told: stack.c; by CAS */
	uint32_t peak;		   /* largest order since it was taken */
	uint32_t shrunk_at, grown; /* see stele__stack_shrink */
} __attribute__((aligned(STELE_CACHE_LINE)));

/* Makes growing possible; once, before the first stack. -errno. */
int stele__stacks_init(void);

/* A stack that may grow to `limit` bytes (a power of two). NULL: none is left. */
struct stele__stack *stele__stack_take(uint32_t limit);
/* Nobody runs on it any more. */
void stele__stack_give(struct stele__stack *stack);
/* Its user tells the tracer that it is a stack, on behalf of the goroutine that will be on it. */
void stele__stack_begin(struct stele__stack *stack);
void stele__stack_end(struct stele__stack *stack);

/* It is parked at `sp`: gives back what is too much. `now`: of any clock of some 100 ms a tick. */
void stele__stack_shrink(struct stele__stack *stack, const void *sp, uint32_t now);

/*
 * A fault at `address` on the stack that the calling thread runs on. False: it is not for want of
 * stack. Signals: all blocked.
 */
bool stele__stack_grow(struct stele__stack *stack, const void *address);
/* The limit is reached: such an address lies in what is guard for ever. */
bool stele__stack_is_over(const struct stele__stack *stack, const void *address);

/* Recording begins: all that is told is unknown to it; then all that there is is told. */
void stele__stacks_forget(void);
void stele__stacks_tell(void);

/* The limit that a stack asked to be so large has; 0: there is no such stack. */
STELE_INLINE uint32_t stele__stack_round(uint32_t bytes)
{
	if (bytes < STELE__STACK_LIMIT_MIN || bytes > STELE__STACK_LIMIT_MAX)
		return 0;
	return 1u << (32 - __builtin_clz(bytes - 1));
}

STELE_INLINE size_t stele__stack_limit(const struct stele__stack *stack)
{
	return (size_t)((const char *)stack - stack->limit) + sizeof(*stack);
}

/* The calling thread runs on it: so much below the caller's frame will not fault any more. */
STELE_INLINE void stele__stack_touch(struct stele__stack *stack, size_t bytes)
{
	uintptr_t at = (uintptr_t)__builtin_frame_address(0) - bytes;

	if (STELE_LIKELY(at >= (uintptr_t)stack->low))
		return;
	if (at < (uintptr_t)stack->limit)
		at = (uintptr_t)stack->limit;
	(void)*(volatile char *)at; /* a fault, and so its growth */
}

#endif
