/* SPDX-License-Identifier: MIT */
#include "read/idmap.h"

#include <stdlib.h>

#include "support/tap.h"

static void idmap_finds_what_was_put(void)
{
	static const uint64_t ids[] = {0, 1, 63, 64, 1023, 1024, 1 << 20, UINT64_MAX, 1ull << 63};
	struct stele__idmap map;

	stele__idmap_init(&map);
	for (uint32_t i = 0; i < STELE_ARRAY_LENGTH(ids); i++)
		CHECK_EQ(stele__idmap_get(&map, ids[i]), 0);
	for (uint32_t i = 0; i < STELE_ARRAY_LENGTH(ids); i++)
		CHECK_EQ(stele__idmap_put(&map, ids[i], i + 1), 0);
	for (uint32_t i = 0; i < STELE_ARRAY_LENGTH(ids); i++)
		CHECK_EQ(stele__idmap_get(&map, ids[i]), i + 1);
	CHECK_EQ(map.count, STELE_ARRAY_LENGTH(ids));
	CHECK_EQ(stele__idmap_put(&map, UINT64_MAX, 99), 0);
	CHECK_EQ(stele__idmap_get(&map, UINT64_MAX), 99);
	CHECK_EQ(map.count, STELE_ARRAY_LENGTH(ids));
	stele__idmap_done(&map);
}

static void idmap_big_id_takes_little_memory(void)
{
	struct stele__idmap map;

	stele__idmap_init(&map);
	for (uint64_t i = 0; i < 64; i++)
		stele__idmap_put(&map, UINT64_C(1) << i, 1);
	CHECK(map.dense_size <= 2048);
	CHECK(map.slot_bits <= 8);
	stele__idmap_done(&map);
}

/* Random puts and drops against a plain array, over dense and sparse ids. */
static void idmap_agrees_with_an_array(void)
{
	enum { COUNT = 512 };
	static const uint64_t stride[] = {1, 3, 1000, 1ull << 32, 0x9e3779b97f4a7c15ull};
	struct stele__idmap map;
	unsigned seed = 1;

	for (size_t s = 0; s < STELE_ARRAY_LENGTH(stride); s++) {
		uint32_t plain[COUNT] = {0};
		uint64_t live = 0;

		stele__idmap_init(&map);
		for (uint32_t i = 1; i < 20000; i++) {
			uint32_t k = (uint32_t)rand_r(&seed) % COUNT;

			if (rand_r(&seed) & 64) {
				live += !plain[k];
				plain[k] = i;
				CHECK_EQ(stele__idmap_put(&map, k * stride[s], i), 0);
			} else {
				live -= plain[k] != 0;
				plain[k] = 0;
				stele__idmap_drop(&map, k * stride[s]);
			}
		}
		CHECK_EQ(map.count, live);
		for (uint32_t k = 0; k < COUNT; k++)
			CHECK_EQ(stele__idmap_get(&map, k * stride[s]), plain[k]);
		stele__idmap_clear(&map);
		CHECK_EQ(map.count, 0);
		for (uint32_t k = 0; k < COUNT; k++)
			CHECK_EQ(stele__idmap_get(&map, k * stride[s]), 0);
		stele__idmap_done(&map);
	}
}

static void idmap_ids_that_become_dense_move(void)
{
	struct stele__idmap map;

	stele__idmap_init(&map);
	for (uint64_t id = 5000; id > 0; id--)
		stele__idmap_put(&map, id, (uint32_t)id);
	CHECK(map.dense_size > 4096);
	CHECK(map.slot_used < 1024);
	for (uint64_t id = 1; id <= 5000; id++)
		CHECK_EQ(stele__idmap_get(&map, id), id);
	CHECK_EQ(map.count, 5000);
	stele__idmap_done(&map);
}

static void idmap_clear_gives_back_much_memory(void)
{
	struct stele__idmap map;

	stele__idmap_init(&map);
	for (uint64_t id = 0; id < 100000; id++)
		stele__idmap_put(&map, id * 1000000, 1);
	stele__idmap_clear(&map);
	stele__idmap_put(&map, 77, 1);
	stele__idmap_clear(&map);
	CHECK(map.dense_size + (map.slot_bits ? 1u << map.slot_bits : 0) < 100000);
	CHECK_EQ(stele__idmap_get(&map, 77), 0);
	stele__idmap_done(&map);
}

TAP_MAIN(TEST(idmap_finds_what_was_put), TEST(idmap_big_id_takes_little_memory),
	 TEST(idmap_agrees_with_an_array), TEST(idmap_ids_that_become_dense_move),
	 TEST(idmap_clear_gives_back_much_memory))
