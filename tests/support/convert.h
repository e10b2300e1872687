/* SPDX-License-Identifier: MIT */
/* Whole traces from text to bytes and back, in memory, for tests of the text form. */
#ifndef STELE_TESTS_CONVERT_H
#define STELE_TESTS_CONVERT_H

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "format/textform.h"

/* Owner: whoever converted, free(data). data is never NULL and ends with a hidden NUL. */
struct converted {
	uint8_t *data;
	size_t bytes;
	size_t room;
	int error;	/* of the conversion, whose result goes up to there */
	uint64_t place; /* of the error: a line, or a byte offset */
	char message[160];
};

static int convert_append(void *arg, const void *data, size_t bytes)
{
	struct converted *c = arg;

	if (c->bytes + bytes + 1 > c->room) {
		c->room = (c->bytes + bytes + 1) * 2;
		c->data = realloc(c->data, c->room);
	}
	memcpy(c->data + c->bytes, data, bytes);
	c->bytes += bytes;
	c->data[c->bytes] = 0;
	return 0;
}

__attribute__((unused)) static struct converted convert_to_text(const void *bytes, size_t size,
								bool exact)
{
	struct converted c = {.room = 1, .data = calloc(1, 1)};
	int version = size < STELE_HEADER_BYTES ? STELE_E_NOT_TRACE : stele__header_get(bytes);
	struct stele_cursor cursor;
	struct stele_text_out out;
	struct stele_wire_entry entry;

	c.error = version;
	if (version < 0)
		return c;
	cursor = stele__cursor((const uint8_t *)bytes + STELE_HEADER_BYTES,
			       size - STELE_HEADER_BYTES);
	stele__text_out_init(&out, convert_append, &c);
	stele__text_put_header(&out, (unsigned)version);
	while ((c.error = stele__entry_next(&cursor, (unsigned)version, &entry)) > 0)
		stele__text_put_entry(&out, &entry, exact);
	stele__text_out_flush(&out);
	c.place = STELE_HEADER_BYTES + stele__cursor_offset(&cursor);
	return c;
}

__attribute__((unused)) static struct converted convert_to_bytes(const void *text, size_t size,
								 bool sizes)
{
	struct converted c = {.room = 1, .data = calloc(1, 1)};
	uint8_t header[STELE_HEADER_BYTES];
	struct stele_text_out out;
	struct stele_text t;

	c.error = stele__text_begin(&t, text, size, 1, sizes);
	if (!c.error) {
		stele__text_out_init(&out, convert_append, &c);
		stele__header_put(header, t.version);
		stele__text_out_bytes(&out, header, sizeof(header));
		while ((c.error = stele__text_next(&t, &out)) > 0)
			;
		stele__text_out_flush(&out);
	}
	c.place = t.line;
	memcpy(c.message, t.message, sizeof(c.message));
	return c;
}

#endif
