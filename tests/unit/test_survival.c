/* SPDX-License-Identifier: MIT */
/* The drain among threads that die, rings that are replaced, ids that return, sinks that fail. */
#include "support/synthetic.h"
#include "support/tap.h"

#include <errno.h>
#include <stdlib.h>

#include "format/spec.h"
#include "stele/read.h"

#define ARENA_BYTES (16u << 20)

static struct stele_drain_stats stats_of(const struct synthetic *s)
{
	struct stele_drain_stats stats;

	stele__drain_stats(s->drain, &stats);
	return stats;
}

static void log_some(struct synthetic *s, struct synthetic_thread *t, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		synthetic_emit(s, t, STELE_KIND_LOG, 0, 0, 0);
}

static void drain_reads_on_in_the_next_ring(void)
{
	struct synthetic s = {0};
	struct synthetic_thread a;

	synthetic_open(&s, ARENA_BYTES, 23, 1);
	a = synthetic_thread(&s, 100, 1, 0);
	log_some(&s, &a, 100);
	for (unsigned i = 0; i < 3; i++) {
		synthetic_replace(&s, &a, i + 1, i == 1);
		log_some(&s, &a, 200);
		if (i == 1)
			stele__drain_tick(s.drain);
	}
	CHECK_EQ(synthetic_finish(&s), 0);
	CHECK(synthetic_is_valid(&s));
	CHECK_EQ(synthetic_count(&s, STELE_EV_USER_LOG), 700);
	synthetic_close(&s);
}

/* Laps: a ring of 128 records, used many times over. */
static void drain_frees_what_it_has_read(void)
{
	struct synthetic s = {0};
	struct synthetic_thread a;

	synthetic_open(&s, ARENA_BYTES, 23, 1);
	a = synthetic_thread(&s, 100, 1, 0);
	for (unsigned i = 0; i < 50; i++) {
		log_some(&s, &a, 77);
		stele__drain_tick(s.drain);
		CHECK_EQ(a.ring->tail, a.ring->head);
	}
	CHECK_EQ(synthetic_finish(&s), 0);
	CHECK(synthetic_is_valid(&s));
	CHECK_EQ(synthetic_count(&s, STELE_EV_USER_LOG), 50 * 77);
	synthetic_close(&s);
}

static void drain_passes_a_hole_without_freeing_it(void)
{
	struct synthetic s = {0};
	struct synthetic_thread a;
	uint64_t hole;

	synthetic_open(&s, ARENA_BYTES, 23, 1);
	a = synthetic_thread(&s, 100, 1, 0);
	hole = synthetic_reserve(&a);
	log_some(&s, &a, 5);
	stele__drain_tick(s.drain);
	CHECK_EQ(stats_of(&s).records, 1);
	s.now += 30000000;
	stele__drain_tick(s.drain);
	CHECK_EQ(stats_of(&s).records, 6);
	CHECK_EQ(stats_of(&s).late, 1);
	CHECK_EQ(a.ring->tail, 1);
	synthetic_fill(&s, &a, hole, s.now - 30000000, STELE_KIND_LOG, 0, 0, 0);
	stele__drain_tick(s.drain);
	CHECK_EQ(a.ring->tail, 7);
	CHECK_EQ(synthetic_finish(&s), 0);
	CHECK(synthetic_is_valid(&s));
	CHECK_EQ(synthetic_count(&s, STELE_EV_USER_LOG), 6);
	CHECK_EQ(stats_of(&s).abandoned, 0);
	synthetic_close(&s);
}

/* The kernel's list of threads loses its place when a thread ends while it is read. */
static void drain_keeps_a_thread_that_the_list_missed(void)
{
	struct synthetic s = {0};
	struct synthetic_thread a, b;

	synthetic_open(&s, ARENA_BYTES, 23, 1);
	a = synthetic_thread(&s, 100, 1, 0);
	b = synthetic_thread(&s, 101, 2, 0);
	log_some(&s, &a, 3);
	stele__drain_tick(s.drain);
	s.unlisted = b.tid;
	s.now += 2000000000;
	stele__drain_tick(s.drain);
	CHECK_EQ(stats_of(&s).threads_live, 2);
	CHECK_EQ(b.slot->state, STELE_SLOT_LIVE);
	CHECK_EQ(b.ring->state, STELE_RING_LIVE);
	log_some(&s, &b, 3);
	CHECK_EQ(synthetic_finish(&s), 0);
	CHECK(synthetic_is_valid(&s));
	CHECK_EQ(synthetic_count(&s, STELE_EV_USER_LOG), 6);
	synthetic_close(&s);
}

