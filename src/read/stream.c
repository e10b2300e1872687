/* SPDX-License-Identifier: MIT */
#include "read/stream.h"

/* Number of arguments behind dt, plus 1; 0: not a timed event. */
#define ARGS0()			 1
#define ARGS1(a)		 2
#define ARGS2(a, b)		 3
#define ARGS3(a, b, c)		 4
#define ARGS4(a, b, c, d)	 5
#define ARGS5(a, b, c, d, e)	 6
#define ARITY_STRUCTURAL(args)	 0
#define ARITY_TIMED(args)	 args
#define ARITY_EXPERIMENTAL(args) args

static const uint8_t stream_arity[256] = {
#define X(number, name, text, since, shape, closes, args) [number] = ARITY_##shape(args),
#include "format/events.def"
#undef X
};

void stele__stream_start(struct stele__stream *stream, const struct stele__chain *chain)
{
	*stream = (struct stele__stream){.thread = chain->thread, .batch = chain->first};
}

/* Moves to the next batch that holds anything. */
static bool stream_turn(struct stele__stream *stream, const struct stele__generation *g,
			const struct stele__window *window)
{
	while (stream->batch) {
		const struct stele__batch *batch = &g->batches[stream->batch - 1];

		if (stream->end)
			stele__window_release(
				window, window->base + (uint64_t)(stream->begin - window->data),
				window->base + (uint64_t)(stream->end - window->data));
		stream->batch = batch->next;
		if (!batch->bytes)
			continue;
		stream->begin = stream->at = stele__window_at(window, batch->offset);
		stream->end = stream->at + batch->bytes;
		stream->time = stele__ticks_ns(batch->time, g->ns_per_tick);
		return true;
	}
	return false;
}

static STELE_COLD int stream_fault(struct stele__stream *stream, const struct stele__window *window,
				   struct stele__fault *fault, const struct stele_cursor *cursor)
{
	uint64_t at = window->base + (uint64_t)(stream->event - window->data);
	const char *name = stele__spec(stream->type)->name;

	if (!stream_arity[stream->type])
		return stele__fault_set(fault, STELE_E_CORRUPT, at,
					"byte %u where a timed event must begin%s%s", stream->type,
					name ? ": " : "", name ? name : "");
	if (cursor->error == STELE_E_CORRUPT)
		return stele__fault_set(fault, STELE_E_CORRUPT, at,
					"a number of more than 64 bits in %s", name);
	return stele__fault_set(fault, STELE_E_CORRUPT, at, "the batch ends within %s", name);
}

/* dt and arguments with every byte looked at; false: they are not all there, or too long. */
static STELE_NOINLINE bool stream_decode_checked(struct stele__stream *stream, unsigned numbers,
						 struct stele_cursor *c, uint64_t *ret_dt)
{
	*ret_dt = stele__cursor_varint(c);
	for (unsigned i = 0; i + 1 < numbers; i++)
		stream->args[i] = stele__cursor_varint(c);
	stream->at = c->at;
	return !c->error;
}

/* The same where no number can reach the end of the batch; NULL: one has more than eight bytes. */
STELE_INLINE const uint8_t *stream_decode_inside(struct stele__stream *stream, unsigned numbers,
						 const uint8_t *p, uint64_t *ret_dt)
{
	p = stele__varint_get8(p, ret_dt);
	for (unsigned i = 0; i + 1 < numbers && p; i++)
		p = stele__varint_get8(p, &stream->args[i]);
	return p;
}

/* Numbers of one event, eight bytes each. */
#define STREAM_EVENT_BYTES (1 + (STELE__STREAM_ARGS_MAX + 1) * 8)

int stele__stream_next(struct stele__stream *stream, const struct stele__generation *g,
		       const struct stele__window *window, struct stele__fault *fault)
{
	const uint8_t *p = NULL;
	unsigned numbers;
	uint64_t dt;

	if (STELE_UNLIKELY(stream->at == stream->end) && !stream_turn(stream, g, window))
		return 0;
	stream->event = stream->at;
	stream->type = *stream->at;
	numbers = stream_arity[stream->type];
	if (STELE_LIKELY(numbers && stream->end - stream->at >= STREAM_EVENT_BYTES))
		p = stream_decode_inside(stream, numbers, stream->at + 1, &dt);
	if (STELE_LIKELY(p != NULL)) {
		stream->at = p;
	} else {
		struct stele_cursor c = {
			.at = stream->at + 1, .end = stream->end, .start = stream->at};

		if (!numbers || !stream_decode_checked(stream, numbers, &c, &dt))
			return stream_fault(stream, window, fault, &c);
	}
	stream->time =
		(int64_t)((uint64_t)stream->time + (uint64_t)stele__ticks_ns(dt, g->ns_per_tick));
	return 1;
}
