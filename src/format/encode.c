/* SPDX-License-Identifier: MIT */
#include "format/encode.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "format/cursor.h"

/* Type, dt and arguments, each as long as it can be. */
#define ENCODE_EVENT_BYTES_MAX (1 + STELE_VARINT_BYTES_MAX * (1 + STELE_ARGS_MAX))
#define ENCODE_FRAME_BYTES_MAX (4 * STELE_VARINT_BYTES_MAX)

/*
 * The sizes above are bounds; near the end of a batch an entry is written to a scratch buffer
 * first and appended by its real size, so that batches fill up to the last byte.
 */
struct encode_scratch {
	uint8_t data[ENCODE_EVENT_BYTES_MAX];
};

size_t stele__batch_room(const struct stele_batch *b)
{
	uint32_t end = b->payload + STELE_BATCH_BYTES_MAX;

	return (b->capacity < end ? b->capacity : end) - b->used;
}

static int encode_begin(struct stele_batch *b, const uint8_t *type, size_t type_bytes, uint64_t gen,
			uint64_t m, uint64_t time)
{
	uint8_t *p = b->data;

	if (b->capacity < STELE_BATCH_HEADER_BYTES_MAX)
		return STELE_E_LIMIT;
	memcpy(p, type, type_bytes);
	p = stele__varint_put(p + type_bytes, gen);
	p = stele__varint_put(p, m);
	p = stele__varint_put(p, time);
	p += STELE_VARINT_BYTES_MAX; /* the size */
	b->payload = b->used = (uint32_t)(p - b->data);
	b->time = time;
	return 0;
}

int stele__batch_begin(struct stele_batch *b, uint64_t gen, uint64_t m, uint64_t time)
{
	static const uint8_t type[] = {STELE_EV_EVENT_BATCH};

	return encode_begin(b, type, sizeof(type), gen, m, time);
}

int stele__batch_begin_experimental(struct stele_batch *b, uint8_t experiment, uint64_t gen,
				    uint64_t m, uint64_t time)
{
	uint8_t type[] = {STELE_EV_EXPERIMENTAL_BATCH, experiment};

	return encode_begin(b, type, sizeof(type), gen, m, time);
}

size_t stele__batch_end(struct stele_batch *b)
{
	size_t bytes = b->used;
	uint64_t size = b->used - b->payload;

	if (!bytes)
		return 0;
	for (unsigned i = STELE_VARINT_BYTES_MAX; i > 1; i--, size >>= 7)
		b->data[b->payload - i] = (uint8_t)(size | 0x80);
	b->data[b->payload - 1] = 0;
	b->used = b->payload = 0;
	return bytes;
}

static uint8_t *encode_event(uint8_t *p, const struct stele_spec *spec, uint8_t type, uint64_t dt,
			     const uint64_t *args)
{
	*p++ = type;
	p = stele__varint_put(p, dt);
	for (unsigned i = 0; i < spec->arg_count; i++)
		p = stele__varint_put(p, args[i]);
	return p;
}

int stele__batch_event(struct stele_batch *b, uint8_t type, uint64_t time, const uint64_t *args)
{
	const struct stele_spec *spec = stele__spec(type);
	uint64_t dt = time > b->time ? time - b->time : 0;
	int error = 0;

	STELE_ASSERT(stele__spec_is_timed(type));
	if (STELE_LIKELY(stele__batch_room(b) >= ENCODE_EVENT_BYTES_MAX)) {
		uint8_t *end = encode_event(b->data + b->used, spec, type, dt, args);

		b->used = (uint32_t)(end - b->data);
	} else {
		struct encode_scratch scratch;
		uint8_t *end = encode_event(scratch.data, spec, type, dt, args);

		error = stele__batch_bytes(b, scratch.data, (size_t)(end - scratch.data));
	}
	if (!error)
		b->time += dt;
	return error;
}

int stele__batch_bytes(struct stele_batch *b, const void *data, size_t bytes)
{
	STELE_ASSERT(stele__batch_is_open(b));
	if (bytes > stele__batch_room(b))
		return STELE_E_LIMIT;
	if (bytes)
		memcpy(b->data + b->used, data, bytes);
	b->used += (uint32_t)bytes;
	return 0;
}

