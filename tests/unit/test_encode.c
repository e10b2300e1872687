/* SPDX-License-Identifier: MIT */
#include "format/encode.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "format/cursor.h"
#include "support/tap.h"

static uint8_t buffer[STELE_BATCH_BUFFER_BYTES];

/* Reads a batch header; returns the cursor behind it. */
static struct stele_cursor read_header(size_t bytes, uint64_t *gen, uint64_t *m, uint64_t *time)
{
	struct stele_cursor c = stele__cursor(buffer, bytes);
	uint64_t size;

	CHECK_EQ(stele__cursor_u8(&c), STELE_EV_EVENT_BATCH);
	*gen = stele__cursor_varint(&c);
	*m = stele__cursor_varint(&c);
	*time = stele__cursor_varint(&c);
	size = stele__cursor_varint(&c);
	CHECK_EQ(size, stele__cursor_left(&c));
	CHECK_EQ(c.error, 0);
	return c;
}

static void batch_is_bytes_that_the_format_describes(void)
{
	static const uint8_t expected[] = {
		0x01, 0x01, 0x4d, 0xe8, 0x07,				    /* 1, 77, 1000 */
		0x8c, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, /* 12, padded */
		0x0d, 0x01, 0x00, 0x01,					    /* ProcStatus */
		0x2c, 0x03, 0x00, 0x01, 0x02, 0x01,			    /* UserLog */
		0x0b, 0x00,						    /* ProcStop */
	};
	struct stele_batch b = stele__batch(buffer, sizeof(buffer));

	CHECK(!stele__batch_is_open(&b));
	CHECK_EQ(stele__batch_end(&b), 0);
	CHECK_EQ(stele__batch_begin(&b, 1, 77, 1000), 0);
	CHECK(stele__batch_is_empty(&b));
	CHECK_EQ(stele__batch_event(&b, STELE_EV_PROC_STATUS, 1001, (uint64_t[]){0, 1}), 0);
	CHECK_EQ(stele__batch_event(&b, STELE_EV_USER_LOG, 1004, (uint64_t[]){0, 1, 2, 1}), 0);
	CHECK_EQ(stele__batch_event(&b, STELE_EV_PROC_STOP, 1003, NULL), 0);
	CHECK(!stele__batch_is_empty(&b));
	CHECK_EQ(b.time, 1004);
	CHECK_BYTES(buffer, stele__batch_end(&b), expected, sizeof(expected));
	CHECK(!stele__batch_is_open(&b));
}

static void batch_fills_to_the_last_byte_and_refuses_whole(void)
{
	struct stele_batch b = stele__batch(buffer, sizeof(buffer));
	uint64_t gen, m, time, count = 0;
	struct stele_cursor c;

	CHECK_EQ(stele__batch_begin(&b, UINT64_MAX, STELE_NONE_ID, UINT64_MAX - 1), 0);
	CHECK_EQ(stele__batch_room(&b), STELE_BATCH_BYTES_MAX);
	while (stele__batch_event(&b, STELE_EV_PROC_STOP, 0, NULL) == 0)
		count++;
	CHECK_EQ(count, STELE_BATCH_BYTES_MAX / 2);
	CHECK_EQ(stele__batch_room(&b), 0);
	CHECK_EQ(stele__batch_varint(&b, 0), STELE_E_LIMIT);
	c = read_header(stele__batch_end(&b), &gen, &m, &time);
	CHECK_EQ(gen, UINT64_MAX);
	CHECK_EQ(m, STELE_NONE_ID);
	CHECK_EQ(time, UINT64_MAX - 1);
	CHECK_EQ(stele__cursor_left(&c), STELE_BATCH_BYTES_MAX);
}

static void batch_refusal_changes_nothing(void)
{
	static const uint64_t args[] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
	static const struct stele_wire_frame frames[3] = {{1, 2, 3, 4}, {UINT64_MAX, 2, 3, 4}};

	for (size_t bytes = STELE_BATCH_HEADER_BYTES_MAX; bytes < 140; bytes++) {
		/* Of the exact size, so that a sanitizer sees one byte too many. */
		uint8_t *own = malloc(bytes);
		struct stele_batch b = stele__batch(own, bytes), before;

		CHECK_EQ(stele__batch_begin(&b, 1, 1, 5), 0);
		before = b;
		if (stele__batch_event(&b, STELE_EV_USER_LOG, UINT64_MAX, args) < 0)
			CHECK(!memcmp(&b, &before, sizeof(b)));
		before = b;
		if (stele__batch_stack(&b, 1, frames, 3) < 0)
			CHECK(!memcmp(&b, &before, sizeof(b)));
		before = b;
		if (stele__batch_string(&b, 1, "0123456789", 10) < 0)
			CHECK(!memcmp(&b, &before, sizeof(b)));
		CHECK(b.used <= bytes);
		free(own);
	}
}

static void batch_needs_room_for_its_header(void)
{
	struct stele_batch b = stele__batch(buffer, STELE_BATCH_HEADER_BYTES_MAX - 1);

	CHECK_EQ(stele__batch_begin(&b, 1, 1, 1), STELE_E_LIMIT);
	CHECK(!stele__batch_is_open(&b));
}

