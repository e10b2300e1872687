/* SPDX-License-Identifier: MIT */
#include "surgery/retrace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "format/cursor.h"

#define FREQUENCY	1000000000
#define LANE_BYTES	8192 /* of a batch; there may be many threads */
#define TYPE_NUMBERS	5
#define TYPE_MOVED	(UINT64_C(1) << 40) /* ids of types whose own another one has */
#define TEXT_HASH_BEGIN UINT64_C(0x9e3779b97f4a7c15)

struct retrace_text {
	uint64_t id;
	size_t bytes;
	char data[];
};

struct retrace_lane {
	struct retrace_lane *next;
	uint64_t time; /* of the last detail */
	struct stele_batch batch;
	uint8_t data[LANE_BYTES];
};

static void retrace_fail(struct stele__retrace *t, int error)
{
	if (error < 0 && !t->error)
		t->error = error;
}

static void retrace_put(struct stele__retrace *t, const void *data, size_t bytes)
{
	if (!t->error && bytes)
		retrace_fail(t, t->write(t->arg, data, bytes));
}

/* Writes the batch, unless nothing was appended. */
static void retrace_flush(struct stele__retrace *t, struct stele_batch *b)
{
	bool empty = !stele__batch_is_open(b) || stele__batch_is_empty(b);
	size_t bytes = stele__batch_end(b);

	if (!empty)
		retrace_put(t, b->data, bytes);
}

static struct stele_batch retrace_buffer(struct stele__retrace *t)
{
	void *data = malloc(STELE_BATCH_BUFFER_BYTES);

	if (!data)
		t->error = -ENOMEM;
	return stele__batch(data, STELE_BATCH_BUFFER_BYTES);
}

static void lanes_init(struct stele__retrace_lanes *lanes)
{
	lanes->first = NULL;
	lanes->last = &lanes->first;
	stele__keymap_init(&lanes->by_thread);
}

/* Writes what is in them, and forgets them. */
static void lanes_flush(struct stele__retrace *t, struct stele__retrace_lanes *lanes)
{
	for (struct retrace_lane *lane = lanes->first; lane; lane = lane->next)
		retrace_flush(t, &lane->batch);
	stele__keymap_free(&lanes->by_thread);
	lanes_init(lanes);
}

void stele__retrace_source_init(struct stele__retrace_source *source,
				const struct stele_reader *reader)
{
	source->reader = reader;
	stele__keymap_init(&source->stacks);
	stele__keymap_init(&source->types);
}

void stele__retrace_source_done(struct stele__retrace_source *source)
{
	stele__keymap_done(&source->stacks);
	stele__keymap_done(&source->types);
}

void stele__retrace_source_turn(struct stele__retrace_source *source)
{
	stele__keymap_clear(&source->stacks);
	stele__keymap_clear(&source->types);
}

int stele__retrace_init(struct stele__retrace *t,
			int (*write)(void *arg, const void *data, size_t bytes), void *arg)
{
	*t = (struct stele__retrace){.write = write, .arg = arg};
	lanes_init(&t->events);
	lanes_init(&t->details);
	stele__keymap_init(&t->texts);
	stele__keymap_init(&t->types);
	t->strings = retrace_buffer(t);
	t->frames = retrace_buffer(t);
	t->descriptions = retrace_buffer(t);
	t->sites = retrace_buffer(t);
	t->samples = retrace_buffer(t);
	return t->error;
}

void stele__retrace_done(struct stele__retrace *t)
{
	stele__keymap_free(&t->events.by_thread);
	stele__keymap_free(&t->details.by_thread);
	stele__keymap_free(&t->texts);
	stele__keymap_done(&t->types);
	free(t->strings.data);
	free(t->frames.data);
	free(t->descriptions.data);
	free(t->sites.data);
	free(t->samples.data);
}

static void retrace_open(struct stele__retrace *t, struct stele_batch *b)
{
	stele__batch_begin(b, t->generation, STELE_NONE_ID, t->time);
}

