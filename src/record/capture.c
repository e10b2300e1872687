/* SPDX-License-Identifier: MIT */
#include "record/capture.h"

#include <ucontext.h>

#include "arena/arena.h"
#include "record/thread.h"
#include "sys/sys.h"
#include "unwind/trail.h"

#define FRAMES_MAX 128

/* Of a runtime's thread: many, of short stacks. 1 MiB of addresses; what is used takes up memory.
 */
#define RUNTIME_SITE_BITS  12
#define RUNTIME_SITE_BYTES (4 * STELE_CACHE_LINE)
/* Of any other, once its walks were not the last one over again so often: few, of deeper stacks. */
#define SITE_BITS  7
#define SITE_BYTES (8 * STELE_CACHE_LINE)
#define SITE_TURNS 32

/* One for each slot; behind all of them lie the trails that they point to. */
static struct stele_capture_state *states;
static uint32_t state_count;

#define STATE_BYTES (sizeof(struct stele_capture_state) + sizeof(struct stele_trail))

void stele__capture_prepare(uint32_t slots)
{
	uint64_t bytes = slots * STATE_BYTES;
	int error = 0;

	if (states)
		return;
	states = stele__sys_map_private(bytes, &error);
	if (!states)
		return; /* each stack will be walked to its end */
	stele__sys_small_pages(states, bytes);
	state_count = slots;
}

struct stele_capture_state *stele__capture_state(uint32_t slot)
{
	return slot < state_count ? &states[slot] : NULL;
}

struct stele_capture_state *stele__capture_begin(uint32_t slot)
{
	struct stele_capture_state *mine = stele__capture_state(slot);

	if (!mine)
		return NULL;
	mine->trail = (struct stele_trail *)(states + state_count) + slot;
	mine->stack = (struct stele_stack_bounds){0, 0};
	mine->turns = 0;
	stele__trail_leave(&mine->walker);
	return mine;
}

static void sites_make(struct stele_capture_sites *sites, uint32_t bits, uint32_t each)
{
	uint64_t bytes = (uint64_t)each << bits;
	int error = 0;
	char *at = stele__sys_map_private(bytes, &error);

	if (!at)
		return;
	stele__sys_small_pages(at, bytes);
	sites->bits = bits;
	sites->bytes = each;
	stele__store_release(&sites->at, at); /* in this order, for a handler that leaves here */
}

/* It may have had a smaller table as a thread of another kind, which is lost. */
void stele__capture_of_runtime(void)
{
	struct stele_capture_state *mine = stele__thread.captures;

	if (mine && mine->sites.bits != RUNTIME_SITE_BITS)
		sites_make(&mine->sites, RUNTIME_SITE_BITS, RUNTIME_SITE_BYTES);
}

static uint32_t capture_intern(const struct stele_unwind_result *walk, uint32_t epoch,
			       const uint64_t *pcs)
{
	unsigned flags = (walk->truncated ? STELE_STACK_TRUNCATED : 0) |
			 (walk->broken ? STELE_STACK_BROKEN : 0);

	if (walk->frames == 0)
		return STELE_ENTRY_NONE;
	return stele__dictionary_intern(stele__recorder.arena, STELE_ENTRY_STACK, (uint16_t)flags,
					epoch, walk->frames, pcs, walk->frames * sizeof(pcs[0]),
					NULL, 0);
}

/* Values of trails are the stack's id, and the module epoch under which it was interned. */
static uint32_t capture_epoch(uint64_t value)
{
	return (uint32_t)(value >> 32);
}

/* *ret_kept: the trail is now that of this very walk. */
static struct stele_capture capture_with(const struct stele_unwind_start *start,
					 const struct stele_stack_bounds *bounds,
					 struct stele_trail *trail, bool *ret_kept)
{
	uint32_t epoch = stele__load_relaxed(&stele__recorder.arena->module_epoch);
	uint32_t max = stele__recorder.arena->stack_frames_max;
	uint64_t pcs[FRAMES_MAX];
	struct stele_unwind_result walk;
	uint32_t stack;

	if (trail && capture_epoch(trail->value) != epoch)
		trail->value = 0;
	walk = stele__unwind(start, bounds, pcs, max < FRAMES_MAX ? max : FRAMES_MAX, trail);
	stack = walk.same ? (uint32_t)trail->value : capture_intern(&walk, epoch, pcs);
	if (walk.kept)
		trail->value = (uint64_t)epoch << 32 | stack;
	*ret_kept = walk.kept || walk.same;
	return (struct stele_capture){.stack = stack, .frame = walk.frame};
}

