/* SPDX-License-Identifier: MIT */
/* Numbers as text, without stdio: in the traced process. */
#ifndef STELE_BASE_DIGITS_H
#define STELE_BASE_DIGITS_H

#include "base/compiler.h"

#define STELE_DIGITS_MAX 20 /* of a 64-bit number in base 10 or 16 */

/* Writes the number, without a terminator; returns the place behind it. Base 10 or 16. */
STELE_INLINE char *stele__digits_put(char *at, uint64_t value, unsigned base)
{
	char digits[STELE_DIGITS_MAX];
	unsigned count = 0;

	do {
		digits[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (count)
		*at++ = digits[--count];
	return at;
}

#endif
