/* SPDX-License-Identifier: MIT */
#include "fiber/pages.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/atomic.h"
#include "fiber/lock.h"
#include "stele/runtime.h"

#define SLAB_BYTES (64u << 10)
#define GROW_PAGES 512u /* made accessible at once, 4 MiB */

/* Free memory that is kept for the next one: an eighth of what is used, and this. */
#define SPARE_PAGES 2048u

/* Making ------------------------------------------------------------------------------------- */

static uint64_t pages_map_bytes(const struct stele__pages *p)
{
	return (uint64_t)p->page_max * sizeof(*p->map);
}

int stele__pages_init(struct stele__pages *p, uint64_t bytes)
{
	int error = 0;

	if (bytes < STELE__PAGE_BYTES || bytes >> STELE__PAGE_SHIFT > INT32_MAX)
		return -EINVAL;
	*p = (struct stele__pages){.page_max = (uint32_t)(bytes >> STELE__PAGE_SHIFT)};
	for (unsigned i = 0; i < STELE__BINS; i++)
		p->bins[i].next = p->bins[i].previous = &p->bins[i];
	/* By the system's own calls: nobody else shall tell the tracer of what is told from here.
	 */
	p->base = stele__sys_reserve((uint64_t)p->page_max << STELE__PAGE_SHIFT, &error);
	if (!p->base)
		return error;
	p->map = stele__sys_map_private(pages_map_bytes(p), &error);
	if (p->map)
		return 0;
	stele__sys_unmap(p->base, (uint64_t)p->page_max << STELE__PAGE_SHIFT);
	return error;
}

void stele__pages_done(struct stele__pages *p)
{
	stele__sys_unmap(p->base, (uint64_t)p->page_max << STELE__PAGE_SHIFT);
	stele__sys_unmap(p->map, pages_map_bytes(p));
	/* Slabs of descriptors stay: others may still hold pointers to them. */
}

static struct stele__span *span_of(struct stele__span_link *link)
{
	return (struct stele__span *)(void *)link; /* its first member */
}

_Static_assert(offsetof(struct stele__span, link) == 0, "span_of");

/* Descriptors -------------------------------------------------------------------------------- */

static struct stele__span *span_new(struct stele__pages *p)
{
	struct stele__span *span;
	int error;

	if (p->spare) {
		span = span_of(p->spare);
		p->spare = p->spare->next;
		return span;
	}
	if (p->slab_bytes < sizeof(*span)) {
		p->slab = stele__sys_map_private(SLAB_BYTES, &error);
		p->slab_bytes = p->slab ? SLAB_BYTES : 0;
		if (!p->slab)
			return NULL;
	}
	span = (struct stele__span *)(void *)p->slab;
	p->slab += sizeof(*span);
	p->slab_bytes -= sizeof(*span);
	return span;
}

static void span_drop(struct stele__pages *p, struct stele__span *span)
{
	span->use = STELE__SPAN_FREE;
	span->pages = 0; /* no address is its own */
	span->link.next = p->spare;
	p->spare = &span->link;
}

/* Readers come without the lock: what the span says is there before it is. */
static void span_map(struct stele__pages *p, struct stele__span *span)
{
	for (uint32_t i = 0; i < span->pages; i++)
		stele__store_release(&p->map[span->page + i], (uintptr_t)span);
}

/* For those who look for a neighbour. */
static void span_map_ends(struct stele__pages *p, struct stele__span *span)
{
	uintptr_t entry = (uintptr_t)span | STELE__MAP_UNUSED;

	stele__store_relaxed(&p->map[span->page], entry);
	stele__store_relaxed(&p->map[span->page + span->pages - 1], entry);
}

/* Its pages are nobody's. */
static void span_unmap(struct stele__pages *p, struct stele__span *span)
{
	for (uint32_t i = 0; i < span->pages; i++)
		stele__store_relaxed(&p->map[span->page + i], STELE__MAP_UNUSED);
	span_map_ends(p, span);
}

/* The span that has this page, under the lock; one that is not used only at its ends. */
static struct stele__span *span_at(const struct stele__pages *p, uint32_t page)
{
	return (struct stele__span *)(p->map[page] & ~(uintptr_t)STELE__MAP_UNUSED);
}

/* Bins --------------------------------------------------------------------------------------- */

static unsigned bin_of(uint32_t pages)
{
	unsigned level;

	if (pages < STELE__EXACT_BINS)
		return pages;
	level = 31 - (unsigned)__builtin_clz(pages);
	return STELE__EXACT_BINS + (level - 6) * 8 + ((pages >> (level - 3)) & 7);
}