/* The thread was here before, most likely: on the stack of one of its goroutines, at this call. */
static struct stele_capture capture_at_site(const struct stele_unwind_start *start,
					    struct stele_capture_state *mine)
{
	struct stele_trail *trail = mine->trail;
	const struct stele_capture_sites *sites = &mine->sites;
	uint64_t hash = (start->sp ^ start->pc << 20) * 0x9e3779b97f4a7c15ull;
	char *pair = sites->at + (hash >> (64 - sites->bits) & ~1ull) * sites->bytes;
	struct stele_trail_site *first = (void *)pair, *second = (void *)(pair + sites->bytes);
	uint32_t epoch = stele__load_relaxed(&stele__recorder.arena->module_epoch);
	struct stele_trail_site *site = first;
	struct stele_capture capture;
	bool kept;

	for (;; site = second) {
		if (capture_epoch(site->value) == epoch &&
		    stele__trail_recalls(site, start, mine->stack.high))
			return (struct stele_capture){.stack = (uint32_t)site->value,
						      .frame = site->sp + site->frame};
		if (site == second)
			break;
	}
	capture = capture_with(start, &mine->stack, trail, &kept);
	if (kept)
		stele__trail_remember(stele__trail_replaced(first, second, &mine->chance),
				      sites->bytes, trail);
	return capture;
}

/* Not a runtime's: one that calls from several places in turn gets sites, too. */
static struct stele_capture capture_on_trail(const struct stele_unwind_start *start,
					     struct stele_capture_state *mine)
{
	uint64_t before = mine->trail->value;
	struct stele_capture capture;
	bool kept;

	capture = capture_with(start, &mine->stack, mine->trail, &kept);
	if (STELE_UNLIKELY(mine->trail->value != before) && ++mine->turns == SITE_TURNS)
		sites_make(&mine->sites, SITE_BITS, SITE_BYTES);
	return capture;
}

static struct stele_unwind_start capture_stopped(const void *context)
{
	const mcontext_t *m = &((const ucontext_t *)context)->uc_mcontext;

#if defined(__x86_64__)
	return (struct stele_unwind_start){.pc = (uintptr_t)m->gregs[REG_RIP],
					   .sp = (uintptr_t)m->gregs[REG_RSP],
					   .fp = (uintptr_t)m->gregs[REG_RBP],
					   .interrupted = true};
#elif defined(__aarch64__)
	return (struct stele_unwind_start){.pc = m->pc,
					   .sp = m->sp,
					   .fp = m->regs[29],
					   .link = m->regs[30],
					   .interrupted = true};
#endif
}

/* On the stack that the thread's slot tells of. */
static struct stele_capture capture_afresh(const struct stele_unwind_start *start,
					   struct stele_ring *ring)
{
	struct stele_stack_bounds bounds = {0};
	bool kept;

	if (ring) {
		bounds.low = (uintptr_t)stele__load_relaxed(&stele__thread_slot(ring)->stack_low);
		bounds.high = (uintptr_t)stele__load_relaxed(&stele__thread_slot(ring)->stack_high);
	}
	return capture_with(start, &bounds, NULL, &kept);
}

struct stele_capture stele__capture_interrupted(const void *context)
{
	const struct stele_unwind_start start = capture_stopped(context);

	if (!stele__recorder.arena->stack_frames_max)
		return (struct stele_capture){.stack = STELE_ENTRY_NONE, .frame = start.sp};
	return capture_afresh(&start, stele__load_relaxed(&stele__thread.ring));
}

STELE_HOT struct stele_capture stele__capture(const struct stele_unwind_start *start)
{
	struct stele_ring *ring = stele__load_relaxed(&stele__thread.ring);
	struct stele_capture_state *mine;
	struct stele_capture capture;

	if (!stele__recorder.arena->stack_frames_max)
		return (struct stele_capture){.stack = STELE_ENTRY_NONE, .frame = start->sp};
	mine = ring ? stele__thread.captures : NULL;
	if (!mine || !stele__trail_enter(&mine->walker, start->sp))
		return capture_afresh(start, ring);
	capture = mine->sites.at ? capture_at_site(start, mine) : capture_on_trail(start, mine);
	stele__trail_leave(&mine->walker);
	return capture;
}
