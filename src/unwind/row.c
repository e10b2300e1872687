/* SPDX-License-Identifier: MIT */
#include "unwind/row.h"

#include "unwind/cfi.h"

struct stele_row_cell stele__row_cells[STELE_ROW_CELLS] __attribute__((aligned(STELE_CACHE_LINE)));

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

stele_row_bits stele__row_miss(uintptr_t pc, uint64_t key, struct stele_row_cell *cell)
{
	stele_row_bits bits = stele__cfi_row(pc);

	stele__store_relaxed(&cell->check, key ^ bits);
	stele__store_relaxed(&cell->bits, bits);
	return bits;
}