/* A wait begun by a handler on an alternate stack proves nothing by its own frame. */
static void drain_leaves_what_was_begun_inside_a_left_wait(void)
{
	struct synthetic s = {0};
	struct synthetic_thread a;
	uint64_t bridged, token;

	synthetic_open(&s, ARENA_BYTES, 23, 1);
	a = synthetic_thread(&s, 100, 1, 0);
	a.slot->stack_low = 0x10000;
	a.slot->stack_high = 0x20000;
	for (unsigned i = 0; i < 40; i++) {
		synthetic_emit(&s, &a, STELE_KIND_SYSCALL_BEGIN, 0, 0, 0x18000);
		synthetic_emit(&s, &a, STELE_KIND_GO_BLOCK, 1, 0, 0x900000);
	}
	token = synthetic_emit(&s, &a, STELE_KIND_SYSCALL_BEGIN, 0, 0, 0x18000);
	synthetic_emit(&s, &a, STELE_KIND_SYSCALL_END, token, 0, 0);
	stele__drain_tick(s.drain);
	bridged = stats_of(&s).bridged;
	log_some(&s, &a, 3);
	stele__drain_tick(s.drain);
	CHECK_EQ(stats_of(&s).bridged, bridged); /* it runs: nothing is open */
	CHECK_EQ(synthetic_finish(&s), 0);
	CHECK(synthetic_is_valid(&s));
	CHECK_EQ(synthetic_count(&s, STELE_EV_GO_SYSCALL_BEGIN), 41);
	synthetic_close(&s);
}

/* A cut may be made later than at its time; the two clocks of its snapshot stay together. */
static void drain_tells_the_clock_of_the_cut_that_waited(void)
{
	const struct stele_event *event;
	struct stele_reader *reader;
	struct synthetic s = {0};
	struct synthetic_thread a;
	unsigned syncs = 0;

	synthetic_open(&s, ARENA_BYTES, 25, 1);
	a = synthetic_thread(&s, 100, 1, 0);
	log_some(&s, &a, 5);
	s.now += 2000000000;
	synthetic_reserve(&a);
	stele__drain_tick(s.drain);
	s.now += 15000000;
	stele__drain_tick(s.drain);
	s.now += 15000000;
	stele__drain_tick(s.drain);
	CHECK_EQ(stats_of(&s).generations, 1);
	CHECK_EQ(synthetic_finish(&s), 0);
	if (!CHECK_EQ(stele_reader_open_memory(s.out, s.out_bytes, NULL, &reader), 0))
		return;
	while (stele_reader_next(reader, &event) > 0) {
		const struct stele_sync *sync = stele_reader_sync(reader);

		if (event->kind != STELE_EVENT_SYNC || !sync->has_clock)
			continue;
		CHECK(sync->time - (int64_t)sync->monotonic_ns < 1000 &&
		      (int64_t)sync->monotonic_ns - sync->time < 1000);
		syncs++;
	}
	CHECK_EQ(syncs, 2);
	stele_reader_close(reader);
	synthetic_close(&s);
}