static void bin_put(struct stele__pages *p, struct stele__span *span)
{
	unsigned bin = bin_of(span->pages);
	struct stele__span_link *list = &p->bins[bin];
	struct stele__span_link *before = span->resident ? list : list->previous;

	span->use = STELE__SPAN_FREE;
	span->link = (struct stele__span_link){before->next, before};
	before->next->previous = &span->link;
	before->next = &span->link;
	p->filled[bin / 64] |= 1ull << bin % 64;
	span_map_ends(p, span);
	if (span->resident)
		p->resident += span->pages;
}

static void bin_take(struct stele__pages *p, struct stele__span *span)
{
	unsigned bin = bin_of(span->pages);

	span->link.previous->next = span->link.next;
	span->link.next->previous = span->link.previous;
	if (p->bins[bin].next == &p->bins[bin])
		p->filled[bin / 64] &= ~(1ull << bin % 64);
	if (span->resident)
		p->resident -= span->pages;
}

/* The first bin from this one on that has something; STELE__BINS: none. */
static unsigned bin_next(const struct stele__pages *p, unsigned bin)
{
	for (unsigned word = bin / 64; word < STELE_ARRAY_LENGTH(p->filled); word++) {
		uint64_t bits = p->filled[word];

		if (word == bin / 64)
			bits &= ~0ull << bin % 64;
		if (bits)
			return word * 64 + (unsigned)__builtin_ctzll(bits);
	}
	return STELE__BINS;
}

/* The shortest that is long enough; in an exact bin all are equal, and memory comes first. */
static struct stele__span *bin_best(struct stele__pages *p, unsigned bin, uint32_t pages)
{
	struct stele__span_link *list = &p->bins[bin];
	struct stele__span *best = NULL;

	if (bin < STELE__EXACT_BINS)
		return span_of(list->next);
	for (struct stele__span_link *at = list->next; at != list; at = at->next) {
		struct stele__span *s = span_of(at);

		if (s->pages >= pages && (!best || s->pages < best->pages))
			best = s;
	}
	return best;
}

static struct stele__span *pages_best(struct stele__pages *p, uint32_t pages)
{
	struct stele__span *best = NULL;

	/* Only in its own bin may there be shorter ones; all of the next are longer than all here.
	 */
	for (unsigned bin = bin_next(p, bin_of(pages)); bin < STELE__BINS && !best;
	     bin = bin_next(p, bin + 1))
		best = bin_best(p, bin, pages);
	return best;
}

/* Growing, splitting, joining ----------------------------------------------------------------- */

/* Free ones on both sides become part of it. */
static void span_join(struct stele__pages *p, struct stele__span *span)
{
	struct stele__span *left = span->page ? span_at(p, span->page - 1) : NULL;
	struct stele__span *right = NULL;

	if (span->page + span->pages < p->page_end)
		right = span_at(p, span->page + span->pages);
	if (left && left->use == STELE__SPAN_FREE) {
		bin_take(p, left);
		span->page = left->page;
		span->pages += left->pages;
		span->resident |= left->resident;
		span_drop(p, left);
	}
	if (right && right->use == STELE__SPAN_FREE) {
		bin_take(p, right);
		span->pages += right->pages;
		span->resident |= right->resident;
		span_drop(p, right);
	}
	bin_put(p, span);
}

static bool pages_grow(struct stele__pages *p, uint32_t pages)
{
	uint32_t left = p->page_max - p->page_end;
	uint32_t more = pages > GROW_PAGES ? pages : GROW_PAGES;
	struct stele__span *span;

	if (more > left)
		more = left;
	if (!more)
		return false;
	span = span_new(p);
	if (!span)
		return false;
	if (mprotect(p->base + ((size_t)p->page_end << STELE__PAGE_SHIFT),
		     (size_t)more << STELE__PAGE_SHIFT, PROT_READ | PROT_WRITE) < 0) {
		span_drop(p, span);
		return false;
	}
	*span = (struct stele__span){.page = p->page_end, .pages = more};
	p->page_end += more;
	span_join(p, span);
	return true;
}

/* What is too much of it becomes a free span. False: there is no descriptor for that. */
static bool span_split(struct stele__pages *p, struct stele__span *span, uint32_t pages)
{
	struct stele__span *rest;

	if (span->pages == pages)
		return true;
	rest = span_new(p);
	if (!rest)
		return false;
	*rest = (struct stele__span){.page = span->page + pages,
				     .pages = span->pages - pages,
				     .resident = span->resident};
	span->pages = pages;
	bin_put(p, rest);
	return true;
}

