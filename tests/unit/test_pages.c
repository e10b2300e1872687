/* SPDX-License-Identifier: MIT */
/* The page heap: against a plain account of what it handed out, among threads, and as traced. */
#include "fiber/pages.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "support/attached.h"
#include "support/tap.h"

#define RESERVED (1ull << 30)
#define HELD_MAX 400
#define STEPS	 8000

struct held {
	struct stele__span *span;
	uint64_t mark;
};

static uint64_t random_state = 1;

static uint64_t next_random(uint64_t *state, uint64_t below)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (*state >> 33) % below;
}

/* First and last word of each page. */
static void mark(const struct stele__pages *p, const struct held *h)
{
	char *at = stele__span_base(p, h->span);

	for (uint32_t i = 0; i < h->span->pages; i++, at += STELE__PAGE_BYTES) {
		memcpy(at, &h->mark, sizeof(h->mark));
		memcpy(at + STELE__PAGE_BYTES - sizeof(h->mark), &h->mark, sizeof(h->mark));
	}
}

static bool is_marked(const struct stele__pages *p, const struct held *h)
{
	const char *at = stele__span_base(p, h->span);

	for (uint32_t i = 0; i < h->span->pages; i++, at += STELE__PAGE_BYTES)
		if (memcmp(at, &h->mark, sizeof(h->mark)) ||
		    memcmp(at + STELE__PAGE_BYTES - sizeof(h->mark), &h->mark, sizeof(h->mark)))
			return false;
	return true;
}

static const struct stele__span *span_at(const struct stele__pages *p, uint32_t page)
{
	return (const struct stele__span *)(p->map[page] & ~(uintptr_t)STELE__MAP_UNUSED);
}

/* Spans lie side by side without a gap, no two free ones among them; counts and bins agree. */
static bool is_consistent(struct stele__pages *p)
{
	uint64_t used = 0, resident = 0, free_spans = 0, in_bins = 0;
	bool good = true, free_before = false;

	for (uint32_t page = 0; page < p->page_end;) {
		const struct stele__span *s = span_at(p, page);
		bool is_free = s->use == STELE__SPAN_FREE;

		good = good && s->page == page && s->pages && page + s->pages <= p->page_end &&
		       span_at(p, page + s->pages - 1) == s && !(is_free && free_before);
		if (!good)
			return CHECK(good);
		free_before = is_free;
		free_spans += is_free;
		used += is_free ? 0 : s->pages;
		resident += is_free && s->resident ? s->pages : 0;
		page += s->pages;
	}
	for (unsigned bin = 0; bin < STELE__BINS; bin++) {
		const struct stele__span_link *list = &p->bins[bin];
		bool filled = p->filled[bin / 64] >> bin % 64 & 1;

		good = good && filled == (list->next != list);
		for (const struct stele__span_link *at = list->next; at != list; at = at->next)
			in_bins++;
	}
	return CHECK(good) && CHECK_EQ(used, p->used) && CHECK_EQ(resident, p->resident) &&
	       CHECK_EQ(free_spans, in_bins);
}

static uint32_t some_pages(uint64_t *state)
{
	uint32_t most = next_random(state, 20) ? 20 : 3000;

	return 1 + (uint32_t)next_random(state, most);
}

static void pages_are_nobody_elses(void)
{
	static struct held held[HELD_MAX];
	struct stele__pages p;
	uint64_t live = 0;

	CHECK_EQ(stele__pages_init(&p, RESERVED), 0);
	memset(held, 0, sizeof(held));
	for (uint64_t step = 1; step <= STEPS; step++) {
		struct held *h = &held[next_random(&random_state, HELD_MAX)];

		if (h->span) {
			CHECK(is_marked(&p, h));
			live -= h->span->pages;
			stele__pages_free(&p, h->span);
			h->span = NULL;
		} else {
			*h = (struct held){stele__pages_alloc(&p, some_pages(&random_state),
							      STELE__SPAN_MANUAL, 0),
					   step};
			CHECK(h->span);
			mark(&p, h);
			live += h->span->pages;
		}
		if (step % 97 == 0 && (!is_consistent(&p) || !CHECK_EQ(p.used, live)))
			break;
	}
	for (unsigned i = 0; i < HELD_MAX; i++)
		if (held[i].span)
			stele__pages_free(&p, held[i].span);
	CHECK(is_consistent(&p));
	CHECK_EQ(p.used, 0);
	CHECK_EQ(span_at(&p, 0)->pages, p.page_end); /* all one span again */
	stele__pages_done(&p);
}

