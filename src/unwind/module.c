/* SPDX-License-Identifier: MIT */
#include "unwind/module.h"

#include "base/atomic.h"

/*
 * The head of struct dl_find_object, which older headers do not declare. eh_frame is what
 * PT_GNU_EH_FRAME says: .eh_frame_hdr.
 */
struct module_object {
	unsigned long long flags;
	void *map_start, *map_end;
	void *link_map;
	void *eh_frame;
	unsigned long long reserved[7];
};

static stele_find_object_fn *find_object;

/*
 * Cells are never moved. A cell is a seqlock of its own: `version` is odd while it is being
 * written, so a reader that interrupts the writer, or runs beside it, takes the cell for unused.
 */
struct module_cell {
	uint32_t version;
	uint32_t used;
	struct stele_code_range range;
};

static struct module_cell cells[STELE_MODULES_MAX];
static uint32_t cell_count;
struct stele__module_age stele__module_age = {.generation = 1};

void stele__module_unloading_begin(void)
{
	stele__add_acq_rel(&stele__module_age.unloading, 1);
	stele__add_acq_rel(&stele__module_age.generation, 1);
}

void stele__module_unloading_end(void)
{
	stele__add_acq_rel(&stele__module_age.generation, 1);
	stele__add_acq_rel(&stele__module_age.unloading, (uint32_t)-1);
}

static struct module_cell *cell_unused(void)
{
	uint32_t count = stele__load_relaxed(&cell_count);

	for (uint32_t i = 0; i < count; i++)
		if (!cells[i].used)
			return &cells[i];
	if (count == STELE_MODULES_MAX)
		return NULL;
	stele__store_release(&cell_count, count + 1); /* an unused cell is harmless to readers */
	return &cells[count];
}

/* Word by word, so that a racing reader sees old or new words and no torn ones. */
static void range_copy(struct stele_code_range *to, const struct stele_code_range *from)
{
	stele__store_relaxed(&to->start, stele__load_relaxed(&from->start));
	stele__store_relaxed(&to->end, stele__load_relaxed(&from->end));
	stele__store_relaxed(&to->code, stele__load_relaxed(&from->code));
	stele__store_relaxed(&to->stays, stele__load_relaxed(&from->stays));
	stele__store_relaxed(&to->readable, stele__load_relaxed(&from->readable));
	stele__store_relaxed(&to->chained, stele__load_relaxed(&from->chained));
	stele__store_relaxed(&to->id, stele__load_relaxed(&from->id));
	stele__store_relaxed(&to->eh_frame_hdr, stele__load_relaxed(&from->eh_frame_hdr));
	stele__store_relaxed(&to->data_start, stele__load_relaxed(&from->data_start));
	stele__store_relaxed(&to->data_end, stele__load_relaxed(&from->data_end));
}

bool stele__module_add(const struct stele_code_range *range)
{
	struct module_cell *cell = cell_unused();

	if (!cell)
		return false;
	stele__add_acq_rel(&cell->version, 1);
	range_copy(&cell->range, range);
	stele__store_relaxed(&cell->used, 1);
	stele__add_acq_rel(&cell->version, 1); /* pairs with cell_read */
	return true;
}

void stele__module_remove(uintptr_t start, uintptr_t end)
{
	uint32_t count = stele__load_relaxed(&cell_count);

	for (uint32_t i = 0; i < count; i++) {
		struct module_cell *cell = &cells[i];

		if (!cell->used || cell->range.start < start || cell->range.end > end)
			continue;
		stele__add_acq_rel(&cell->version, 1);
		stele__store_relaxed(&cell->used, 0);
		stele__add_acq_rel(&cell->version, 1);
	}
	stele__add_acq_rel(&stele__module_age.generation, 1);
}

static bool cell_read(struct module_cell *cell, uintptr_t pc, struct stele_code_range *ret_range)
{
	uint32_t version = stele__load_acquire(&cell->version);
	struct stele_code_range range;

	if ((version & 1) || !stele__load_relaxed(&cell->used) ||
	    pc - stele__load_relaxed(&cell->range.start) >=
		    stele__load_relaxed(&cell->range.end) - stele__load_relaxed(&cell->range.start))
		return false;
	range_copy(&range, &cell->range);
	/* A read-modify-write keeps the loads above it without a stand-alone fence. */
	if (stele__add_acq_rel(&cell->version, 0) != version)
		return false;
	*ret_range = range;
	return true;
}

static bool table_find(uintptr_t pc, struct stele_code_range *ret_range)
{
	uint32_t count = stele__load_acquire(&cell_count);

	for (uint32_t i = 0; i < count; i++)
		if (cell_read(&cells[i], pc, ret_range))
			return true;
	return false;
}

void stele__module_ask(stele_find_object_fn *find)
{
	find_object = find;
}

/* 1: the linker knows the code; 0: it says that there is none; -1: it cannot be asked. */
static int linker_find(uintptr_t pc, struct stele_code_range *ret_range)
{
	struct module_object object;

	if (!find_object)
		return -1;
	if (find_object((void *)pc, &object) != 0)
		return 0;
	*ret_range = (struct stele_code_range){
		.start = (uintptr_t)object.map_start,
		.end = (uintptr_t)object.map_end,
		.code = STELE_CODE_PROGRAM,
		.id = object.link_map,
		.eh_frame_hdr = (uintptr_t)object.eh_frame,
		.data_start = (uintptr_t)object.map_start,
		.data_end = (uintptr_t)object.map_end,
	};
	return 1;
}

bool stele__module_find(uintptr_t pc, struct stele_code_range *ret_range)
{
	struct stele_code_range range;
	bool known = table_find(pc, &range);
	int asked;

	if (known && range.stays) {
		*ret_range = range;
		return true;
	}
	asked = linker_find(pc, ret_range);
	if (asked >= 0)
		return asked > 0;
	if (known)
		*ret_range = range;
	return known;
}
