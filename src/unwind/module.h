/* SPDX-License-Identifier: MIT */
/*
 * The code of this process and its unwind data, for those who may not ask the dynamic linker
 * because they run in a signal handler or inside an allocator.
 *
 * Written by stele__module_add/remove (one thread at a time: the caller serialises), read by any
 * thread at any instruction.
 */
#ifndef STELE_UNWIND_MODULE_H
#define STELE_UNWIND_MODULE_H

#include "base/compiler.h"

#define STELE_MODULES_MAX 1024

/* Whose code is it? */
enum stele_code { STELE_CODE_UNKNOWN, STELE_CODE_PROGRAM, STELE_CODE_OWN };

/* One executable segment. */
struct stele_code_range {
	uintptr_t start, end;
	enum stele_code code;
	/* .eh_frame_hdr, and the readable segment that must hold it and .eh_frame; 0: none. */
	uintptr_t eh_frame_hdr;
	uintptr_t data_start, data_end;
};

/* False when the table is full: code there then counts as unknown. */
bool stele__module_add(const struct stele_code_range *range);

/* Removes the ranges inside [start, end), and forgets what was derived from them. */
void stele__module_remove(uintptr_t start, uintptr_t end);

/* The range of a pc in *ret_range; false, and code UNKNOWN, if nobody knows it. */
bool stele__module_find(uintptr_t pc, struct stele_code_range *ret_range);

/* Grows whenever a range is removed: what was derived under an older value is void. */
uint32_t stele__module_generation(void);

#endif