/* Somebody sets the clock back by an hour, then forward by two. */
static void drain_tells_times_that_the_wall_clock_cannot_change(void)
{
	static const uint64_t hour = 3600000000000ull;
	const uint64_t walls[] = {0, -hour, hour};
	const struct stele_event *event;
	struct stele_reader *reader;
	struct synthetic s = {0};
	struct synthetic_thread a;
	uint64_t first = 0;
	int64_t last = 0;
	unsigned syncs = 0;

	synthetic_open(&s, ARENA_BYTES, 25, 1);
	a = synthetic_thread(&s, 100, 1, 0);
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(walls); i++) {
		s.wall_ns = walls[i];
		s.now += 1000000;
		log_some(&s, &a, 3);
		CHECK_EQ(stele__drain_cut(s.drain), 0);
	}
	CHECK_EQ(synthetic_finish(&s), 0);
	CHECK(synthetic_is_valid(&s));
	if (!CHECK_EQ(stele_reader_open_memory(s.out, s.out_bytes, NULL, &reader), 0))
		return;
	while (stele_reader_next(reader, &event) > 0) {
		const struct stele_sync *sync = stele_reader_sync(reader);

		CHECK(event->time >= last);
		last = event->time;
		if (event->kind != STELE_EVENT_SYNC || !sync->has_clock)
			continue;
		first = first ? first : sync->wall_s;
		/* A generation's clock is that of its beginning, which is the cut before it. */
		CHECK(sync->wall_s - first == 0 || sync->wall_s - first == (uint64_t)-3600 ||
		      sync->wall_s - first == 3600);
		syncs++;
	}
	CHECK_EQ(syncs, 4);
	stele_reader_close(reader);
	synthetic_close(&s);
}

/* When the end comes before the death was noticed: a lane must not go on behind the end. */
static void drain_ends_a_thread_before_its_id_returns(void)
{
	const struct stele_event *event;
	struct stele_reader *reader;
	struct synthetic s = {0};
	struct synthetic_thread a, b;
	uint64_t end, seen = 0;

	synthetic_open(&s, ARENA_BYTES, 23, 1);
	a = synthetic_thread(&s, 100, 1, 0);
	log_some(&s, &a, 3);
	synthetic_die(&s, &a);
	s.now += 100000000;
	b = synthetic_thread(&s, 100, 2, 0);
	log_some(&s, &b, 3);
	end = s.now;
	s.now += 500000000;
	CHECK_EQ(synthetic_finish(&s), 0);
	CHECK(synthetic_is_valid(&s));
	if (!CHECK_EQ(stele_reader_open_memory(s.out, s.out_bytes, NULL, &reader), 0))
		return;
	while (stele_reader_next(reader, &event) > 0)
		seen += event->type == STELE_EV_USER_LOG && (uint64_t)event->time <= end;
	CHECK_EQ(seen, 6);
	stele_reader_close(reader);
	synthetic_close(&s);
}

static void drain_counts_the_holes_of_the_dead(void)
{
	struct synthetic s = {0};
	struct synthetic_thread a, b;

	synthetic_open(&s, ARENA_BYTES, 23, 1);
	a = synthetic_thread(&s, 100, 1, 0);
	synthetic_emit(&s, &a, STELE_KIND_GO_CREATE, 2, 0, 0);
	b = synthetic_thread(&s, 101, 2, STELE_THREAD_CREATED);
	synthetic_emit(&s, &b, STELE_KIND_GO_BLOCK, 1, 0, 0);
	synthetic_reserve(&b);
	synthetic_emit(&s, &b, STELE_KIND_LOG, 0, 0, 0);
	synthetic_reserve(&b);
	stele__drain_tick(s.drain);
	synthetic_die(&s, &b);
	s.now += 2000000000;
	stele__drain_tick(s.drain);
	CHECK_EQ(stats_of(&s).abandoned, 2);
	CHECK_EQ(stats_of(&s).threads_live, 1);
	CHECK_EQ(b.slot->state, STELE_SLOT_FREE);
	CHECK_EQ(b.ring->state, STELE_RING_FREE);
	log_some(&s, &a, 3);
	CHECK_EQ(synthetic_finish(&s), 0);
	CHECK(synthetic_is_valid(&s));
	CHECK_EQ(synthetic_count(&s, STELE_EV_GO_DESTROY), 2);
	synthetic_close(&s);
}

