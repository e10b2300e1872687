/* SPDX-License-Identifier: MIT */
/*
 * The object heap. Each thread has a cache, which owns spans of objects of one size and hands them
 * out without a lock; what other threads give back comes to the owner by a list of the span. When
 * a thread ends, its cache waits for the next one.
 *
 * Threads: any. Signals: not safe. Addresses are aligned to 16, those of 8 bytes or less to 8. What
 * is no object, or not any more, ends the process with a sentence. Each object is told to the
 * tracer. Design: docs/design/runtime.md
 */
#ifndef STELE_FIBER_OBJECTS_H
#define STELE_FIBER_OBJECTS_H

#include "base/compiler.h"

/* Of any content. NULL: no memory. */
void *stele__heap_alloc(size_t bytes);
/* NULL is none. */
void stele__heap_free(void *object);
/* NULL: a new one. On failure NULL, and the old one is as it was. */
void *stele__heap_realloc(void *object, size_t bytes);
/* How much it really has room for. */
size_t stele__heap_size(const void *object);

/* The page heap below, for those who need whole pages. NULL: no memory. */
struct stele__pages *stele__heap_pages(void);

/* Nothing is recorded: what was told of is unknown to the recording to come. */
void stele__heap_forget(void);
/* Recording has begun: tells which spans and objects there are, while others go on. */
void stele__heap_tell(void);

struct stele__heap_stats {
	uint64_t used, resident, scavenged; /* bytes of spans, see struct stele__pages */
	uint64_t caches;
};
void stele__heap_stats(struct stele__heap_stats *ret_stats);

#endif
