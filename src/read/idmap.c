/* SPDX-License-Identifier: MIT */
#include "read/idmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"

#define IDMAP_SLOT_BITS_MIN 6
#define IDMAP_SLOT_BITS_MAX 31

void stele__idmap_init(struct stele__idmap *map)
{
	uint64_t random = 0;

	memset(map, 0, sizeof(*map));
	/* Without randomness the table still works; it only becomes predictable. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		random = (uintptr_t)map;
	map->multiplier = (random ^ UINT64_C(0x9e3779b97f4a7c15)) | 1;
}

void stele__idmap_done(struct stele__idmap *map)
{
	free(map->dense);
	free(map->slots);
	memset(map, 0, sizeof(*map));
}

void stele__idmap_clear(struct stele__idmap *map)
{
	uint64_t slots = map->slot_bits ? UINT64_C(1) << map->slot_bits : 0;

	if (map->dense_size + slots > 64 * (map->count + 64)) {
		uint64_t multiplier = map->multiplier;

		stele__idmap_done(map);
		map->multiplier = multiplier;
		return;
	}
	if (map->dense)
		memset(map->dense, 0, (size_t)map->dense_size * sizeof(*map->dense));
	if (map->slots)
		memset(map->slots, 0, (size_t)slots * sizeof(*map->slots));
	map->slot_used = 0;
	map->count = 0;
}

static uint32_t idmap_home(const struct stele__idmap *map, uint64_t id)
{
	/* The fold brings ids that differ in high bits only into the multiplication's reach. */
	return (uint32_t)(((id ^ id >> 32) * map->multiplier) >> (64 - map->slot_bits));
}

/* The slot of the id, or the free one where it would go. There is always a free one. */
static uint32_t idmap_find(const struct stele__idmap *map, uint64_t id)
{
	uint32_t mask = (UINT32_C(1) << map->slot_bits) - 1;
	uint32_t i = idmap_home(map, id);

	while (map->slots[i].value && map->slots[i].id != id)
		i = (i + 1) & mask;
	return i;
}

uint32_t stele__idmap_get_far(const struct stele__idmap *map, uint64_t id)
{
	if (!map->slot_bits)
		return 0;
	return map->slots[idmap_find(map, id)].value;
}

/* Moves all slots into a table of 2^bits; ids below dense_size go to the array instead. */
static int idmap_rehash(struct stele__idmap *map, uint32_t bits)
{
	struct stele__idmap_slot *old = map->slots;
	uint64_t old_size = map->slot_bits ? UINT64_C(1) << map->slot_bits : 0;
	struct stele__idmap_slot *slots;

	if (bits > IDMAP_SLOT_BITS_MAX)
		return STELE_E_LIMIT;
	slots = calloc((size_t)1 << bits, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	map->slots = slots;
	map->slot_bits = bits;
	map->slot_used = 0;
	for (uint64_t i = 0; i < old_size; i++) {
		if (!old[i].value)
			continue;
		if (old[i].id < map->dense_size) {
			map->dense[old[i].id] = old[i].value;
		} else {
			slots[idmap_find(map, old[i].id)] = old[i];
			map->slot_used++;
		}
	}
	free(old);
	return 0;
}

static int idmap_widen(struct stele__idmap *map, uint64_t id)
{
	uint64_t size = map->dense_size ? map->dense_size : 64;
	uint32_t *dense;
	uint64_t before = map->dense_size;

	while (size <= id)
		size *= 2;
	dense = realloc(map->dense, (size_t)size * sizeof(*dense));
	if (!dense)
		return -ENOMEM;
	memset(dense + before, 0, (size_t)(size - before) * sizeof(*dense));
	map->dense = dense;
	map->dense_size = size;
	if (map->slot_used) {
		int r = idmap_rehash(map, map->slot_bits);

		if (r < 0) { /* without the move the new part must not answer */
			map->dense_size = before;
			return r;
		}
	}
	return 0;
}

static int idmap_put_slot(struct stele__idmap *map, uint64_t id, uint32_t value)
{
	uint64_t size = map->slot_bits ? UINT64_C(1) << map->slot_bits : 0;
	uint32_t i;

	if ((uint64_t)map->slot_used * 2 + 2 > size) {
		uint32_t bits = map->slot_bits ? map->slot_bits + 1 : IDMAP_SLOT_BITS_MIN;
		int r = idmap_rehash(map, bits);

		if (r < 0)
			return r;
	}
	i = idmap_find(map, id);
	if (!map->slots[i].value) {
		map->slot_used++;
		map->count++;
	}
	map->slots[i] = (struct stele__idmap_slot){.id = id, .value = value};
	return 0;
}

int stele__idmap_put(struct stele__idmap *map, uint64_t id, uint32_t value)
{
	STELE_ASSERT(value != 0);
	if (id >= map->dense_size && id < 4 * (map->count + 256)) {
		int r = idmap_widen(map, id);

		if (r < 0)
			return r;
	}
	if (id >= map->dense_size)
		return idmap_put_slot(map, id, value);
	if (!map->dense[id])
		map->count++;
	map->dense[id] = value;
	return 0;
}

/* Closes the gap at i: what hangs behind it only because of collisions moves up. */
static void idmap_close_gap(struct stele__idmap *map, uint32_t i)
{
	uint32_t mask = (UINT32_C(1) << map->slot_bits) - 1;
	uint32_t next = i;

	for (;;) {
		uint32_t home;

		next = (next + 1) & mask;
		if (!map->slots[next].value)
			break;
		home = idmap_home(map, map->slots[next].id);
		if (((next - home) & mask) >= ((next - i) & mask)) {
			map->slots[i] = map->slots[next];
			i = next;
		}
	}
	map->slots[i] = (struct stele__idmap_slot){0};
}

void stele__idmap_drop(struct stele__idmap *map, uint64_t id)
{
	uint32_t i;

	if (id < map->dense_size) {
		if (map->dense[id])
			map->count--;
		map->dense[id] = 0;
		return;
	}
	if (!map->slot_bits)
		return;
	i = idmap_find(map, id);
	if (!map->slots[i].value)
		return;
	idmap_close_gap(map, i);
	map->slot_used--;
	map->count--;
}
