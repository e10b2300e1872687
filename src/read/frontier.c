/* SPDX-License-Identifier: MIT */
#include "read/frontier.h"

#include <stdlib.h>
#include <string.h>

#include "read/vector.h"

/* Events that are decoded ahead: of all streams together, and of one at most. */
#define FRONTIER_AHEAD	   8192
#define FRONTIER_BLOCK_MAX 64

static void heap_set(struct stele__heap_entry *entries, struct stele__stream *streams,
		     uint32_t slot, struct stele__heap_entry entry)
{
	entries[slot] = entry;
	streams[entry.stream].heap_slot = slot;
}

static void heap_up(struct stele__heap *heap, struct stele__stream *streams, uint32_t slot,
		    struct stele__heap_entry entry)
{
	struct stele__heap_entry *entries = heap->entries;

	while (slot) {
		uint32_t parent = (slot - 1) / 2;

		if (!stele__heap_less(&entry, &entries[parent]))
			break;
		heap_set(entries, streams, slot, entries[parent]);
		slot = parent;
	}
	heap_set(entries, streams, slot, entry);
}

static void heap_down(struct stele__heap *heap, struct stele__stream *streams, uint32_t slot,
		      struct stele__heap_entry entry)
{
	struct stele__heap_entry *entries = heap->entries;
	uint64_t count = heap->count, child;

	for (; (child = (uint64_t)slot * 2 + 1) < count; slot = (uint32_t)child) {
		if (child + 1 < count && stele__heap_less(&entries[child + 1], &entries[child]))
			child++;
		if (!stele__heap_less(&entries[child], &entry))
			break;
		heap_set(entries, streams, slot, entries[child]);
	}
	heap_set(entries, streams, slot, entry);
}

static void heap_push(struct stele__heap *heap, struct stele__stream *streams, uint32_t stream)
{
	heap_up(heap, streams, heap->count++,
		(struct stele__heap_entry){streams[stream].event->time, stream});
}

static void heap_remove(struct stele__heap *heap, struct stele__stream *streams, uint32_t slot)
{
	struct stele__heap_entry last = heap->entries[--heap->count];

	if (slot == heap->count)
		return;
	if (slot && stele__heap_less(&last, &heap->entries[(slot - 1) / 2]))
		heap_up(heap, streams, slot, last);
	else
		heap_down(heap, streams, slot, last);
}

void stele__frontier_init(struct stele__frontier *frontier)
{
	memset(frontier, 0, sizeof(*frontier));
	stele__idmap_init(&frontier->goroutine_waiters);
	stele__idmap_init(&frontier->proc_waiters);
}

void stele__frontier_done(struct stele__frontier *frontier)
{
	free(frontier->streams);
	free(frontier->blocks);
	free(frontier->ready.entries);
	free(frontier->parked.entries);
	stele__idmap_done(&frontier->goroutine_waiters);
	stele__idmap_done(&frontier->proc_waiters);
	memset(frontier, 0, sizeof(*frontier));
}

int stele__frontier_begin(struct stele__frontier *frontier, uint32_t streams)
{
	uint32_t capacity = frontier->capacity, ready = capacity, parked = capacity;
	int r = stele__vector_reserve(&frontier->streams, &capacity, streams,
				      sizeof(*frontier->streams));

	if (r >= 0)
		r = stele__vector_reserve(&frontier->ready.entries, &ready, streams,
					  sizeof(*frontier->ready.entries));
	if (r >= 0)
		r = stele__vector_reserve(&frontier->parked.entries, &parked, streams,
					  sizeof(*frontier->parked.entries));
	if (r >= 0) {
		frontier->capacity = capacity;
		frontier->block_size = FRONTIER_BLOCK_MAX;
		while (frontier->block_size > 1 &&
		       (uint64_t)streams * frontier->block_size > FRONTIER_AHEAD)
			frontier->block_size /= 2;
		r = stele__vector_reserve(&frontier->blocks, &frontier->block_capacity,
					  (uint64_t)streams * frontier->block_size,
					  sizeof(*frontier->blocks));
	}
	if (r < 0)
		return r;
	frontier->stream_count = streams;
	frontier->front.stream = STELE__NO_STREAM;
	frontier->ready.count = frontier->parked.count = 0;
	stele__idmap_clear(&frontier->goroutine_waiters);
	stele__idmap_clear(&frontier->proc_waiters);
	frontier->gc_waiters = 0;
	return 0;
}

void stele__frontier_add(struct stele__frontier *frontier, uint32_t stream)
{
	heap_push(&frontier->ready, frontier->streams, stream);
}

void stele__frontier_pull(struct stele__frontier *frontier)
{
	frontier->front.stream = STELE__NO_STREAM;
	if (!frontier->ready.count)
		return;
	frontier->front = frontier->ready.entries[0];
	heap_remove(&frontier->ready, frontier->streams, 0);
}

void stele__frontier_swap(struct stele__frontier *frontier)
{
	struct stele__heap_entry front = frontier->ready.entries[0];

	heap_down(&frontier->ready, frontier->streams, 0, frontier->front);
	frontier->front = front;
}

int64_t stele__frontier_time(const struct stele__frontier *frontier)
{
	int64_t time = INT64_MAX;

	if (frontier->front.stream != STELE__NO_STREAM)
		time = frontier->front.time;
	if (frontier->parked.count && frontier->parked.entries[0].time < time)
		time = frontier->parked.entries[0].time;
	return time;
}

int stele__frontier_park(struct stele__frontier *frontier, enum stele__wait wait, uint64_t id)
{
	uint32_t index = frontier->front.stream;
	struct stele__stream *stream = &frontier->streams[index];
	int r;

	if (wait == STELE__WAIT_GC) {
		stream->wait_next = frontier->gc_waiters;
		frontier->gc_waiters = index + 1;
	} else {
		struct stele__idmap *map = wait == STELE__WAIT_PROC ? &frontier->proc_waiters
								    : &frontier->goroutine_waiters;

		stream->wait_next = stele__idmap_get(map, id);
		r = stele__idmap_put(map, id, index + 1);
		if (r < 0)
			return r;
	}
	stream->wait = (uint8_t)wait;
	stream->wait_id = id;
	heap_push(&frontier->parked, frontier->streams, index);
	stele__frontier_pull(frontier);
	return 0;
}

void stele__frontier_wake_slow(struct stele__frontier *frontier, enum stele__wait wait, uint64_t id)
{
	uint32_t next;

	if (wait == STELE__WAIT_GC) {
		next = frontier->gc_waiters;
		frontier->gc_waiters = 0;
	} else {
		struct stele__idmap *map = wait == STELE__WAIT_PROC ? &frontier->proc_waiters
								    : &frontier->goroutine_waiters;

		next = stele__idmap_get(map, id);
		if (next)
			stele__idmap_drop(map, id);
	}
	while (next) {
		struct stele__stream *stream = &frontier->streams[next - 1];
		uint32_t index = next - 1;

		next = stream->wait_next;
		stream->wait = STELE__WAIT_NONE;
		heap_remove(&frontier->parked, frontier->streams, stream->heap_slot);
		heap_push(&frontier->ready, frontier->streams, index);
	}
}