static void shortest_that_fits_is_taken(void)
{
	struct stele__span *span[9], *fits;
	struct stele__pages p;
	/* Holes of 100, 9, 5 and 70 pages between spans that stay. */
	static const uint32_t lengths[9] = {100, 1, 9, 1, 5, 1, 70, 1, 1};
	void *hole[9];

	CHECK_EQ(stele__pages_init(&p, RESERVED), 0);
	for (int i = 0; i < 9; i++) {
		span[i] = stele__pages_alloc(&p, lengths[i], STELE__SPAN_MANUAL, 0);
		hole[i] = stele__span_base(&p, span[i]);
	}
	for (int i = 0; i < 8; i += 2)
		stele__pages_free(&p, span[i]);
	fits = stele__pages_alloc(&p, 4, STELE__SPAN_MANUAL, 0);
	CHECK(stele__span_base(&p, fits) == hole[4]);
	fits = stele__pages_alloc(&p, 6, STELE__SPAN_MANUAL, 0);
	CHECK(stele__span_base(&p, fits) == hole[2]);
	fits = stele__pages_alloc(&p, 65, STELE__SPAN_MANUAL, 0);
	CHECK(stele__span_base(&p, fits) == hole[6]);
	fits = stele__pages_alloc(&p, 71, STELE__SPAN_MANUAL, 0);
	CHECK(stele__span_base(&p, fits) == hole[0]);
	CHECK(is_consistent(&p));
	stele__pages_done(&p);
}

static void addresses_lead_to_their_span(void)
{
	struct stele__pages p;
	struct stele__span *span;
	char *base;
	int elsewhere;

	CHECK_EQ(stele__pages_init(&p, RESERVED), 0);
	span = stele__pages_alloc(&p, 3, STELE__SPAN_OBJECTS, 5);
	base = stele__span_base(&p, span);
	CHECK(stele__pages_find(&p, base) == span);
	CHECK(stele__pages_find(&p, base + 3 * STELE__PAGE_BYTES - 1) == span);
	CHECK(!stele__pages_find(&p, base + 3 * STELE__PAGE_BYTES));
	CHECK(!stele__pages_find(&p, &elsewhere));
	CHECK(!stele__pages_find(&p, NULL));
	CHECK(!stele__pages_find(&p, p.base + RESERVED));
	stele__pages_free(&p, span);
	CHECK(!stele__pages_find(&p, base));
	CHECK(!stele__pages_find(&p, base + STELE__PAGE_BYTES));
	stele__pages_done(&p);
}

static uint64_t resident_bytes(const struct stele__pages *p)
{
	static unsigned char in_core[RESERVED / 4096 / 4];
	uint64_t count = 0;

	if (mincore(p->base, sizeof(in_core) * 4096, in_core))
		return UINT64_MAX;
	for (size_t i = 0; i < sizeof(in_core); i++)
		count += in_core[i] & 1;
	return count * 4096;
}

static void free_memory_goes_back_to_the_system(void)
{
	struct stele__span *span[64];
	struct stele__pages p;

	CHECK_EQ(stele__pages_init(&p, RESERVED), 0);
	if (resident_bytes(&p) == UINT64_MAX)
		SKIP("mincore does not work here"); /* an emulator */
	for (int i = 0; i < 64; i++) {
		span[i] = stele__pages_alloc(&p, 256, STELE__SPAN_MANUAL, 0); /* 2 MiB */
		memset(stele__span_base(&p, span[i]), 1, stele__span_bytes(span[i]));
	}
	CHECK(resident_bytes(&p) >= 128u << 20);
	for (int i = 0; i < 64; i++)
		stele__pages_free(&p, span[i]);
	CHECK(resident_bytes(&p) <= 24u << 20);
	CHECK(p.scavenged > 0 && is_consistent(&p));
	stele__pages_scavenge(&p, 0);
	CHECK_EQ(resident_bytes(&p), 0);
	CHECK_EQ(p.resident, 0);
	span[0] = stele__pages_alloc(&p, 64 * 256, STELE__SPAN_MANUAL, 0);
	CHECK(span[0] && *(char *)stele__span_base(&p, span[0]) == 0);
	stele__pages_done(&p);
}

static void range_that_is_used_up_is_refused(void)
{
	struct stele__pages p;
	struct stele__span *all, *half;

	CHECK_EQ(stele__pages_init(&p, 100), -EINVAL);
	CHECK_EQ(stele__pages_init(&p, 1ull << 63), -EINVAL);
	CHECK_EQ(stele__pages_init(&p, 1ull << 43 << STELE__PAGE_SHIFT), -EINVAL);
	CHECK_EQ(stele__pages_init(&p, 1000 * STELE__PAGE_BYTES), 0);
	CHECK(!stele__pages_alloc(&p, 1001, STELE__SPAN_MANUAL, 0));
	CHECK(!stele__pages_alloc(&p, 0, STELE__SPAN_MANUAL, 0));
	all = stele__pages_alloc(&p, 1000, STELE__SPAN_MANUAL, 0);
	CHECK(all);
	CHECK(!stele__pages_alloc(&p, 1, STELE__SPAN_MANUAL, 0));
	stele__pages_free(&p, all);
	half = stele__pages_alloc(&p, 500, STELE__SPAN_MANUAL, 0);
	CHECK(half && stele__pages_alloc(&p, 500, STELE__SPAN_MANUAL, 0));
	CHECK(is_consistent(&p));
	stele__pages_done(&p);
}

