/* SPDX-License-Identifier: MIT */
#include "record/capture.h"

#include "arena/arena.h"
#include "record/thread.h"
#include "sys/sys.h"
#include "unwind/trail.h"

#define FRAMES_MAX 128

/* One for each slot, so that they need no end of their own. They outlive the arena. */
static struct stele_trail *trails;
static uint32_t trail_count;

void stele__capture_prepare(uint32_t slots)
{
	uint64_t bytes = (uint64_t)slots * sizeof(*trails);
	int error = 0;

	if (trails)
		return;
	trails = stele__sys_map_private(bytes, &error);
	if (!trails)
		return; /* each stack will be walked to its end */
	stele__sys_small_pages(trails, bytes);
	trail_count = slots;
}

void stele__capture_new_owner(uint32_t slot)
{
	if (slot < trail_count)
		stele__trail_leave(&trails[slot]);
}

static uint32_t capture_intern(const struct stele_unwind_result *walk, uint32_t epoch,
			       const uint64_t *pcs)
{
	unsigned flags = (walk->truncated ? STELE_STACK_TRUNCATED : 0) |
			 (walk->broken ? STELE_STACK_BROKEN : 0);

	if (walk->frames == 0)
		return STELE_ENTRY_NONE;
	return stele__dictionary_intern(stele__arena, STELE_ENTRY_STACK, (uint16_t)flags, epoch,
					walk->frames, pcs, walk->frames * sizeof(pcs[0]), NULL, 0);
}

/* The trail's value is the stack's id, and the module epoch under which it was interned. */
static struct stele_capture capture_with(const struct stele_unwind_start *start,
					 const struct stele_stack_bounds *bounds,
					 struct stele_trail *trail)
{
	uint32_t epoch = stele__load_relaxed(&stele__arena->module_epoch);
	uint32_t max = stele__arena->stack_frames_max;
	uint64_t pcs[FRAMES_MAX];
	struct stele_unwind_result walk;
	uint32_t stack;

	if (trail && trail->value >> 32 != epoch)
		trail->value = 0;
	walk = stele__unwind(start, bounds, pcs, max < FRAMES_MAX ? max : FRAMES_MAX, trail);
	stack = walk.same ? (uint32_t)trail->value : capture_intern(&walk, epoch, pcs);
	if (walk.kept)
		trail->value = (uint64_t)epoch << 32 | stack;
	return (struct stele_capture){.stack = stack, .frame = walk.frame};
}

struct stele_capture stele__capture(struct stele_unwind_start start)
{
	struct stele_ring *ring = stele__load_relaxed(&stele__thread.ring);
	struct stele_stack_bounds bounds = {0};
	struct stele_trail *trail = NULL;
	struct stele_capture capture;

	if (!stele__arena->stack_frames_max)
		return (struct stele_capture){.stack = STELE_ENTRY_NONE, .frame = start.sp};
	if (ring) {
		struct stele_slot *slot = stele__thread_slot(ring);

		bounds.low = (uintptr_t)stele__load_relaxed(&slot->stack_low);
		bounds.high = (uintptr_t)stele__load_relaxed(&slot->stack_high);
		if (ring->slot < trail_count && stele__trail_enter(&trails[ring->slot], start.sp))
			trail = &trails[ring->slot];
	}
	capture = capture_with(&start, &bounds, trail);
	if (trail)
		stele__trail_leave(trail);
	return capture;
}
