/* SPDX-License-Identifier: MIT */
/*
 * What goroutines are at when they are seen first: waits, and system calls, that a flight recorder
 * tells of at the beginning of what it has kept. Told in front of the event by which a goroutine
 * comes into the trace.
 */
#include <errno.h>
#include <stdlib.h>

#include "analyze/model.h"

int stele__underway_detail(struct stele_analysis *a, const struct stele_reader *reader,
			   const struct stele_detail *detail)
{
	struct stele__underway *underway;

	if (detail->kind != STELE_DETAIL_STANDING || stele__flow_find(a, detail->goroutine))
		return 0;
	underway = stele__keymap_make(&a->underway, detail->goroutine, sizeof(*underway));
	if (!underway)
		return -ENOMEM;
	underway->reason = stele__name_intern(a, detail->name);
	underway->object = detail->object;
	underway->holder = detail->holder;
	underway->ago = detail->result;
	if (!underway->reason)
		return -ENOMEM;
	return stele__stack_exact(a, reader, detail->stack, &underway->stack);
}

const struct stele__underway *stele__underway_of(const struct stele_analysis *a,
						 const struct stele__flow *go)
{
	return a->underway.used ? stele__keymap_get(&a->underway, go->id) : NULL;
}

void stele__underway_drop(struct stele_analysis *a, uint64_t goroutine)
{
	struct stele__underway *underway = stele__keymap_get(&a->underway, goroutine);

	if (!underway)
		return;
	stele__keymap_drop(&a->underway, goroutine, underway);
	free(underway);
}
