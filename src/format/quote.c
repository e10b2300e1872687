/* SPDX-License-Identifier: MIT */
#include "format/quote.h"

#include "base/error.h"

#define QUOTE_RUNE_MAX 0x10ffff

struct quote_range {
	uint32_t first, last;
};

static const struct quote_range quote_printable[] = {
#define R(first, last) {first, last},
#include "format/printable.def"
#undef R
};

static bool quote_is_printable(uint32_t rune)
{
	size_t low = 0, high = STELE_ARRAY_LENGTH(quote_printable);

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (rune > quote_printable[middle].last)
			low = middle + 1;
		else
			high = middle;
	}
	return low < STELE_ARRAY_LENGTH(quote_printable) && rune >= quote_printable[low].first;
}

static bool quote_is_rune(uint64_t rune)
{
	return rune <= QUOTE_RUNE_MAX && (rune < 0xd800 || rune > 0xdfff);
}

/*
 * The rune at p and its length in bytes, or 0 for what is no UTF-8: too short, too long for its
 * value, a surrogate, above 0x10ffff.
 */
static unsigned quote_decode_rune(const uint8_t *p, size_t left, uint32_t *ret_rune)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned length = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t rune = p[0];

	if (length == 1) {
		*ret_rune = rune;
		return 1;
	}
	if (length == 0 || length > left || p[0] > 0xf4)
		return 0;
	rune &= 0x7fu >> length;
	for (unsigned i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		rune = rune << 6 | (p[i] & 0x3f);
	}
	if (rune < smallest[length] || !quote_is_rune(rune))
		return 0;
	*ret_rune = rune;
	return length;
}

static void quote_put_hex(struct stele_text_out *out, char letter, uint32_t v, unsigned digits)
{
	stele__text_out_byte(out, '\\');
	stele__text_out_byte(out, (uint8_t)letter);
	while (digits--)
		stele__text_out_byte(out, (uint8_t) "0123456789abcdef"[v >> (4 * digits) & 15]);
}

static void quote_put_rune(struct stele_text_out *out, uint32_t rune, const uint8_t *utf8,
			   unsigned length)
{
	static const char letters[] = "abtnvfr"; /* 7 … 13 */

	if (rune == '"' || rune == '\\') {
		stele__text_out_byte(out, '\\');
		stele__text_out_byte(out, (uint8_t)rune);
	} else if (quote_is_printable(rune)) {
		stele__text_out_bytes(out, utf8, length);
	} else if (rune >= 7 && rune <= 13) {
		stele__text_out_byte(out, '\\');
		stele__text_out_byte(out, (uint8_t)letters[rune - 7]);
	} else if (rune < ' ' || rune == 0x7f) {
		quote_put_hex(out, 'x', rune, 2);
	} else if (rune < 0x10000) {
		quote_put_hex(out, 'u', rune, 4);
	} else {
		quote_put_hex(out, 'U', rune, 8);
	}
}

void stele__quote_put(struct stele_text_out *out, const uint8_t *data, size_t bytes)
{
	stele__text_out_byte(out, '"');
	while (bytes) {
		uint32_t rune;
		unsigned length = quote_decode_rune(data, bytes, &rune);

		if (length) {
			quote_put_rune(out, rune, data, length);
		} else {
			quote_put_hex(out, 'x', *data, 2);
			length = 1;
		}
		data += length;
		bytes -= length;
	}
	stele__text_out_byte(out, '"');
}

static int quote_fail(const char **ret_message, const char *message)
{
	*ret_message = message;
	return STELE_E_SYNTAX;
}