static struct stele__pages shared;

static void *allocate_and_free(void *arg)
{
	uint64_t state = (uint64_t)(uintptr_t)arg;
	struct held held[40] = {{0}};
	bool good = true;

	for (uint64_t step = 1; step <= STEPS / 4; step++) {
		struct held *h = &held[next_random(&state, STELE_ARRAY_LENGTH(held))];

		if (h->span) {
			good = good && is_marked(&shared, h) &&
			       stele__pages_find(&shared, stele__span_base(&shared, h->span)) ==
				       h->span;
			stele__pages_free(&shared, h->span);
			h->span = NULL;
		} else {
			h->span = stele__pages_alloc(&shared, some_pages(&state),
						     STELE__SPAN_MANUAL, 0);
			h->mark = (uint64_t)(uintptr_t)arg << 32 | step;
			good = good && h->span;
			if (h->span)
				mark(&shared, h);
		}
	}
	for (unsigned i = 0; i < STELE_ARRAY_LENGTH(held); i++)
		if (held[i].span)
			stele__pages_free(&shared, held[i].span);
	return good ? arg : NULL;
}

static void threads_share_it(void)
{
	pthread_t threads[4];
	void *result;

	CHECK_EQ(stele__pages_init(&shared, 8 * RESERVED), 0);
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, allocate_and_free, (void *)(i + 1));
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &result);
		CHECK(result);
	}
	CHECK(is_consistent(&shared));
	CHECK_EQ(shared.used, 0);
	stele__pages_done(&shared);
}

/* What the records say is alive: by address, its length. */
struct told {
	uint64_t address[HELD_MAX], bytes[HELD_MAX], count, broken, kinds;
};

static void told_record(void *arg, const struct stele_record *r)
{
	unsigned kind = stele__record_kind(r->header);
	struct told *told = arg;
	uint64_t i = 0;

	if (kind != STELE_KIND_SPAN_ALLOC && kind != STELE_KIND_SPAN &&
	    kind != STELE_KIND_SPAN_FREE)
		return;
	while (i < told->count && told->address[i] != r->a)
		i++;
	if (kind == STELE_KIND_SPAN_FREE) {
		if (i == told->count || told->bytes[i] != r->b) {
			told->broken++;
			return;
		}
		told->count--;
		told->address[i] = told->address[told->count];
		told->bytes[i] = told->bytes[told->count];
		return;
	}
	told->broken += i != told->count;
	told->address[told->count] = r->a;
	told->bytes[told->count++] = r->b;
	told->kinds |= 1ull << ((uint32_t)r->c & 63);
}

static void tracer_is_told_of_each_span(void)
{
	struct stele_arena *arena;
	struct held held[50] = {{0}};
	static struct told told;
	struct stele__pages p;
	uint64_t live = 0;

	CHECK_EQ(stele__pages_init(&p, RESERVED), 0);
	/* These exist before there is a recording. */
	for (unsigned i = 0; i < 20; i++)
		held[i].span = stele__pages_alloc(&p, 1 + i, STELE__SPAN_OBJECTS, 7);
	arena = attached_arena(8 << 20, STELE_ON_FULL_DROP);
	stele__pages_tell(&p);
	for (unsigned step = 0; step < 2000; step++) {
		struct held *h = &held[next_random(&random_state, STELE_ARRAY_LENGTH(held))];

		if (h->span) {
			stele__pages_free(&p, h->span);
			h->span = NULL;
		} else {
			h->span = stele__pages_alloc(&p, some_pages(&random_state),
						     STELE__SPAN_MANUAL, 0);
		}
	}
	for (uint32_t i = 0; i < arena->ring_bump; i++) {
		struct stele_ring *ring = attached_ring(arena, 0, 1, i);

		if (ring)
			attached_take(ring, told_record, &told);
	}
	for (unsigned i = 0; i < STELE_ARRAY_LENGTH(held); i++)
		live += held[i].span != NULL;
	CHECK_EQ(told.broken, 0);
	CHECK_EQ(told.count, live);
	CHECK_EQ(told.kinds, 1ull << (7 << 2) | 1ull << 1);
	CHECK(is_consistent(&p));
	stele__pages_done(&p);
}

TAP_MAIN(TEST(pages_are_nobody_elses), TEST(shortest_that_fits_is_taken),
	 TEST(addresses_lead_to_their_span), TEST(free_memory_goes_back_to_the_system),
	 TEST(range_that_is_used_up_is_refused), TEST(threads_share_it),
	 TEST(tracer_is_told_of_each_span))
