/* SPDX-License-Identifier: MIT */
/*
 * The cache of rows: direct-mapped, shared by all threads, written by whoever misses. The two words
 * of a cell are written separately; a cell is believed only if their exclusive or is the key, so
 * a mixture of two writers' words, or of two nested ones', is a miss. The generation of the module
 * table is part of the key: rows of unloaded code are never found again.
 */
#include "unwind/row.h"

#include "base/atomic.h"
#include "unwind/cfi.h"
#include "unwind/module.h"

#define CELLS 8192

struct row_cell {
	uint64_t check; /* key ^ bits */
	stele_row_bits bits;
};

static struct row_cell cells[CELLS] __attribute__((aligned(64)));

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

stele_row_bits stele__row_find(uintptr_t pc)
{
	/* User addresses end below bit 56; the generation's low bits fill the rest. */
	uint64_t key = pc ^ (uint64_t)stele__module_generation() << 56 ^ 1ull << 55;
	struct row_cell *cell = &cells[(pc ^ pc >> 13) % CELLS];
	stele_row_bits bits = stele__load_relaxed(&cell->bits);

	if (STELE_LIKELY((stele__load_relaxed(&cell->check) ^ bits) == key))
		return bits;
	bits = stele__cfi_row(pc);
	stele__store_relaxed(&cell->check, key ^ bits);
	stele__store_relaxed(&cell->bits, bits);
	return bits;
}
