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

#include "base/atomic.h"
#include "base/compiler.h"

#define STELE__PAGE_SHIFT 13
#define STELE__PAGE_BYTES (1u << STELE__PAGE_SHIFT)

/* Free spans of fewer pages than this have a bin for each length; above, eight for each doubling.
 */
#define STELE__EXACT_BINS 64
#define STELE__BINS	  (STELE__EXACT_BINS + 26 * 8)

#define STELE__MAP_UNUSED 1u /* in an entry of the map: nobody has the span */

enum stele__span_use {
	STELE__SPAN_FREE,
	STELE__SPAN_OBJECTS,
	STELE__SPAN_MANUAL, /* whatever has no size class */
	STELE__SPAN_STACK,  /* stack.c's, which itself tells of the parts that are in use */
	STELE__SPAN_BUSY,   /* the heap's own: on its way back */
};

/* A ring of them is a list: of a bin's free spans, those that may hold memory in front. */
struct stele__span_link {
	struct stele__span_link *next, *previous;
};

struct stele__cache;

/* Where a span of objects stands in its owner's cache: it is full, has free ones, is in use. */
enum stele__place { STELE__NOWHERE, STELE__LISTED, STELE__CURRENT };

/* The objects of a span, all of one size; objects.c's. Large ones have a span of their own. */
struct stele__slots {
	char *base;
	struct stele__cache *owner; /* who hands them out; the same as long as the span lives */
	void *free;		    /* owner: given back, linked by their first words */
	uint32_t size, count;	    /* 0: it is no span of objects */
	uint32_t carved;	    /* owner: so many were handed out at least once */
	uint32_t used;		    /* owner: handed out, and not known to be given back */
	uint64_t reciprocal;	    /* 2^40 / size, rounded up; of a large one 0 */
	uint8_t *marks;		    /* of each object: enum heap_mark */
	uint8_t mark;		    /* of a large one */
	uint8_t place;		    /* owner: enum stele__place */
	bool empty;		    /* owner: kept although all are back */

	void *remote;		   /* given back by others; pushed by CAS */
	struct stele__span *ready; /* the next that has some */
};

/* Never unmapped: a pointer to one that was freed leads to another span or to a free one. */
struct stele__span {
	struct stele__span_link link; /* in its bin, while it is free; else its user's */
	uint32_t page, pages;
	uint8_t use;   /* enum stele__span_use */
	uint8_t class; /* of objects; 0: one large object */
	bool resident; /* a free one: some of its pages may hold memory */
	bool told;     /* a used one: the tracer knows it */
	bool ready;    /* a stack: its structure is there */
	struct stele__slots slots;
};

struct stele__pages {
	uint32_t lock; /* everything but the map's entries, which are read without it */
	char *base;
	uint32_t page_max, page_end;
	/* Of each page that is used its span; of other spans the first and last page, tagged. */
	uintptr_t *map;

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

/* A span of `use` (OBJECTS, MANUAL, STACK), its memory of any content. NULL: none is left. */
struct stele__span *stele__pages_alloc(struct stele__pages *p, uint32_t pages,
				       enum stele__span_use use, uint8_t class);
void stele__pages_free(struct stele__pages *p, struct stele__span *span);

/* Those of this use, none of which is given back meanwhile. */
void stele__pages_each(struct stele__pages *p, enum stele__span_use use,
		       void (*each)(struct stele__span *span));

/* Gives memory of free spans back to the system until no more than `keep` pages may hold some. */
void stele__pages_scavenge(struct stele__pages *p, uint64_t keep);

/* The tracer knows of none any more. */
void stele__pages_forget(struct stele__pages *p);
/* Tells the tracer which spans there are, when it has begun to record; others go on meanwhile. */
void stele__pages_tell(struct stele__pages *p);

/* The span that is used and has this address; NULL: there is none. Without lock. */
STELE_INLINE struct stele__span *stele__pages_find(const struct stele__pages *p,
						   const void *address)
{
	/* An address below the base is a page far above. */
	size_t page = (size_t)((uintptr_t)address - (uintptr_t)p->base) >> STELE__PAGE_SHIFT;
	uintptr_t entry;

	if (STELE_UNLIKELY(page >= p->page_max))
		return NULL;
	entry = stele__load_acquire(&p->map[page]);
	return entry & STELE__MAP_UNUSED ? NULL : (struct stele__span *)entry;
}

STELE_INLINE void *stele__span_base(const struct stele__pages *p, const struct stele__span *span)
{
	return p->base + ((size_t)span->page << STELE__PAGE_SHIFT);
}

STELE_INLINE size_t stele__span_bytes(const struct stele__span *span)
{
	return (size_t)span->pages << STELE__PAGE_SHIFT;
}

#endif
