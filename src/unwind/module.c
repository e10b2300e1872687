/* SPDX-License-Identifier: MIT */
#include "unwind/module.h"

#include "base/atomic.h"

/*
 * Cells are never moved. `end` is stored last when a range is added and first (0) when it is
 * removed, so a reader that sees both belonging together saw a whole range; one that races with
 * reuse of a cell compares against a mixture and at worst misjudges that one pc.
 */
struct module_range {
	uintptr_t start;
	uintptr_t end;
	uint32_t code;
};

static struct module_range ranges[STELE_MODULES_MAX];
static uint32_t range_count;

static struct module_range *range_unused(void)
{
	uint32_t count = stele__load_relaxed(&range_count);

	for (uint32_t i = 0; i < count; i++)
		if (ranges[i].end == 0)
			return &ranges[i];
	if (count == STELE_MODULES_MAX)
		return NULL;
	stele__store_release(&range_count, count + 1);
	return &ranges[count];
}

bool stele__module_add(uintptr_t start, uintptr_t end, enum stele_code code)
{
	struct module_range *range = range_unused();

	if (!range)
		return false;
	stele__store_relaxed(&range->start, start);
	stele__store_relaxed(&range->code, (uint32_t)code);
	stele__store_release(&range->end, end); /* pairs with stele__module_find */
	return true;
}

void stele__module_remove(uintptr_t start, uintptr_t end)
{
	uint32_t count = stele__load_relaxed(&range_count);

	for (uint32_t i = 0; i < count; i++)
		if (ranges[i].end && ranges[i].start >= start && ranges[i].end <= end)
			stele__store_release(&ranges[i].end, 0);
}

enum stele_code stele__module_find(uintptr_t pc)
{
	uint32_t count = stele__load_acquire(&range_count);

	for (uint32_t i = 0; i < count; i++) {
		uintptr_t end = stele__load_acquire(&ranges[i].end);

		if (pc < end && pc >= stele__load_relaxed(&ranges[i].start))
			return (enum stele_code)stele__load_relaxed(&ranges[i].code);
	}
	return STELE_CODE_UNKNOWN;
}
