/* SPDX-License-Identifier: MIT */
/* Objects, spans and stacks in the arena, and the sampling of objects. */
#include <math.h>
#include <stdlib.h>

#include "record/sample.h"
#include "support/attached.h"
#include "support/tap.h"

#define TAKEN_MAX 64
#define DRAWS	  200000

static struct stele_arena *arena;
static struct stele_record taken[TAKEN_MAX];
static uint64_t taken_count;

static void keep(void *arg, const struct stele_record *r)
{
	(void)arg;
	taken[taken_count % TAKEN_MAX] = *r;
	taken_count++;
}

/* The new records of this thread. */
static uint64_t take(void)
{
	struct stele_ring *mine = stele__thread.ring;
	struct stele_ring *ring;

	taken_count = 0;
	for (uint32_t i = 0; (ring = attached_ring(arena, mine->slot, mine->incarnation, i)); i++)
		attached_take(ring, keep, NULL);
	return taken_count;
}

static void is(uint64_t i, enum stele_kind kind, uint64_t a, uint64_t b)
{
	CHECK_EQ(stele__record_kind(taken[i].header), kind);
	CHECK_EQ(taken[i].a, a);
	CHECK_EQ(taken[i].b, b);
}

static void *at(uintptr_t address)
{
	return (void *)address;
}

static void events_carry_address_and_size(void)
{
	take();
	stele_object_alloc(at(0x1000), 48);
	stele_object_free(at(0x1000));
	stele_object_exists(at(0x2000), 16);
	stele_span_alloc(at(0x10000), 8192, 3);
	stele_span_free(at(0x10000), 8192);
	stele_span_exists(at(0x20000), 4096, 1);
	stele_stack_alloc(at(0x30000), 65536);
	stele_stack_free(at(0x30000), 65536);
	stele_stack_exists(at(0x40000), 4096);
	if (!CHECK_EQ(take(), 9))
		return;
	is(0, STELE_KIND_OBJECT_ALLOC, 0x1000, 48);
	is(1, STELE_KIND_OBJECT_FREE, 0x1000, 0);
	is(2, STELE_KIND_OBJECT, 0x2000, 16);
	is(3, STELE_KIND_SPAN_ALLOC, 0x10000, 8192);
	CHECK_EQ((uint32_t)taken[3].c, 3);
	is(4, STELE_KIND_SPAN_FREE, 0x10000, 8192);
	is(5, STELE_KIND_SPAN, 0x20000, 4096);
	is(6, STELE_KIND_STACK_ALLOC, 0x30000, 65536);
	is(7, STELE_KIND_STACK_FREE, 0x30000, 65536);
	is(8, STELE_KIND_STACK, 0x40000, 4096);
}

static void only_allocs_have_a_stack(void)
{
	take();
	stele_object_alloc(at(0x1000), 1);
	stele_object_free(at(0x1000));
	take();
	CHECK(stele__dictionary_get(arena, (uint32_t)taken[0].c));
	CHECK_EQ(taken[1].c, 0);
}

static void null_is_no_object(void)
{
	take();
	stele_object_alloc(NULL, 10);
	stele_object_exists(NULL, 10);
	stele_object_free(NULL);
	CHECK_EQ(take(), 0);
}

static void nothing_is_recorded_without_the_class(void)
{
	take();
	arena->events &= ~(uint32_t)STELE_EVENTS_MEMORY;
	stele_object_alloc(at(0x1000), 10);
	stele_object_free(at(0x1000));
	stele_span_alloc(at(0x1000), 10, 1);
	stele_stack_free(at(0x1000), 10);
	CHECK_EQ(take(), 0);
	arena->events |= STELE_EVENTS_MEMORY;
}