static struct stele__span *pages_take(struct stele__pages *p, uint32_t pages)
{
	struct stele__span *span = pages_best(p, pages);

	if (!span && pages_grow(p, pages))
		span = pages_best(p, pages);
	if (!span)
		return NULL;
	bin_take(p, span);
	if (span_split(p, span, pages))
		return span;
	bin_put(p, span);
	return NULL;
}

/* For all -------------------------------------------------------------------------------------- */

/* As Go has it: of objects the size class, behind two bits that C's memory leaves 0; else 1. */
static uint32_t span_kind(const struct stele__span *span)
{
	return span->use == STELE__SPAN_OBJECTS ? (uint32_t)span->class << 2 : 1;
}

struct stele__span *stele__pages_alloc(struct stele__pages *p, uint32_t pages,
				       enum stele__span_use use, uint8_t class)
{
	struct stele__span *span;

	if (!pages)
		return NULL;
	stele__lock(&p->lock);
	span = pages_take(p, pages);
	if (span) {
		span->use = (uint8_t)use;
		span->class = class;
		span->told = use != STELE__SPAN_STACK && stele_enabled();
		span->slots.count = 0; /* has no objects yet */
		span->ready = false;
		p->used += pages;
		span_map(p, span);
	}
	stele__unlock(&p->lock);
	if (span && span->told)
		stele_span_alloc(stele__span_base(p, span), stele__span_bytes(span),
				 span_kind(span));
	return span;
}

void stele__pages_free(struct stele__pages *p, struct stele__span *span)
{
	uint64_t most;
	bool told, full;

	STELE_ASSERT(span->use != STELE__SPAN_FREE && span->use != STELE__SPAN_BUSY);
	stele__lock(&p->lock);
	told = span->told;
	span->use = STELE__SPAN_BUSY; /* and is not told any more */
	span_unmap(p, span);
	stele__unlock(&p->lock);
	/* Now: the next one to have these addresses says so after this. */
	if (told)
		stele_span_free(stele__span_base(p, span), stele__span_bytes(span));
	stele__lock(&p->lock);
	p->used -= span->pages;
	span->resident = true;
	span_join(p, span);
	most = p->used / 8 + SPARE_PAGES;
	full = p->resident > most;
	stele__unlock(&p->lock);
	if (full)
		stele__pages_scavenge(p, most / 2);
}

/* One of the longest that may hold memory. There is one. */
static struct stele__span *pages_long_resident(struct stele__pages *p)
{
	for (unsigned bin = STELE__BINS - 1; bin > 0; bin--) {
		struct stele__span_link *first = p->bins[bin].next;

		if (first != &p->bins[bin] && span_of(first)->resident)
			return span_of(first);
	}
	STELE_ASSERT(false);
	return NULL;
}

/* The system may take its time for each: others are let in meanwhile. */
void stele__pages_scavenge(struct stele__pages *p, uint64_t keep)
{
	stele__lock(&p->lock);
	while (p->resident > keep) {
		struct stele__span *span = pages_long_resident(p);

		bin_take(p, span);
		span->use = STELE__SPAN_BUSY; /* nobody joins it */
		stele__unlock(&p->lock);
		madvise(stele__span_base(p, span), stele__span_bytes(span), MADV_DONTNEED);
		stele__lock(&p->lock);
		span->resident = false;
		p->scavenged += span->pages;
		span_join(p, span);
	}
	stele__unlock(&p->lock);
}

void stele__pages_each(struct stele__pages *p, enum stele__span_use use,
		       void (*each)(struct stele__span *span))
{
	stele__lock(&p->lock);
	for (uint32_t page = 0; page < p->page_end; page += span_at(p, page)->pages)
		if (span_at(p, page)->use == use)
			each(span_at(p, page));
	stele__unlock(&p->lock);
}

void stele__pages_forget(struct stele__pages *p)
{
	stele__lock(&p->lock);
	for (uint32_t page = 0; page < p->page_end; page += span_at(p, page)->pages)
		span_at(p, page)->told = false;
	stele__unlock(&p->lock);
}

void stele__pages_tell(struct stele__pages *p)
{
	stele__lock(&p->lock);
	for (uint32_t page = 0; page < p->page_end;) {
		struct stele__span *span = span_at(p, page);
		bool used = span->use == STELE__SPAN_OBJECTS || span->use == STELE__SPAN_MANUAL;

		if (used && !span->told)
			stele_span_exists(stele__span_base(p, span), stele__span_bytes(span),
					  span_kind(span));
		span->told |= used;
		page += span->pages;
	}
	stele__unlock(&p->lock);
}
