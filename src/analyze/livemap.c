/* SPDX-License-Identifier: MIT */
#include "analyze/livemap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OBJECTS_MIN 4

static uint64_t live_number(uint64_t address)
{
	return address >> STELE__LIVE_PAGE_BITS;
}

static uint16_t live_offset(uint64_t address)
{
	return (uint16_t)(address & (((uint64_t)1 << STELE__LIVE_PAGE_BITS) - 1));
}

void stele__livemap_init(struct stele__livemap *map)
{
	*map = (struct stele__livemap){0};
	stele__keymap_init(&map->pages);
	stele__keymap_init(&map->regions);
}

void stele__livemap_done(struct stele__livemap *map)
{
	struct stele__live_page *page;
	size_t at = 0;

	while ((page = stele__keymap_each(&map->pages, &at))) {
		free(page->objects);
		free(page);
	}
	stele__keymap_done(&map->pages);
	stele__keymap_free(&map->regions);
}

static struct stele__live_page *live_page(struct stele__livemap *map, uint64_t address)
{
	uint64_t number = live_number(address);
	struct stele__live_page *page = map->last;

	if (STELE_LIKELY(page && page->number == number))
		return page;
	page = stele__keymap_get(&map->pages, number);
	if (page)
		map->last = page;
	return page;
}

static struct stele__live_region *live_region(const struct stele__livemap *map, uint64_t page)
{
	return stele__keymap_get(&map->regions, page >> STELE__LIVE_REGION_BITS);
}

static int live_region_need(struct stele__livemap *map, uint64_t page)
{
	struct stele__live_region *region = live_region(map, page);
	int r = 0;

	if (!region) {
		region = calloc(1, sizeof(*region));
		r = region ? stele__keymap_add(&map->regions, page >> STELE__LIVE_REGION_BITS,
					       region)
			   : -ENOMEM;
	}
	if (r < 0)
		free(region);
	else
		region->number = page >> STELE__LIVE_REGION_BITS;
	return r;
}

static int live_page_new(struct stele__livemap *map, uint64_t number,
			 struct stele__live_page **ret_page)
{
	struct stele__live_page *page = calloc(1, sizeof(*page));
	int r = page ? live_region_need(map, number) : -ENOMEM;

	if (r == 0)
		r = stele__keymap_add(&map->pages, number, page);
	if (r < 0) {
		free(page);
		return r;
	}
	page->number = number;
	map->last = *ret_page = page;
	return 0;
}

/* Where an object with this offset is, or would be. */
static uint32_t live_index(const struct stele__live_page *page, uint16_t offset)
{
	uint32_t low = 0, high = page->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (page->objects[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct stele__live *stele__livemap_find(struct stele__livemap *map, uint64_t address)
{
	struct stele__live_page *page = live_page(map, address);
	uint16_t offset = live_offset(address);
	uint32_t at = page ? live_index(page, offset) : 0;

	return page && at < page->count && page->objects[at].offset == offset ? &page->objects[at]
									      : NULL;
}

static int live_room(struct stele__live_page *page)
{
	uint32_t max = page->max ? 2 * page->max : OBJECTS_MIN;
	struct stele__live *grown;

	if (page->count < page->max)
		return 0;
	grown = realloc(page->objects, max * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	page->objects = grown;
	page->max = max;
	return 0;
}

static void live_mark(struct stele__live_page *page, uint16_t offset)
{
	page->seen[offset / 512] |= (uint64_t)1 << (offset / 8 % 64);
}

int stele__livemap_mark(struct stele__livemap *map, uint64_t address)
{
	struct stele__live_page *page = live_page(map, address);
	int r = page ? 0 : live_page_new(map, live_number(address), &page);

	if (r == 0)
		live_mark(page, live_offset(address));
	return r;
}

int stele__livemap_add(struct stele__livemap *map, uint64_t address,
		       struct stele__live **ret_object)
{
	struct stele__live_page *page = live_page(map, address);
	uint16_t offset = live_offset(address);
	uint32_t at;
	int r = page ? 0 : live_page_new(map, live_number(address), &page);

	if (r == 0)
		r = live_room(page);
	if (r < 0)
		return r;
	at = live_index(page, offset);
	memmove(page->objects + at + 1, page->objects + at,
		(page->count - at) * sizeof(*page->objects));
	page->objects[at] = (struct stele__live){.offset = offset};
	if (!page->count++)
		live_region(map, page->number)->pages++;
	live_mark(page, offset);
	map->count++;
	*ret_object = &page->objects[at];
	return 0;
}

void stele__livemap_remove(struct stele__livemap *map, uint64_t address)
{
	struct stele__live_page *page = live_page(map, address);
	uint32_t at = live_index(page, live_offset(address));

	if (!--page->count)
		live_region(map, page->number)->pages--;
	map->count--;
	memmove(page->objects + at, page->objects + at + 1,
		(page->count - at) * sizeof(*page->objects));
	if (!page->count && page->max > OBJECTS_MIN) {
		free(page->objects);
		page->objects = NULL;
		page->max = 0;
	}
}

bool stele__livemap_seen(struct stele__livemap *map, uint64_t address)
{
	const struct stele__live_page *page = live_page(map, address);
	uint16_t offset = live_offset(address);

	return page && page->seen[offset / 512] >> (offset / 8 % 64) & 1;
}

/*
 * The region that the walk is in, NULL behind the last one. Where the range has fewer regions than
 * there are at all, `at` counts those of the range, else it is a slot of the table.
 */
static const struct stele__live_region *live_walk(const struct stele__livemap *map, uint64_t first,
						  uint64_t last, size_t *at)
{
	const struct stele__live_region *region;
	size_t slot;

	if (last - first < map->regions.used) {
		for (; *at >> STELE__LIVE_REGION_BITS <= last - first;
		     *at = ((*at >> STELE__LIVE_REGION_BITS) + 1) << STELE__LIVE_REGION_BITS) {
			region = stele__keymap_get(&map->regions,
						   first + (*at >> STELE__LIVE_REGION_BITS));
			if (region && region->pages)
				return region;
		}
		return NULL;
	}
	for (;;) {
		slot = *at >> STELE__LIVE_REGION_BITS;
		region = stele__keymap_each(&map->regions, &slot);
		if (!region)
			return NULL;
		if (slot - 1 != *at >> STELE__LIVE_REGION_BITS)
			*at = (slot - 1) << STELE__LIVE_REGION_BITS;
		if (region->pages && region->number >= first && region->number <= last)
			return region;
		*at = slot << STELE__LIVE_REGION_BITS;
	}
}

struct stele__live_page *stele__livemap_each(const struct stele__livemap *map, uint64_t begin,
					     uint64_t end, size_t *at)
{
	uint64_t first = live_number(begin), last = end ? live_number(end - 1) : 0;
	const struct stele__live_region *region;

	if (begin >= end)
		return NULL;
	while ((region = live_walk(map, first >> STELE__LIVE_REGION_BITS,
				   last >> STELE__LIVE_REGION_BITS, at))) {
		uint64_t inside = *at & (((size_t)1 << STELE__LIVE_REGION_BITS) - 1);
		uint64_t number = (region->number << STELE__LIVE_REGION_BITS) + inside;
		struct stele__live_page *page = stele__keymap_get(&map->pages, number);

		++*at;
		if (page && page->count && number >= first && number <= last)
			return page;
	}
	return NULL;
}
