/* SPDX-License-Identifier: MIT */
/* Against an array with a place for each address. */
#include "analyze/livemap.h"

#include "support/tap.h"

#define BASE	  UINT64_C(0x7f0000000000)
#define ADDRESSES 20000 /* five pages */

static uint32_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % limit;
}

static bool alive[ADDRESSES], seen[ADDRESSES];

static unsigned alive_within(uint64_t begin, uint64_t end)
{
	unsigned count = 0;

	for (uint64_t i = begin; i < end; i++)
		count += alive[i];
	return count;
}

static unsigned found_within(const struct stele__livemap *map, uint64_t begin, uint64_t end)
{
	const struct stele__live_page *page;
	unsigned count = 0;
	size_t at = 0;

	while ((page = stele__livemap_each(map, BASE + begin, BASE + end, &at)))
		for (uint32_t i = 0; i < page->count; i++) {
			uint64_t address = stele__live_address(page, &page->objects[i]) - BASE;

			count += address >= begin && address < end;
		}
	return count;
}

static void objects_are_found_as_in_an_array(void)
{
	struct stele__livemap map;
	struct stele__live *object;

	stele__livemap_init(&map);
	for (unsigned step = 0; step < 100000; step++) {
		uint32_t i = random_below(ADDRESSES), from = random_below(ADDRESSES);
		uint32_t to = from + random_below(ADDRESSES - from);

		object = stele__livemap_find(&map, BASE + i);
		if (!CHECK_EQ(object != NULL, alive[i]) ||
		    !CHECK(stele__livemap_seen(&map, BASE + i) || !seen[i]))
			break;
		if (object && CHECK_EQ(object->lot, i)) {
			stele__livemap_remove(&map, BASE + i);
			alive[i] = false;
		} else if (step % 3) {
			CHECK_EQ(stele__livemap_add(&map, BASE + i, &object), 0);
			object->lot = i;
			alive[i] = seen[i] = true;
		}
		if (step % 1000 == 0)
			CHECK_EQ(found_within(&map, from, to), alive_within(from, to));
	}
	CHECK_EQ(map.count, alive_within(0, ADDRESSES));
	CHECK_EQ(found_within(&map, 0, ADDRESSES), map.count);
	stele__livemap_done(&map);
}

static void what_is_marked_has_been_seen(void)
{
	struct stele__livemap map;

	stele__livemap_init(&map);
	CHECK(!stele__livemap_seen(&map, 4096));
	CHECK_EQ(stele__livemap_mark(&map, 4096), 0);
	CHECK(stele__livemap_seen(&map, 4096));
	CHECK(!stele__livemap_seen(&map, 4096 + 8));
	CHECK(!stele__livemap_seen(&map, 8192));
	stele__livemap_done(&map);
}

/* A range of more pages than there are is looked for among those that there are. */
static void large_ranges_have_their_objects(void)
{
	struct stele__livemap map;
	struct stele__live *object;
	size_t at = 0;

	stele__livemap_init(&map);
	for (uint64_t i = 0; i < 100; i++)
		CHECK_EQ(stele__livemap_add(&map, i << 30, &object), 0);
	for (unsigned count = 0; count < 50; count++)
		CHECK(stele__livemap_each(&map, (uint64_t)50 << 30, UINT64_MAX, &at) != NULL);
	CHECK(stele__livemap_each(&map, (uint64_t)50 << 30, UINT64_MAX, &at) == NULL);
	at = 0;
	CHECK(stele__livemap_each(&map, 10, 10, &at) == NULL);
	stele__livemap_done(&map);
}

TAP_MAIN(TEST(objects_are_found_as_in_an_array), TEST(what_is_marked_has_been_seen),
	 TEST(large_ranges_have_their_objects))
