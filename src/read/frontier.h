/* SPDX-License-Identifier: MIT */
/*
 * Which thread's event comes next: of all streams whose event can happen, the one with the
 * smallest time; at equal times the thread that came first in the file.
 *
 * A stream whose event must wait is parked under the goroutine or proc it waits for (or the
 * garbage collector) and comes back when that changes. So nothing is tried twice in vain, and an
 * event costs O(log streams) whatever the file holds.
 *
 * Invariant: each stream that has an event is in exactly one of the two heaps.
 */
#ifndef STELE_READ_FRONTIER_H
#define STELE_READ_FRONTIER_H

#include "read/idmap.h"
#include "read/stream.h"

struct stele__heap_entry {
	int64_t time;
	uint32_t stream;
};

/* A binary heap by (time, stream); each stream knows its slot. */
struct stele__heap {
	struct stele__heap_entry *entries;
	uint32_t count;
};

struct stele__frontier {
	struct stele__stream *streams;
	uint32_t stream_count;
	uint32_t capacity; /* of streams and of both heaps */
	struct stele__heap ready, parked;
	struct stele__idmap goroutine_waiters, proc_waiters; /* id -> stream index + 1 */
	uint32_t gc_waiters;				     /* stream index + 1 */
};

void stele__frontier_init(struct stele__frontier *frontier);
void stele__frontier_done(struct stele__frontier *frontier);

/* Makes room for a generation's streams and forgets those of the last. */
int stele__frontier_begin(struct stele__frontier *frontier, uint32_t streams);

/* The stream has an event. */
void stele__frontier_add(struct stele__frontier *frontier, uint32_t stream);

/* The ready stream to try, or NULL. */
STELE_INLINE struct stele__stream *stele__frontier_first(const struct stele__frontier *frontier)
{
	if (!frontier->ready.count)
		return NULL;
	return &frontier->streams[frontier->ready.entries[0].stream];
}

/* Smallest time of all streams' events, parked ones too; INT64_MAX if there are none. */
int64_t stele__frontier_time(const struct stele__frontier *frontier);

void stele__frontier_advance_far(struct stele__frontier *frontier, uint32_t stream, bool more);

STELE_INLINE bool stele__heap_less(const struct stele__heap_entry *a,
				   const struct stele__heap_entry *b)
{
	return a->time != b->time ? a->time < b->time : a->stream < b->stream;
}

/*
 * A ready stream has a new event, or (false) none any more. It may not be the first any longer:
 * its last event may have woken others. Usually it is, and stays in front.
 */
STELE_INLINE void stele__frontier_advance(struct stele__frontier *frontier, uint32_t stream,
					  bool more)
{
	const struct stele__heap *heap = &frontier->ready;
	const struct stele__stream *s = &frontier->streams[stream];
	struct stele__heap_entry entry = {s->time, stream};

	if (STELE_LIKELY(more && s->heap_slot == 0) &&
	    (heap->count < 2 || stele__heap_less(&entry, &heap->entries[1])) &&
	    (heap->count < 3 || stele__heap_less(&entry, &heap->entries[2])))
		heap->entries[0] = entry;
	else
		stele__frontier_advance_far(frontier, stream, more);
}

/* The first stream must wait. */
int stele__frontier_park(struct stele__frontier *frontier, enum stele__wait wait, uint64_t id);

void stele__frontier_wake_slow(struct stele__frontier *frontier, enum stele__wait wait,
			       uint64_t id);

/* This goroutine, proc or the collector has changed. */
STELE_INLINE void stele__frontier_wake(struct stele__frontier *frontier, enum stele__wait wait,
				       uint64_t id)
{
	if (STELE_UNLIKELY(frontier->parked.count))
		stele__frontier_wake_slow(frontier, wait, id);
}

#endif
