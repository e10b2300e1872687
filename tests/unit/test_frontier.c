/* SPDX-License-Identifier: MIT */
#include "read/frontier.h"

#include <stdlib.h>

#include "support/tap.h"

#define STREAMS 100

static void frontier_fill(struct stele__frontier *f, unsigned seed)
{
	stele__frontier_init(f);
	stele__frontier_begin(f, STREAMS);
	for (uint32_t i = 0; i < STREAMS; i++) {
		f->streams[i] = (struct stele__stream){.time = rand_r(&seed) % 50};
		stele__frontier_add(f, i);
	}
}

static void frontier_yields_streams_by_time(void)
{
	struct stele__frontier f;
	int64_t last = -1;
	uint32_t last_stream = 0;

	frontier_fill(&f, 7);
	for (int i = 0; i < STREAMS; i++) {
		struct stele__stream *s = stele__frontier_first(&f);
		uint32_t index = (uint32_t)(s - f.streams);

		CHECK(s->time > last || (s->time == last && index > last_stream));
		CHECK_EQ(stele__frontier_time(&f), s->time);
		last = s->time;
		last_stream = index;
		stele__frontier_advance(&f, index, false);
	}
	CHECK(!stele__frontier_first(&f));
	CHECK_EQ(stele__frontier_time(&f), INT64_MAX);
	stele__frontier_done(&f);
}

static void frontier_first_may_go_back_in_time(void)
{
	struct stele__frontier f;

	frontier_fill(&f, 9);
	f.streams[40].time = -5;
	stele__frontier_advance(&f, 40, true);
	CHECK(stele__frontier_first(&f) == &f.streams[40]);
	f.streams[40].time = 1000;
	stele__frontier_advance(&f, 40, true);
	CHECK(stele__frontier_first(&f) != &f.streams[40]);
	stele__frontier_done(&f);
}

static void frontier_parked_stream_returns_when_woken(void)
{
	struct stele__frontier f;
	struct stele__stream *parked[3];

	frontier_fill(&f, 11);
	for (int i = 0; i < 3; i++) {
		parked[i] = stele__frontier_first(&f);
		CHECK_EQ(stele__frontier_park(&f, (enum stele__wait)(i + 1), 5), 0);
	}
	CHECK(stele__frontier_time(&f) == parked[0]->time); /* waiting ones count */
	stele__frontier_wake(&f, STELE__WAIT_GOROUTINE, 6);
	CHECK_EQ(f.parked.count, 3);
	stele__frontier_wake(&f, STELE__WAIT_GOROUTINE, 5);
	CHECK_EQ(f.parked.count, 2);
	CHECK(stele__frontier_first(&f) == parked[0]);
	stele__frontier_wake(&f, STELE__WAIT_GC, 0);
	stele__frontier_wake(&f, STELE__WAIT_PROC, 5);
	CHECK_EQ(f.parked.count, 0);
	CHECK_EQ(f.ready.count, STREAMS);
	stele__frontier_done(&f);
}

static void frontier_wakes_all_that_wait_for_one(void)
{
	struct stele__frontier f;

	frontier_fill(&f, 13);
	for (int i = 0; i < STREAMS; i++)
		CHECK_EQ(stele__frontier_park(&f, STELE__WAIT_PROC, (uint64_t)i % 2 << 40), 0);
	CHECK(!stele__frontier_first(&f));
	stele__frontier_wake(&f, STELE__WAIT_PROC, 0);
	CHECK_EQ(f.ready.count, STREAMS / 2);
	stele__frontier_wake(&f, STELE__WAIT_PROC, UINT64_C(1) << 40);
	CHECK_EQ(f.ready.count, STREAMS);
	stele__frontier_done(&f);
}

TAP_MAIN(TEST(frontier_yields_streams_by_time), TEST(frontier_first_may_go_back_in_time),
	 TEST(frontier_parked_stream_returns_when_woken),
	 TEST(frontier_wakes_all_that_wait_for_one))
