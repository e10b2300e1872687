/* SPDX-License-Identifier: MIT */
#include "unwind/trail.h"

#include <string.h>

#include "sys/sys.h"
#include "unwind/module.h"

/* An alternate signal stack may lie anywhere, also further out on the thread's own. */
static bool on_alternate_stack(uintptr_t sp)
{
	uintptr_t low, high;

	return stele__sys_alternate_stack(&low, &high) == 0 && sp >= low && sp < high;
}

bool stele__trail_is_taken(uintptr_t walker, uintptr_t sp)
{
	return sp < walker || on_alternate_stack(sp);
}

STELE_INLINE uintptr_t trail_word(const struct stele_trail_frame *f, int32_t at)
{
	return *(const uintptr_t *)(f->sp + (uintptr_t)(intptr_t)at);
}

/* Bits that are not zero if a word that leads from f to the next frame is another one now. */
STELE_INLINE STELE_READS_FRAMES uintptr_t frame_change(const struct stele_trail_frame *f)
{
	const struct stele_trail_frame *next = f + 1;
	uintptr_t change = (stele__pc_strip(trail_word(f, f->pc_at)) - 1) ^ next->at;

	if (STELE_UNLIKELY(f->flags & (STELE_TRAIL_READS_FP | STELE_TRAIL_READS_CFA))) {
		if (f->flags & STELE_TRAIL_READS_FP)
			change |= trail_word(f, f->fp_at) ^ next->fp;
		if (f->flags & STELE_TRAIL_READS_CFA)
			change |= trail_word(f, f->cfa_at) ^ next->sp;
	}
	return change;
}

/* No exit in the middle: the loads of all frames are on their way at once. */
STELE_READS_FRAMES bool stele__trail_holds(struct stele_trail *trail, uint32_t index)
{
	const struct stele_trail_frame *last = &trail->frames[STELE_TRAIL_END - 1];
	uintptr_t change = 0;

	for (const struct stele_trail_frame *f = &trail->frames[index]; f < last; f++)
		change |= frame_change(f);
	if (STELE_LIKELY(!change))
		return true;
	while (!frame_change(&trail->frames[index]))
		index++;
	stele__trail_cut(trail, index + 1);
	return false;
}

/* False: too many words, or too far away. */
STELE_READS_FRAMES static bool site_add(struct stele_trail_site *site, size_t room,
					const struct stele_trail_frame *f, int32_t at)
{
	uintptr_t from = f->sp + (uintptr_t)(intptr_t)at - site->sp;

	if (site->count == room || from > UINT32_MAX)
		return false;
	site->words[site->count++] =
		(struct stele_trail_word){.want = trail_word(f, at), .at = (uint32_t)from};
	return true;
}

void stele__trail_remember(struct stele_trail_site *site, size_t bytes,
			   const struct stele_trail *trail)
{
	size_t room = STELE_SITE_WORDS(bytes);
	const struct stele_trail_frame *f = &trail->frames[trail->begin];
	const struct stele_trail_frame *last = &trail->frames[STELE_TRAIL_END - 1];
	bool fits = trail->value && trail->high - f->sp <= UINT32_MAX;

	if (!fits)
		return;
	*site = (struct stele_trail_site){.at = f->at,
					  .sp = f->sp,
					  .fp = f->fp,
					  .high = (uint32_t)(trail->high - f->sp),
					  .frame = (uint32_t)(trail->frame - f->sp),
					  .generation = trail->generation,
					  .needs_fp = f->flags & STELE_TRAIL_NEEDS_FP};
	for (; fits && f < last; f++) {
		fits = site_add(site, room, f, f->pc_at);
		if (f->flags & STELE_TRAIL_READS_FP)
			fits = fits && site_add(site, room, f, f->fp_at);
		if (f->flags & STELE_TRAIL_READS_CFA)
			fits = fits && site_add(site, room, f, f->cfa_at);
	}
	site->value = fits ? trail->value : 0;
}

struct stele_trail_site *stele__trail_replaced(struct stele_trail_site *first,
					       struct stele_trail_site *second, uint32_t *chance)
{
	if (!first->value)
		return first;
	if (!second->value)
		return second;
	*chance = *chance * 1664525 + 1013904223;
	return *chance >> 31 ? second : first;
}

STELE_HOT STELE_READS_FRAMES bool stele__trail_recalls(const struct stele_trail_site *site,
						       const struct stele_unwind_start *start,
						       uintptr_t high)
{
	uintptr_t change = 0;

	if (!site->value || site->sp != start->sp || site->at != start->pc - !start->own ||
	    (site->needs_fp && site->fp != start->fp) || site->sp + site->high != high ||
	    !stele__module_is_settled(site->generation))
		return false;
	for (unsigned i = 0; i < site->count; i++)
		change |= *(const uintptr_t *)(site->sp + site->words[i].at) ^ site->words[i].want;
	return !change;
}

/* Settles what of the frame pointer matters at f, given whether it does one frame further out. */
static bool frame_settle(struct stele_trail_frame *f, bool needed)
{
	if (!needed)
		f->flags &= ~(uint32_t)STELE_TRAIL_READS_FP;
	needed = (f->flags & STELE_TRAIL_USES_FP) || (needed && (f->flags & STELE_TRAIL_PASSES_FP));
	f->flags |= needed ? STELE_TRAIL_NEEDS_FP : 0;
	return needed;
}

void stele__trail_join(struct stele_trail *trail, uint32_t count, uint32_t join, bool ended)
{
	struct stele_trail_frame *frames = trail->frames;
	uint32_t begin = join - count;
	bool needed = join < STELE_TRAIL_END && (frames[join].flags & STELE_TRAIL_NEEDS_FP);

	if (count == 0)
		return;
	stele__trail_cut(trail, join);
	memmove(&frames[begin], frames, count * sizeof(*frames));
	if (join == STELE_TRAIL_END && !ended)
		frames[join - 1].flags |= STELE_TRAIL_USES_FP;
	while (join > begin)
		needed = frame_settle(&frames[--join], needed);
	stele__store_release(&trail->begin, begin);
}
