/* SPDX-License-Identifier: MIT */
/* The flight recorder: what it keeps is a trace, whatever it has forgotten. */
#include "drain/flight.h"

#include "support/randomprocess.h"
#include "support/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "format/spec.h"
#include "stele/read.h"

#define STEPS	 3000
#define MANY_MIB (1ull << 30)

struct buffer {
	uint8_t *data;
	size_t used, max;
};

static int buffer_write(void *arg, const void *data, size_t bytes)
{
	struct buffer *b = arg;

	while (b->max - b->used < bytes) {
		b->max = b->max ? 2 * b->max : 1 << 16;
		b->data = realloc(b->data, b->max);
		if (!b->data)
			abort();
	}
	memcpy(b->data + b->used, data, bytes);
	b->used += bytes;
	return 0;
}

/* Reading gives what writing gives, whatever the pieces. */
static void check_reading(const struct stele_recall *recall, const struct buffer *written)
{
	struct stele_recall_cursor cursor = {.recall = recall};
	uint8_t piece[777];
	size_t used = 0;
	int64_t n;

	while ((n = stele__recall_read(&cursor, piece, 1 + used % sizeof(piece))) > 0) {
		CHECK(used + (size_t)n <= written->used &&
		      !memcmp(piece, written->data + used, (size_t)n));
		used += (size_t)n;
	}
	CHECK_EQ(n, 0);
	CHECK_EQ(used, written->used);
}

/* What the flight has now, as a trace in memory. */
static struct buffer recalled(struct stele_flight *flight, const char *reason)
{
	struct buffer b = {0};
	const struct stele_sink sink = {.write = buffer_write, .arg = &b};
	struct stele_recall *recall = NULL;

	CHECK_EQ(stele__flight_recall(flight, &recall), 0);
	stele__recall_label(recall, reason);
	CHECK_EQ(stele__recall_write(recall, &sink), 0);
	CHECK_EQ(stele__recall_bytes(recall), b.used);
	check_reading(recall, &b);
	stele__recall_free(recall);
	return b;
}

static bool buffer_is_valid(const struct buffer *b)
{
	const struct synthetic s = {.out = b->data, .out_bytes = b->used};

	return synthetic_is_valid(&s);
}

static struct stele_flight *flight_of(uint64_t bytes, uint64_t ns)
{
	const struct stele_flight_limits limits = {bytes, ns};
	struct stele_flight *flight = NULL;

	CHECK_EQ(stele__flight_new(&limits, &flight), 0);
	return flight;
}

static void process_fly(struct process *p, const struct stele_sink *sink, unsigned version,
			uint64_t seed)
{
	*p = (struct process){.s.excerpts = true, .s.sink = sink};
	process_open(p, version, seed);
}

static void process_close(struct process *p, struct stele_flight *flight)
{
	synthetic_close(&p->s);
	stele__flight_free(flight);
}

/* How many threads' names, and modules, the trace tells of; what it says of itself. */
static struct stele_recording told(const struct buffer *b, unsigned *ret_threads,
				   unsigned *ret_modules)
{
	struct stele_recording recording = {0};
	struct stele_reader *reader = NULL;
	const struct stele_event *e;

	*ret_threads = *ret_modules = 0;
	CHECK_EQ(stele_reader_open_memory(b->data, b->used, NULL, &reader), 0);
	while (stele_reader_next(reader, &e) == 1) {
		struct stele_experiment_batch batch;

		if (e->kind != STELE_EVENT_SYNC)
			continue;
		stele_recording_add(&recording, reader);
		for (size_t i = 0; stele_reader_batch(reader, i, &batch) == 0; i++) {
			struct stele_data_item item;
			size_t at = 0;

			while (batch.data[0] == STELE_PAYLOAD_STELE &&
			       stele_data_next(&batch, &at, &item) > 0) {
				*ret_threads += item.tag == STELE_DATA_THREAD;
				*ret_modules += item.tag == STELE_DATA_MODULE;
			}
		}
	}
	stele_reader_close(reader);
	return recording;
}

