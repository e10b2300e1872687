/* SPDX-License-Identifier: MIT */
/*
 * What only the module stelepreload-heap.so has; the same calls lead nowhere in stelepreload.so.
 * Design: docs/design/heap.md.
 */
#ifndef STELE_PRELOAD_HEAP_H
#define STELE_PRELOAD_HEAP_H

#include "base/compiler.h"

/* Recording has just begun: tells what exists. NULL in the module without heap events. */
void stele__heap_start(void) STELE_HIDDEN __attribute__((weak));

/* mapping.c: tells the mappings that exist, and keeps account of them from here on. */
void stele__mapping_start(void) STELE_HIDDEN;

/* early.c. Memory for those who allocate while the allocator is being looked for: never given back.
 * NULL: none is left. */
void *stele__early_alloc(size_t alignment, size_t bytes) STELE_HIDDEN;

extern char stele__early_memory[] STELE_HIDDEN;
#define STELE_EARLY_BYTES (64u << 10)

/* Is it such memory? No allocator knows it. */
STELE_INLINE bool stele__early_owns(const void *p)
{
	return (size_t)((const char *)p - stele__early_memory) < STELE_EARLY_BYTES;
}

/* Such memory made larger: by a copy, in memory obtained from `allocate`. */
void *stele__early_move(const void *p, size_t bytes, void *(*allocate)(size_t)) STELE_HIDDEN;

/* Objects that were allocated, or freed, before recording began. */
void stele__early_note(const void *object, size_t bytes) STELE_HIDDEN;
void stele__early_forget(const void *object) STELE_HIDDEN;

/* Tells those that are alive. */
void stele__early_tell(void) STELE_HIDDEN;

#endif
