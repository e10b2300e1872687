/* SPDX-License-Identifier: MIT */
#include "read/decode.h"

#include <stdlib.h>
#include <string.h>

#include "format/cursor.h"
#include "support/tap.h"

#define BYTES_MAX  400
#define EVENTS_MAX 300

static unsigned seed = 1;

static unsigned dice(unsigned sides)
{
	return (unsigned)rand_r(&seed) % sides;
}

static uint64_t some_number(void)
{
	uint64_t number = (uint64_t)rand_r(&seed) << 40 ^ (uint64_t)rand_r(&seed) << 20 ^
			  (uint64_t)rand_r(&seed);

	if (!dice(40))
		return number << dice(30);
	return number & ((UINT64_C(1) << 7 * (1 + dice(3))) - 1);
}

static uint8_t some_type(void)
{
	static const uint8_t usual[] = {129, 130, 132, 133, 20, 21, 16, 17, 22, 23};
	uint8_t type;

	if (dice(4))
		return usual[dice(sizeof(usual))];
	do
		type = (uint8_t)dice(256);
	while (!stele__timed_numbers[type]);
	return type;
}

/* A number, now and then longer than it need be: up to ten bytes. */
static size_t put_number(uint8_t *out, uint64_t number)
{
	uint8_t *p = stele__varint_put(out, number);
	size_t bytes = (size_t)(p - out);

	if (dice(60))
		return bytes;
	while (bytes < 10 && dice(4)) {
		out[bytes - 1] |= 0x80;
		out[bytes++] = 0;
	}
	return bytes;
}

/* A batch of events, cut off anywhere; in memory of just its size, for AddressSanitizer. */
static uint8_t *some_batch(size_t *ret_bytes)
{
	uint8_t all[BYTES_MAX + 80];
	size_t bytes = 0, limit = dice(BYTES_MAX);
	uint8_t *batch;

	while (bytes < limit) {
		uint8_t type = some_type();

		all[bytes++] = type;
		for (unsigned i = 0; i < stele__timed_numbers[type]; i++)
			bytes += put_number(all + bytes, some_number());
	}
	*ret_bytes = bytes < limit ? bytes : limit;
	if (*ret_bytes && !dice(3))
		all[dice((unsigned)*ret_bytes)] = (uint8_t)dice(256);
	batch = malloc(*ret_bytes ? *ret_bytes : 1);
	memcpy(batch, all, *ret_bytes);
	return batch;
}

static void check_event(const struct stele_event *a, const struct stele_event *b)
{
	CHECK_EQ(a->type, b->type);
	CHECK_EQ(a->time, b->time);
	for (unsigned i = 0; i + 1 < stele__timed_numbers[a->type]; i++)
		CHECK_EQ(a->value[i], b->value[i]);
	CHECK_EQ(a->resource_id, STELE_NO_ID);
	CHECK_EQ(a->value_count, a->type < 128 ? 0 : stele__timed_numbers[a->type] - 1);
	CHECK_EQ(a->kind, a->type < 128 ? 0 : STELE_EVENT_EXPERIMENTAL);
	CHECK_EQ(a->name.bytes != 0, a->type >= 128);
}

static void decode_gives_what_the_plain_one_gives(void)
{
	static struct stele_event fast[EVENTS_MAX], plain[EVENTS_MAX];
	uint64_t events = 0;

	for (int round = 0; round < 20000; round++) {
		size_t bytes, n;
		uint8_t *batch = some_batch(&bytes);
		struct stele__decoder a = {batch, batch + bytes, batch, 1000}, b = a;
		struct stele_event *end = stele__decode(&a, 0.75, fast, fast + EVENTS_MAX);

		n = (size_t)(end - fast);
		CHECK_EQ(stele__decode_plain(&b, 0.75, plain, plain + EVENTS_MAX) - plain, n);
		CHECK(a.at == b.at);
		CHECK_EQ(a.time, b.time);
		for (size_t i = 0; i < n; i++)
			check_event(&fast[i], &plain[i]);
		CHECK(stele__decode_skip(batch, batch + bytes, n) == a.at);
		events += n;
		free(batch);
	}
	CHECK(events > 100000);
}

static void decode_stops_where_the_block_is_full(void)
{
	static struct stele_event all[EVENTS_MAX], some[EVENTS_MAX];

	for (int round = 0; round < 2000; round++) {
		size_t bytes, n = 0;
		uint8_t *batch = some_batch(&bytes);
		struct stele__decoder a = {batch, batch + bytes, batch, 0}, b = a;
		size_t count = (size_t)(stele__decode(&a, 2, all, all + EVENTS_MAX) - all);

		for (;;) {
			size_t room = 1 + dice(9);
			size_t got = (size_t)(stele__decode(&b, 2, some + n, some + n + room) -
					      (some + n));

			n += got;
			if (got < room)
				break;
		}
		CHECK_EQ(n, count);
		CHECK(a.at == b.at);
		for (size_t i = 0; i < n; i++)
			check_event(&some[i], &all[i]);
		free(batch);
	}
}

TAP_MAIN(TEST(decode_gives_what_the_plain_one_gives), TEST(decode_stops_where_the_block_is_full))
