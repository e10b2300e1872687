/* SPDX-License-Identifier: MIT */
/*
 * Which thread's event comes next: of all streams whose event can happen, the one with the
 * smallest time; at equal times the thread that came first in the file.
 *
 * A stream whose event must wait is parked under the goroutine or proc it waits for (or the
 * garbage collector) and comes back when that changes. So nothing is tried twice in vain, and an
 * event costs O(log streams) whatever the file holds.
 *
 * Invariant: each stream that has an event is the front, or in exactly one of the two heaps.
 */
#ifndef STELE_READ_FRONTIER_H
#define STELE_READ_FRONTIER_H

#include "read/idmap.h"
#include "read/stream.h"

struct stele__heap_entry {
	int64_t time;
	uint32_t stream;
};

/* A binary heap by (time, stream); each stream in it knows its slot. */
struct stele__heap {
	struct stele__heap_entry *entries;
	uint32_t count;
};

#define STELE__NO_STREAM UINT32_MAX

struct stele__frontier {
	struct stele__stream *streams;
	uint32_t stream_count;
	uint32_t capacity; /* of streams and of both heaps */
	struct stele_event *blocks;
	uint32_t block_capacity; /* events in all of them */
	uint32_t block_size;	 /* events in each */
	struct stele__heap_entry
		front; /* of all that are ready the first; the stream may be none */
	struct stele__heap ready, parked;
	struct stele__idmap goroutine_waiters, proc_waiters; /* id -> stream index + 1 */
	uint32_t gc_waiters;				     /* stream index + 1 */
};

void stele__frontier_init(struct stele__frontier *frontier);
void stele__frontier_done(struct stele__frontier *frontier);

/* Makes room for a generation's streams and forgets those of the last. */
int stele__frontier_begin(struct stele__frontier *frontier, uint32_t streams);

/* Room for the events of one stream, block_size of them. */
STELE_INLINE struct stele_event *stele__frontier_block(const struct stele__frontier *frontier,
						       uint32_t stream)
{
	return frontier->blocks + (size_t)stream * frontier->block_size;
}

/* The stream has an event. Once all were added, stele__frontier_pull(). */
void stele__frontier_add(struct stele__frontier *frontier, uint32_t stream);

/* The front has no event any more, or there was none: the next one takes its place. */
void stele__frontier_pull(struct stele__frontier *frontier);

/* The ready stream to try, or NULL. */
STELE_INLINE struct stele__stream *stele__frontier_first(const struct stele__frontier *frontier)
{
	if (STELE_UNLIKELY(frontier->front.stream == STELE__NO_STREAM))
		return NULL;
	return &frontier->streams[frontier->front.stream];
}

/* Has any stream an event? */
STELE_INLINE bool stele__frontier_waiting(const struct stele__frontier *frontier)
{
	return frontier->front.stream != STELE__NO_STREAM || frontier->parked.count;
}

/* Smallest time of all streams' events, parked ones too; INT64_MAX if there are none. */
int64_t stele__frontier_time(const struct stele__frontier *frontier);

/* Another stream comes to the front; the present one goes among the others. */
void stele__frontier_swap(struct stele__frontier *frontier);

STELE_INLINE bool stele__heap_less(const struct stele__heap_entry *a,
				   const struct stele__heap_entry *b)
{
	return a->time != b->time ? a->time < b->time : a->stream < b->stream;
}

/* The front has another event, at this time. True: another stream is the front now. */
STELE_INLINE bool stele__frontier_advance(struct stele__frontier *frontier, int64_t time)
{
	frontier->front.time = time;
	if (!frontier->ready.count ||
	    !stele__heap_less(&frontier->ready.entries[0], &frontier->front))
		return false;
	stele__frontier_swap(frontier);
	return true;
}

/* The front must wait; the next one takes its place. */
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