static void tables_have_one_marker_and_their_entries(void)
{
	static const uint8_t strings[] = {0x04, 0x05, 0x01, 0x01, 'k', 0x05, 0x02, 0x00};
	static const uint8_t stacks[] = {0x02, 0x03, 0x01, 0x01, 0x80, 0xa0, 0x80,
					 0x02, 0x04, 0x05, 0x0c, 0x03, 0x02, 0x00};
	static const uint8_t samples[] = {0x06, 0x07, 0x05, 0x4d, 0x00, 0x01, 0x02};
	static const struct stele_wire_frame frame = {0x401000, 4, 5, 12};
	struct stele_batch b = stele__batch(buffer, sizeof(buffer));

	stele__batch_begin(&b, 1, STELE_NONE_ID, 1);
	CHECK_EQ(stele__batch_string(&b, 1, "k", 1), 0);
	CHECK_EQ(stele__batch_string(&b, 2, NULL, 0), 0);
	CHECK_BYTES(buffer + b.payload, b.used - b.payload, strings, sizeof(strings));
	stele__batch_begin(&b, 1, STELE_NONE_ID, 1);
	CHECK_EQ(stele__batch_stack(&b, 1, &frame, 1), 0);
	CHECK_EQ(stele__batch_stack(&b, 2, NULL, 0), 0);
	CHECK_BYTES(buffer + b.payload, b.used - b.payload, stacks, sizeof(stacks));
	stele__batch_begin(&b, 1, STELE_NONE_ID, 1);
	CHECK_EQ(stele__batch_cpu_sample(&b, 5, 77, 0, 1, 2), 0);
	CHECK_BYTES(buffer + b.payload, b.used - b.payload, samples, sizeof(samples));
}

static void tables_refuse_what_no_batch_can_hold(void)
{
	static const struct stele_wire_frame frames[STELE_STACK_FRAMES_MAX + 1];
	static const char text[STELE_STRING_BYTES_MAX + 1];
	struct stele_batch b = stele__batch(buffer, sizeof(buffer));

	stele__batch_begin(&b, 1, STELE_NONE_ID, 1);
	CHECK_EQ(stele__batch_string(&b, 1, text, sizeof(text)), -EINVAL);
	CHECK_EQ(stele__batch_string(&b, 0, text, 1), -EINVAL);
	CHECK_EQ(stele__batch_stack(&b, 1, frames, STELE_STACK_FRAMES_MAX + 1), -EINVAL);
	CHECK_EQ(stele__batch_stack(&b, 0, frames, 1), -EINVAL);
	CHECK(stele__batch_is_empty(&b));
	CHECK_EQ(stele__batch_string(&b, 1, text, STELE_STRING_BYTES_MAX), 0);
	stele__batch_begin(&b, 1, STELE_NONE_ID, 1);
	CHECK_EQ(stele__batch_stack(&b, 1, frames, STELE_STACK_FRAMES_MAX), 0);
}

static void clock_batch_has_a_snapshot_from_25_on(void)
{
	static const uint8_t old[] = {0x08, 0xa8, 0xd6, 0xb9, 0x07};
	static const uint8_t new[] = {0x32, 0x08, 0xa8, 0xd6, 0xb9, 0x07, 0x33, 0x01, 0x80,
				      0xf4, 0x03, 0x80, 0xe2, 0xcf, 0xaa, 0x06, 0x05};
	static const struct stele_wire_clock snapshot = {1000, 64000, 1700000000, 5};
	struct stele_batch b = stele__batch(buffer, sizeof(buffer));

	stele__batch_begin(&b, 1, STELE_NONE_ID, 999);
	CHECK_EQ(stele__batch_clock(&b, 15625000, NULL), 0);
	CHECK_BYTES(buffer + b.payload, b.used - b.payload, old, sizeof(old));
	stele__batch_begin(&b, 1, STELE_NONE_ID, 999);
	CHECK_EQ(stele__batch_clock(&b, 15625000, &snapshot), 0);
	CHECK_BYTES(buffer + b.payload, b.used - b.payload, new, sizeof(new));
}

static void experimental_batch_names_its_experiment(void)
{
	static const uint8_t expected[] = {0x31, 0x01, 0x02, 0x03, 0x04, 0x83, 0x80, 0x80, 0x80,
					   0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0x53, 0x80, 0x01};
	struct stele_batch b = stele__batch(buffer, sizeof(buffer));

	CHECK_EQ(stele__batch_begin_experimental(&b, STELE_EXPERIMENT_ALLOCFREE, 2, 3, 4), 0);
	CHECK_EQ(stele__batch_bytes(&b, "S", 1), 0);
	CHECK_EQ(stele__batch_varint(&b, 128), 0);
	CHECK_BYTES(buffer, stele__batch_end(&b), expected, sizeof(expected));
}

TAP_MAIN(TEST(batch_is_bytes_that_the_format_describes),
	 TEST(batch_fills_to_the_last_byte_and_refuses_whole), TEST(batch_refusal_changes_nothing),
	 TEST(batch_needs_room_for_its_header), TEST(tables_have_one_marker_and_their_entries),
	 TEST(tables_refuse_what_no_batch_can_hold), TEST(clock_batch_has_a_snapshot_from_25_on),
	 TEST(experimental_batch_names_its_experiment))