/* Makes room in a batch of types or of their sites. */
static void retrace_room(struct stele__retrace *t, struct stele_batch *b, unsigned payload,
			 size_t bytes)
{
	if (stele__batch_is_open(b) && stele__batch_room(b) < bytes) {
		retrace_flush(t, &t->descriptions); /* types stand before their sites */
		retrace_flush(t, b);
	}
	if (stele__batch_is_open(b))
		return;
	stele__batch_begin_experimental(b, STELE_EXPERIMENT_ALLOCFREE, t->generation, STELE_NONE_ID,
					t->time);
	stele__batch_varint(b, payload);
}

void stele__retrace_begin(struct stele__retrace *t, uint64_t generation,
			  const struct stele_wire_clock *clock)
{
	uint8_t header[STELE_HEADER_BYTES];

	if (t->error)
		return;
	if (!t->time && !t->generation) {
		stele__header_put(header, t->version);
		retrace_put(t, header, sizeof(header));
	}
	t->generation = generation;
	t->time = clock->time;
	retrace_open(t, &t->samples);
	stele__batch_clock(&t->samples, FREQUENCY, t->version >= 25 ? clock : NULL);
	retrace_flush(t, &t->samples);
	retrace_open(t, &t->samples);
	retrace_open(t, &t->strings);
	retrace_open(t, &t->frames);
}

void stele__retrace_end(struct stele__retrace *t)
{
	static const uint8_t end = STELE_EV_END_OF_GENERATION;

	if (!t->generation || t->error)
		return;
	lanes_flush(t, &t->events);
	lanes_flush(t, &t->details);
	retrace_flush(t, &t->samples);
	retrace_flush(t, &t->frames);
	retrace_flush(t, &t->descriptions);
	retrace_flush(t, &t->sites);
	retrace_flush(t, &t->strings);
	if (t->version >= 26)
		retrace_put(t, &end, 1);
	stele__keymap_free(&t->texts);
	stele__keymap_clear(&t->types);
	t->text_count = t->stack_count = 0;
	t->generation = 0;
}

static struct retrace_lane *retrace_lane(struct stele__retrace *t,
					 struct stele__retrace_lanes *lanes, uint64_t thread)
{
	struct retrace_lane *lane = stele__keymap_get(&lanes->by_thread, thread);
	int r;

	if (lane)
		return lane;
	lane = malloc(sizeof(*lane));
	r = lane ? stele__keymap_add(&lanes->by_thread, thread, lane) : -ENOMEM;
	if (r < 0) {
		free(lane);
		retrace_fail(t, r);
		return NULL;
	}
	lane->next = NULL;
	lane->time = 0;
	*lanes->last = lane;
	lanes->last = &lane->next;
	lane->batch = stele__batch(lane->data, sizeof(lane->data));
	return lane;
}

void stele__retrace_event(struct stele__retrace *t, uint64_t thread, uint8_t type, uint64_t time,
			  const uint64_t *args)
{
	struct retrace_lane *lane = t->error ? NULL : retrace_lane(t, &t->events, thread);
	struct stele_batch *b;

	if (!lane)
		return;
	b = &lane->batch;
	if (stele__batch_is_open(b) && stele__batch_event(b, type, time, args) == 0)
		return;
	retrace_flush(t, b);
	stele__batch_begin(b, t->generation, thread, time);
	retrace_fail(t, stele__batch_event(b, type, time, args));
}

#define DETAIL_FIELDS_MAX 6
#define DETAIL_BYTES_MAX  (1 + (1 + DETAIL_FIELDS_MAX) * STELE_VARINT_BYTES_MAX)

