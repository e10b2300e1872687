/* SPDX-License-Identifier: MIT */
/*
 * Where the supervisor offers arenas to processes that were born of a traced one (--follow-fork),
 * in a mapping shared by all of them. A process takes an offer by a locked CAS and finds its own
 * again when it executes another program; the supervisor sees who came by the pid in the arena.
 *
 * Writers trust nothing here but that a descriptor leads to an arena, which is checked.
 */
#ifndef STELE_ARENA_BOARD_H
#define STELE_ARENA_BOARD_H

#include "arena/layout.h"

#define STELE_BOARD_MAGIC  0x4452414f42454c53ull /* "SLEBOARD", little-endian */
#define STELE_BOARD_PLACES 1024			 /* processes recorded at once */

enum stele_board_state {
	STELE_PLACE_EMPTY,
	STELE_PLACE_OFFERED, /* S: an arena that nobody has */
	STELE_PLACE_TAKEN,   /* W: by CAS from OFFERED; S: -> EMPTY when the process has ended */
};

/* S: the supervisor; W: the traced processes. */
struct stele_board_place {
	uint32_t state;
	uint32_t fd;  /* S: the arena's, in the supervisor; written before OFFERED */
	uint32_t pid; /* W: of the taker */
	uint32_t pad;
};

struct stele_board {
	uint64_t magic;
	uint32_t offers; /* S: grows with each; a futex for those that find none */
	uint32_t takes;	 /* W: likewise, for the supervisor */
	struct stele_board_place places[STELE_BOARD_PLACES];
};

#endif
