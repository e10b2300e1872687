/* SPDX-License-Identifier: MIT */
/*
 * The walk: from one frame's registers to its caller's by the row of its pc, until the outermost
 * frame. Each step must lead further out on the same stack; the one exception is the kernel's
 * signal frame, which may lead from the alternate signal stack to the thread's own.
 */
#include "unwind/unwind.h"

#include <stddef.h>
#include <ucontext.h>

#include "sys/sys.h"
#include "unwind/callsite.h"
#include "unwind/module.h"
#include "unwind/row.h"
#include "unwind/trail.h"

struct walk {
	uintptr_t pc, sp, fp;
	uintptr_t link; /* AArch64: the return address while it is still in a register */
	bool exact;	/* pc is where execution stopped, not behind a call */
	bool link_valid;
	uintptr_t low, high; /* the present stack; words in [sp, high) may be read */
	struct stele_stack_bounds own;
};

/*
 * An epilogue interrupted after it popped a register is still described by "saved at cfa - n", now
 * below sp: within the red zone, which signal handlers leave alone, the old value is still there.
 */
#define RED_ZONE_BYTES 128

/* The word at an address of the present stack, further out than sp. */
STELE_READS_FRAMES static bool word_read(const struct walk *w, uintptr_t at, uintptr_t *ret_word)
{
	if (at < w->low || at + RED_ZONE_BYTES < w->sp || at >= w->high ||
	    w->high - at < sizeof(*ret_word) || at % sizeof(*ret_word))
		return false;
	*ret_word = *(const uintptr_t *)at;
	return true;
}

/* Which stack does sp lie on? The thread's own, or the alternate signal stack. */
static bool stack_choose(struct walk *w)
{
	uintptr_t low = w->own.low, high = w->own.high;

	if (w->sp < low || w->sp >= high) {
		if (stele__sys_alternate_stack(&low, &high) < 0 || w->sp < low || w->sp >= high)
			return false;
	}
	w->low = low;
	w->high = high;
	return true;
}

#if defined(__x86_64__)
/* Behind the restorer's own return address, sp points to the kernel's ucontext. */
static bool signal_registers(const struct walk *w, uintptr_t *pc, uintptr_t *sp, uintptr_t *fp)
{
	uintptr_t gregs = w->sp + offsetof(ucontext_t, uc_mcontext.gregs);

	return word_read(w, gregs + REG_RIP * 8, pc) && word_read(w, gregs + REG_RSP * 8, sp) &&
	       word_read(w, gregs + REG_RBP * 8, fp);
}
#elif defined(__aarch64__)
#define SIGINFO_BYTES 128 /* struct rt_sigframe begins with the siginfo */
static bool signal_registers(const struct walk *w, uintptr_t *pc, uintptr_t *sp, uintptr_t *fp)
{
	uintptr_t context = w->sp + SIGINFO_BYTES + offsetof(ucontext_t, uc_mcontext);

	return word_read(w, context + offsetof(mcontext_t, pc), pc) &&
	       word_read(w, context + offsetof(mcontext_t, sp), sp) &&
	       word_read(w, context + offsetof(mcontext_t, regs[29]), fp);
}
#endif

static bool step_signal(struct walk *w)
{
	uintptr_t pc, sp, fp;

	if (!signal_registers(w, &pc, &sp, &fp))
		return false;
#if defined(__aarch64__)
	w->link_valid = word_read(w,
				  w->sp + SIGINFO_BYTES + offsetof(ucontext_t, uc_mcontext) +
					  offsetof(mcontext_t, regs[30]),
				  &w->link);
#endif
	/* On one and the same stack a signal's frame lies below what it interrupted. */
	if (sp >= w->low && sp < w->high && sp <= w->sp)
		return false;
	w->pc = pc;
	w->sp = sp;
	w->fp = fp;
	w->exact = true;
	return stack_choose(w);
}

static bool row_cfa(const struct walk *w, const struct stele_row *row, uintptr_t *ret_cfa)
{
	switch (row->cfa_kind) {
	case STELE_CFA_SP:
		*ret_cfa = w->sp + (uintptr_t)(intptr_t)row->cfa;
		return true;
	case STELE_CFA_FP:
	case STELE_CFA_CHAIN:
		*ret_cfa = w->fp + (uintptr_t)(intptr_t)row->cfa;
		return true;
	case STELE_CFA_AT_FP:
		return word_read(w, w->fp + (uintptr_t)(intptr_t)row->cfa, ret_cfa);
	default:
		return false;
	}
}

