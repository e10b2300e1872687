/* SPDX-License-Identifier: MIT */
/*
 * A cursor over the timed events of one thread in one generation, of which a block is decoded.
 * What is behind the block is not looked at before its turn, and a fault that ended a block is told
 * when it is: then decoding finds it again.
 */
#ifndef STELE_READ_STREAM_H
#define STELE_READ_STREAM_H

#include "read/decode.h"
#include "read/generation.h"

/* What a stream that cannot go on waits for a change of. */
enum stele__wait { STELE__WAIT_NONE, STELE__WAIT_GOROUTINE, STELE__WAIT_PROC, STELE__WAIT_GC };

struct stele__stream {
	struct stele_event *event; /* the next one */
	struct stele_event *event_end;
	struct stele_event *block; /* the frontier's; all of one batch */
	const uint8_t *block_at;   /* its first event's first byte */
	uint32_t block_size;
	uint32_t thread;    /* index in the world */
	uint32_t batch;	    /* the next one, index + 1; 0: none */
	uint32_t heap_slot; /* where it is neither the front nor done */
	uint32_t wait_next; /* stream index + 1 */
	uint8_t wait;	    /* enum stele__wait */
	bool annotated;	    /* in this block some events have what only annotations have */
	uint64_t wait_id;
	struct stele__decoder decoder; /* behind the block */
};

/* Decodes nothing yet: stele__stream_refill() does. */
void stele__stream_start(struct stele__stream *stream, const struct stele__chain *chain,
			 struct stele_event *block, uint32_t block_size);

/*
 * Decodes the events behind the block. 1; 0 behind the last one; negative with `fault` set, whose
 * `at` is an offset in the input.
 */
int stele__stream_refill(struct stele__stream *stream, const struct stele__generation *generation,
			 struct stele__window *window, struct stele__fault *fault);

/* Offset in the input of the next event, 0: there was none yet. */
uint64_t stele__stream_offset(const struct stele__stream *stream,
			      const struct stele__window *window);

#endif