/* At random moments of random processes: with so many bytes that most is forgotten. */
static void whatever_is_kept_is_a_trace(void)
{
	static const unsigned versions[] = {23, 25, 26};
	struct stele_flight_stats stats = {0};
	uint64_t forgotten = 0, recalls = 0;

	for (uint64_t seed = 1; seed <= 40; seed++) {
		static struct process p;
		struct stele_flight *flight = flight_of(1500 * seed, 0);
		const struct stele_sink sink = stele__flight_sink(flight);
		struct buffer b;

		process_fly(&p, &sink, versions[seed % 3], seed);
		for (unsigned i = 0; i < STEPS; i++) {
			process_step(&p);
			if (i % 500 == 499)
				process_pause(&p);
			if (i % 8 == 0)
				stele__drain_tick(p.s.drain);
			if (i % 50 == 0)
				stele__drain_cut(p.s.drain);
			if (i % 400 != 399)
				continue;
			b = recalled(flight, "it is wanted");
			CHECK(buffer_is_valid(&b));
			free(b.data);
			recalls++;
		}
		CHECK_EQ(synthetic_finish(&p.s), 0);
		b = recalled(flight, "the end");
		CHECK(buffer_is_valid(&b));
		free(b.data);
		stele__flight_stats(flight, &stats);
		forgotten += stats.forgotten_generations;
		CHECK(stats.bytes <= 1500 * seed || stats.generations == 1);
		process_close(&p, flight);
	}
	CHECK(forgotten > 100);
	printf("# %llu recalls, %llu generations forgotten\n", (unsigned long long)recalls,
	       (unsigned long long)forgotten);
}

static void generation_tells_what_lasts(void)
{
	struct stele_flight *flight = flight_of(1, 0); /* the newest generation alone */
	const struct stele_sink sink = stele__flight_sink(flight);
	struct stele_recording recording;
	struct stele_flight_stats stats;
	unsigned threads, modules;
	struct process p;
	struct buffer b;

	process_fly(&p, &sink, 23, 1);
	for (unsigned i = 0; i < 3; i++)
		thread_begin(&p, i);
	for (unsigned i = 0; i < 5; i++) {
		synthetic_emit(&p.s, &p.threads[0], STELE_KIND_COUNTER, p.name, i, 0);
		stele__drain_cut(p.s.drain);
	}
	stele__flight_stats(flight, &stats);
	CHECK_EQ(stats.generations, 1);
	CHECK_EQ(stats.forgotten_generations, 4);
	b = recalled(flight, "for a test");
	recording = told(&b, &threads, &modules);
	CHECK_EQ(threads, 3);
	CHECK_STR(recording.program, "synthetic");
	CHECK_STR(recording.snapshot, "for a test");
	CHECK(!recording.complete);
	free(b.data);
	CHECK_EQ(synthetic_finish(&p.s), 0);
	b = recalled(flight, "at the end");
	recording = told(&b, &threads, &modules);
	CHECK(recording.complete);
	free(b.data);
	process_close(&p, flight);
}

/* Who waits since before the oldest generation that is kept is in the trace from its first event
 * on. */
static void waiting_thread_is_there_from_the_beginning(void)
{
	struct stele_flight *flight = flight_of(1, 0);
	const struct stele_sink sink = stele__flight_sink(flight);
	struct stele_reader *reader = NULL;
	const struct stele_event *e;
	int64_t first = 0, seen = 0;
	struct process p;
	struct buffer b;

	process_fly(&p, &sink, 23, 1);
	thread_begin(&p, 0);
	thread_begin(&p, 1);
	synthetic_emit(&p.s, &p.threads[1], STELE_KIND_GO_BLOCK, 2, 0, 0);
	for (unsigned i = 0; i < 100; i++) {
		synthetic_emit(&p.s, &p.threads[0], STELE_KIND_COUNTER, p.name, i, 0);
		if (i % 20 == 19)
			stele__drain_cut(p.s.drain);
	}
	b = recalled(flight, "");
	CHECK_EQ(stele_reader_open_memory(b.data, b.used, NULL, &reader), 0);
	while (stele_reader_next(reader, &e) == 1) {
		if (e->kind == STELE_EVENT_TRANSITION && !first)
			first = e->time;
		if (e->kind == STELE_EVENT_TRANSITION && e->to == STELE_GO_WAITING && !seen)
			seen = e->time;
	}
	CHECK(first && seen && seen - first < 100);
	stele_reader_close(reader);
	free(b.data);
	CHECK_EQ(synthetic_finish(&p.s), 0);
	process_close(&p, flight);
}

