/* SPDX-License-Identifier: MIT */
/*
 * Where the converters between text and bytes write: a small buffer in front of a caller's
 * callback. Without a callback it only counts, which is how lengths are found before bytes.
 *
 * The first failure of the callback is kept in `error`, and nothing is written after it.
 */
#ifndef STELE_FORMAT_TEXTOUT_H
#define STELE_FORMAT_TEXTOUT_H

#include <string.h>

#include "base/compiler.h"
#include "format/cursor.h"

struct stele_text_out {
	int (*write)(void *arg, const void *data,
		     size_t bytes); /* 0 or a negative error; or NULL */
	void *arg;
	uint64_t bytes; /* put so far */
	int error;
	uint32_t used;
	uint8_t buffer[1024];
};

STELE_INLINE void stele__text_out_init(struct stele_text_out *out,
				       int (*write)(void *, const void *, size_t), void *arg)
{
	out->write = write;
	out->arg = arg;
	out->bytes = 0;
	out->error = 0;
	out->used = 0;
}

/* Hands the buffer over. Returns 0 or the first error. */
STELE_INLINE int stele__text_out_flush(struct stele_text_out *out)
{
	if (out->used && out->write && !out->error)
		out->error = out->write(out->arg, out->buffer, out->used);
	out->used = 0;
	return out->error;
}

STELE_INLINE void stele__text_out_byte(struct stele_text_out *out, uint8_t byte)
{
	out->bytes++;
	if (!out->write)
		return;
	if (out->used == sizeof(out->buffer))
		(void)stele__text_out_flush(out);
	out->buffer[out->used++] = byte;
}

STELE_INLINE void stele__text_out_bytes(struct stele_text_out *out, const void *data, size_t bytes)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < bytes; i++)
		stele__text_out_byte(out, p[i]);
}

STELE_INLINE void stele__text_out_string(struct stele_text_out *out, const char *s)
{
	stele__text_out_bytes(out, s, strlen(s));
}

STELE_INLINE void stele__text_out_decimal(struct stele_text_out *out, uint64_t v)
{
	uint8_t digits[20];
	unsigned n = 0;

	do {
		digits[n++] = (uint8_t)('0' + v % 10);
		v /= 10;
	} while (v);
	while (n)
		stele__text_out_byte(out, digits[--n]);
}

#endif
