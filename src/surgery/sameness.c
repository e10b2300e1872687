/* SPDX-License-Identifier: MIT */
#include "surgery/sameness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define THREAD_SHIFT 32 /* kernels number threads below */

struct same_thread {
	uint64_t input, id; /* of the result */
};

struct same_place {
	uint64_t offset;
	uint64_t object; /* of the result */
	size_t bytes;
	char memory[];
};

struct same_object {
	uint64_t input, address;
	uint64_t object;
};

void stele__sameness_init(struct stele__sameness *same, uint64_t inputs)
{
	same->inputs = inputs;
	stele__keymap_init(&same->threads);
	stele__keymap_init(&same->memory);
	stele__keymap_init(&same->objects);
}

void stele__sameness_done(struct stele__sameness *same)
{
	stele__keymap_free(&same->threads);
	stele__keymap_free(&same->memory);
	stele__keymap_free(&same->objects);
}

/* Adds what was allocated; else frees it. */
static int same_add(struct stele__keymap *map, uint64_t key, void *value)
{
	int r = value ? stele__keymap_add(map, key, value) : -ENOMEM;

	if (r < 0)
		free(value);
	return r;
}

static const struct same_thread *thread_find(const struct stele__sameness *same, uint64_t input,
					     uint64_t id, bool *ret_others)
{
	const struct same_thread *thread;
	size_t at = 0;

	*ret_others = false;
	while ((thread = stele__keymap_next(&same->threads, id, &at)) != NULL) {
		if (thread->input == input)
			return thread;
		*ret_others = true;
	}
	return NULL;
}

/* Whoever comes first keeps it. */
uint64_t stele__sameness_thread(struct stele__sameness *same, uint64_t input, uint64_t id)
{
	bool others;
	const struct same_thread *known = thread_find(same, input, id, &others);
	struct same_thread *thread;

	if (known)
		return known->id;
	thread = malloc(sizeof(*thread));
	if (thread)
		*thread =
			(struct same_thread){input, others ? id | (input + 1) << THREAD_SHIFT : id};
	return same_add(&same->threads, id, thread) < 0 ? STELE_NO_ID : thread->id;
}

uint64_t stele__sameness_named_thread(const struct stele__sameness *same, uint64_t input,
				      uint64_t id)
{
	bool others;
	const struct same_thread *known = thread_find(same, input, id, &others);

	return known ? known->id : id;
}

/* Where no two processes have the same. */
static uint64_t object_of_input(uint64_t input, uint64_t address)
{
	return address + (input << STELE__SAMENESS_ADDRESS_BITS);
}

static uint64_t object_hash(uint64_t input, uint64_t address)
{
	return stele__keymap_mix(input, address);
}

static const struct same_object *object_find(const struct stele__sameness *same, uint64_t input,
					     uint64_t address)
{
	const struct same_object *object;
	size_t at = 0;

	while ((object = stele__keymap_next(&same->objects, object_hash(input, address), &at)))
		if (object->input == input && object->address == address)
			return object;
	return NULL;
}

/* The place in shared memory; `object` stands for it, if it is a new one. NULL: no memory. */
static const struct same_place *place_make(struct stele__sameness *same, struct stele_string memory,
					   uint64_t offset, uint64_t object)
{
	uint64_t hash = offset;
	struct same_place *place;
	size_t at = 0;

	for (size_t i = 0; i < memory.bytes; i++)
		hash = stele__keymap_mix(hash, (uint8_t)memory.data[i]);
	while ((place = stele__keymap_next(&same->memory, hash, &at)))
		if (place->offset == offset && place->bytes == memory.bytes &&
		    !memcmp(place->memory, memory.data, memory.bytes))
			return place;
	place = malloc(sizeof(*place) + memory.bytes);
	if (place) {
		place->offset = offset;
		place->object = object;
		place->bytes = memory.bytes;
		memcpy(place->memory, memory.data, memory.bytes);
	}
	return same_add(&same->memory, hash, place) < 0 ? NULL : place;
}

int stele__sameness_learn(struct stele__sameness *same, uint64_t input,
			  const struct stele_data_item *item)
{
	uint64_t address = item->value[0];
	const struct same_place *place;
	struct same_object *object;

	if (!item->text[0].bytes || object_find(same, input, address))
		return 0;
	place = place_make(same, item->text[0], item->value[1], object_of_input(input, address));
	if (!place)
		return -ENOMEM;
	object = malloc(sizeof(*object));
	if (object)
		*object = (struct same_object){input, address, place->object};
	return same_add(&same->objects, object_hash(input, address), object);
}

uint64_t stele__sameness_object(const struct stele__sameness *same, uint64_t input,
				uint64_t address)
{
	const struct same_object *shared;

	if (address >= STELE_OBJECT_SIGNALS)
		return address;
	shared = object_find(same, input, address);
	return shared ? shared->object : object_of_input(input, address);
}