/* What the trace says that a descriptor stands for, at its beginning and its end. */
static void file_of(const struct buffer *b, uint64_t fd, char *at_first, char *at_last)
{
	struct stele_reader *reader = NULL;
	const struct stele_event *e;
	struct stele_detail detail;

	*at_first = *at_last = '\0';
	CHECK_EQ(stele_reader_open_memory(b->data, b->used, NULL, &reader), 0);
	while (stele_reader_next(reader, &e) == 1) {
		while (stele_reader_detail(reader, e->time, &detail) > 0) {
			if (detail.kind != STELE_DETAIL_FILE || detail.object != fd)
				continue;
			snprintf(at_last, 16, "%.*s", (int)detail.name.bytes, detail.name.data);
			if (!*at_first)
				snprintf(at_first, 16, "%s", at_last);
		}
	}
	stele_reader_close(reader);
}

static void descriptors_are_told_again(void)
{
	struct stele_flight *flight = flight_of(1, 0);
	const struct stele_sink sink = stele__flight_sink(flight);
	char first[16], last[16];
	struct process p;
	struct buffer b;

	process_fly(&p, &sink, 23, 1);
	thread_begin(&p, 0);
	synthetic_emit(&p.s, &p.threads[0], STELE_KIND_FILE, 5, synthetic_string(&p.s, "old"), 0);
	synthetic_emit(&p.s, &p.threads[0], STELE_KIND_FILE, 6, synthetic_string(&p.s, "six"), 0);
	stele__drain_cut(p.s.drain);
	synthetic_emit(&p.s, &p.threads[0], STELE_KIND_COUNTER, p.name, 1, 0);
	stele__drain_cut(p.s.drain);
	/* The new name is of its time, the old one of the generation's beginning. */
	synthetic_emit(&p.s, &p.threads[0], STELE_KIND_COUNTER, p.name, 1, 0);
	synthetic_emit(&p.s, &p.threads[0], STELE_KIND_FILE, 5, synthetic_string(&p.s, "new"), 0);
	synthetic_emit(&p.s, &p.threads[0], STELE_KIND_FILE, 6, 0, 0);
	synthetic_emit(&p.s, &p.threads[0], STELE_KIND_COUNTER, p.name, 1, 0);
	stele__drain_cut(p.s.drain);
	b = recalled(flight, "");
	file_of(&b, 5, first, last);
	CHECK_STR(first, "old");
	CHECK_STR(last, "new");
	free(b.data);
	synthetic_emit(&p.s, &p.threads[0], STELE_KIND_COUNTER, p.name, 1, 0);
	CHECK_EQ(synthetic_finish(&p.s), 0);
	b = recalled(flight, "");
	file_of(&b, 5, first, last);
	CHECK_STR(first, "new");
	file_of(&b, 6, first, last);
	CHECK_STR(first, "");
	free(b.data);
	process_close(&p, flight);
}

