/* SPDX-License-Identifier: MIT */
/*
 * Emissions under a policy other than `nest`: watched, so that one within another is known as such.
 *
 * An emission lasts from the choice of its place to the writing of its record; taking a stack and
 * interning it come before. Design: docs/design/reentrancy.md.
 */
#ifndef STELE_RECORD_REENTRY_H
#define STELE_RECORD_REENTRY_H

#include "record/emit.h"

/*
 * Emits under the arena's policy. Returns the token, 0 if the event was dropped, skipped, or
 * nothing is being recorded; under `abort` does not return from within another emission.
 * Threads: any. Signals: safe, re-entrant at any instruction.
 */
uint64_t stele__emit_watched(enum stele_kind kind, uint64_t a, uint64_t b, uint64_t c) STELE_HIDDEN;

#endif
