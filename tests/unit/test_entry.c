/* SPDX-License-Identifier: MIT */
#include "format/entry.h"

#include <stdlib.h>

#include "support/tap.h"

/* Decodes the only entry of some bytes, which lie at the very end of their allocation. */
static int decode(const void *bytes, size_t size, unsigned version, struct stele_wire_entry *ret,
		  size_t *ret_at)
{
	uint8_t *own = malloc(size ? size : 1);
	struct stele_cursor c;
	int result;

	memcpy(own, bytes, size);
	c = stele__cursor(own, size);
	result = stele__entry_next(&c, version, ret);
	*ret_at = stele__cursor_offset(&c);
	CHECK_EQ(c.error, result < 0 ? result : 0);
	free(own);
	return result;
}

static void entry_decodes_a_timed_event(void)
{
	static const uint8_t in[] = {STELE_EV_USER_LOG, 0x83, 0x00, 1, 2, 3, 0x80, 0x01, 99};
	struct stele_cursor c = stele__cursor(in, sizeof(in));
	struct stele_wire_entry e;

	CHECK_EQ(stele__entry_next(&c, 22, &e), 1);
	CHECK_EQ(e.type, STELE_EV_USER_LOG);
	CHECK_EQ(e.dt, 3);
	CHECK_EQ(e.args[0], 1);
	CHECK_EQ(e.args[3], 128);
	CHECK(e.bytes == in);
	CHECK_EQ(e.size, 8);
	CHECK_EQ(stele__cursor_left(&c), 1);
	CHECK_EQ(stele__entry_next(&c, 22, &e), STELE_E_UNSUPPORTED);
	CHECK_EQ(stele__cursor_offset(&c), 8);
	CHECK_EQ(stele__entry_next(&c, 22, &e), STELE_E_UNSUPPORTED);
}

static void entry_gives_frames_of_a_stack(void)
{
	static const uint8_t in[] = {STELE_EV_STACK, 7, 2, 0x80, 0x01, 2, 3, 4, 5, 6, 7, 8};
	struct stele_cursor c = stele__cursor(in, sizeof(in));
	struct stele_wire_entry e;
	struct stele_wire_frame frame;

	CHECK_EQ(stele__entry_next(&c, 22, &e), 1);
	CHECK_EQ(stele__entry_next(&c, 22, &e), 0);
	CHECK_EQ(e.frames_bytes, 9);
	c = stele__cursor(e.frames, e.frames_bytes);
	frame = stele__entry_frame(&c);
	CHECK_EQ(frame.pc, 128);
	frame = stele__entry_frame(&c);
	CHECK_EQ(frame.line, 8);
	CHECK_EQ(stele__cursor_left(&c), 0);
}

static void entry_gives_data(void)
{
	static const uint8_t string[] = {STELE_EV_STRING, 1, 3, 'a', 'b', 'c'};
	static const uint8_t batch[] = {STELE_EV_EXPERIMENTAL_BATCH, 1, 2, 3, 4, 2, 'S', 0};
	struct stele_cursor c = stele__cursor(string, sizeof(string));
	struct stele_wire_entry e;

	CHECK_EQ(stele__entry_next(&c, 22, &e), 1);
	CHECK_BYTES(e.data, e.data_bytes, "abc", 3);
	c = stele__cursor(batch, sizeof(batch));
	CHECK_EQ(stele__entry_next(&c, 23, &e), 1);
	CHECK_BYTES(e.data, e.data_bytes, "S", 2);
}

static void entry_knows_versions(void)
{
	static const struct {
		uint8_t type;
		unsigned since;
	} cases[] = {{STELE_EV_USER_LOG, 22},
		     {STELE_EV_GO_SWITCH, 23},
		     {STELE_EV_SPAN, 23},
		     {STELE_EV_SYNC, 25},
		     {STELE_EV_END_OF_GENERATION, 26},
		     {STELE_EV_NONE, 99},
		     {53, 99},
		     {137, 99},
		     {255, 99}};

	for (size_t i = 0; i < STELE_ARRAY_LENGTH(cases); i++) {
		uint8_t in[64] = {cases[i].type};
		struct stele_wire_entry e;
		size_t at;

		for (unsigned version = 22; version <= 26; version++)
			CHECK_EQ(decode(in, sizeof(in), version, &e, &at),
				 version >= cases[i].since ? 1 : STELE_E_UNSUPPORTED);
	}
}

static void entry_cut_anywhere_is_truncated(void)
{
	static const uint8_t log[] = {STELE_EV_USER_LOG, 0x83, 0x00, 1, 2, 3, 0x80, 0x01};
	static const uint8_t stack[] = {STELE_EV_STACK, 7, 2, 0x80, 0x01, 2, 3, 4, 5, 6, 7, 8};
	static const uint8_t string[] = {STELE_EV_STRING, 1, 3, 'a', 'b', 'c'};
	static const struct {
		const uint8_t *bytes;
		size_t size;
	} cases[] = {{log, sizeof(log)}, {stack, sizeof(stack)}, {string, sizeof(string)}};

	for (size_t i = 0; i < STELE_ARRAY_LENGTH(cases); i++) {
		for (size_t size = 1; size < cases[i].size; size++) {
			struct stele_wire_entry e;
			size_t at;

			CHECK_EQ(decode(cases[i].bytes, size, 26, &e, &at), STELE_E_TRUNCATED);
			CHECK(at > 0 && at <= size);
		}
	}
}

static void entry_bounds_counts_by_what_is_there(void)
{
	static const uint8_t stack[] = {STELE_EV_STACK, 1,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					0xff,		0xff, 0xff, 0x01, 1,	2,    3,    4};
	static const uint8_t string[] = {
		STELE_EV_STRING, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
	struct stele_wire_entry e;
	size_t at;

	CHECK_EQ(decode(stack, sizeof(stack), 22, &e, &at), STELE_E_TRUNCATED);
	CHECK_EQ(at, sizeof(stack));
	CHECK_EQ(decode(string, sizeof(string), 22, &e, &at), STELE_E_TRUNCATED);
	CHECK_EQ(at, 2);
}

static void entry_refuses_an_integer_of_more_than_64_bits(void)
{
	static const uint8_t in[] = {
		STELE_EV_FREQUENCY, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
	struct stele_wire_entry e;
	size_t at;

	CHECK_EQ(decode(in, sizeof(in), 22, &e, &at), STELE_E_CORRUPT);
	CHECK_EQ(at, 1);
}

TAP_MAIN(TEST(entry_decodes_a_timed_event), TEST(entry_gives_frames_of_a_stack),
	 TEST(entry_gives_data), TEST(entry_knows_versions), TEST(entry_cut_anywhere_is_truncated),
	 TEST(entry_bounds_counts_by_what_is_there),
	 TEST(entry_refuses_an_integer_of_more_than_64_bits))
