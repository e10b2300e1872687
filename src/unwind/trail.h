/* SPDX-License-Identifier: MIT */
/*
 * What a thread's last walk went through, so that the next one need not go there again.
 *
 * A walk is a function of the registers where it begins, of the rows of the code it passes, and of
 * the words of the stack that it reads. From a state that the last walk passed through, reading
 * those words again and finding them unchanged gives the same frames as walking on, at the price of
 * a load and a comparison each, none of which waits for another.
 *
 *   frames  0      new          begin                                END
 *           | inner ... outer |  (gap)  | inner  ...  last walk's outermost |
 *
 * A walk that is under way notes its frames at the front. Where it meets a state of the chain
 * [begin, END) and the words behind that state are unchanged, it is done; its new frames are then
 * moved up to where they join. At every instant the chain is one walk's, whole: each frame leads to
 * the one behind it. So a walk that is left half-way (a handler's siglongjmp) leaves a good one.
 *
 * The frame pointer is part of a state only where a frame further out depends on it: in code that
 * uses the register for something else it differs at each call.
 *
 * One thread's, and its handlers': a walker keeps a nested walk out. What the memory holds at first
 * does not matter as long as it is zero or some thread's former trail: nothing is believed.
 */
#ifndef STELE_UNWIND_TRAIL_H
#define STELE_UNWIND_TRAIL_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "unwind/unwind.h"

#define STELE_TRAIL_BYTES 8192

enum stele_trail_flags {
	STELE_TRAIL_HIDDEN = 1,	   /* not in the result */
	STELE_TRAIL_USES_FP = 2,   /* its row needs the frame pointer */
	STELE_TRAIL_PASSES_FP = 4, /* its caller's frame pointer is its own */
	STELE_TRAIL_NEEDS_FP = 8,  /* so the frame pointer is part of its state */
	STELE_TRAIL_READS_FP = 16, /* its caller's was read at fp_at, and matters there */
	STELE_TRAIL_READS_CFA = 32 /* its caller's sp was read at cfa_at */
};

/* A state of the walk, and the words it read for the next one, as distances from sp. */
struct stele_trail_frame {
	uintptr_t at; /* an address in the instruction where the frame is */
	uintptr_t sp, fp;
	int32_t pc_at, fp_at, cfa_at;
	uint32_t flags;
};

#define STELE_TRAIL_END                                                                            \
	((STELE_TRAIL_BYTES - STELE_CACHE_LINE) / (uint32_t)sizeof(struct stele_trail_frame))

struct stele_trail {
	uintptr_t high;	     /* end of the stack that the chain is on */
	uint64_t value;	     /* what the whole chain was worth to the caller; 0: not known */
	uintptr_t frame;     /* of the chain's walk: stele_unwind_result.frame */
	uint32_t generation; /* of the module table: the rows' */
	uint32_t begin;	     /* first frame of the chain; 0: memory as it was given */
	struct stele_trail_frame frames[STELE_TRAIL_END] __attribute__((aligned(STELE_CACHE_LINE)));
};
_Static_assert(sizeof(struct stele_trail) <= STELE_TRAIL_BYTES, "a trail's place");

/*
 * A whole walk, remembered by where it began: threads that change stacks at every turn, or call
 * from several places in turn, never meet their last trail, but the one they took here the last
 * time. Packed, since a thread of many stacks finds none of them in its cache: two lines for five
 * frames. Zeroed memory remembers nothing.
 */

struct stele_trail_word {
	uintptr_t want;
	uint32_t at; /* from sp */
	uint32_t unused;
};

struct stele_trail_site {
	uint64_t value;	      /* as that of a trail; 0: nothing is remembered */
	uintptr_t at, sp, fp; /* where it began */
	uint32_t high, frame; /* from sp: end of the stack, stele_unwind_result.frame */
	uint32_t generation;
	uint16_t count;
	bool needs_fp;
	struct stele_trail_word words[];
};

/* How many words a site of so many bytes has room for. */
#define STELE_SITE_WORDS(bytes)                                                                    \
	(((bytes) - sizeof(struct stele_trail_site)) / sizeof(struct stele_trail_word))

/* Is the walk that began at walker still under way, for one that begins at sp? */
bool stele__trail_is_taken(uintptr_t walker, uintptr_t sp) STELE_HIDDEN;

/*
 * Takes a trail for a walk that begins at sp. *walker is where the walk that has it began, 0: none
 * has. False: a walk that this one interrupted has it. One that began further in, on this very
 * stack, was left and will not come back.
 */
STELE_INLINE bool stele__trail_enter(uintptr_t *walker, uintptr_t sp)
{
	uintptr_t other = stele__load_relaxed(walker);

	if (STELE_UNLIKELY(other != 0) && stele__trail_is_taken(other, sp))
		return false;
	stele__store_release(walker, sp);
	return true;
}

STELE_INLINE void stele__trail_leave(uintptr_t *walker)
{
	stele__store_release(walker, 0);
}

/* The chain is from now on as it is from `index` on: what lies in front of that is void. */
STELE_INLINE void stele__trail_cut(struct stele_trail *trail, uint32_t index)
{
	trail->value = 0;
	stele__store_release(&trail->begin, index); /* in this order, for a handler's walk */
}

/*
 * Are the words that lead from frame `index` to the chain's end what they were? If not, the chain
 * is cut behind the change.
 */
bool stele__trail_holds(struct stele_trail *trail, uint32_t index) STELE_HIDDEN;

/*
 * Remembers the trail's chain, which is that of a walk that has just ended, unless that was too
 * long for a site of `bytes` or has no value.
 */
void stele__trail_remember(struct stele_trail_site *site, size_t bytes,
			   const struct stele_trail *trail) STELE_HIDDEN;

/*
 * Which of a pair makes place for another walk: one that is empty, else either by chance. Were it
 * always the same for the same walk, two could replace each other for ever beside one that nothing
 * comes back to; were it the older one, three that come in turn would never be met.
 */
struct stele_trail_site *stele__trail_replaced(struct stele_trail_site *first,
					       struct stele_trail_site *second,
					       uint32_t *chance) STELE_HIDDEN;

/* Would a walk that begins here be the one that is remembered? */
bool stele__trail_recalls(const struct stele_trail_site *site,
			  const struct stele_unwind_start *start, uintptr_t high) STELE_HIDDEN;

/*
 * The first `count` frames are those of a walk that met the chain at `join` (END: it did not);
 * `ended`: nothing further out can depend on the last of them. They become the chain's front.
 */
void stele__trail_join(struct stele_trail *trail, uint32_t count, uint32_t join,
		       bool ended) STELE_HIDDEN;

#endif
