/* SPDX-License-Identifier: MIT */
/*
 * From 64-bit ids of the trace to small indices. Ids that are dense from 0 on, as those of
 * strings, stacks and procs are, cost one array access; others go to a hash table.
 *
 * Invariants: a value is never 0 (0 means absent); an id < dense_size is in `dense` and in no
 * slot; dense_size <= 8 x (most entries ever + 256) rounded up to a power of two, so a hostile
 * id cannot make the array big; slots are at most half full. The hash's multiplier is random:
 * ids cannot be chosen to collide.
 */
#ifndef STELE_READ_IDMAP_H
#define STELE_READ_IDMAP_H

#include "base/compiler.h"

struct stele__idmap_slot {
	uint64_t id;
	uint32_t value;
};

struct stele__idmap {
	uint32_t *dense;
	uint64_t dense_size;
	struct stele__idmap_slot *slots;
	uint32_t slot_bits; /* 0: no slots yet */
	uint32_t slot_used;
	uint64_t count; /* entries in both parts */
	uint64_t multiplier;
};

void stele__idmap_init(struct stele__idmap *map);
void stele__idmap_done(struct stele__idmap *map);

/* Forgets all entries, keeps the memory unless it is far more than was used. */
void stele__idmap_clear(struct stele__idmap *map);

uint32_t stele__idmap_get_far(const struct stele__idmap *map, uint64_t id);

/* The value, 0 if there is none. */
STELE_INLINE uint32_t stele__idmap_get(const struct stele__idmap *map, uint64_t id)
{
	if (STELE_LIKELY(id < map->dense_size))
		return map->dense[id];
	return stele__idmap_get_far(map, id);
}

/* Adds or replaces; value is not 0. 0, -ENOMEM or STELE_E_LIMIT. */
int stele__idmap_put(struct stele__idmap *map, uint64_t id, uint32_t value);

void stele__idmap_drop(struct stele__idmap *map, uint64_t id);

#endif
