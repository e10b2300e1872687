/* SPDX-License-Identifier: MIT */
/* Was code built with unwind data? */
#ifndef STELE_BASE_EHFRAME_H
#define STELE_BASE_EHFRAME_H

#include "base/compiler.h"

/*
 * Code with unwind data has an entry for each function, for some 250 bytes; an eighth of that is
 * next to none, and of what was linked to it. `header_bytes`: of PT_GNU_EH_FRAME, 0: there is none.
 */
STELE_INLINE bool stele__ehframe_covers(uint64_t code_bytes, uint64_t header_bytes)
{
	return code_bytes / 2048 <= header_bytes / 8;
}

#endif