/* A frame may be empty only where the return address is still in a register. */
static bool cfa_advances(const struct walk *w, uintptr_t cfa, bool in_register)
{
	return (cfa > w->sp || (in_register && cfa == w->sp)) && cfa <= w->high;
}

static bool step_row(struct walk *w, const struct stele_row *row)
{
	bool in_register = row->ra_kind == STELE_RA_LINK;
	uintptr_t cfa, pc = w->link, fp = w->fp;

	if (!row_cfa(w, row, &cfa) || !cfa_advances(w, cfa, in_register))
		return false;
	if (in_register ? !w->link_valid : !word_read(w, cfa + (uintptr_t)(intptr_t)row->ra, &pc))
		return false;
	switch (row->fp_kind) {
	case STELE_FP_AT_CFA:
		if (!word_read(w, cfa + (uintptr_t)(intptr_t)row->fp, &fp))
			return false;
		break;
	case STELE_FP_AT_FP:
		if (!word_read(w, w->fp + (uintptr_t)(intptr_t)row->fp, &fp))
			return false;
		break;
	case STELE_FP_LOST:
		fp = 0;
		break;
	case STELE_FP_SAME:
		break;
	}
	w->pc = stele__pc_strip(pc);
	w->sp = cfa;
	w->fp = fp;
	w->exact = false;
	w->link_valid = false;
	return true;
}

/*
 * A frame pointer that nobody vouches for may be any number, or lead to a frame further out. It is
 * believed if it is aligned as one that was pushed, and leads to a place behind a call.
 */
static bool step_chain(struct walk *w, const struct stele_row *row)
{
	struct walk further = *w;

	if (w->fp < w->sp || w->fp % 16 || !step_row(&further, row) ||
	    !stele__call_ends_at(further.pc))
		return false;
	*w = further;
	return true;
}

/*
 * Nearly all rows: the frame address is a register plus a constant, the return address is on the
 * stack, the frame pointer beside it or untouched. What does not fit goes the long way.
 */
#ifdef STELE_ASAN
/* A function that is inlined is instrumented like its caller. */
STELE_NOINLINE STELE_READS_FRAMES static bool step_common(struct walk *w, stele_row_bits bits)
#else
STELE_INLINE bool step_common(struct walk *w, stele_row_bits bits)
#endif
{
	unsigned kinds = (unsigned)bits & 0x7f;
	uintptr_t base = kinds & 1 ? w->sp : w->fp;
	uintptr_t cfa = base + (uintptr_t)(intptr_t)((int32_t)bits >> 8);
	intptr_t fp = (intptr_t)(int16_t)(bits >> 32) * 8;
	intptr_t ra = (intptr_t)(int16_t)(bits >> 48) * 8;

	_Static_assert(STELE_CFA_SP == 1 && STELE_CFA_FP == 2 && STELE_FP_SAME == 0 &&
			       STELE_FP_AT_CFA == 1 && STELE_RA_AT_CFA == 0,
		       "kinds are tested as bits");
	/* SP or FP, same or saved: 1, 2, 9, 10. */
	if (kinds > 10 || !(0x606u >> kinds & 1))
		return false;
	/* Both words lie between the frame's bottom and its top. */
	if (cfa <= w->sp || cfa > w->high || cfa % sizeof(cfa) || ra >= 0 || fp > 0 ||
	    cfa - w->sp < (uintptr_t)-ra || cfa - w->sp < (uintptr_t)-fp)
		return false;
	w->pc = stele__pc_strip(*(const uintptr_t *)(cfa + (uintptr_t)ra));
	if (kinds & 8)
		w->fp = *(const uintptr_t *)(cfa + (uintptr_t)fp);
	w->sp = cfa;
	w->exact = false;
	w->link_valid = false;
	return true;
}

/* The result being made, and the trail that is read and written on the way. */
struct path {
	struct stele_unwind_result r;
	uint64_t *pcs;
	uint32_t max;
	struct stele_trail *trail; /* NULL: none, or not from here on */
	uint32_t cursor;	   /* frames of the chain before it lie further in */
	uint32_t noted;		   /* frames at the front of the trail */
	uint32_t join;		   /* where the walk met the chain; END: it did not */
	bool partial;		   /* the walk began further in than the notes */
};

