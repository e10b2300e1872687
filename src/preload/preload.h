/* SPDX-License-Identifier: MIT */
/*
 * What the interposers share. Rules that hold in every one of them:
 *  - The function that the program meant is always called, exactly once, with its own arguments;
 *    its result and errno are what the program gets. (A lock is tried first: see lock.c.)
 *  - No lock, no malloc, no libc call that is not async-signal-safe between the events.
 *  - A cancellation point stays one: cancellation unwinds through our frames, and the interval
 *    left open is closed by the drain.
 *  - When nothing is recorded, the cost is two loads and two branches.
 */
#ifndef STELE_PRELOAD_PRELOAD_H
#define STELE_PRELOAD_PRELOAD_H

#include "base/atomic.h"
#include "stele/runtime.h"

/* Only ever goes forward. */
enum stele_preload_state { STELE_PRELOAD_UNUSED, STELE_PRELOAD_STARTING, STELE_PRELOAD_STARTED };

extern uint32_t stele__preload_state STELE_HIDDEN;

/* Reads the environment and attaches, once in a process image. Other modules' constructors may
 * run before ours: the first interposed call starts us then. Keeps errno. */
void stele__preload_start(void) STELE_COLD;

/* Shall an interposer record? */
STELE_INLINE bool stele__recording(void)
{
	if (STELE_UNLIKELY(!stele_enabled())) {
		if (STELE_LIKELY(stele__load_relaxed(&stele__preload_state) !=
				 STELE_PRELOAD_UNUSED))
			return false;
		stele__preload_start();
		return stele_enabled();
	}
	return true;
}

/* spawn.c: has the ends of threads, and of the calling one, noted. Signals: not safe. */
void stele__spawn_watch(void);

/* lock.c: before recording begins. */
void stele__lock_start(void);

/* loader.c: notes modules that a dlopen brought which could not be watched to its end. Called where
 * signal handlers may not be: thread creation, joins, condition waits. */
extern uint32_t stele__loader_pending STELE_HIDDEN;
void stele__loader_catch_up_slow(void) STELE_COLD;

STELE_INLINE void stele__loader_catch_up(void)
{
	if (STELE_UNLIKELY(stele__load_relaxed(&stele__loader_pending)))
		stele__loader_catch_up_slow();
}

#endif
