/* SPDX-License-Identifier: MIT */
#include "analyze/keymap.h"
#include "analyze/origin.h"
#include "stele/analyze.h"
#include "support/tap.h"

#include <stdlib.h>

static struct stele_string text(const char *s)
{
	return (struct stele_string){s, strlen(s)};
}

static void spread_of_small_numbers_is_exact(void)
{
	struct stele_spread spread = {0};

	CHECK_EQ(stele_spread_quantile(&spread, 50), 0);
	for (int ns = 1; ns <= 10; ns++)
		stele_spread_add(&spread, ns);
	CHECK_EQ(spread.count, 10);
	CHECK_EQ(spread.total, 55);
	CHECK_EQ(spread.max, 10);
	CHECK_EQ(stele_spread_quantile(&spread, 50), 5);
	CHECK_EQ(stele_spread_quantile(&spread, 51), 6);
	CHECK_EQ(stele_spread_quantile(&spread, 90), 9);
	CHECK_EQ(stele_spread_quantile(&spread, 99), 10);
}

/* One sample of each size between two others: the median is that sample. */
static void spread_is_within_a_sixteenth(void)
{
	for (int64_t ns = 16; ns < INT64_C(1) << 42; ns += ns / 7 + 1) {
		struct stele_spread spread = {0};
		int64_t median;

		stele_spread_add(&spread, 1);
		stele_spread_add(&spread, ns);
		stele_spread_add(&spread, INT64_C(1) << 43);
		median = stele_spread_quantile(&spread, 50);
		if (!CHECK(median >= ns - ns / 16 - 1 && median <= ns + ns / 16 + 1))
			return;
	}
}

static void spread_takes_extremes(void)
{
	struct stele_spread spread = {0};

	stele_spread_add(&spread, INT64_MAX / 2);
	stele_spread_add(&spread, 0);
	stele_spread_add(&spread, 0);
	CHECK_EQ(spread.max, INT64_MAX / 2);
	CHECK_EQ(stele_spread_quantile(&spread, 50), 0);
	CHECK_EQ(stele_spread_quantile(&spread, 100), INT64_MAX / 2);
}

static void keymap_keeps_what_is_not_dropped(void)
{
	static int values[5000];
	struct stele__keymap map;
	size_t left = 0;

	stele__keymap_init(&map);
	CHECK(!stele__keymap_get(&map, 0));
	for (size_t i = 0; i < 5000; i++)
		CHECK_EQ(stele__keymap_add(&map, (uint64_t)i << 32, &values[i]), 0);
	for (size_t i = 0; i < 5000; i++)
		if (i % 3)
			stele__keymap_drop(&map, (uint64_t)i << 32, &values[i]);
	for (size_t i = 0; i < 5000; i++)
		CHECK(stele__keymap_get(&map, (uint64_t)i << 32) == (i % 3 ? NULL : &values[i]));
	for (size_t at = 0; stele__keymap_each(&map, &at);)
		left++;
	CHECK_EQ(left, 1667);
	CHECK_EQ(map.used, 1667);
	stele__keymap_done(&map);
}

static void keymap_gives_all_of_a_key(void)
{
	struct stele__keymap map;
	int values[3];
	size_t at = 0;
	unsigned seen = 0;
	int *value;

	stele__keymap_init(&map);
	for (size_t i = 0; i < 3; i++)
		CHECK_EQ(stele__keymap_add(&map, 7, &values[i]), 0);
	CHECK_EQ(stele__keymap_add(&map, 8, &map), 0);
	stele__keymap_drop(&map, 7, &values[1]);
	stele__keymap_drop(&map, 7, &map); /* is not there under this key */
	while ((value = stele__keymap_next(&map, 7, &at)))
		seen |= 1u << (value - values);
	CHECK_EQ(seen, 5);
	CHECK(stele__keymap_get(&map, 8) == &map);
	stele__keymap_done(&map);
}

static void reasons_are_told_apart_as_go_does(void)
{
	CHECK(stele_reason_is_sync(text("sync (join)")));
	CHECK(stele_reason_is_sync(text("chan receive (nil chan)")));
	CHECK(stele_reason_is_sync(text("select")));
	CHECK(!stele_reason_is_sync(text("network")));
	CHECK(!stele_reason_is_sync(text("sleep")));
	CHECK(!stele_reason_is_sync(text("")));
}

static void origins_are_the_programs_own(void)
{
	const struct stele_stack_frame thread[] = {{.function = text("lock")},
						   {.function = text("worker")},
						   {.function = text("start_thread")},
						   {.function = text("clone3")}};

	CHECK_STR(stele__origin(thread, 4).data, "worker");
	CHECK_STR(stele__origin(thread, 2).data, "worker");
	CHECK_STR(stele__origin(thread + 2, 2).data, "clone3");
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Two functions had one name in a profile: the addresses of their names and files, taken by
 * exclusive or, were the same. */
static void pairs_of_addresses_have_keys_of_their_own(void)
{
	static uint64_t keys[300 * 300];
	size_t count = 0;

	for (uint64_t i = 0; i < 300; i++)
		for (uint64_t k = 0; k < 300; k++)
			keys[count++] =
				stele__keymap_mix(0x558f0ef9e000 + 48 * i, 0x558f0ef9e000 + 32 * k);
	qsort(keys, count, sizeof(keys[0]), by_value);
	for (size_t i = 1; i < count; i++)
		CHECK(keys[i - 1] != keys[i]);
}

TAP_MAIN(TEST(spread_of_small_numbers_is_exact), TEST(spread_is_within_a_sixteenth),
	 TEST(spread_takes_extremes), TEST(keymap_keeps_what_is_not_dropped),
	 TEST(keymap_gives_all_of_a_key), TEST(pairs_of_addresses_have_keys_of_their_own),
	 TEST(reasons_are_told_apart_as_go_does), TEST(origins_are_the_programs_own))
