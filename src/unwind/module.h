/* SPDX-License-Identifier: MIT */
/*
 * The executable address ranges of this process, for those who may not ask the dynamic linker
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

/* False when the table is full: code there then counts as unknown. */
bool stele__module_add(uintptr_t start, uintptr_t end, enum stele_code code);
/* Removes the ranges inside [start, end). */
void stele__module_remove(uintptr_t start, uintptr_t end);
enum stele_code stele__module_find(uintptr_t pc);

#endif
