/* SPDX-License-Identifier: MIT */
#include "unwind/row.h"

#include "unwind/cfi.h"

struct stele_row_set stele__row_sets[1u << STELE_ROW_SETS_LOG2];
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

stele_row_bits stele__row_find_further(struct stele_row_set *set, unsigned first, uint64_t key,
				       uintptr_t pc, uint32_t generation)
{
	struct stele_row_cell *cell = &set->cells[first];
	stele_row_bits bits;

	for (unsigned i = 1; i < STELE_ROW_WAYS; i++)
		if (stele__row_read(&set->cells[first ^ i], key, &bits))
			return bits;
	bits = stele__cfi_row(pc);
	STELE_POINT("row.computed");
	if (!stele__module_is_settled(generation))
		return bits;
	if (stele__load_relaxed(&cell->check)) {
		uint32_t victim = stele__load_relaxed(&row_victim) + 1;

		stele__store_relaxed(&row_victim, victim);
		cell = &set->cells[victim % STELE_ROW_WAYS];
	}
	stele__store_relaxed(&cell->check, key ^ bits);
	stele__store_relaxed(&cell->bits, bits);
	return bits;
}
