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

/* Before the first capture: makes repeated ones cheap for threads in this many slots. */
void stele__capture_prepare(uint32_t slots) STELE_HIDDEN;

/* A new thread has the slot: its predecessor may have died in the middle of a capture. */
void stele__capture_new_owner(uint32_t slot) STELE_HIDDEN;

/* The calling thread, which has the slot, runs a runtime's goroutines, each on its own stack. */
void stele__capture_of_runtime(uint32_t slot) STELE_HIDDEN;

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
