/* SPDX-License-Identifier: MIT */
#include "stele/read.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "support/tap.h"
#include "support/tracemaker.h"

/* Reads all; the result of the last next, and how many events came. */
static int read_all(struct stele_reader *reader, uint64_t *ret_events)
{
	const struct stele_event *event;
	int64_t last = INT64_MIN;
	int r;

	*ret_events = 0;
	while ((r = stele_reader_next(reader, &event)) > 0) {
		CHECK(event->time > last);
		last = event->time;
		++*ret_events;
	}
	return r;
}

static int read_made(const struct tracemaker *t, uint64_t *ret_events)
{
	struct stele_reader *reader;
	int r;

	if (!CHECK(stele_reader_open_memory(t->data, t->bytes, NULL, &reader) == 0))
		return -EIO;
	r = read_all(reader, ret_events);
	CHECK_EQ(stele_reader_diag(reader) ? stele_reader_diag(reader)->code : 0, r);
	stele_reader_close(reader);
	return r;
}

static void reader_delivers_a_small_trace_of_each_version(void)
{
	static const unsigned version[] = {22, 23, 25, 26};

	for (size_t i = 0; i < STELE_ARRAY_LENGTH(version); i++) {
		struct tracemaker t = tracemaker(version[i]);
		uint64_t events;

		tracemaker_running(&t);
		tracemaker_end(&t);
		tracemaker_clock(&t);
		tracemaker_next_generation(&t);
		CHECK_EQ(read_made(&t, &events), 0);
		CHECK_EQ(events, 4);
	}
}

