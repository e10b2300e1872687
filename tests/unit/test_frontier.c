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
		f->streams[i] = (struct stele__stream){.event = stele__frontier_block(f, i)};
		f->streams[i].event->time = rand_r(&seed) % 50;
		stele__frontier_add(f, i);
	}
	stele__frontier_pull(f);
}

static uint32_t frontier_ready(const struct stele__frontier *f)
{
	return f->ready.count + (f->front.stream != STELE__NO_STREAM);
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

		CHECK(s->event->time > last || (s->event->time == last && index > last_stream));
		CHECK_EQ(stele__frontier_time(&f), s->event->time);
		last = s->event->time;
		last_stream = index;
		stele__frontier_pull(&f);
	}
	CHECK(!stele__frontier_first(&f));
	CHECK_EQ(stele__frontier_time(&f), INT64_MAX);
	stele__frontier_done(&f);
}

static void frontier_first_may_go_back_in_time(void)
{
	struct stele__frontier f;
	struct stele__stream *first;

	frontier_fill(&f, 9);
	first = stele__frontier_first(&f);
	CHECK(!stele__frontier_advance(&f, -5));
	CHECK(stele__frontier_first(&f) == first);
	CHECK(stele__frontier_advance(&f, 1000));
	CHECK(stele__frontier_first(&f) != first);
	for (int i = 1; i < STREAMS; i++)
		stele__frontier_pull(&f);
	CHECK(stele__frontier_first(&f) == first);
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
	CHECK(stele__frontier_time(&f) == parked[0]->event->time); /* waiting ones count */
	stele__frontier_wake(&f, STELE__WAIT_GOROUTINE, 6);
	CHECK_EQ(f.parked.count, 3);
	stele__frontier_wake(&f, STELE__WAIT_GOROUTINE, 5);
	CHECK_EQ(f.parked.count, 2);
	CHECK(stele__frontier_advance(&f, stele__frontier_first(&f)->event->time));
	CHECK(stele__frontier_first(&f) == parked[0]);
	stele__frontier_wake(&f, STELE__WAIT_GC, 0);
	stele__frontier_wake(&f, STELE__WAIT_PROC, 5);
	CHECK_EQ(f.parked.count, 0);
	CHECK_EQ(frontier_ready(&f), STREAMS);
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
	stele__frontier_pull(&f);
	CHECK_EQ(frontier_ready(&f), STREAMS / 2);
	stele__frontier_wake(&f, STELE__WAIT_PROC, UINT64_C(1) << 40);
	CHECK_EQ(frontier_ready(&f), STREAMS);
	stele__frontier_done(&f);
}

TAP_MAIN(TEST(frontier_yields_streams_by_time), TEST(frontier_first_may_go_back_in_time),
	 TEST(frontier_parked_stream_returns_when_woken),
	 TEST(frontier_wakes_all_that_wait_for_one))