/* The same slots, rings and thread ids again and again, with and without a good-bye. */
static void drain_lets_ids_return(void)
{
	for (unsigned goodbye = 0; goodbye < 2; goodbye++) {
		struct synthetic s = {0};
		struct synthetic_thread a, b;
		uint64_t g = 1;

		synthetic_open(&s, STELE_ARENA_BYTES_MIN, 26, 1);
		a = synthetic_thread(&s, 100, g++, 0);
		for (unsigned i = 0; i < 300; i++) {
			synthetic_emit(&s, &a, STELE_KIND_GO_CREATE, g, 0x401000, 0);
			b = synthetic_thread(&s, 101, g++, STELE_THREAD_CREATED);
			synthetic_emit(&s, &b, STELE_KIND_SYSCALL_BEGIN, 0, 0, 0);
			if (goodbye) {
				synthetic_emit(&s, &b, STELE_KIND_THREAD_END, 0, 0, 0);
				b.slot->state = STELE_SLOT_ENDED;
			}
			/* Half of the time the next one with its id is there before anyone asks. */
			if (i % 2) {
				synthetic_die(&s, &b);
				s.now += 1100000000;
			}
			stele__drain_tick(s.drain);
		}
		CHECK(stats_of(&s).threads_live <= 3);
		CHECK(s.arena->slot_bump <= 4);
		CHECK_EQ(synthetic_finish(&s), 0);
		CHECK(synthetic_is_valid(&s));
		CHECK_EQ(synthetic_count(&s, STELE_EV_GO_DESTROY), 301);
		CHECK_EQ(stats_of(&s).unexplained, 0);
		synthetic_close(&s);
	}
}

static void drain_copes_with_a_thousand_threads(void)
{
	static struct synthetic_thread threads[1000];
	struct synthetic s = {0};

	synthetic_open(&s, 64u << 20, 25, 3);
	for (unsigned i = 0; i < 1000; i++) {
		threads[i] = synthetic_thread(&s, 1000 + i, i + 1, 0);
		if (i % 100 == 99)
			stele__drain_cut(s.drain);
	}
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = round; i < 1000; i += 7)
			synthetic_emit(&s, &threads[i], STELE_KIND_GO_BLOCK, 1, 0, 0);
		stele__drain_cut(s.drain);
	}
	CHECK_EQ(synthetic_finish(&s), 0);
	CHECK(synthetic_is_valid(&s));
	CHECK_EQ(stats_of(&s).threads, 1000);
	CHECK_EQ(stats_of(&s).threads_live, 0);
	synthetic_close(&s);
}

/* All but the executing thread die, which comes back under the process's id. */
static void drain_survives_exec(void)
{
	struct synthetic s = {0};
	struct synthetic_thread a, b, c;

	synthetic_open(&s, ARENA_BYTES, 23, 1);
	s.arena->pid = 100;
	a = synthetic_thread(&s, 100, 1, STELE_THREAD_MAIN);
	synthetic_emit(&s, &a, STELE_KIND_IMAGE_BEGIN, 100, 0, 0);
	b = synthetic_thread(&s, 101, 2, 0);
	synthetic_emit(&s, &a, STELE_KIND_GO_BLOCK, 1, 0, 0);
	log_some(&s, &b, 2);
	stele__drain_tick(s.drain);
	c = synthetic_thread(&s, 100, 3, STELE_THREAD_MAIN);
	synthetic_emit(&s, &c, STELE_KIND_IMAGE_BEGIN, 100, 0, 0);
	log_some(&s, &c, 2);
	stele__drain_tick(s.drain);
	stele__drain_tick(s.drain);
	CHECK_EQ(stats_of(&s).threads_live, 1);
	CHECK_EQ(stats_of(&s).threads, 2); /* the first thread, in two images, and another */
	CHECK_EQ(synthetic_finish(&s), 0);
	CHECK(synthetic_is_valid(&s));
	CHECK_EQ(synthetic_count(&s, STELE_EV_USER_LOG), 4);
	synthetic_close(&s);
}

