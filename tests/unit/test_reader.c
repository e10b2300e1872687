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
	 TEST(reader_tells_other_files_from_broken_ones), TEST(reader_takes_every_prefix),
	 TEST(reader_delivers_what_precedes_the_damage), TEST(reader_diagnostic_says_where),
	 TEST(reader_number_missing_at_the_end_of_a_table_is_a_warning),
	 TEST(reader_reads_streams_as_it_reads_memory),
	 TEST(reader_many_waiting_threads_take_linear_time))