static void old_generations_are_forgotten_by_age(void)
{
	struct stele_flight *flight = flight_of(MANY_MIB, 3000000000);
	const struct stele_sink sink = stele__flight_sink(flight);
	struct stele_flight_stats stats;
	struct process p;

	process_fly(&p, &sink, 23, 1);
	thread_begin(&p, 0);
	for (unsigned i = 0; i < 20; i++) {
		synthetic_emit(&p.s, &p.threads[0], STELE_KIND_COUNTER, p.name, i, 0);
		p.s.now += 500000000;
		stele__drain_cut(p.s.drain);
	}
	stele__flight_stats(flight, &stats);
	/* As much as was asked for, and not one generation more than that takes. */
	CHECK(stats.end_ns - stats.begin_ns >= 3000000000);
	CHECK(stats.end_ns - stats.begin_ns < 3600000000);
	CHECK_EQ(synthetic_finish(&p.s), 0);
	process_close(&p, flight);
}

static void recall_outlives_what_is_forgotten(void)
{
	struct stele_flight *flight = flight_of(1, 0);
	const struct stele_sink sink = stele__flight_sink(flight);
	struct stele_recall *recall = NULL;
	struct buffer b = {0};
	const struct stele_sink out = {.write = buffer_write, .arg = &b};
	struct process p;

	process_fly(&p, &sink, 23, 1);
	CHECK_EQ(stele__flight_recall(flight, &recall), -ENODATA);
	thread_begin(&p, 0);
	stele__drain_cut(p.s.drain);
	CHECK_EQ(stele__flight_recall(flight, &recall), 0);
	for (unsigned i = 0; i < 20; i++) {
		synthetic_emit(&p.s, &p.threads[0], STELE_KIND_COUNTER, p.name, i, 0);
		stele__drain_cut(p.s.drain);
	}
	CHECK_EQ(synthetic_finish(&p.s), 0);
	process_close(&p, flight);
	CHECK_EQ(stele__recall_write(recall, &out), 0);
	CHECK(buffer_is_valid(&b));
	stele__recall_free(recall);
	free(b.data);
}

static void large_generation_presses(void)
{
	struct stele_flight *flight = flight_of(4 << 20, 0);
	const struct stele_sink sink = stele__flight_sink(flight);
	uint8_t piece[65536] = {0};

	CHECK(!stele__flight_is_pressed(flight));
	for (unsigned i = 0; i < 9; i++)
		CHECK_EQ(sink.write(sink.arg, piece, sizeof(piece)), 0);
	CHECK(stele__flight_is_pressed(flight));
	sink.whole(sink.arg, 1, 1);
	CHECK(!stele__flight_is_pressed(flight));
	stele__flight_free(flight);
}

/* What takes long ------------------------------------------------------------------------------ */

struct sights {
	unsigned count[STELE_WATCH_COUNT];
	uint64_t ns;
	char name[64];
};

static void sights_see(void *arg, const struct stele_watch_sight *sight)
{
	struct sights *sights = arg;

	sights->count[sight->kind]++;
	sights->ns = sight->ns;
	snprintf(sights->name, sizeof(sights->name), "%s", sight->name);
}

/* Limits of 10 ms for all. */
static void process_watch(struct process *p, struct sights *sights)
{
	*sights = (struct sights){0};
	*p = (struct process){.s.watch = {.seen = sights_see, .arg = sights}};
	for (unsigned i = 0; i < STELE_WATCH_COUNT; i++)
		p->s.watch.limit_ns[i] = 10000000;
	process_open(p, 23, 1);
	thread_begin(p, 0);
}

static void pass(struct process *p, uint64_t ns)
{
	p->s.now += ns;
	stele__drain_tick(p->s.drain);
}

