/* SPDX-License-Identifier: MIT */
/* Against the value at each moment. */
#include "analyze/curve.h"

#include "support/tap.h"

#define MOMENTS 3000
#define TICK	1000 /* ns from one to the next */

static uint32_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % limit;
}

/* The greatest value in [from, to) of those that begin at each moment and hold until the next. */
static uint64_t greatest(const uint64_t *values, int64_t begin, int64_t from, int64_t to)
{
	uint64_t most = 0;

	for (int64_t i = 0; i < MOMENTS; i++) {
		int64_t at = begin + i * TICK, until = at + TICK;

		if (at < to && until > from && values[i] > most)
			most = values[i];
	}
	return most;
}

static void each_step_has_its_greatest_value(void)
{
	static uint64_t values[MOMENTS];
	struct stele__curve curve = {.now = 0};
	const int64_t begin = 123456789;

	for (int64_t i = 0; i < MOMENTS; i++) {
		/* Changes are rare, so that most steps hold what was before. */
		values[i] = i && random_below(20) ? values[i - 1] : random_below(1000);
		if (!i || values[i] != values[i - 1])
			stele__curve_set(&curve, begin + i * TICK, values[i]);
	}
	stele__curve_end(&curve, begin + MOMENTS * TICK - 1);
	CHECK(curve.c.count > STELE_CURVE_STEPS / 2 && curve.c.count <= STELE_CURVE_STEPS);
	CHECK_EQ(curve.c.begin, begin);
	for (uint32_t i = 0; i < curve.c.count; i++) {
		int64_t from = begin + i * curve.c.step_ns, to = from + curve.c.step_ns;

		if (!CHECK_EQ(curve.c.max[i], greatest(values, begin, from, to)))
			return;
	}
}

static void lengths_from_nothing_to_centuries_fit(void)
{
	for (unsigned bits = 0; bits < 63; bits++) {
		struct stele__curve curve = {.now = 0};
		int64_t length = (int64_t)1 << bits;

		stele__curve_set(&curve, 0, 5);
		stele__curve_set(&curve, length / 2, 7);
		stele__curve_set(&curve, length, 1);
		stele__curve_end(&curve, length + 1 > 0 ? length + 1 : length);
		CHECK(curve.c.count >= 1 && curve.c.count <= STELE_CURVE_STEPS);
		CHECK(curve.c.max[0] >= 5);
		if (bits > 20)
			CHECK_EQ(curve.c.max[curve.c.count / 2], 7);
	}
}

static void one_moment_is_a_curve(void)
{
	struct stele__curve curve = {.now = 0};

	stele__curve_end(&curve, 5);
	CHECK_EQ(curve.c.count, 0);
	stele__curve_set(&curve, 10, 3);
	stele__curve_set(&curve, 10, 2);
	stele__curve_end(&curve, 10);
	CHECK_EQ(curve.c.count, 1);
	CHECK_EQ(curve.c.max[0], 3);
}

TAP_MAIN(TEST(each_step_has_its_greatest_value), TEST(lengths_from_nothing_to_centuries_fit),
	 TEST(one_moment_is_a_curve))
