/* SPDX-License-Identifier: MIT */
/*
 * A cursor over the timed events of one thread in one generation. It holds the next event
 * decoded; what is behind it is not looked at before its turn.
 */
#ifndef STELE_READ_STREAM_H
#define STELE_READ_STREAM_H

#include "read/generation.h"

#define STELE__STREAM_ARGS_MAX 4

/* What a stream that cannot go on waits for a change of. */
enum stele__wait { STELE__WAIT_NONE, STELE__WAIT_GOROUTINE, STELE__WAIT_PROC, STELE__WAIT_GC };

struct stele__stream {
	int64_t time; /* ns, of the event, as the thread's clock has it */
	uint64_t args[STELE__STREAM_ARGS_MAX];
	uint8_t type;
	uint8_t wait;	 /* enum stele__wait */
	uint32_t thread; /* index in the world */
	uint32_t batch;	 /* the next one, index + 1; 0: none */
	uint32_t heap_slot;
	uint32_t wait_next; /* stream index + 1 */
	uint64_t wait_id;
	const uint8_t *begin; /* of the batch */
	const uint8_t *event; /* first byte of the decoded event */
	const uint8_t *at;    /* behind it */
	const uint8_t *end;   /* of the batch */
};

void stele__stream_start(struct stele__stream *stream, const struct stele__chain *chain);

/*
 * Decodes the next event. 1; 0 behind the last one; negative with `fault` set, whose `at` is an
 * offset in the input.
 */
int stele__stream_next(struct stele__stream *stream, const struct stele__generation *generation,
		       const struct stele__window *window, struct stele__fault *fault);

/* Offset in the input of the decoded event. */
STELE_INLINE uint64_t stele__stream_offset(const struct stele__stream *stream,
					   const struct stele__window *window)
{
	return stream->event ? window->base + (uint64_t)(stream->event - window->data) : 0;
}

#endif