/* The fields of a detail with ids of the result; returns how many there are. */
static unsigned detail_fields(struct stele__retrace *t, struct stele__retrace_source *source,
			      const struct stele_detail *detail, uint64_t *field)
{
	field[0] = detail->object;
	switch (detail->kind) {
	case STELE_DETAIL_WAIT:
		field[1] = detail->holder == STELE_NO_ID ? 0 : detail->holder;
		return 2;
	case STELE_DETAIL_RELEASE:
		field[1] = stele__retrace_stack(t, source, detail->stack);
		field[2] = stele__retrace_stack(t, source, detail->taken_stack);
		return 3;
	case STELE_DETAIL_ORDER:
		field[1] = detail->inner;
		field[2] = stele__retrace_stack(t, source, detail->taken_stack);
		field[3] = stele__retrace_stack(t, source, detail->stack);
		return 4;
	case STELE_DETAIL_RESULT:
		field[0] = stele__zigzag(detail->result);
		return 1;
	case STELE_DETAIL_STACK:
		field[1] = (uint64_t)detail->result;
		return 2;
	case STELE_DETAIL_FILE:
		field[1] = stele__retrace_string(t, detail->name);
		return 2;
	case STELE_DETAIL_STANDING:
		field[0] = detail->goroutine;
		field[1] = detail->result < 0 ? 0 : (uint64_t)detail->result; /* ticks are ns */
		field[2] = detail->name.bytes ? stele__retrace_string(t, detail->name) : 0;
		field[3] = stele__retrace_stack(t, source, detail->stack);
		field[4] = detail->object;
		field[5] = detail->holder == STELE_NO_ID ? 0 : detail->holder;
		return 6;
	default:
		return 1;
	}
}

/* The batch of this lane with room for a detail; its time is at most `time`. */
static struct stele_batch *detail_room(struct stele__retrace *t, struct retrace_lane *lane,
				       uint64_t thread, uint64_t time)
{
	struct stele_batch *b = &lane->batch;

	if (stele__batch_is_open(b) && stele__batch_room(b) < DETAIL_BYTES_MAX)
		retrace_flush(t, b);
	if (stele__batch_is_open(b))
		return b;
	stele__batch_begin_experimental(b, STELE_EXPERIMENT_ALLOCFREE, t->generation, thread, time);
	stele__batch_varint(b, STELE_PAYLOAD_DETAILS);
	lane->time = time;
	return b;
}

void stele__retrace_detail(struct stele__retrace *t, struct stele__retrace_source *source,
			   const struct stele_detail *detail)
{
	struct retrace_lane *lane = t->error ? NULL : retrace_lane(t, &t->details, detail->thread);
	uint64_t time = detail->time < 0 || (uint64_t)detail->time < t->time
				? t->time
				: (uint64_t)detail->time;
	uint64_t field[DETAIL_FIELDS_MAX] = {0};
	struct stele_batch *b;
	unsigned count;

	if (!lane)
		return;
	count = detail_fields(t, source, detail, field);
	if (time < lane->time)
		time = lane->time;
	b = detail_room(t, lane, detail->thread, time);
	stele__batch_varint(b, (uint64_t)detail->kind << 3 | count);
	stele__batch_varint(b, time - lane->time);
	for (unsigned i = 0; i < count; i++)
		stele__batch_varint(b, field[i]);
	lane->time = time;
}

void stele__retrace_sample(struct stele__retrace *t, struct stele__retrace_source *source,
			   const struct stele_event *event)
{
	uint64_t stack = stele__retrace_stack(t, source, event->stack);
	uint64_t time = (uint64_t)event->time;

	if (t->error || stele__batch_cpu_sample(&t->samples, time, event->thread, event->proc,
						event->goroutine, stack) == 0)
		return;
	retrace_flush(t, &t->samples);
	retrace_open(t, &t->samples);
	stele__batch_cpu_sample(&t->samples, time, event->thread, event->proc, event->goroutine,
				stack);
}

void stele__retrace_batch(struct stele__retrace *t, const struct stele_experiment_batch *batch)
{
	uint64_t time = batch->time < 0 ? 0 : (uint64_t)batch->time;
	struct stele_batch b;

	if (t->error)
		return;
	b = retrace_buffer(t);
	if (t->error)
		return;
	/* Readers take a generation's first time from its batches. */
	stele__batch_begin_experimental(&b, batch->experiment, t->generation, batch->thread,
					time < t->time ? t->time : time);
	stele__batch_bytes(&b, batch->data, batch->bytes);
	retrace_put(t, b.data, stele__batch_end(&b));
	free(b.data);
}

