/* SPDX-License-Identifier: MIT */
/*
 * A hash table from a pair of words to a pointer: goroutines, tasks, pcs, texts. Open addressing
 * with linear probing; a NULL value marks a free cell, so no key is special.
 */
#ifndef STELE_DRAIN_LOOKUP_H
#define STELE_DRAIN_LOOKUP_H

#include "base/compiler.h"

struct stele_lookup_cell {
	uint64_t a, b;
	void *value;
};

struct stele_lookup {
	struct stele_lookup_cell *cells; /* NULL while empty */
	size_t mask;			 /* cells - 1 */
	size_t count;			 /* <= 3/4 of the cells */
};

/* NULL: no such key. */
void *stele__lookup_get(const struct stele_lookup *l, uint64_t a, uint64_t b);

/* Adds or replaces; value is not NULL. 0 or -ENOMEM. */
int stele__lookup_put(struct stele_lookup *l, uint64_t a, uint64_t b, void *value);

/* Returns what was there, or NULL. */
void *stele__lookup_remove(struct stele_lookup *l, uint64_t a, uint64_t b);

/* Frees the table, and each value if `free_value` is given. */
void stele__lookup_done(struct stele_lookup *l, void (*free_value)(void *));

#endif
