/* SPDX-License-Identifier: MIT */
/* How objects are spread: over sizes, and at the end over addresses. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/memsum.h"

#define PAGE_BYTES (UINT64_C(1) << STELE__LIVE_PAGE_BITS)

/* Sizes ---------------------------------------------------------------------------------------- */

struct stele_memory_size *stele__size_class(struct stele__memory *m, uint64_t bytes)
{
	return &m->sizes[bytes ? 64 - __builtin_clzll(bytes) : 0];
}

void stele__sizes_finish(struct stele__memory *m)
{
	for (unsigned i = 0; i < STELE_SIZES_MAX; i++) {
		if (!m->sizes[i].sum.allocated)
			continue;
		m->sizes[i].least = i ? UINT64_C(1) << (i - 1) : 0;
		m->sizes[i].most = i ? 2 * (m->sizes[i].least - 1) + 1 : 0;
		m->sizes[m->size_count++] = m->sizes[i];
	}
}

STELE_EXPORT const struct stele_memory_size *
stele_analysis_memory_sizes(const struct stele_analysis *analysis, size_t *ret_count)
{
	*ret_count = analysis->memory->size_count;
	return analysis->memory->sizes;
}

/* Addresses ------------------------------------------------------------------------------------ */

/* What is alive, by address. Where objects overlap, because pairs are broken, the first counts. */
struct extent {
	uint64_t begin, end;
};

static int extent_compare(const void *left, const void *right)
{
	const struct extent *a = left, *b = right;

	return (a->begin > b->begin) - (a->begin < b->begin);
}

static struct extent *map_extents(struct stele__memory *m)
{
	struct extent *extents = calloc(m->objects.count + 1, sizeof(*extents));
	const struct stele__live_page *page;
	size_t at = 0, count = 0;

	while (extents && (page = stele__livemap_each(&m->objects, 0, UINT64_MAX, &at)))
		for (uint32_t i = 0; i < page->count; i++) {
			uint64_t begin = stele__live_address(page, &page->objects[i]), end;

			if (__builtin_add_overflow(begin, m->lots[page->objects[i].lot].bytes,
						   &end))
				end = UINT64_MAX;
			extents[count++] = (struct extent){begin, end};
		}
	if (!extents)
		return NULL;
	qsort(extents, count, sizeof(*extents), extent_compare);
	for (size_t i = 0; i + 1 < count; i++)
		if (extents[i].end > extents[i + 1].begin)
			extents[i].end = extents[i + 1].begin;
	return extents;
}

/*
 * Told of cells that anything lies in, by address, with the bytes that objects take of each: of
 * one, or of several that one object fills.
 */
typedef void (*cells_fn)(struct stele__memory *m, const struct stele_memory_cell *cell,
			 uint64_t count);

static void map_cells(struct stele__memory *m, const struct extent *extents, unsigned bits,
		      cells_fn told)
{
	const uint64_t size = UINT64_C(1) << bits;
	struct stele_memory_cell cell = {0, 0, 0};

	for (uint64_t i = 0; i < m->objects.count; i++) {
		uint64_t at = extents[i].begin, end = extents[i].end, objects = 1;

		do {
			uint64_t base = at & ~(size - 1), rest = end - at;
			uint64_t bytes = size - (at - base) < rest ? size - (at - base) : rest;

			if (base != cell.address && cell.objects + cell.bytes)
				told(m, &cell, 1);
			if (base != cell.address)
				cell = (struct stele_memory_cell){.address = base};
			if (!objects && rest > size) { /* it fills this one, and more */
				cell.bytes = size;
				told(m, &cell, rest / size);
				cell.bytes = 0;
				at += rest / size * size;
				continue;
			}
			cell.objects += objects;
			cell.bytes += bytes;
			objects = 0;
			at += bytes;
		} while (at < end);
	}
	if (cell.objects + cell.bytes)
		told(m, &cell, 1);
}

static void map_pages(struct stele__memory *m, const struct stele_memory_cell *page, uint64_t count)
{
	uint64_t step = page->bytes ? (page->bytes * STELE_FILL_STEPS - 1) / PAGE_BYTES : 0;

	m->map.pages += count;
	m->map.page_bytes += count * page->bytes;
	m->map.filled[step] += count;
}

/* Those that are too many are counted only. */
static void map_keep(struct stele__memory *m, const struct stele_memory_cell *cell, uint64_t count)
{
	for (uint64_t i = 0; i < count && m->map.cell_count + i < STELE_CELLS_MAX; i++) {
		struct stele_memory_cell *kept = &m->cells[m->map.cell_count + i];

		*kept = *cell;
		kept->address += i << m->map.cell_bits;
	}
	m->map.cell_count += (uint32_t)(count < STELE_CELLS_MAX ? count : STELE_CELLS_MAX + 1);
}

int stele__map_finish(struct stele__memory *m)
{
	struct extent *extents = map_extents(m);

	m->cells = calloc(STELE_CELLS_MAX, sizeof(*m->cells));
	if (!extents || !m->cells) {
		free(extents);
		return -ENOMEM;
	}
	m->map.cells = m->cells;
	m->map.cell_bits = STELE__LIVE_PAGE_BITS;
	map_cells(m, extents, m->map.cell_bits, map_pages);
	while (m->map.pages >> (m->map.cell_bits - STELE__LIVE_PAGE_BITS) > STELE_CELLS_MAX)
		m->map.cell_bits++;
	map_cells(m, extents, m->map.cell_bits, map_keep);
	while (m->map.cell_count > STELE_CELLS_MAX) {
		m->map.cell_bits++;
		m->map.cell_count = 0;
		map_cells(m, extents, m->map.cell_bits, map_keep);
	}
	free(extents);
	return 0;
}

STELE_EXPORT const struct stele_memory_map *
stele_analysis_memory_map(const struct stele_analysis *analysis)
{
	return &analysis->memory->map;
}
