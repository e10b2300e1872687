/* SPDX-License-Identifier: MIT */
/* The caller's stack as a dictionary id. */
#ifndef STELE_RECORD_CAPTURE_H
#define STELE_RECORD_CAPTURE_H

#include "base/compiler.h"
#include "unwind/unwind.h"

struct stele_capture {
	uint32_t stack;	 /* dictionary id; 0: stacks are off */
	uintptr_t frame; /* stack pointer of the code that called into Stele */
};

/* A table of walks by where they began: unwind/trail.h. */
struct stele_capture_sites {
	char *at; /* NULL: there is none yet */
	uint32_t bits, bytes;
};

/*
 * What the captures of the thread in a slot look at first: one line. It needs no end of its own,
 * and outlives the arena.
 */
struct stele_capture_state {
	struct stele_capture_sites sites;
	struct stele_stack_bounds stack; /* as in the slot */
	uintptr_t walker;		 /* stele__trail_enter */
	struct stele_trail *trail;
	uint32_t turns;	 /* walks since the slot was new that were others than the last */
	uint32_t chance; /* stele__trail_replaced */
} __attribute__((aligned(STELE_CACHE_LINE)));

/* Before the first capture: makes repeated ones cheap for threads in this many slots. */
void stele__capture_prepare(uint32_t slots) STELE_HIDDEN;

/* Of this slot; NULL: there is none. */
struct stele_capture_state *stele__capture_state(uint32_t slot) STELE_HIDDEN;

/* The same, for a new thread: its predecessor may have died in the middle of a capture. */
struct stele_capture_state *stele__capture_begin(uint32_t slot) STELE_HIDDEN;

/* The calling thread runs a runtime's goroutines, each on its own stack. */
void stele__capture_of_runtime(void) STELE_HIDDEN;

/* By address: a copy on the stack would wait for the words that it is made of. */
struct stele_capture stele__capture(const struct stele_unwind_start *start) STELE_HIDDEN;

/* Of the code that a signal interrupted, from its ucontext_t. */
struct stele_capture stele__capture_interrupted(const void *context) STELE_HIDDEN;

/* To be used in the public entry point itself: its caller is where the walk begins. */
#define STELE_CAPTURE()                                                                            \
	({                                                                                         \
		const struct stele_unwind_start stele__start = stele__unwind_start();              \
		stele__capture(&stele__start);                                                     \
	})

#endif
