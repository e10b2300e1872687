/* SPDX-License-Identifier: MIT */
/* Turning recording on and off in an arena that is mapped already. */
#ifndef STELE_RECORD_ATTACH_H
#define STELE_RECORD_ATTACH_H

#include "arena/arena.h"

/*
 * Joins this arena, whose owner this process becomes; it stays the caller's, and mapped for as long
 * as the process lives: an interrupted emission may hold a part of it for ever. 0, or what
 * stele_attach returns. Threads: one. Signals: not safe.
 */
int stele__attach_to(struct stele_arena *arena) STELE_HIDDEN;

/* After stele__attach_to: off, and on again. Announces modules, since who reads may be new. */
void stele__attach_pause(void) STELE_HIDDEN;
void stele__attach_resume(void) STELE_HIDDEN;

#endif
