/* SPDX-License-Identifier: MIT */
/* Code looked at: is an address one that a call returns to? */
#ifndef STELE_UNWIND_CALLSITE_H
#define STELE_UNWIND_CALLSITE_H

#include "base/compiler.h"

/*
 * Does a call instruction end there, in a module that stays? False also where that cannot be told.
 * Signals: safe.
 */
bool stele__call_ends_at(uintptr_t pc) STELE_HIDDEN;

/* The same of code that is given: `code` is behind its last byte, of which there are seven. */
bool stele__call_ends(const uint8_t *code) STELE_HIDDEN;

#endif
