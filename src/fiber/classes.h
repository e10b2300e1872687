/* SPDX-License-Identifier: MIT */
/*
 * Sizes in which objects are handed out: 8, multiples of 16 up to 128, then eight for each doubling
 * up to 32 KiB, so that above 128 bytes less than an eighth is wasted. Class 0 is none of them.
 */
#ifndef STELE_FIBER_CLASSES_H
#define STELE_FIBER_CLASSES_H

#include "base/compiler.h"

#define STELE__CLASSES	       74
#define STELE__CLASS_BYTES_MAX 32768u

/* 0 <= bytes <= STELE__CLASS_BYTES_MAX. */
STELE_INLINE unsigned stele__class_of(size_t bytes)
{
	unsigned n = (unsigned)bytes - 1, level;

	if (bytes <= 8)
		return 1;
	if (bytes <= 128)
		return 2 + n / 16;
	level = 31 - (unsigned)__builtin_clz(n);
	return 10 + (level - 7) * 8 + (n >> (level - 3) & 7);
}

/* 1 <= class < STELE__CLASSES. */
STELE_INLINE uint32_t stele__class_bytes(unsigned class)
{
	if (class == 1)
		return 8;
	if (class < 10)
		return (class - 1) * 16;
	return (9 + (class - 10) % 8) << ((class - 10) / 8 + 4);
}

/* Of a span of them, so that less than an eighth of it is too little for another one. */
STELE_INLINE uint32_t stele__class_pages(unsigned class)
{
	return stele__class_bytes(class) <= 8192 ? 8 : 32;
}

#endif
