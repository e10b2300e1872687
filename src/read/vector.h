/* SPDX-License-Identifier: MIT */
/* Growing arrays. Capacity doubles; a failure leaves the array as it was. */
#ifndef STELE_READ_VECTOR_H
#define STELE_READ_VECTOR_H

#include <errno.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"

/* Indices are 32 bits wide; what would need more is refused, not wrapped. */
#define STELE__VECTOR_MAX (UINT32_C(1) << 31)

STELE_INLINE int stele__vector_reserve(void *vector, uint32_t *capacity, uint64_t need, size_t size)
{
	uint64_t grown = *capacity ? *capacity : 16;
	void **array = vector;
	void *moved;

	if (STELE_LIKELY(need <= *capacity))
		return 0;
	if (need > STELE__VECTOR_MAX)
		return STELE_E_LIMIT;
	while (grown < need)
		grown *= 2;
	moved = realloc(*array, (size_t)grown * size);
	if (!moved)
		return -ENOMEM;
	*array = moved;
	*capacity = (uint32_t)grown;
	return 0;
}

#endif