static void distances_are_exponential(void)
{
	const double mean = 5000;
	double sum = 0, beyond = 0;
	uint64_t random = 88172645463325252ull;

	for (int i = 0; i < DRAWS; i++) {
		uint64_t distance;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		distance = stele__sample_distance(random, (uint64_t)mean);
		sum += (double)distance;
		beyond += distance > 3 * mean;
	}
	/* Six standard deviations. */
	CHECK(fabs(sum / DRAWS - mean) < 6 * mean / sqrt(DRAWS));
	CHECK(fabs(beyond / DRAWS - exp(-3)) < 6 * sqrt(exp(-3) / DRAWS));
	CHECK(stele__sample_distance(0, 1ull << 30) < 1ull << 40);
	CHECK(stele__sample_distance(UINT64_MAX, 1) >= 1);
}

/* Sizes below, around and far above the mean: the weighted count estimates each. */
static void estimate_is_unbiased(void)
{
	static const size_t sizes[] = {1, 16, 700, 4096, 100000};
	const double mean = 1000;

	arena->heap_sample_bytes = (uint64_t)mean;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		double p = 1 - exp(-(double)sizes[s] / mean), estimate = 0;

		for (uintptr_t i = 1; i <= DRAWS; i++) {
			if (stele__sample_alloc(at(i * 16), sizes[s])) {
				estimate += 1 / p;
				CHECK(stele__sample_free(at(i * 16)));
			}
		}
		CHECK(fabs(estimate - DRAWS) < 6 * sqrt(DRAWS * (1 - p) / p) + 1e-6 * DRAWS);
	}
	arena->heap_sample_bytes = 0;
}

static void free_is_recorded_exactly_if_alloc_was(void)
{
	uint64_t allocs = 0, frees = 0;

	arena->heap_sample_bytes = 64;
	take();
	for (uintptr_t round = 0; round < 100; round++) {
		for (uintptr_t i = 1; i <= 20; i++)
			stele_object_alloc(at(i * 64 + round), 32);
		for (uintptr_t i = 1; i <= 20; i++)
			stele_object_free(at(i * 64 + round));
		take();
		for (uint64_t i = 0; i < taken_count; i++) {
			allocs += stele__record_kind(taken[i].header) == STELE_KIND_OBJECT_ALLOC;
			frees += stele__record_kind(taken[i].header) == STELE_KIND_OBJECT_FREE;
		}
	}
	CHECK_EQ(frees, allocs);
	CHECK(allocs > 100 && allocs < 1900);
	arena->heap_sample_bytes = 0;
}

/* More live objects than can be remembered: the rest is left out and counted, none mistaken. */
static void full_set_leaves_out_and_counts(void)
{
	const uintptr_t objects = (uintptr_t)STELE_SAMPLE_BUCKETS * STELE_SAMPLE_CELLS * 2;
	struct stele_slot *slot = stele__thread_slot(stele__thread.ring);
	uint64_t *dropped = &slot->dropped[STELE_LOSS_ARENA_FULL][STELE_CLASS_MEMORY];
	uint64_t before = *dropped, kept = 0, found = 0;

	arena->heap_sample_bytes = 1;
	for (uintptr_t i = 1; i <= objects; i++)
		kept += stele__sample_alloc(at(i * 16), 1000);
	CHECK(kept > objects / 4 && kept < objects);
	CHECK_EQ(*dropped - before, objects - kept);
	for (uintptr_t i = 1; i <= objects; i++)
		found += stele__sample_free(at(i * 16));
	CHECK_EQ(found, kept);
	for (uintptr_t i = 1; i <= objects; i += 1000)
		CHECK(!stele__sample_free(at(i * 16)));
	arena->heap_sample_bytes = 0;
}

static void every_object_is_the_default(void)
{
	arena = attached_arena(64ull << 20, STELE_ON_FULL_DROP);
	CHECK(arena->heap_sample_bytes == 0);
}

TAP_MAIN(TEST(every_object_is_the_default), TEST(events_carry_address_and_size),
	 TEST(only_allocs_have_a_stack), TEST(null_is_no_object),
	 TEST(nothing_is_recorded_without_the_class), TEST(distances_are_exponential),
	 TEST(estimate_is_unbiased), TEST(free_is_recorded_exactly_if_alloc_was),
	 TEST(full_set_leaves_out_and_counts))
