/* SPDX-License-Identifier: MIT */
/*
 * From 64-bit keys, ids or hashes of contents, to pointers. Hashes may collide: whoever uses them
 * compares what he gets and asks for the next one. Keys cannot be chosen to fall together, since
 * the multiplier is random.
 *
 * Invariants: a value is never NULL; at most half of the slots are used; between a key's home and
 * its slot no slot is free.
 */
#ifndef STELE_ANALYZE_KEYMAP_H
#define STELE_ANALYZE_KEYMAP_H

#include "base/compiler.h"

struct stele__keymap_slot {
	uint64_t key;
	void *value; /* NULL: free */
};

struct stele__keymap {
	struct stele__keymap_slot *slots;
	unsigned bits; /* 0: no slots yet */
	size_t used;
	uint64_t multiplier;
};

void stele__keymap_init(struct stele__keymap *map);
/* The values stay the caller's. */
void stele__keymap_done(struct stele__keymap *map);
/* Frees the values, too: each came from malloc, and is in the map once. It may be used again. */
void stele__keymap_free(struct stele__keymap *map);
void stele__keymap_clear(struct stele__keymap *map);

/* A value of this key, NULL if there is none. */
void *stele__keymap_get(const struct stele__keymap *map, uint64_t key);

/* The value of this key; if there is none, one of so many zeroed bytes is added. NULL: no memory.
 */
void *stele__keymap_make(struct stele__keymap *map, uint64_t key, size_t bytes);

/* All values of a key: *at is 0 at first. NULL behind the last one. */
void *stele__keymap_next(const struct stele__keymap *map, uint64_t key, size_t *at);

/* Adds, also if the key is there already; 0, -ENOMEM or STELE_E_LIMIT. */
int stele__keymap_add(struct stele__keymap *map, uint64_t key, void *value);

/* Forgets this pair, if it is there. */
void stele__keymap_drop(struct stele__keymap *map, uint64_t key, const void *value);

/* Any order: *at is 0 at first. NULL behind the last one. */
void *stele__keymap_each(const struct stele__keymap *map, size_t *at);

/* Mixes one more word into a hash. */
STELE_INLINE uint64_t stele__keymap_mix(uint64_t hash, uint64_t word)
{
	/* Spread first: addresses differ in so few bits that many pairs of them have the same
	 * exclusive or. */
	hash = (hash * UINT64_C(0xd6e8feb86659fd93) ^ word) * UINT64_C(0x9fb21c651e98df25);
	return hash ^ hash >> 29;
}

#endif