uint64_t stele__retrace_string(struct stele__retrace *t, struct stele_string text)
{
	struct retrace_text *known;
	uint64_t hash = TEXT_HASH_BEGIN;
	size_t at = 0;
	int r;

	if (!text.bytes || t->error)
		return 0;
	for (size_t i = 0; i < text.bytes; i++)
		hash = stele__keymap_mix(hash, (uint8_t)text.data[i]);
	while ((known = stele__keymap_next(&t->texts, hash, &at)) != NULL)
		if (known->bytes == text.bytes && !memcmp(known->data, text.data, text.bytes))
			return known->id;
	known = malloc(sizeof(*known) + text.bytes);
	r = known ? stele__keymap_add(&t->texts, hash, known) : -ENOMEM;
	if (r < 0) {
		free(known);
		retrace_fail(t, r);
		return 0;
	}
	known->id = ++t->text_count;
	known->bytes = text.bytes;
	memcpy(known->data, text.data, text.bytes);
	if (stele__batch_string(&t->strings, known->id, text.data, text.bytes) < 0) {
		retrace_flush(t, &t->strings);
		retrace_open(t, &t->strings);
		retrace_fail(t, stele__batch_string(&t->strings, known->id, text.data, text.bytes));
	}
	return known->id;
}

/* Ids are at most as large as pointers, which maps hold. */
static uint64_t retrace_known(const struct stele__keymap *map, uint64_t key)
{
	return (uintptr_t)stele__keymap_get(map, key);
}

static void retrace_learn(struct stele__retrace *t, struct stele__keymap *map, uint64_t key,
			  uint64_t id)
{
	retrace_fail(t, stele__keymap_add(map, key, (void *)(uintptr_t)id));
}

uint64_t stele__retrace_stack(struct stele__retrace *t, struct stele__retrace_source *source,
			      uint32_t stack)
{
	struct stele_stack_frame frames[STELE_STACK_FRAMES_MAX];
	struct stele_wire_frame wire[STELE_STACK_FRAMES_MAX];
	uint64_t id;
	size_t count;

	if (!stack || t->error)
		return 0;
	id = retrace_known(&source->stacks, stack);
	if (id)
		return id;
	id = ++t->stack_count;
	retrace_learn(t, &source->stacks, stack, id);
	count = stele_reader_stack(source->reader, stack, frames, STELE_STACK_FRAMES_MAX);
	for (size_t i = 0; i < count && i < STELE_STACK_FRAMES_MAX; i++)
		wire[i] = (struct stele_wire_frame){
			.pc = frames[i].pc,
			.func = stele__retrace_string(t, frames[i].function),
			.file = stele__retrace_string(t, frames[i].file),
			.line = frames[i].line,
		};
	if (stele__batch_stack(&t->frames, id, wire, count) < 0) {
		retrace_flush(t, &t->frames);
		retrace_open(t, &t->frames);
		retrace_fail(t, stele__batch_stack(&t->frames, id, wire, count));
	}
	return id;
}

uint64_t stele__retrace_type(struct stele__retrace *t, struct stele__retrace_source *source,
			     uint64_t type_id)
{
	struct stele_batch *b = &t->descriptions;
	struct stele_heap_type type;
	uint64_t id;

	if (!type_id || t->error)
		return 0;
	id = retrace_known(&source->types, type_id);
	if (id)
		return id;
	for (id = type_id; stele__keymap_get(&t->types, id); id++)
		id |= TYPE_MOVED;
	retrace_learn(t, &source->types, type_id, id);
	retrace_learn(t, &t->types, id, id);
	if (stele_reader_type(source->reader, type_id, &type) < 0)
		return id;
	retrace_room(t, b, STELE_PAYLOAD_TYPES,
		     type.name.bytes + TYPE_NUMBERS * STELE_VARINT_BYTES_MAX);
	stele__batch_varint(b, id);
	stele__batch_varint(b, type.address);
	stele__batch_varint(b, type.size);
	stele__batch_varint(b, type.pointer_bytes);
	stele__batch_varint(b, type.name.bytes);
	retrace_fail(t, stele__batch_bytes(b, type.name.data, type.name.bytes));
	if (type.stack) {
		uint64_t stack = stele__retrace_stack(t, source, type.stack);

		retrace_room(t, &t->sites, STELE_PAYLOAD_SITES, 2 * STELE_VARINT_BYTES_MAX);
		stele__batch_varint(&t->sites, id);
		stele__batch_varint(&t->sites, stack);
	}
	return id;
}
