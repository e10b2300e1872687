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
#include "unwind/module.h"
#include "unwind/row.h"

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

/* A pointer signed for AArch64's pointer authentication has its signature in the top bits. */
static uintptr_t pc_strip(uintptr_t pc)
{
#if defined(__aarch64__)
	return pc & ((1ull << 48) - 1);
#else
	return pc;
#endif
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
	w->pc = pc_strip(pc);
	w->sp = cfa;
	w->fp = fp;
	w->exact = false;
	w->link_valid = false;
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
	if (!(0x606u >> kinds & 1) || kinds > 10)
		return false;
	/* Both words lie between the frame's bottom and its top. */
	if (cfa <= w->sp || cfa > w->high || cfa % sizeof(cfa) || ra >= 0 || fp > 0 ||
	    cfa - w->sp < (uintptr_t)-ra || cfa - w->sp < (uintptr_t)-fp)
		return false;
	w->pc = pc_strip(*(const uintptr_t *)(cfa + (uintptr_t)ra));
	if (kinds & 8)
		w->fp = *(const uintptr_t *)(cfa + (uintptr_t)fp);
	w->sp = cfa;
	w->exact = false;
	w->link_valid = false;
	return true;
}

struct stele_unwind_result stele__unwind(const struct stele_unwind_start *start,
					 const struct stele_stack_bounds *bounds, uint64_t *pcs,
					 uint32_t max)
{
	struct stele_unwind_result r = {.frame = start->sp};
	struct walk w = {.pc = start->pc,
			 .sp = start->sp,
			 .fp = start->fp,
			 .own = *bounds,
			 .exact = start->own};
	bool readable = stack_choose(&w);
	bool unwanted = start->own;
	uint32_t generation = stele__module_generation();

	while (w.pc) {
		uintptr_t at = w.exact ? w.pc : w.pc - 1;
		stele_row_bits bits = stele__row_find(at, generation);
		struct stele_row row;

		if (!unwanted && !(bits & STELE_ROW_HIDDEN)) {
			if (r.frames == max) {
				r.truncated = true;
				break;
			}
			if (r.frames == 0)
				r.frame = w.sp;
			pcs[r.frames++] = at;
		}
		unwanted = false;
		if (STELE_LIKELY(readable && step_common(&w, bits)))
			continue;
		row = stele__row_unpack(bits);
		if (row.cfa_kind == STELE_CFA_END)
			break;
		if (!readable ||
		    !(row.cfa_kind == STELE_CFA_SIGNAL ? step_signal(&w) : step_row(&w, &row))) {
			r.broken = true;
			break;
		}
	}
	if (r.frames == 0 && start->caller && max > 0)
		pcs[r.frames++] = start->caller - 1;
	return r;
}
