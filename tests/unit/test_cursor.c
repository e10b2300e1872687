/* SPDX-License-Identifier: MIT */
#include "format/cursor.h"
#include "support/tap.h"

static void cursor_reads_what_varint_put_wrote(void)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		for (int delta = -1; delta <= 1; delta++) {
			uint8_t out[STELE_VARINT_BYTES_MAX];
			uint64_t v = (UINT64_C(1) << bit) + (uint64_t)delta;
			struct stele_cursor c = stele__cursor(out, stele__varint_put(out, v) - out);

			CHECK_EQ(stele__cursor_varint(&c), v);
			CHECK_EQ(stele__cursor_left(&c), 0);
			CHECK_EQ(c.error, 0);
		}
	}
}

static void cursor_accepts_longer_encodings(void)
{
	static const uint8_t three[] = {0x85, 0x80, 0x00, 0x07};
	static const uint8_t ten[] = {0x85, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
	struct stele_cursor c = stele__cursor(three, sizeof(three));

	CHECK_EQ(stele__cursor_varint(&c), 5);
	CHECK_EQ(stele__cursor_varint(&c), 7);
	c = stele__cursor(ten, sizeof(ten));
	CHECK_EQ(stele__cursor_varint(&c), 5);
	CHECK_EQ(stele__cursor_offset(&c), 10);
	CHECK_EQ(c.error, 0);
}

static void cursor_refuses_more_than_64_bits(void)
{
	uint8_t in[11];
	struct stele_cursor c;

	memset(in, 0xff, sizeof(in));
	in[9] = 1;
	c = stele__cursor(in, 10);
	CHECK_EQ(stele__cursor_varint(&c), UINT64_MAX);

	in[9] = 2;
	c = stele__cursor(in, 10);
	CHECK_EQ(stele__cursor_varint(&c), 0);
	CHECK_EQ(c.error, STELE_E_CORRUPT);
	CHECK_EQ(stele__cursor_offset(&c), 0);

	in[9] = 0x80; /* an eleventh byte */
	in[10] = 0;
	c = stele__cursor(in, 11);
	stele__cursor_varint(&c);
	CHECK_EQ(c.error, STELE_E_CORRUPT);
}

static void cursor_stops_where_the_bad_item_began(void)
{
	static const uint8_t in[] = {0x01, 0x80, 0x80};
	struct stele_cursor c = stele__cursor(in, sizeof(in));

	CHECK_EQ(stele__cursor_u8(&c), 1);
	CHECK_EQ(stele__cursor_varint(&c), 0);
	CHECK_EQ(c.error, STELE_E_TRUNCATED);
	CHECK_EQ(stele__cursor_offset(&c), 1);
}

static void cursor_stays_failed(void)
{
	static const uint8_t in[] = {0x01, 0x02};
	struct stele_cursor c = stele__cursor(in, sizeof(in));

	CHECK(stele__cursor_bytes(&c, 3) == NULL);
	CHECK_EQ(c.error, STELE_E_TRUNCATED);
	CHECK_EQ(stele__cursor_u8(&c), 0);
	CHECK_EQ(stele__cursor_varint(&c), 0);
	CHECK(stele__cursor_bytes(&c, 0) == NULL);
	CHECK_EQ(stele__cursor_offset(&c), 0);
}

static void cursor_bytes_takes_exactly_what_is_there(void)
{
	static const uint8_t in[] = {1, 2, 3};
	struct stele_cursor c = stele__cursor(in, sizeof(in));

	CHECK(stele__cursor_bytes(&c, 0) == in);
	CHECK(stele__cursor_bytes(&c, 3) == in);
	CHECK_EQ(stele__cursor_left(&c), 0);
	CHECK(stele__cursor_bytes(&c, UINT64_MAX) == NULL);
}

TAP_MAIN(TEST(cursor_reads_what_varint_put_wrote), TEST(cursor_accepts_longer_encodings),
	 TEST(cursor_refuses_more_than_64_bits), TEST(cursor_stops_where_the_bad_item_began),
	 TEST(cursor_stays_failed), TEST(cursor_bytes_takes_exactly_what_is_there))