static void quote_encode_rune(struct stele_text_out *out, uint32_t rune)
{
	if (rune < 0x80) {
		stele__text_out_byte(out, (uint8_t)rune);
		return;
	}
	if (rune < 0x800) {
		stele__text_out_byte(out, (uint8_t)(0xc0 | rune >> 6));
	} else {
		if (rune < 0x10000) {
			stele__text_out_byte(out, (uint8_t)(0xe0 | rune >> 12));
		} else {
			stele__text_out_byte(out, (uint8_t)(0xf0 | rune >> 18));
			stele__text_out_byte(out, (uint8_t)(0x80 | (rune >> 12 & 0x3f)));
		}
		stele__text_out_byte(out, (uint8_t)(0x80 | (rune >> 6 & 0x3f)));
	}
	stele__text_out_byte(out, (uint8_t)(0x80 | (rune & 0x3f)));
}

/* Exactly so many digits of this base; moves p behind them. */
static bool quote_get_digits(const char **p, const char *end, unsigned base, unsigned digits,
			     uint64_t *ret_value)
{
	uint64_t v = 0;

	if ((size_t)(end - *p) < digits)
		return false;
	while (digits--) {
		char c = *(*p)++;
		unsigned digit = c >= '0' && c <= '9'	? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
				 : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
							: 16;

		if (digit >= base)
			return false;
		v = v * base + digit;
	}
	*ret_value = v;
	return true;
}

/* p is behind the backslash. \x and octal give a byte, \u and \U a character. */
static int quote_get_escape(const char **p, const char *end, struct stele_text_out *out,
			    const char **ret_message)
{
	static const char letters[] = "abtnvfr\\\"", values[] = "\a\b\t\n\v\f\r\\\"";
	char c = *(*p)++;
	const char *simple = c ? strchr(letters, c) : NULL;
	uint64_t v;

	if (simple) {
		stele__text_out_byte(out, (uint8_t)values[simple - letters]);
		return 0;
	}
	if (c == 'u' || c == 'U') {
		if (!quote_get_digits(p, end, 16, c == 'u' ? 4 : 8, &v))
			return quote_fail(ret_message, "\\u needs 4 hex digits and \\U needs 8");
		if (!quote_is_rune(v))
			return quote_fail(ret_message, "an escape names no Unicode character");
		quote_encode_rune(out, (uint32_t)v);
		return 0;
	}
	if (c == 'x') {
		if (!quote_get_digits(p, end, 16, 2, &v))
			return quote_fail(ret_message, "\\x needs 2 hex digits");
	} else {
		(*p)--;
		if (!quote_get_digits(p, end, 8, 3, &v) || v > 255)
			return quote_fail(ret_message, "unknown escape in a quoted string");
	}
	stele__text_out_byte(out, (uint8_t)v);
	return 0;
}

static int quote_get_interpreted(const char *p, const char *end, struct stele_text_out *out,
				 const char **ret_message)
{
	while (p < end) {
		uint32_t rune;
		unsigned length;

		if (*p == '"')
			return quote_fail(ret_message, "text behind the end of a quoted string");
		if (*p == '\\') {
			int error;

			if (++p == end)
				return quote_fail(ret_message, "a quoted string is not closed");
			error = quote_get_escape(&p, end, out, ret_message);
			if (error)
				return error;
			continue;
		}
		length = quote_decode_rune((const uint8_t *)p, (size_t)(end - p), &rune);
		if (!length)
			return quote_fail(ret_message,
					  "a byte that is not UTF-8 must be written as \\xNN");
		stele__text_out_bytes(out, p, length);
		p += length;
	}
	return 0;
}

int stele__quote_get(const char *text, size_t bytes, struct stele_text_out *out,
		     const char **ret_message)
{
	const char *p, *end;

	if (bytes < 2 || (*text != '"' && *text != '`'))
		return quote_fail(ret_message, "a quoted string is needed here");
	p = text + 1;
	end = text + bytes - 1;
	if (*end != *text)
		return quote_fail(ret_message, "a quoted string is not closed");
	if (*text == '"')
		return quote_get_interpreted(p, end, out, ret_message);
	for (; p < end; p++) {
		if (*p == '`')
			return quote_fail(ret_message, "text behind the end of a quoted string");
		if (*p != '\r')
			stele__text_out_byte(out, (uint8_t)*p);
	}
	return 0;
}