static void long_regions_and_calls_are_seen_when_they_end(void)
{
	struct synthetic_thread *t;
	struct sights sights;
	struct process p;
	uint64_t call;

	process_watch(&p, &sights);
	t = &p.threads[0];
	synthetic_emit(&p.s, t, STELE_KIND_REGION_BEGIN, 0, 0, p.name);
	pass(&p, 20000000);
	CHECK_EQ(sights.count[STELE_WATCH_REGION], 0);
	synthetic_emit(&p.s, t, STELE_KIND_REGION_END, 0, 0, p.name);
	pass(&p, 0);
	CHECK_EQ(sights.count[STELE_WATCH_REGION], 1);
	CHECK_STR(sights.name, "name");
	CHECK(sights.ns >= 20000000 && sights.ns < 21000000);
	synthetic_emit(&p.s, t, STELE_KIND_REGION_BEGIN, 0, 0, p.name);
	pass(&p, 5000000);
	synthetic_emit(&p.s, t, STELE_KIND_REGION_END, 0, 0, p.name);
	call = synthetic_emit(&p.s, t, STELE_KIND_SYSCALL_BEGIN, SYS_read, 0, 0);
	pass(&p, 30000000);
	CHECK_EQ(sights.count[STELE_WATCH_SYSCALL], 0);
	synthetic_emit(&p.s, t, STELE_KIND_SYSCALL_END, call, 0, 0);
	pass(&p, 0);
	CHECK_EQ(sights.count[STELE_WATCH_REGION], 1);
	CHECK_EQ(sights.count[STELE_WATCH_SYSCALL], 1);
	CHECK_STR(sights.name, "read");
	/* One that is made to wait is a wait. */
	call = synthetic_emit(&p.s, t, STELE_KIND_SYSCALL_BEGIN, SYS_ppoll, 0, 0);
	pass(&p, 30000000);
	synthetic_emit(&p.s, t, STELE_KIND_SYSCALL_END, call, 0, 0);
	pass(&p, 0);
	CHECK_EQ(sights.count[STELE_WATCH_SYSCALL], 1);
	CHECK_EQ(sights.count[STELE_WATCH_BLOCKED], 1);
	/* In its own time. */
	call = synthetic_emit(&p.s, t, STELE_KIND_GO_BLOCK, STELE_WAIT_CODE_SLEEP, 0, 0);
	pass(&p, 30000000);
	synthetic_emit(&p.s, t, STELE_KIND_GO_WAKE, call, 0, 0);
	pass(&p, 0);
	CHECK_EQ(sights.count[STELE_WATCH_BLOCKED], 1);
	CHECK_EQ(synthetic_finish(&p.s), 0);
	synthetic_close(&p.s);
}

static void long_wait_is_seen_while_it_lasts_and_once(void)
{
	struct synthetic_thread *t;
	struct sights sights;
	struct process p;
	uint64_t wait;

	process_watch(&p, &sights);
	t = &p.threads[0];
	wait = synthetic_emit(&p.s, t, STELE_KIND_GO_BLOCK, STELE_WAIT_CODE_MUTEX, 0x1000, 0);
	pass(&p, 5000000);
	CHECK_EQ(sights.count[STELE_WATCH_LOCK], 0);
	pass(&p, 6000000);
	CHECK_EQ(sights.count[STELE_WATCH_LOCK], 1);
	pass(&p, 6000000);
	synthetic_emit(&p.s, t, STELE_KIND_GO_WAKE, wait, 0, 0);
	pass(&p, 0);
	CHECK_EQ(sights.count[STELE_WATCH_LOCK], 1);
	wait = synthetic_emit(&p.s, t, STELE_KIND_GO_BLOCK, STELE_WAIT_CODE_CONDITION, 0x1000, 0);
	pass(&p, 11000000);
	synthetic_emit(&p.s, t, STELE_KIND_GO_WAKE, wait, 0, 0);
	pass(&p, 0);
	CHECK_EQ(sights.count[STELE_WATCH_LOCK], 1);
	CHECK_EQ(sights.count[STELE_WATCH_BLOCKED], 1);
	CHECK_EQ(synthetic_finish(&p.s), 0);
	synthetic_close(&p.s);
}

TAP_MAIN(TEST(whatever_is_kept_is_a_trace), TEST(generation_tells_what_lasts),
	 TEST(waiting_thread_is_there_from_the_beginning), TEST(descriptors_are_told_again),
	 TEST(old_generations_are_forgotten_by_age), TEST(recall_outlives_what_is_forgotten),
	 TEST(large_generation_presses), TEST(long_regions_and_calls_are_seen_when_they_end),
	 TEST(long_wait_is_seen_while_it_lasts_and_once))
