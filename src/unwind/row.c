/* SPDX-License-Identifier: MIT */
/*
 * The cache of rows: sets of four cells, a line each, shared by all threads, written by whoever
 * misses. A stack has dozens of pcs, and two that put each other out at every walk would cost
 * hundreds of times what the walk does: hence sets. The two words of a cell are written separately;
 * a cell is believed only if their exclusive or is the key, so a mixture of two writers' words, or
 * of two nested ones', is a miss. The generation of the module table is part of the key: rows of
 * unloaded code are never found again.
 */
#include "unwind/row.h"

#include "base/atomic.h"
#include "unwind/cfi.h"
#include "unwind/module.h"

#define SETS 2048
#define WAYS 4

struct row_cell {
	uint64_t check; /* key ^ bits */
	stele_row_bits bits;
};

static struct row_cell sets[SETS][WAYS] __attribute__((aligned(64)));
static uint32_t row_victim; /* counts misses, roughly: any value will do */

static bool fits(int32_t value, int bits)
{
	return value >= -(1 << (bits - 1)) && value < 1 << (bits - 1);
}

stele_row_bits stele__row_pack(const struct stele_row *row)
{
	if (row->cfa_kind == STELE_CFA_UNKNOWN || !fits(row->cfa, 24) || row->fp % 8 ||
	    row->ra % 8 || !fits(row->fp / 8, 16) || !fits(row->ra / 8, 16))
		return 0;
	return (uint64_t)row->cfa_kind | (uint64_t)row->fp_kind << 3 | (uint64_t)row->ra_kind << 6 |
	       ((uint64_t)row->cfa & 0xffffff) << 8 | ((uint64_t)(row->fp / 8) & 0xffff) << 32 |
	       ((uint64_t)(row->ra / 8) & 0xffff) << 48;
}

/* The cell is read once: its bits, if they belong to the key. */
STELE_INLINE bool cell_read(const struct row_cell *cell, uint64_t key, stele_row_bits *ret_bits)
{
	*ret_bits = stele__load_relaxed(&cell->bits);
	return (stele__load_relaxed(&cell->check) ^ *ret_bits) == key;
}

static STELE_COLD stele_row_bits row_find_further(struct row_cell *set, unsigned first,
						  uint64_t key, uintptr_t pc)
{
	struct row_cell *cell;
	stele_row_bits bits;

	for (unsigned i = 1; i < WAYS; i++)
		if (cell_read(&set[first ^ i], key, &bits))
			return bits;
	bits = stele__cfi_row(pc);
	cell = &set[first];
	if (stele__load_relaxed(&cell->check)) {
		unsigned victim = stele__load_relaxed(&row_victim) + 1;

		stele__store_relaxed(&row_victim, victim);
		cell = &set[victim % WAYS];
	}
	stele__store_relaxed(&cell->check, key ^ bits);
	stele__store_relaxed(&cell->bits, bits);
	return bits;
}

stele_row_bits stele__row_find(uintptr_t pc)
{
	/* User addresses end below bit 56; the generation's low bits fill the rest. */
	uint64_t key = pc ^ (uint64_t)stele__module_generation() << 56 ^ 1ull << 55;
	uint64_t hash = pc * 0x9e3779b97f4a7c15ull;
	struct row_cell *set = sets[hash >> 53];
	unsigned first = (hash >> 51) % WAYS;
	stele_row_bits bits;

	_Static_assert(SETS == 1u << 11, "the hash's upper bits choose");
	if (STELE_LIKELY(cell_read(&set[first], key, &bits)))
		return bits;
	return row_find_further(set, first, key, pc);
}
