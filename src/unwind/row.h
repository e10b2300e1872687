/* SPDX-License-Identifier: MIT */
/*
 * One row of unwind information: how to get from a pc's frame to its caller's, in 64 bits, and the
 * cache of rows that all threads share.
 *
 *   63      48 47      32 31        8  7     6    5   3 2   0
 *   | ra / 8  |  fp / 8  |   cfa     |hidden| ra  | fp  | cfa |
 *      signed    signed     signed           kind  kind  kind
 */
#ifndef STELE_UNWIND_ROW_H
#define STELE_UNWIND_ROW_H

#include "base/atomic.h"
#include "base/compiler.h"

/* The canonical frame address: the stack pointer before the call that made the frame. */
enum stele_cfa_kind {
	STELE_CFA_UNKNOWN, /* no data, or data that this reader does not use: the walk ends */
	STELE_CFA_SP,	   /* sp + cfa */
	STELE_CFA_FP,	   /* fp + cfa */
	STELE_CFA_AT_FP,   /* the word at fp + cfa: functions that realign their stack */
	STELE_CFA_SIGNAL,  /* the kernel's signal frame: registers are in it */
	STELE_CFA_END,	   /* the outermost frame */
	STELE_CFA_CHAIN,   /* as FP, but nobody says so: by the convention of frame pointers */
};

enum stele_fp_kind {
	STELE_FP_SAME,	 /* the function does not touch it */
	STELE_FP_AT_CFA, /* saved at cfa + fp */
	STELE_FP_AT_FP,	 /* saved at fp + fp */
	STELE_FP_LOST,
};

enum stele_ra_kind {
	STELE_RA_AT_CFA, /* at cfa + ra */
	STELE_RA_LINK,	 /* still in the link register (AArch64 leaf functions) */
};

#define STELE_ROW_CFA_KIND 7u
#define STELE_ROW_HIDDEN   (1u << 7) /* code of a hidden module: not part of the result */

typedef uint64_t stele_row_bits; /* 0: UNKNOWN */

struct stele_row {
	enum stele_cfa_kind cfa_kind;
	enum stele_fp_kind fp_kind;
	enum stele_ra_kind ra_kind;
	int32_t cfa, fp, ra;
};

STELE_INLINE struct stele_row stele__row_unpack(stele_row_bits bits)
{
	return (struct stele_row){
		.cfa_kind = (enum stele_cfa_kind)(bits & 7),
		.fp_kind = (enum stele_fp_kind)(bits >> 3 & 7),
		.ra_kind = (enum stele_ra_kind)(bits >> 6 & 1),
		.cfa = (int32_t)bits >> 8,
		.fp = (int16_t)(bits >> 32) * 8,
		.ra = (int16_t)(bits >> 48) * 8,
	};
}

/* 0 if a number does not fit: such a function's frames cannot be walked. */
stele_row_bits stele__row_pack(const struct stele_row *row);

/*
 * The cache of rows: sets of four cells, a line each, shared by all threads, written by whoever
 * misses. A stack has dozens of pcs, and two that put each other out at every walk would cost
 * hundreds of times what the walk does: hence sets. The two words of a cell are written separately;
 * a cell is believed only if their exclusive or is the key, so a mixture of two writers' words, or
 * of two nested ones', is a miss. The generation of the module table is part of the key: rows of
 * unloaded code are never found again.
 */
#define STELE_ROW_SETS_LOG2 11
#define STELE_ROW_WAYS	    4

struct stele_row_cell {
	uint64_t check; /* key ^ bits */
	stele_row_bits bits;
};

struct stele_row_set {
	struct stele_row_cell cells[STELE_ROW_WAYS];
} __attribute__((aligned(STELE_CACHE_LINE)));

extern struct stele_row_set stele__row_sets[1u << STELE_ROW_SETS_LOG2] STELE_HIDDEN;

STELE_INLINE bool stele__row_read(const struct stele_row_cell *cell, uint64_t key,
				  stele_row_bits *ret_bits)
{
	*ret_bits = stele__load_relaxed(&cell->bits);
	return (stele__load_relaxed(&cell->check) ^ *ret_bits) == key;
}

/* Not in the cell where it is looked for first: from the others, or computed. */
stele_row_bits stele__row_find_further(struct stele_row_set *set, unsigned first, uint64_t key,
				       uintptr_t pc, uint32_t generation) STELE_COLD;

#define STELE_ROW_MULTIPLIER 0x9e3779b97f4a7c15ull

/* One number for each pc; each generation numbers them anew. That of an unused cell is 0. */
STELE_INLINE uint64_t stele__row_key(uintptr_t pc, uint32_t generation)
{
	return pc * STELE_ROW_MULTIPLIER ^ (generation + 1ull) * 0xff51afd7ed558ccdull;
}

/*
 * The row that applies at pc, from the cache or computed from .eh_frame. `generation` is
 * stele__module_generation().
 * Threads: any. Signals: safe, bounded time, no locks.
 */
STELE_INLINE stele_row_bits stele__row_find(uintptr_t pc, uint32_t generation)
{
	uint64_t key = stele__row_key(pc, generation);
	uint64_t hash = pc * STELE_ROW_MULTIPLIER;
	struct stele_row_set *set = &stele__row_sets[hash >> (64 - STELE_ROW_SETS_LOG2)];
	unsigned first = (hash >> (62 - STELE_ROW_SETS_LOG2)) % STELE_ROW_WAYS;
	stele_row_bits bits;

	if (STELE_LIKELY(stele__row_read(&set->cells[first], key, &bits)))
		return bits;
	return stele__row_find_further(set, first, key, pc, generation);
}

#endif
