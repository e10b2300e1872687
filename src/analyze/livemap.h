/* SPDX-License-Identifier: MIT */
/*
 * Which objects are alive, by address. They lie in pages of 4 KiB, each a sorted array: neighbours
 * in memory are neighbours here, and all objects of a range of addresses can be found. A page
 * remembers which of its addresses, to the 8 bytes, were ever heard of.
 */
#ifndef STELE_ANALYZE_LIVEMAP_H
#define STELE_ANALYZE_LIVEMAP_H

#include "analyze/keymap.h"

#define STELE__LIVE_PAGE_BITS	12
#define STELE__LIVE_REGION_BITS 9 /* pages of a region */

struct stele__live {
	int64_t time;	 /* of its alloc; INT64_MIN: it existed before the trace */
	uint32_t lot;	 /* what it is: of memsum.h */
	uint16_t offset; /* in its page */
	bool behind;	 /* allocated by an address behind its slot's beginning */
	bool homeless;	 /* the span around it was freed */
};

struct stele__live_page {
	uint64_t number;
	uint64_t seen[8];
	uint32_t count, max;
	struct stele__live *objects; /* by offset, owned */
};

/* Ranges without objects are passed over region by region. */
struct stele__live_region {
	uint64_t number;
	uint32_t pages; /* with objects */
};

struct stele__livemap {
	struct stele__keymap pages;    /* by number: struct stele__live_page, owned */
	struct stele__keymap regions;  /* by number: struct stele__live_region, owned */
	struct stele__live_page *last; /* the one that was asked for last */
	uint64_t count;		       /* objects */
};

void stele__livemap_init(struct stele__livemap *map);
void stele__livemap_done(struct stele__livemap *map);

/* Pointers to objects are good until the next change of the map. NULL: it is not alive. */
struct stele__live *stele__livemap_find(struct stele__livemap *map, uint64_t address);
/* It is not alive. 0 or -ENOMEM; the new one is all 0 but for its offset. */
int stele__livemap_add(struct stele__livemap *map, uint64_t address,
		       struct stele__live **ret_object);
void stele__livemap_remove(struct stele__livemap *map, uint64_t address);

/* Was the address ever marked, or did it hold an object? */
bool stele__livemap_seen(struct stele__livemap *map, uint64_t address);
/* 0 or -ENOMEM. */
int stele__livemap_mark(struct stele__livemap *map, uint64_t address);

/*
 * The pages with objects that touch [begin, end), any order: *at is 0 at first. NULL behind the
 * last one.
 */
struct stele__live_page *stele__livemap_each(const struct stele__livemap *map, uint64_t begin,
					     uint64_t end, size_t *at);

STELE_INLINE uint64_t stele__live_address(const struct stele__live_page *page,
					  const struct stele__live *object)
{
	return (page->number << STELE__LIVE_PAGE_BITS) + object->offset;
}

#endif
