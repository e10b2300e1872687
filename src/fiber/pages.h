/* SPDX-License-Identifier: MIT */
/*
 * The page heap: spans of 8 KiB pages out of one range of addresses, for the objects and stacks
 * above it. Best fit, free neighbours become one, and what is free for long goes back to the
 * system. Each span is told to the tracer, by the public API.
 *
 *   base          page_end             page_max
 *   | used free … | not accessible yet |        a span knows its pages, the map knows whose a page
 * is
 *
 * Threads: any. Signals: not safe. Design: docs/design/runtime.md
 */
#ifndef STELE_FIBER_PAGES_H
#define STELE_FIBER_PAGES_H

#include "base/compiler.h"

#define STELE__PAGE_SHIFT 13
#define STELE__PAGE_BYTES (1u << STELE__PAGE_SHIFT)

/* Free spans of fewer pages than this have a bin for each length; above, eight for each doubling.
 */
#define STELE__EXACT_BINS 64
#define STELE__BINS	  (STELE__EXACT_BINS + 26 * 8)

enum stele__span_use {
	STELE__SPAN_FREE,
	STELE__SPAN_OBJECTS,
	STELE__SPAN_MANUAL, /* stacks, and whatever else has no size class */
	STELE__SPAN_BUSY,   /* the heap's own: on its way back to the system */
};

/* A ring of them is a list: of a bin's free spans, those that may hold memory in front. */
struct stele__span_link {
	struct stele__span_link *next, *previous;
};

/* Never unmapped: a pointer to one that was freed leads to another span or to a free one. */
struct stele__span {
	struct stele__span_link link; /* in its bin, while it is free */
	uint32_t page, pages;
	uint8_t use;   /* enum stele__span_use */
	uint8_t class; /* of objects; 0: one large object */
	bool resident; /* a free one: some of its pages may hold memory */
};

struct stele__pages {
	uint32_t lock; /* everything but the map's entries, which are read without it */
	char *base;
	uint32_t page_max, page_end;
	struct stele__span **map; /* of each page that is used; of free spans the first and last */

	struct stele__span_link bins[STELE__BINS];
	uint64_t filled[(STELE__BINS + 63) / 64]; /* bins that are not empty */
	struct stele__span_link *spare;		  /* descriptors, linked by `next` */
	char *slab;				  /* room for more of them */
	size_t slab_bytes;

	/* In pages. */
	uint64_t used;
	uint64_t resident;  /* of free spans that are */
	uint64_t scavenged; /* given back to the system, ever */
};

/* Reserves addresses, and takes no memory. -errno. */
int stele__pages_init(struct stele__pages *p, uint64_t bytes);
/* Nobody uses any of it any more. */
void stele__pages_done(struct stele__pages *p);

/* A span of `use` (OBJECTS or MANUAL), its memory of any content. NULL: none is left. */
struct stele__span *stele__pages_alloc(struct stele__pages *p, uint32_t pages,
				       enum stele__span_use use, uint8_t class);
void stele__pages_free(struct stele__pages *p, struct stele__span *span);

/* The span that is used and has this address; NULL: there is none. Without lock. */
struct stele__span *stele__pages_find(const struct stele__pages *p, const void *address);

/* Gives memory of free spans back to the system until no more than `keep` pages may hold some. */
void stele__pages_scavenge(struct stele__pages *p, uint64_t keep);

/* Tells the tracer which spans there are, once it has begun to record. */
void stele__pages_tell(struct stele__pages *p);

STELE_INLINE void *stele__span_base(const struct stele__pages *p, const struct stele__span *span)
{
	return p->base + ((size_t)span->page << STELE__PAGE_SHIFT);
}

STELE_INLINE size_t stele__span_bytes(const struct stele__span *span)
{
	return (size_t)span->pages << STELE__PAGE_SHIFT;
}

#endif