static void reader_shows_the_state_before_the_event(void)
{
	struct tracemaker t = tracemaker(23);
	const struct stele_event *event;
	struct stele_reader *reader;

	tracemaker_running(&t);
	tracemaker_event(&t, STELE_EV_GO_BLOCK, 2, (uint64_t[]){0, 0});
	tracemaker_end(&t);
	tracemaker_clock(&t);
	CHECK_EQ(stele_reader_open_memory(t.data, t.bytes, NULL, &reader), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(stele_reader_next(reader, &event), 1);
	CHECK_EQ(event->kind, STELE_EVENT_TRANSITION);
	CHECK_EQ(event->type, STELE_EV_GO_BLOCK);
	CHECK_EQ(event->time, 1003 * 64);
	CHECK_EQ(event->thread, 77);
	CHECK_EQ(event->proc, 0);
	CHECK_EQ(event->goroutine, 1);
	CHECK_EQ(event->resource, STELE_RESOURCE_GOROUTINE);
	CHECK_EQ(event->from, STELE_STATE_RUNNING);
	CHECK_EQ(event->to, STELE_STATE_WAITING);
	stele_reader_close(reader);
}

/* All views of an event that is seen as several are whole. */
static void reader_views_are_of_the_type_of_their_event(void)
{
	static const struct {
		uint8_t type, resource, from, to;
		uint64_t id;
	} expected[] = {
		{STELE_EV_GO_SWITCH, STELE_RESOURCE_GOROUTINE, STELE_STATE_WAITING,
		 STELE_STATE_RUNNABLE, 2},
		{STELE_EV_GO_SWITCH, STELE_RESOURCE_GOROUTINE, STELE_STATE_RUNNING,
		 STELE_STATE_WAITING, 1},
		{STELE_EV_GO_SWITCH, STELE_RESOURCE_GOROUTINE, STELE_STATE_RUNNABLE,
		 STELE_STATE_RUNNING, 2},
		{STELE_EV_GO_SYSCALL_BEGIN, STELE_RESOURCE_GOROUTINE, STELE_STATE_RUNNING,
		 STELE_STATE_SYSCALL, 2},
		{STELE_EV_GO_DESTROY_SYSCALL, STELE_RESOURCE_PROC, STELE_STATE_RUNNING,
		 STELE_STATE_IDLE, 0},
		{STELE_EV_GO_DESTROY_SYSCALL, STELE_RESOURCE_GOROUTINE, STELE_STATE_SYSCALL,
		 STELE_STATE_NOT_EXIST, 2},
	};
	struct tracemaker t = tracemaker(25);
	const struct stele_event *event;
	struct stele_reader *reader;

	tracemaker_running(&t);
	tracemaker_event(&t, STELE_EV_GO_CREATE_BLOCKED, 3, (uint64_t[]){2, 0, 0});
	tracemaker_event(&t, STELE_EV_GO_SWITCH, 2, (uint64_t[]){2, 1});
	tracemaker_event(&t, STELE_EV_GO_SYSCALL_BEGIN, 2, (uint64_t[]){1, 0});
	tracemaker_event(&t, STELE_EV_GO_DESTROY_SYSCALL, 0, NULL);
	tracemaker_end(&t);
	tracemaker_clock(&t);
	CHECK_EQ(stele_reader_open_memory(t.data, t.bytes, NULL, &reader), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(stele_reader_next(reader, &event), 1);
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(expected); i++) {
		if (!CHECK_EQ(stele_reader_next(reader, &event), 1))
			break;
		CHECK_EQ(event->kind, STELE_EVENT_TRANSITION);
		CHECK_EQ(event->type, expected[i].type);
		CHECK_EQ(event->resource, expected[i].resource);
		CHECK_EQ(event->resource_id, expected[i].id);
		CHECK_EQ(event->from, expected[i].from);
		CHECK_EQ(event->to, expected[i].to);
		CHECK_EQ(event->value_count, 0);
		CHECK_EQ(event->stack, 0);
		CHECK_EQ(event->name.bytes, 0);
		CHECK_EQ(event->task, STELE_NO_ID);
	}
	stele_reader_close(reader);
}

/* Tasks, parents and texts stay with the events that they are of, through many blocks. */
static void reader_annotations_leave_nothing_in_later_events(void)
{
	enum { ROUNDS = 300 };
	struct tracemaker t = tracemaker(23);
	const struct stele_event *event;
	struct stele_reader *reader;
	unsigned annotations = 0, others = 0;

	tracemaker_running(&t);
	for (unsigned i = 0; i < ROUNDS; i++) {
		tracemaker_event(&t, STELE_EV_USER_TASK_BEGIN, 4, (uint64_t[]){i + 1, 9, 0, 0});
		for (unsigned j = 0; j < i % 7; j++)
			tracemaker_event(&t, STELE_EV_HEAP_ALLOC, 1, (uint64_t[]){i});
	}
	for (unsigned i = 0; i < 200; i++)
		tracemaker_event(&t, STELE_EV_HEAP_ALLOC, 1, (uint64_t[]){i});
	tracemaker_end(&t);
	tracemaker_clock(&t);
	CHECK_EQ(stele_reader_open_memory(t.data, t.bytes, NULL, &reader), 0);
	while (stele_reader_next(reader, &event) > 0) {
		bool annotation = event->kind == STELE_EVENT_TASK_BEGIN;

		*(annotation ? &annotations : &others) += 1;
		CHECK_EQ(event->task, annotation ? annotations : STELE_NO_ID);
		CHECK_EQ(event->parent_task, annotation ? 9 : STELE_NO_ID);
		CHECK_EQ(event->text.bytes, 0);
	}
	CHECK_EQ(annotations, ROUNDS);
	CHECK(others > 1000);
	stele_reader_close(reader);
}

static void reader_tells_other_files_from_broken_ones(void)
{
	static const struct {
		const char *data;
		size_t bytes;
		int code;
	} c[] = {
		{"", 0, STELE_E_NOT_TRACE},
		{"PK\3\4aaaaaaaaaaaaaaa", 19, STELE_E_NOT_TRACE},
		{"go 1.2", 6, STELE_E_TRUNCATED},
		{"go 1.21 trace\0\0", 16, STELE_E_UNSUPPORTED},
		{"go 1.24 trace\0\0", 16, STELE_E_UNSUPPORTED},
		{"go 1.5 trace\0\0\0", 16, STELE_E_UNSUPPORTED},
		{"go 1.23 trace\0\0\1", 16, STELE_E_NOT_TRACE},
		{"go 1.23 trace\0\0", 16, STELE_E_TRUNCATED},
	};

	for (size_t i = 0; i < STELE_ARRAY_LENGTH(c); i++) {
		struct stele_reader *reader;
		uint64_t events;

		CHECK_EQ(stele_reader_open_memory(c[i].data, c[i].bytes, NULL, &reader), 0);
		CHECK_EQ(read_all(reader, &events), c[i].code);
		CHECK_EQ(stele_reader_diag(reader)->code, c[i].code);
		CHECK_EQ(read_all(reader, &events), c[i].code); /* and again */
		stele_reader_close(reader);
	}
}

/* Each prefix of a trace is read without trouble, and never called sound but at a boundary. */
static void reader_takes_every_prefix(void)
{
	struct tracemaker t = tracemaker(26);
	size_t first;
	uint64_t events, most = 0;

	tracemaker_clock(&t);
	tracemaker_running(&t);
	tracemaker_event(&t, STELE_EV_GO_CREATE, 3, (uint64_t[]){7, 0, 0});
	tracemaker_end(&t);
	tracemaker_next_generation(&t);
	first = t.bytes;
	tracemaker_clock(&t);
	tracemaker_begin(&t, 77);
	tracemaker_event(&t, STELE_EV_PROC_STATUS, 2, (uint64_t[]){0, STELE_PROC_RUNNING});
	tracemaker_end(&t);
	tracemaker_next_generation(&t);
	for (size_t n = STELE_HEADER_BYTES + 1; n < t.bytes; n++) {
		uint8_t *exact = malloc(n);
		struct stele_reader *reader;
		int r;

		memcpy(exact, t.data, n);
		stele_reader_open_memory(exact, n, NULL, &reader);
		r = read_all(reader, &events);
		CHECK(events >= most || n < first); /* more bytes never give less */
		most = n < first ? 0 : events;
		/* Sound, or with Go's reader silently ended, only where no event is pending. */
		CHECK((r == 0) == (n == first || stele_reader_warning_count(reader) > 0));
		stele_reader_close(reader);
		free(exact);
	}
}

static void reader_delivers_what_precedes_the_damage(void)
{
	struct tracemaker t = tracemaker(23);
	struct stele_reader_options whole = STELE_READER_OPTIONS_INIT;
	struct stele_reader *reader;
	uint64_t events;

	tracemaker_running(&t);
	tracemaker_end(&t); /* and no clock: the process was killed */
	CHECK_EQ(read_made(&t, &events), STELE_E_TRUNCATED);
	CHECK_EQ(events, 4);
	whole.whole_generations = true;
	CHECK_EQ(stele_reader_open_memory(t.data, t.bytes, &whole, &reader), 0);
	CHECK_EQ(read_all(reader, &events), STELE_E_TRUNCATED);
	CHECK_EQ(events, 1);
	stele_reader_close(reader);
}

static void reader_diagnostic_says_where(void)
{
	struct tracemaker t = tracemaker(23);
	const struct stele_diag *diag;
	struct stele_reader *reader;
	uint64_t events;

	tracemaker_running(&t);
	tracemaker_event(&t, STELE_EV_GO_START, 2, (uint64_t[]){9, 1});
	tracemaker_end(&t);
	tracemaker_clock(&t);
	CHECK_EQ(stele_reader_open_memory(t.data, t.bytes, NULL, &reader), 0);
	CHECK_EQ(read_all(reader, &events), STELE_E_CORRUPT);
	diag = stele_reader_diag(reader);
	CHECK_EQ(diag->severity, STELE_FATAL);
	CHECK_EQ(diag->generation, 1);
	CHECK_EQ(diag->thread, 77);
	CHECK_EQ(diag->event, 3);
	CHECK_EQ(t.data[diag->offset], STELE_EV_GO_START);
	CHECK(strstr(diag->text, "GoStart waits for goroutine 9") != NULL);
	stele_reader_close(reader);
}

static void reader_number_missing_at_the_end_of_a_table_is_a_warning(void)
{
	struct tracemaker t = tracemaker(23);
	const struct stele_event *event;
	struct stele_reader *reader;

	tracemaker_running(&t);
	tracemaker_end(&t);
	tracemaker_clock(&t);
	tracemaker_begin(&t, STELE_NONE_ID);
	tracemaker_byte(&t, STELE_EV_STRINGS);
	tracemaker_byte(&t, STELE_EV_STRING);
	tracemaker_end(&t);
	CHECK_EQ(stele_reader_open_memory(t.data, t.bytes, NULL, &reader), 0);
	while (stele_reader_next(reader, &event) > 0)
		;
	CHECK(!stele_reader_diag(reader));
	CHECK_EQ(stele_reader_warning_count(reader), 1);
	CHECK_EQ(stele_reader_warning(reader, 0)->severity, STELE_WARNING);
	stele_reader_close(reader);
}

struct trickle {
	const uint8_t *at, *end;
};

/* One byte at a time. */
static int64_t trickle_read(void *arg, void *buffer, size_t bytes)
{
	struct trickle *t = arg;

	if (t->at == t->end || !bytes)
		return 0;
	*(uint8_t *)buffer = *t->at++;
	return 1;
}

static void reader_reads_streams_as_it_reads_memory(void)
{
	struct tracemaker t = tracemaker(25);
	struct stele_reader *reader;
	struct trickle trickle;
	uint64_t events;

	for (int g = 0; g < 3; g++) {
		tracemaker_clock(&t);
		tracemaker_running(&t);
		tracemaker_end(&t);
		tracemaker_next_generation(&t);
	}
	trickle = (struct trickle){t.data, t.data + t.bytes};
	CHECK_EQ(stele_reader_open_stream(trickle_read, &trickle, NULL, &reader), 0);
	CHECK_EQ(read_all(reader, &events), 0);
	CHECK_EQ(events, 4 + 3 * 2);
	stele_reader_close(reader);
}

/* Thousands of threads that wait for one another must not take the square of their number. */
static void reader_many_waiting_threads_take_linear_time(void)
{
	enum { THREADS = 20000 };
	size_t room = (size_t)THREADS * 32 + 4096;
	uint8_t *data = malloc(room), *p = data + STELE_HEADER_BYTES;
	struct stele_reader *reader;
	uint64_t events;

	stele__header_put(data, 23);
	/* Thread i waits to start the goroutine that thread i + 1 creates. */
	for (uint64_t i = 0; i < THREADS; i++) {
		uint8_t payload[64], *q = payload;

		*q++ = STELE_EV_PROC_STATUS;
		q = stele__varint_put(stele__varint_put(stele__varint_put(q, 1), i), 1);
		if (i + 1 < THREADS) {
			*q++ = STELE_EV_GO_START;
			q = stele__varint_put(stele__varint_put(stele__varint_put(q, 1), i + 1), 1);
		}
		*q++ = STELE_EV_GO_CREATE;
		q = stele__varint_put(stele__varint_put(q, 1), i);
		*q++ = 0;
		*q++ = 0;
		*p++ = STELE_EV_EVENT_BATCH;
		*p++ = 1;
		p = stele__varint_put(stele__varint_put(p, 100 + i), 1);
		p = stele__varint_put(p, (uint64_t)(q - payload));
		memcpy(p, payload, (size_t)(q - payload));
		p += q - payload;
	}
	memcpy(p, "\1\1\1\1\5\x08\xa8\xd6\xb9\x07", 10);
	p += 10;
	CHECK((size_t)(p - data) <= room);
	CHECK_EQ(stele_reader_open_memory(data, (size_t)(p - data), NULL, &reader), 0);
	CHECK_EQ(read_all(reader, &events), 0);
	CHECK_EQ(events, 2 + 3 * THREADS - 1);
	stele_reader_close(reader);
	free(data);
}

TAP_MAIN(TEST(reader_delivers_a_small_trace_of_each_version),
	 TEST(reader_shows_the_state_before_the_event),
	 TEST(reader_views_are_of_the_type_of_their_event),
	 TEST(reader_annotations_leave_nothing_in_later_events),
	 TEST(reader_tells_other_files_from_broken_ones), TEST(reader_takes_every_prefix),
	 TEST(reader_delivers_what_precedes_the_damage), TEST(reader_diagnostic_says_where),
	 TEST(reader_number_missing_at_the_end_of_a_table_is_a_warning),
	 TEST(reader_reads_streams_as_it_reads_memory),
	 TEST(reader_many_waiting_threads_take_linear_time))
