/* SPDX-License-Identifier: MIT */
#include "drain/lookup.h"

#include <errno.h>
#include <stdlib.h>

#define LOOKUP_CELLS_MIN 64

static size_t lookup_home(const struct stele_lookup *l, uint64_t a, uint64_t b)
{
	uint64_t hash = (a ^ b * 0xff51afd7ed558ccdull) * 0x9e3779b97f4a7c15ull;

	return (size_t)(hash ^ hash >> 32) & l->mask;
}

/* The key's cell, or the free one where it belongs. */
static size_t lookup_cell(const struct stele_lookup *l, uint64_t a, uint64_t b)
{
	size_t i = lookup_home(l, a, b);

	while (l->cells[i].value && (l->cells[i].a != a || l->cells[i].b != b))
		i = (i + 1) & l->mask;
	return i;
}

void *stele__lookup_get(const struct stele_lookup *l, uint64_t a, uint64_t b)
{
	return l->cells ? l->cells[lookup_cell(l, a, b)].value : NULL;
}

static int lookup_grow(struct stele_lookup *l)
{
	struct stele_lookup bigger = {.count = l->count};
	size_t cells = l->cells ? (l->mask + 1) * 2 : LOOKUP_CELLS_MIN;

	bigger.cells = calloc(cells, sizeof(*bigger.cells));
	if (!bigger.cells)
		return -ENOMEM;
	bigger.mask = cells - 1;
	for (size_t i = 0; l->cells && i <= l->mask; i++) {
		const struct stele_lookup_cell *cell = &l->cells[i];

		if (cell->value)
			bigger.cells[lookup_cell(&bigger, cell->a, cell->b)] = *cell;
	}
	free(l->cells);
	*l = bigger;
	return 0;
}

int stele__lookup_put(struct stele_lookup *l, uint64_t a, uint64_t b, void *value)
{
	size_t i;

	if (!l->cells || l->count >= (l->mask + 1) / 4 * 3) {
		int error = lookup_grow(l);

		if (error)
			return error;
	}
	i = lookup_cell(l, a, b);
	l->count += !l->cells[i].value;
	l->cells[i] = (struct stele_lookup_cell){a, b, value};
	return 0;
}

/*
 * Deletion without tombstones: each later cell of the same run that may not stay behind a gap
 * moves into it.
 */
void *stele__lookup_remove(struct stele_lookup *l, uint64_t a, uint64_t b)
{
	size_t gap, i;
	void *value;

	if (!l->cells)
		return NULL;
	gap = lookup_cell(l, a, b);
	value = l->cells[gap].value;
	if (!value)
		return NULL;
	for (i = (gap + 1) & l->mask; l->cells[i].value; i = (i + 1) & l->mask) {
		size_t home = lookup_home(l, l->cells[i].a, l->cells[i].b);

		if (((i - home) & l->mask) >= ((i - gap) & l->mask)) {
			l->cells[gap] = l->cells[i];
			gap = i;
		}
	}
	l->cells[gap].value = NULL;
	l->count--;
	return value;
}

void stele__lookup_done(struct stele_lookup *l, void (*free_value)(void *))
{
	for (size_t i = 0; free_value && l->cells && i <= l->mask; i++)
		if (l->cells[i].value)
			free_value(l->cells[i].value);
	free(l->cells);
	*l = (struct stele_lookup){0};
}