/* False: there is no more room. */
STELE_INLINE bool path_add(struct path *p, uintptr_t at, uintptr_t sp, bool hidden)
{
	if (hidden)
		return true;
	if (STELE_UNLIKELY(p->r.frames == p->max)) {
		p->r.truncated = true;
		return false;
	}
	if (p->r.frames == 0)
		p->r.frame = sp;
	p->pcs[p->r.frames++] = at;
	return true;
}

/* The trail helps only on the thread's own stack, and only against rows of the same modules. */
static void path_begin(struct path *p, const struct walk *w, uint32_t generation)
{
	struct stele_trail *trail = p->trail;

	if (w->sp < w->own.low || w->sp >= w->own.high) {
		p->trail = NULL;
		return;
	}
	if (trail->high != w->own.high || trail->generation != generation || !trail->begin) {
		stele__trail_cut(trail, STELE_TRAIL_END);
		trail->high = w->own.high;
		trail->generation = generation;
	}
	p->cursor = trail->begin;
}

/* The commonest walk of all is the last one over again. */
STELE_INLINE bool path_is_same(const struct stele_trail *trail,
			       const struct stele_unwind_start *start, uintptr_t high,
			       uint32_t generation)
{
	const struct stele_trail_frame *f = &trail->frames[trail->begin];

	return trail->value && f->sp == start->sp && f->at == start->pc - !start->own &&
	       (f->fp == start->fp || !(f->flags & STELE_TRAIL_NEEDS_FP)) && trail->high == high &&
	       trail->generation == generation;
}

/* Is the walk at a state of the chain, and is all that lies behind it as it was? */
STELE_INLINE bool path_meets(struct path *p, const struct walk *w, uintptr_t at)
{
	const struct stele_trail_frame *frames = p->trail->frames, *f;

	while (p->cursor < STELE_TRAIL_END && frames[p->cursor].sp < w->sp)
		p->cursor++;
	if (p->cursor == STELE_TRAIL_END)
		return false;
	f = &frames[p->cursor];
	if (f->sp != w->sp || f->at != at ||
	    ((f->flags & STELE_TRAIL_NEEDS_FP) && f->fp != w->fp) || w->link_valid)
		return false;
	if (STELE_LIKELY(stele__trail_holds(p->trail, p->cursor)))
		return true;
	p->cursor = p->trail->begin;
	return false;
}

/* Takes over the chain's frames up to its outermost, where the walk goes on. */
static bool path_follow(struct path *p, struct walk *w)
{
	const struct stele_trail_frame *f = &p->trail->frames[p->cursor];
	const struct stele_trail_frame *last = &p->trail->frames[STELE_TRAIL_END - 1];

	p->join = p->cursor;
	p->cursor = STELE_TRAIL_END;
	for (; f < last; f++)
		if (!path_add(p, f->at, f->sp, f->flags & STELE_TRAIL_HIDDEN))
			return false;
	w->pc = last->at + 1;
	w->sp = last->sp;
	w->fp = last->fp;
	w->exact = false;
	return true;
}

/* Notes the frame that the walk is at; a chain that is in the way gives way. */
STELE_INLINE void path_note(struct path *p, const struct walk *w, uintptr_t at, bool hidden)
{
	struct stele_trail *trail = p->trail;

	if (STELE_UNLIKELY(p->noted == trail->begin)) {
		if (p->noted == STELE_TRAIL_END) {
			p->trail = NULL;
			return;
		}
		stele__trail_cut(trail, STELE_TRAIL_END);
		p->cursor = STELE_TRAIL_END;
	}
	trail->frames[p->noted++] = (struct stele_trail_frame){
		.at = at, .sp = w->sp, .fp = w->fp, .flags = hidden ? STELE_TRAIL_HIDDEN : 0};
}

static bool distance_fits(uintptr_t from, uintptr_t to, int32_t *ret_distance)
{
	intptr_t distance = (intptr_t)(to - from);

	*ret_distance = (int32_t)distance;
	return *ret_distance == distance;
}

