/* SPDX-License-Identifier: MIT */
/*
 * Writes the batches of a trace into a caller's buffer, one batch at a time. No I/O, no
 * allocation: begin, append until something no longer fits, end, hand data[0 .. used) to a sink,
 * begin again.
 *
 *   data                payload                 used       capacity
 *   | 1 gen m time size | event event event …   |          |
 *                 └ always 10 bytes, filled in by stele__batch_end
 *
 * Invariant: used <= capacity, and used - payload <= STELE_BATCH_BYTES_MAX. Appending is all or
 * nothing: on STELE_E_LIMIT the batch is as it was.
 */
#ifndef STELE_FORMAT_ENCODE_H
#define STELE_FORMAT_ENCODE_H

#include "base/compiler.h"
#include "format/spec.h"

/* Type, experiment, gen, m, time, size. */
#define STELE_BATCH_HEADER_BYTES_MAX (2 + 4 * STELE_VARINT_BYTES_MAX)
/* A buffer of this size never limits a batch. */
#define STELE_BATCH_BUFFER_BYTES (STELE_BATCH_HEADER_BYTES_MAX + STELE_BATCH_BYTES_MAX)

/* One call of a stack, innermost first; func and file are string ids of the same generation. */
struct stele_wire_frame {
	uint64_t pc;
	uint64_t func;
	uint64_t file;
	uint64_t line;
};

/* Trace time (ticks), monotonic clock and wall clock at one instant. */
struct stele_wire_clock {
	uint64_t time;
	uint64_t mono_ns;
	uint64_t wall_s;
	uint64_t wall_ns;
};

struct stele_batch {
	uint8_t *data; /* the caller's */
	uint32_t capacity;
	uint32_t used;	  /* 0: no batch is open */
	uint32_t payload; /* where the payload begins; the size lies just before */
	uint64_t time;	  /* of the last event, or of the batch: base of the next dt */
};

STELE_INLINE struct stele_batch stele__batch(void *buffer, size_t bytes)
{
	return (struct stele_batch){
		.data = buffer,
		.capacity = (uint32_t)(bytes < STELE_BATCH_BUFFER_BYTES ? bytes
									: STELE_BATCH_BUFFER_BYTES),
	};
}

STELE_INLINE bool stele__batch_is_open(const struct stele_batch *b)
{
	return b->used != 0;
}

/* Open, and nothing appended yet? Such a batch need not be written. */
STELE_INLINE bool stele__batch_is_empty(const struct stele_batch *b)
{
	return b->used == b->payload;
}

/* Bytes that can still be appended. */
size_t stele__batch_room(const struct stele_batch *b);

/*
 * Begins a batch of thread m (STELE_NONE_ID: nobody's) in generation gen >= 1; an open one is
 * forgotten. STELE_E_LIMIT: the buffer is smaller than a header.
 */
int stele__batch_begin(struct stele_batch *b, uint64_t gen, uint64_t m, uint64_t time);

/* The same for a batch of an experiment, whose payload is opaque: stele__batch_bytes. */
int stele__batch_begin_experimental(struct stele_batch *b, uint8_t experiment, uint64_t gen,
				    uint64_t m, uint64_t time);

/* Fills in the size and closes. The bytes to write are data[0 .. result); 0 if none was open. */
size_t stele__batch_end(struct stele_batch *b);

/*
 * Appends a timed event: args as its spec says (arg_count of them, without dt). A time before
 * that of the last event is taken as equal to it. STELE_E_LIMIT: does not fit, begin another.
 */
int stele__batch_event(struct stele_batch *b, uint8_t type, uint64_t time, const uint64_t *args);

/*
 * The entries of tables. Each kind needs batches of its own, opened by stele__batch_begin; the
 * first entry writes the marker that says what the batch holds.
 * STELE_E_LIMIT: does not fit, begin another. -EINVAL: id 0, more than STELE_STRING_BYTES_MAX
 * bytes or STELE_STACK_FRAMES_MAX frames: no batch can hold it.
 */
int stele__batch_string(struct stele_batch *b, uint64_t id, const void *text, size_t bytes);
int stele__batch_stack(struct stele_batch *b, uint64_t id, const struct stele_wire_frame *frames,
		       size_t count);
int stele__batch_cpu_sample(struct stele_batch *b, uint64_t time, uint64_t m, uint64_t p,
			    uint64_t g, uint64_t stack);

/*
 * The whole payload of a generation's clock batch: headers 22 and 23 have the frequency alone
 * (snapshot NULL), 25 and 26 the snapshot too. snapshot->time must not lie before the batch's.
 */
int stele__batch_clock(struct stele_batch *b, uint64_t ticks_per_second,
		       const struct stele_wire_clock *snapshot);

/* Raw payload, and one integer of it, of an experimental batch. STELE_E_LIMIT: does not fit. */
int stele__batch_bytes(struct stele_batch *b, const void *data, size_t bytes);
int stele__batch_varint(struct stele_batch *b, uint64_t value);

#endif