/* A thread that tells of its memory before the one that began the recording says so. */
static void drain_takes_the_first_image_for_no_exec(void)
{
	struct synthetic s = {0};
	struct synthetic_thread a, b;

	synthetic_open(&s, ARENA_BYTES, 23, 1);
	s.arena->pid = 100;
	b = synthetic_thread(&s, 101, 2, 0);
	synthetic_emit(&s, &b, STELE_KIND_SPAN_ALLOC, 0x10000, 0x2000, 1);
	stele__drain_tick(s.drain);
	a = synthetic_thread(&s, 100, 1, STELE_THREAD_MAIN);
	synthetic_emit(&s, &a, STELE_KIND_IMAGE_BEGIN, 100, 0, 0);
	stele__drain_tick(s.drain);
	synthetic_emit(&s, &b, STELE_KIND_SPAN_FREE, 0x10000, 0x2000, 0);
	stele__drain_tick(s.drain);
	stele__drain_tick(s.drain);
	CHECK_EQ(stats_of(&s).threads_live, 2);
	CHECK_EQ(synthetic_finish(&s), 0);
	CHECK(synthetic_is_valid(&s));
	CHECK_EQ(synthetic_count(&s, STELE_EV_SPAN_FREE), 1);
	synthetic_close(&s);
}

static void drain_leaves_a_valid_prefix_when_the_sink_fails(void)
{
	for (unsigned fail = 2; fail < 12; fail++) {
		struct synthetic s = {.fail_at = fail};
		struct synthetic_thread a;
		struct stele_drain_stats stats;
		bool failed;

		synthetic_open(&s, ARENA_BYTES, fail % 2 ? 26 : 23, 1);
		a = synthetic_thread(&s, 100, 1, 0);
		for (unsigned i = 0; i < 6; i++) {
			log_some(&s, &a, 50);
			stele__drain_tick(s.drain);
			stele__drain_cut(s.drain);
			CHECK_EQ(a.ring->tail, a.ring->head);
		}
		failed = synthetic_finish(&s) != 0;
		stats = stats_of(&s);
		CHECK_EQ(failed, fail <= 8);
		CHECK_EQ(stats.sink_error, failed ? -ENOSPC : 0);
		CHECK_EQ(stats.sink_lost_bytes != 0, failed);
		s.out_bytes = stats.valid_bytes;
		CHECK(stats.valid_bytes >= 16);
		if (fail > 2) /* a header alone is no trace before version 26 */
			CHECK(synthetic_is_valid(&s));
		CHECK_EQ(synthetic_count(&s, STELE_EV_USER_LOG), 50 * (failed ? fail - 2 : 6));
		synthetic_close(&s);
	}
}

static void drain_stays_in_time_with_a_counter(void)
{
	struct synthetic s = {0};
	struct synthetic_thread a;
	uint64_t begin;

	synthetic_open(&s, ARENA_BYTES, 25, 3);
	a = synthetic_thread(&s, 100, 1, 0);
	begin = s.now;
	for (unsigned i = 0; i < 100; i++) {
		s.now += 7000000;
		log_some(&s, &a, 1);
		stele__drain_tick(s.drain);
	}
	CHECK_EQ(synthetic_finish(&s), 0);
	CHECK(synthetic_is_valid(&s));
	CHECK(synthetic_last_ns(&s) > s.now - 1000);
	CHECK(synthetic_last_ns(&s) <= s.now);
	CHECK(s.now > begin);
	synthetic_close(&s);
}

TAP_MAIN(TEST(drain_reads_on_in_the_next_ring), TEST(drain_frees_what_it_has_read),
	 TEST(drain_passes_a_hole_without_freeing_it),
	 TEST(drain_ends_a_thread_before_its_id_returns),
	 TEST(drain_tells_the_clock_of_the_cut_that_waited),
	 TEST(drain_tells_times_that_the_wall_clock_cannot_change),
	 TEST(drain_leaves_what_was_begun_inside_a_left_wait),
	 TEST(drain_keeps_a_thread_that_the_list_missed), TEST(drain_counts_the_holes_of_the_dead),
	 TEST(drain_lets_ids_return), TEST(drain_copes_with_a_thousand_threads),
	 TEST(drain_survives_exec), TEST(drain_takes_the_first_image_for_no_exec),
	 TEST(drain_leaves_a_valid_prefix_when_the_sink_fails),
	 TEST(drain_stays_in_time_with_a_counter))