/* The words that the step from the noted frame to w read; false: it cannot be told by words. */
static bool frame_note_step(struct stele_trail_frame *f, const struct walk *w,
			    const struct stele_row *row)
{
	bool fits = row->ra_kind == STELE_RA_AT_CFA &&
		    distance_fits(f->sp, w->sp + (uintptr_t)(intptr_t)row->ra, &f->pc_at);

	if (row->cfa_kind != STELE_CFA_SP)
		f->flags |= STELE_TRAIL_USES_FP;
	if (row->cfa_kind == STELE_CFA_AT_FP) {
		f->flags |= STELE_TRAIL_READS_CFA;
		fits &= distance_fits(f->sp, f->fp + (uintptr_t)(intptr_t)row->cfa, &f->cfa_at);
	}
	switch (row->fp_kind) {
	case STELE_FP_SAME:
		f->flags |= STELE_TRAIL_PASSES_FP;
		break;
	case STELE_FP_AT_CFA:
		f->flags |= STELE_TRAIL_READS_FP;
		fits &= distance_fits(f->sp, w->sp + (uintptr_t)(intptr_t)row->fp, &f->fp_at);
		break;
	case STELE_FP_AT_FP:
		f->flags |= STELE_TRAIL_READS_FP | STELE_TRAIL_USES_FP;
		fits &= distance_fits(f->sp, f->fp + (uintptr_t)(intptr_t)row->fp, &f->fp_at);
		break;
	case STELE_FP_LOST:
		break;
	}
	return fits;
}

/* What is noted so far cannot be read again; what lies further out can. */
static void path_restart(struct path *p)
{
	p->noted = 0;
	p->partial = true;
}

STELE_INLINE void path_note_step(struct path *p, const struct walk *w, stele_row_bits bits)
{
	struct stele_row row = stele__row_unpack(bits);

	if (!p->trail)
		return;
	if (row.cfa_kind == STELE_CFA_SIGNAL ||
	    !frame_note_step(&p->trail->frames[p->noted - 1], w, &row))
		path_restart(p);
}

static bool step_further(struct walk *w, stele_row_bits bits)
{
	struct stele_row row = stele__row_unpack(bits);

	switch (row.cfa_kind) {
	case STELE_CFA_SIGNAL:
		return step_signal(w);
	case STELE_CFA_CHAIN:
		return step_chain(w, &row);
	default:
		return step_row(w, &row);
	}
}

/* The walk is over, at its outermost frame or (not ended) somewhere else. */
static void path_end(struct path *p, bool ended)
{
	if (!p->trail || p->r.frames == 0)
		return;
	stele__trail_join(p->trail, p->noted, p->join, ended);
	p->r.kept = ended && !p->partial;
	if (p->r.kept)
		p->trail->frame = p->r.frame;
}

static void walk(struct walk *w, struct path *p, bool unwanted, uint32_t generation)
{
	bool readable = stack_choose(w);
	bool ended = false;

	while (w->pc) {
		uintptr_t at = w->exact ? w->pc : w->pc - 1;
		bool noting = p->trail && p->join == STELE_TRAIL_END;
		stele_row_bits bits;

		if (noting && path_meets(p, w, at)) {
			if (!path_follow(p, w))
				break;
			noting = false;
			at = w->pc - 1;
		}
		bits = stele__row_find(at, generation);
		unwanted |= (bits & STELE_ROW_HIDDEN) != 0;
		if (!path_add(p, at, w->sp, unwanted))
			break;
		if (noting)
			path_note(p, w, at, unwanted);
		unwanted = false;
		if (STELE_LIKELY(readable && (step_common(w, bits) || step_further(w, bits)))) {
			if (noting)
				path_note_step(p, w, bits);
			continue;
		}
		ended = (bits & STELE_ROW_CFA_KIND) == STELE_CFA_END;
		p->r.broken = !ended;
		break;
	}
	path_end(p, ended);
}

struct stele_unwind_result stele__unwind(const struct stele_unwind_start *start,
					 const struct stele_stack_bounds *bounds, uint64_t *pcs,
					 uint32_t max, struct stele_trail *trail)
{
	struct walk w = {.pc = start->pc,
			 .sp = start->sp,
			 .fp = start->fp,
			 .own = *bounds,
			 .link = start->link,
			 .link_valid = start->interrupted && start->link,
			 .exact = start->own || start->interrupted};
	struct path p = {.r = {.frame = start->sp},
			 .pcs = pcs,
			 .max = max,
			 .trail = trail,
			 .join = STELE_TRAIL_END};
	uint32_t generation = stele__module_generation();

	if (trail && !stele__module_is_settled(generation))
		p.trail = trail = NULL;
	if (trail && path_is_same(trail, start, bounds->high, generation) &&
	    stele__trail_holds(trail, trail->begin))
		return (struct stele_unwind_result){.same = true, .frame = trail->frame};
	if (trail)
		path_begin(&p, &w, generation);
	walk(&w, &p, start->own, generation);
	if (p.r.frames == 0 && start->caller && max > 0)
		pcs[p.r.frames++] = start->caller - 1;
	return p.r;
}