int stele__batch_varint(struct stele_batch *b, uint64_t value)
{
	uint8_t out[STELE_VARINT_BYTES_MAX];

	return stele__batch_bytes(b, out, (size_t)(stele__varint_put(out, value) - out));
}

/* Writes the marker if the batch is empty, and the entry's type byte. */
static uint8_t *encode_entry_begin(const struct stele_batch *b, uint8_t *p, uint8_t marker,
				   uint8_t type)
{
	if (stele__batch_is_empty(b))
		*p++ = marker;
	*p++ = type;
	return p;
}

int stele__batch_string(struct stele_batch *b, uint64_t id, const void *text, size_t bytes)
{
	struct encode_scratch scratch;
	uint8_t *p;
	size_t head;

	if (id == 0 || bytes > STELE_STRING_BYTES_MAX)
		return -EINVAL;
	p = encode_entry_begin(b, scratch.data, STELE_EV_STRINGS, STELE_EV_STRING);
	p = stele__varint_put(p, id);
	p = stele__varint_put(p, bytes);
	head = (size_t)(p - scratch.data);
	if (head + bytes > stele__batch_room(b))
		return STELE_E_LIMIT;
	stele__batch_bytes(b, scratch.data, head);
	return stele__batch_bytes(b, text, bytes);
}

static uint8_t *encode_frame(uint8_t *p, const struct stele_wire_frame *frame)
{
	p = stele__varint_put(p, frame->pc);
	p = stele__varint_put(p, frame->func);
	p = stele__varint_put(p, frame->file);
	return stele__varint_put(p, frame->line);
}

int stele__batch_stack(struct stele_batch *b, uint64_t id, const struct stele_wire_frame *frames,
		       size_t count)
{
	const uint32_t before = b->used;
	struct encode_scratch scratch;
	uint8_t *p;
	int error;

	if (id == 0 || count > STELE_STACK_FRAMES_MAX)
		return -EINVAL;
	p = encode_entry_begin(b, scratch.data, STELE_EV_STACKS, STELE_EV_STACK);
	p = stele__varint_put(p, id);
	p = stele__varint_put(p, count);
	error = stele__batch_bytes(b, scratch.data, (size_t)(p - scratch.data));
	for (size_t i = 0; i < count && !error; i++) {
		_Static_assert(sizeof(scratch) >= ENCODE_FRAME_BYTES_MAX, "a frame fits");
		p = encode_frame(scratch.data, &frames[i]);
		error = stele__batch_bytes(b, scratch.data, (size_t)(p - scratch.data));
	}
	if (error)
		b->used = before;
	return error;
}

int stele__batch_cpu_sample(struct stele_batch *b, uint64_t time, uint64_t m, uint64_t p,
			    uint64_t g, uint64_t stack)
{
	struct encode_scratch scratch;
	uint8_t *out =
		encode_entry_begin(b, scratch.data, STELE_EV_CPU_SAMPLES, STELE_EV_CPU_SAMPLE);

	out = stele__varint_put(out, time);
	out = stele__varint_put(out, m);
	out = stele__varint_put(out, p);
	out = stele__varint_put(out, g);
	out = stele__varint_put(out, stack);
	return stele__batch_bytes(b, scratch.data, (size_t)(out - scratch.data));
}

int stele__batch_clock(struct stele_batch *b, uint64_t ticks_per_second,
		       const struct stele_wire_clock *snapshot)
{
	uint8_t out[3 + 5 * STELE_VARINT_BYTES_MAX];
	uint8_t *p = out;

	if (snapshot)
		*p++ = STELE_EV_SYNC;
	*p++ = STELE_EV_FREQUENCY;
	p = stele__varint_put(p, ticks_per_second);
	if (snapshot) {
		*p++ = STELE_EV_CLOCK_SNAPSHOT;
		p = stele__varint_put(p, snapshot->time > b->time ? snapshot->time - b->time : 0);
		p = stele__varint_put(p, snapshot->mono_ns);
		p = stele__varint_put(p, snapshot->wall_s);
		p = stele__varint_put(p, snapshot->wall_ns);
	}
	return stele__batch_bytes(b, out, (size_t)(p - out));
}
