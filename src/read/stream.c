/* SPDX-License-Identifier: MIT */
#include "read/stream.h"

#include "read/blank.h"

/* Decoding leaves alone what only annotations have: that is blank whenever a block is decoded. */
static void stream_blank(struct stele__stream *stream)
{
	for (uint32_t i = 0; i < stream->block_size; i++)
		stele__blank_annotation(&stream->block[i]);
	stream->annotated = false;
}

void stele__stream_start(struct stele__stream *stream, const struct stele__chain *chain,
			 struct stele_event *block, uint32_t block_size)
{
	*stream = (struct stele__stream){.event = block,
					 .event_end = block,
					 .block = block,
					 .block_size = block_size,
					 .thread = chain->thread,
					 .batch = chain->first};
	stream_blank(stream);
}

/* Moves to the next batch that holds anything. */
static bool stream_turn(struct stele__stream *stream, const struct stele__generation *g,
			struct stele__window *window)
{
	struct stele__decoder *d = &stream->decoder;

	while (stream->batch) {
		const struct stele__batch *batch = &g->batches[stream->batch - 1];

		if (d->end)
			stele__window_release(window,
					      window->base + (uint64_t)(d->begin - window->data),
					      window->base + (uint64_t)(d->end - window->data));
		stream->batch = batch->next;
		if (!batch->bytes)
			continue;
		d->begin = d->at = stele__window_at(window, batch->offset);
		d->end = d->at + batch->bytes;
		d->time = stele__ticks_ns(batch->time, g->ns_per_tick);
		return true;
	}
	return false;
}

/* What is wrong with the event that the stream stands in front of. */
static STELE_COLD int stream_fault(const struct stele__stream *stream,
				   const struct stele__window *window, struct stele__fault *fault)
{
	const struct stele__decoder *d = &stream->decoder;
	uint64_t at = window->base + (uint64_t)(d->at - window->data);
	struct stele_cursor c = {.at = d->at + 1, .end = d->end, .start = d->at};
	uint8_t type = *d->at;
	const char *name = stele__spec(type)->name;

	if (!stele__timed_numbers[type])
		return stele__fault_set(fault, STELE_E_CORRUPT, at,
					"byte %u where a timed event must begin%s%s", type,
					name ? ": " : "", name ? name : "");
	for (unsigned i = 0; i < stele__timed_numbers[type]; i++)
		stele__cursor_varint(&c);
	if (c.error == STELE_E_CORRUPT)
		return stele__fault_set(fault, STELE_E_CORRUPT, at,
					"a number of more than 64 bits in %s", name);
	return stele__fault_set(fault, STELE_E_CORRUPT, at, "the batch ends within %s", name);
}

int stele__stream_refill(struct stele__stream *stream, const struct stele__generation *g,
			 struct stele__window *window, struct stele__fault *fault)
{
	struct stele__decoder *d = &stream->decoder;

	if (d->at == d->end && !stream_turn(stream, g, window))
		return 0;
	if (STELE_UNLIKELY(stream->annotated))
		stream_blank(stream);
	stream->event = stream->block;
	stream->block_at = d->at;
	stream->event_end =
		stele__decode(d, g->ns_per_tick, stream->block, stream->block + stream->block_size);
	if (STELE_UNLIKELY(stream->event_end == stream->block))
		return stream_fault(stream, window, fault);
	return 1;
}

uint64_t stele__stream_offset(const struct stele__stream *stream,
			      const struct stele__window *window)
{
	const uint8_t *at;

	if (!stream->block_at)
		return 0;
	at = stele__decode_skip(stream->block_at, stream->decoder.end,
				(size_t)(stream->event - stream->block));
	return window->base + (uint64_t)(at - window->data);
}
