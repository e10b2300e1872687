/* SPDX-License-Identifier: MIT */
#include "record/capture.h"

#include "arena/arena.h"
#include "record/thread.h"

#define FRAMES_MAX 128

struct stele_capture stele__capture(struct stele_unwind_start start)
{
	struct stele_ring *ring = stele__load_relaxed(&stele__thread.ring);
	struct stele_stack_bounds bounds = {0};
	uint64_t pcs[FRAMES_MAX];
	uint32_t max = stele__arena->stack_frames_max;
	struct stele_unwind_result walk;
	uint16_t flags;

	if (ring) {
		struct stele_slot *slot = stele__thread_slot(ring);

		bounds.low = (uintptr_t)stele__load_relaxed(&slot->stack_low);
		bounds.high = (uintptr_t)stele__load_relaxed(&slot->stack_high);
	}
	walk = stele__unwind(&start, &bounds, pcs, max < FRAMES_MAX ? max : FRAMES_MAX);
	if (walk.frames == 0)
		return (struct stele_capture){.frame = walk.frame};
	flags = (uint16_t)((walk.truncated ? STELE_STACK_TRUNCATED : 0) |
			   (walk.broken ? STELE_STACK_BROKEN : 0));
	return (struct stele_capture){
		.stack = stele__dictionary_intern(stele__arena, STELE_ENTRY_STACK, flags,
						  stele__load_relaxed(&stele__arena->module_epoch),
						  walk.frames, pcs, walk.frames * sizeof(pcs[0]),
						  NULL, 0),
		.frame = walk.frame};
}
