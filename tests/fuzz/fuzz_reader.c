/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a trace, from memory and as a stream, whole generations or what can be had: no
 * crash, no hang, times that grow, everything that an event points to can be read, and both ways
 * of reading agree.
 */
#include <stdlib.h>
#include <string.h>

#include "stele/read.h"

#define REQUIRE(cond)                                                                              \
	do {                                                                                       \
		if (!(cond))                                                                       \
			__builtin_trap();                                                          \
	} while (0)

struct fuzz_input {
	const uint8_t *at, *end;
};

static int64_t fuzz_read(void *arg, void *buffer, size_t bytes)
{
	struct fuzz_input *input = arg;
	size_t left = (size_t)(input->end - input->at);
	size_t n = left < bytes ? left : bytes;

	if (n > 100)
		n = 100;
	if (n)
		memcpy(buffer, input->at, n);
	input->at += n;
	return (int64_t)n;
}

static uint64_t fuzz_hash(uint64_t hash, const void *data, size_t bytes)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ p[i]) * UINT64_C(1099511628211);
	return hash;
}

static uint64_t fuzz_stack(const struct stele_reader *reader, uint32_t stack, uint64_t hash)
{
	struct stele_stack_frame frames[128];
	size_t n = stele_reader_stack(reader, stack, frames, 128);

	REQUIRE(n <= 128);
	for (size_t i = 0; i < n; i++) {
		hash = fuzz_hash(hash, &frames[i].pc, sizeof(frames[i].pc));
		hash = fuzz_hash(hash, frames[i].function.data, frames[i].function.bytes);
		hash = fuzz_hash(hash, frames[i].file.data, frames[i].file.bytes);
	}
	return hash;
}

static uint64_t fuzz_event(const struct stele_reader *reader, const struct stele_event *event,
			   uint64_t hash)
{
	struct stele_experiment_batch batch;
	struct stele_heap_type type;

	REQUIRE(event->kind > 0 && event->kind < STELE__EVENT_COUNT);
	REQUIRE(event->from < STELE__STATE_COUNT && event->to < STELE__STATE_COUNT);
	hash = fuzz_hash(hash, &event->time, sizeof(event->time));
	hash = fuzz_hash(hash, &event->kind, sizeof(event->kind));
	hash = fuzz_hash(hash, &event->thread, 3 * sizeof(uint64_t));
	hash = fuzz_hash(hash, event->name.data, event->name.bytes);
	hash = fuzz_hash(hash, event->text.data, event->text.bytes);
	hash = fuzz_stack(reader, event->stack, hash);
	hash = fuzz_stack(reader, event->transition_stack, hash);
	for (unsigned i = 0; i < event->value_count; i++)
		REQUIRE(stele_event_value_name(event, i));
	if (event->kind != STELE_EVENT_SYNC)
		return hash;
	for (size_t i = 0; stele_reader_batch(reader, i, &batch) == 0; i++)
		hash = fuzz_hash(hash, batch.data, batch.bytes);
	for (uint64_t id = 0; id < 4; id++)
		if (stele_reader_type(reader, id, &type) == 0)
			hash = fuzz_hash(hash, type.name.data, type.name.bytes);
	return hash;
}

static uint64_t fuzz_run(struct stele_reader *reader)
{
	struct stele_recording recording = {0};
	struct stele_counter *counter = NULL;
	const struct stele_event *event;
	uint64_t hash = UINT64_C(14695981039346656037);
	int64_t last = INT64_MIN;
	int r;

	REQUIRE(stele_counter_new(&counter) == 0);
	while ((r = stele_reader_next(reader, &event)) > 0) {
		REQUIRE(event->time > last || last == INT64_MAX);
		last = event->time;
		hash = fuzz_event(reader, event, hash);
		if (event->kind == STELE_EVENT_SYNC)
			stele_recording_add(&recording, reader);
		REQUIRE(stele_counter_add(counter, reader, event) == 0);
	}
	REQUIRE((r < 0) == (stele_reader_diag(reader) != NULL));
	if (r < 0)
		hash = fuzz_hash(hash, stele_reader_diag(reader), sizeof(struct stele_diag));
	stele_counter_free(counter);
	stele_reader_close(reader);
	return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stele_reader_options whole = STELE_READER_OPTIONS_INIT;
	struct fuzz_input input = {data, data + size};
	struct stele_reader *reader;
	uint64_t hash;

	REQUIRE(stele_reader_open_memory(data, size, NULL, &reader) == 0);
	hash = fuzz_run(reader);
	REQUIRE(stele_reader_open_stream(fuzz_read, &input, NULL, &reader) == 0);
	REQUIRE(fuzz_run(reader) == hash);
	whole.whole_generations = true;
	REQUIRE(stele_reader_open_memory(data, size, &whole, &reader) == 0);
	fuzz_run(reader);
	return 0;
}
