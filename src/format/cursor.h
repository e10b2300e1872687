/* SPDX-License-Identifier: MIT */
/*
 * The one bounded reader of bytes: all parsing goes through it.
 *
 * Invariant: start <= at <= end. A failed read sets `error` and leaves `at` where the bad item
 * began; every later read fails too and returns 0, so a caller may read several items and look
 * at `error` once.
 */
#ifndef STELE_FORMAT_CURSOR_H
#define STELE_FORMAT_CURSOR_H

#include <string.h>

#include "base/compiler.h"
#include "base/error.h"
#include "format/spec.h"

struct stele_cursor {
	const uint8_t *at;
	const uint8_t *end;
	const uint8_t *start;
	int error; /* 0, STELE_E_TRUNCATED (ran into end) or STELE_E_CORRUPT (overflow) */
};

STELE_INLINE struct stele_cursor stele__cursor(const void *data, size_t bytes)
{
	const uint8_t *p = data;

	return (struct stele_cursor){.at = p, .end = p + bytes, .start = p};
}

STELE_INLINE size_t stele__cursor_left(const struct stele_cursor *c)
{
	return (size_t)(c->end - c->at);
}

STELE_INLINE size_t stele__cursor_offset(const struct stele_cursor *c)
{
	return (size_t)(c->at - c->start);
}

STELE_INLINE uint8_t stele__cursor_u8(struct stele_cursor *c)
{
	if (STELE_UNLIKELY(c->error || c->at == c->end)) {
		if (!c->error)
			c->error = STELE_E_TRUNCATED;
		return 0;
	}
	return *c->at++;
}

/* Out of line: several bytes, or an error. */
uint64_t stele__cursor_varint_long(struct stele_cursor *c);

/* Unsigned LEB128, at most 10 bytes and 64 bits; longer than necessary is legal. */
STELE_INLINE uint64_t stele__cursor_varint(struct stele_cursor *c)
{
	if (STELE_LIKELY(c->at < c->end && *c->at < 0x80 && !c->error))
		return *c->at++;
	return stele__cursor_varint_long(c);
}

/* Numbers of either sign as unsigned ones, small as small: 0, -1, 1, -2, … */
STELE_INLINE uint64_t stele__zigzag(int64_t value)
{
	return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

STELE_INLINE int64_t stele__zigzag_back(uint64_t wire)
{
	return (int64_t)(wire >> 1 ^ (wire & 1 ? UINT64_MAX : 0));
}

/* The next `bytes` bytes, or NULL; the cursor moves behind them. */
STELE_INLINE const uint8_t *stele__cursor_bytes(struct stele_cursor *c, uint64_t bytes)
{
	const uint8_t *p = c->at;

	if (STELE_UNLIKELY(c->error || bytes > stele__cursor_left(c))) {
		if (!c->error)
			c->error = STELE_E_TRUNCATED;
		return NULL;
	}
	c->at += bytes;
	return p;
}

/* Eight bytes as a number; little-endian, as all machines that Stele runs on. */
STELE_INLINE uint64_t stele__varint_load(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/*
 * Unsigned LEB128 where eight bytes can be read, and the integer has eight or fewer; returns the
 * byte behind it, NULL if it is longer. Several bytes are put together at once.
 */
STELE_INLINE const uint8_t *stele__varint_get8(const uint8_t *p, uint64_t *ret_value)
{
	uint64_t word, last;
	unsigned bits;

	if (STELE_LIKELY(*p < 0x80)) {
		*ret_value = *p;
		return p + 1;
	}
	word = stele__varint_load(p);
	last = ~word & 0x8080808080808080;
	if (STELE_UNLIKELY(!last))
		return NULL;
	bits = (unsigned)__builtin_ctzll(last); /* of the last byte's top bit */
	word &= last ^ (last - 1);
	word &= 0x7f7f7f7f7f7f7f7f;
	word = (word & 0x007f007f007f007f) | (word & 0x7f007f007f007f00) >> 1;
	word = (word & 0x00003fff00003fff) | (word & 0x3fff00003fff0000) >> 2;
	*ret_value = (word & 0x000000000fffffff) | (word & 0x0fffffff00000000) >> 4;
	return p + bits / 8 + 1;
}

/* How many bytes stele__varint_put writes. */
STELE_INLINE unsigned stele__varint_width(uint64_t v)
{
	return (unsigned)(63 - __builtin_clzll(v | 1)) / 7 + 1;
}

/* The lower 56 bits of v, seven to a byte. */
STELE_INLINE uint64_t stele__varint_spread(uint64_t v)
{
	v = (v & 0x00fffffff0000000) << 4 | (v & 0x000000000fffffff);
	v = (v & 0x0fffc0000fffc000) << 2 | (v & 0x00003fff00003fff);
	return (v & 0x3f803f803f803f80) << 1 | (v & 0x007f007f007f007f);
}

/*
 * Writes v as LEB128 to out, which has room for STELE_VARINT_BYTES_MAX whatever v is; returns the
 * byte behind. Addresses have seven bytes: those are not written one by one.
 */
STELE_INLINE uint8_t *stele__varint_put(uint8_t *out, uint64_t v)
{
	unsigned bytes;
	uint64_t word;

	if (v < 0x80) {
		*out = (uint8_t)v;
		return out + 1;
	}
	if (STELE_UNLIKELY(v >> 56)) {
		for (; v >= 0x80; v >>= 7)
			*out++ = (uint8_t)(v | 0x80);
		*out++ = (uint8_t)v;
		return out;
	}
	bytes = stele__varint_width(v);
	word = stele__varint_spread(v) | (0x0080808080808080 & ((1ull << (8 * bytes - 8)) - 1));
	memcpy(out, &word, sizeof(word)); /* little-endian, as all machines that Stele runs on */
	return out + bytes;
}

#endif
