/* SPDX-License-Identifier: MIT */
#include "analyze/keymap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"

#define KEYMAP_BITS_MIN 6
#define KEYMAP_BITS_MAX 40

void stele__keymap_init(struct stele__keymap *map)
{
	uint64_t random = 0;

	memset(map, 0, sizeof(*map));
	/* Without randomness the table still works; it only becomes predictable. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		random = (uintptr_t)map;
	map->multiplier = (random ^ UINT64_C(0x9e3779b97f4a7c15)) | 1;
}

void stele__keymap_done(struct stele__keymap *map)
{
	free(map->slots);
	map->slots = NULL;
	map->bits = 0;
	map->used = 0;
}

void stele__keymap_free(struct stele__keymap *map)
{
	size_t at = 0;
	void *value;

	while ((value = stele__keymap_each(map, &at)))
		free(value);
	stele__keymap_done(map);
}

void stele__keymap_clear(struct stele__keymap *map)
{
	if (map->used)
		stele__keymap_done(map);
}

static size_t keymap_mask(const struct stele__keymap *map)
{
	return ((size_t)1 << map->bits) - 1;
}

static size_t keymap_home(const struct stele__keymap *map, uint64_t key)
{
	return (size_t)(((key ^ key >> 32) * map->multiplier) >> (64 - map->bits));
}

void *stele__keymap_make(struct stele__keymap *map, uint64_t key, size_t bytes)
{
	void *value = stele__keymap_get(map, key);

	if (value)
		return value;
	value = calloc(1, bytes);
	if (value && stele__keymap_add(map, key, value) < 0) {
		free(value);
		return NULL;
	}
	return value;
}

void *stele__keymap_next(const struct stele__keymap *map, uint64_t key, size_t *at)
{
	size_t i;

	if (!map->bits)
		return NULL;
	for (i = keymap_home(map, key) + *at; map->slots[i & keymap_mask(map)].value; i++) {
		const struct stele__keymap_slot *slot = &map->slots[i & keymap_mask(map)];

		++*at;
		if (slot->key == key)
			return slot->value;
	}
	return NULL;
}

void *stele__keymap_get(const struct stele__keymap *map, uint64_t key)
{
	size_t at = 0;

	return stele__keymap_next(map, key, &at);
}

static void keymap_place(struct stele__keymap *map, uint64_t key, void *value)
{
	size_t i = keymap_home(map, key);

	while (map->slots[i & keymap_mask(map)].value)
		i++;
	map->slots[i & keymap_mask(map)] = (struct stele__keymap_slot){key, value};
}

static int keymap_grow(struct stele__keymap *map)
{
	struct stele__keymap old = *map;
	size_t at = 0;

	if (old.bits == KEYMAP_BITS_MAX)
		return STELE_E_LIMIT;
	map->bits = old.bits ? old.bits + 1 : KEYMAP_BITS_MIN;
	map->slots = calloc((size_t)1 << map->bits, sizeof(*map->slots));
	if (!map->slots) {
		*map = old;
		return -ENOMEM;
	}
	if (old.bits)
		for (at = 0; at <= keymap_mask(&old); at++)
			if (old.slots[at].value)
				keymap_place(map, old.slots[at].key, old.slots[at].value);
	free(old.slots);
	return 0;
}

int stele__keymap_add(struct stele__keymap *map, uint64_t key, void *value)
{
	if (!map->bits || map->used >= keymap_mask(map) / 2) {
		int r = keymap_grow(map);

		if (r < 0)
			return r;
	}
	keymap_place(map, key, value);
	map->used++;
	return 0;
}

/* Moves back what stood behind the gap because its own place was taken. */
static void keymap_close(struct stele__keymap *map, size_t gap)
{
	size_t mask = keymap_mask(map);

	for (size_t i = (gap + 1) & mask; map->slots[i].value; i = (i + 1) & mask) {
		size_t home = keymap_home(map, map->slots[i].key);

		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		map->slots[gap] = map->slots[i];
		gap = i;
	}
	map->slots[gap].value = NULL;
}

void stele__keymap_drop(struct stele__keymap *map, uint64_t key, const void *value)
{
	size_t i, mask;

	if (!map->bits)
		return;
	mask = keymap_mask(map);
	for (i = keymap_home(map, key) & mask; map->slots[i].value; i = (i + 1) & mask) {
		if (map->slots[i].key != key || map->slots[i].value != value)
			continue;
		keymap_close(map, i);
		map->used--;
		return;
	}
}

void *stele__keymap_each(const struct stele__keymap *map, size_t *at)
{
	if (!map->bits)
		return NULL;
	while (*at <= keymap_mask(map)) {
		void *value = map->slots[(*at)++].value;

		if (value)
			return value;
	}
	return NULL;
}
