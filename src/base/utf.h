/* SPDX-License-Identifier: MIT */
#ifndef STELE_BASE_UTF_H
#define STELE_BASE_UTF_H

#include "base/compiler.h"

static inline size_t stele__utf_announced(uint8_t first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Length of the well-formed UTF-8 sequence that begins at p (left > 0), 0 if none does. */
static inline size_t stele__utf_length(const uint8_t *p, size_t left)
{
	size_t n = stele__utf_announced(p[0]);

	if (n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* Longer than necessary, surrogates, beyond U+10FFFF. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

#endif
