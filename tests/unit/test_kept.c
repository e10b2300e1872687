/* SPDX-License-Identifier: MIT */
#include "read/kept.h"

#include "support/tap.h"

static void kept_text_lives_as_long_as_it_is_held(void)
{
	struct stele__kept kept = {0};
	uint32_t a, b, c;

	CHECK_EQ(stele__kept_add(&kept, "abc", 3, &a), 0);
	CHECK_EQ(stele__kept_add(&kept, "de", 2, &b), 0);
	stele__kept_hold(&kept, a);
	stele__kept_release(&kept, a);
	CHECK_BYTES(stele__kept_text(&kept, a).data, 3, "abc", 3);
	stele__kept_release(&kept, a);
	CHECK_EQ(stele__kept_add(&kept, "f", 1, &c), 0);
	CHECK_EQ(c, a); /* the place is used again */
	CHECK_BYTES(stele__kept_text(&kept, b).data, stele__kept_text(&kept, b).bytes, "de", 2);
	stele__kept_done(&kept);
}

static void kept_empty_text_needs_nothing(void)
{
	struct stele__kept kept = {0};
	uint32_t a;

	CHECK_EQ(stele__kept_add(&kept, "", 0, &a), 0);
	CHECK_EQ(a, 0);
	stele__kept_hold(&kept, a);
	CHECK_EQ(stele__kept_text(&kept, a).bytes, 0);
	stele__kept_done(&kept);
}

static void kept_compares_by_content(void)
{
	struct stele__kept kept = {0};
	uint32_t a, b, c;

	stele__kept_add(&kept, "same", 4, &a);
	stele__kept_add(&kept, "same", 4, &b);
	stele__kept_add(&kept, "sama", 4, &c);
	CHECK(a != b);
	CHECK(stele__kept_equal(&kept, a, b));
	CHECK(!stele__kept_equal(&kept, a, c));
	CHECK(!stele__kept_equal(&kept, a, 0));
	stele__kept_done(&kept);
}

TAP_MAIN(TEST(kept_text_lives_as_long_as_it_is_held), TEST(kept_empty_text_needs_nothing),
	 TEST(kept_compares_by_content))
