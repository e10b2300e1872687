/* SPDX-License-Identifier: MIT */
/*
 * A test program as a traced process: makes an arena and attaches to it itself, and reads the
 * records of a slot back as a drain would.
 */
#ifndef STELE_TESTS_ATTACHED_H
#define STELE_TESTS_ATTACHED_H

#include <stdio.h>
#include <stdlib.h>

#include "arena/arena.h"
#include "record/thread.h"
#include "stele/runtime.h"
#include "stele/version.h"
#include "sys/sys.h"

/* What a test's arena is like unless it says otherwise. */
static inline struct stele_arena_options attached_options(uint64_t bytes)
{
	return (struct stele_arena_options){.bytes = bytes,
					    .clock = stele__arena_clock(),
					    .events = STELE_EVENTS_ALL,
					    .stack_frames_max = 32};
}

/* The process's arena; the program ends if there can be none. */
static inline struct stele_arena *attached_arena_with(const struct stele_arena_options *options)
{
	struct stele_arena *arena = NULL;
	char path[64];
	int fd = stele__sys_memfd("attached");
	int error = fd < 0 ? fd : stele__arena_create(fd, options, &arena);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (error == 0)
		error = stele_attach(path);
	if (error < 0) {
		printf("Bail out! no arena: %s\n", stele_strerror(error));
		exit(1);
	}
	stele__sys_close(fd);
	return arena;
}

static inline struct stele_arena *attached_arena(uint64_t bytes, uint32_t on_full)
{
	struct stele_arena_options options = attached_options(bytes);

	options.on_full = on_full;
	return attached_arena_with(&options);
}

/* The ring of a slot incarnation with this sequence; NULL: there is none. */
static inline struct stele_ring *attached_ring(struct stele_arena *a, uint32_t slot,
					       uint32_t incarnation, uint32_t sequence)
{
	for (uint32_t i = 0; i < a->ring_bump; i++) {
		struct stele_ring *ring = stele__arena_ring(a, i);

		if (stele__load_acquire(&ring->state) == STELE_RING_LIVE && ring->slot == slot &&
		    ring->incarnation == incarnation && ring->sequence == sequence)
			return ring;
	}
	return NULL;
}

/* Calls each for the written records of a ring from its tail on; moves the tail. */
static inline uint64_t attached_take(struct stele_ring *ring,
				     void (*each)(void *, const struct stele_record *), void *arg)
{
	uint64_t head = stele__load_relaxed(&ring->head) & ~STELE_HEAD_CLOSED;
	uint64_t tail = ring->tail;
	uint64_t count = 0;

	for (; tail != head; tail++, count++) {
		struct stele_record *r = stele__ring_record(ring, tail);

		if ((stele__load_acquire(&r->header) & 1) != stele__record_lap(tail, ring->shift))
			break;
		if (each)
			each(arg, r);
	}
	stele__store_release(&ring->tail, tail);
	return count;
}

#endif
