/* SPDX-License-Identifier: MIT */
/*
 * Which emissions a thread has begun and not finished: the innermost and the outermost, as pointers
 * into their stack frames. Plain stores suffice: whatever interrupts an emission leaves them as it
 * found them, unless it jumps away, and what was abandoned so is recognised by where its frame
 * lies. An abandoned frame is never read.
 */
#include "record/reentry.h"

#include "base/digits.h"
#include "record/image.h"
#include "record/thread.h"
#include "sys/sys.h"
#include "unwind/unwind.h"

#define REENTRY_FRAMES_MAX 32
#define REENTRY_LINE_BYTES 512

struct stele_emission {
	struct stele_emission *outer;
	struct stele_unwind_start start;
	enum stele_kind kind;
};

static struct stele_stack_bounds reentry_stack(void)
{
	struct stele_ring *ring = stele__load_relaxed(&stele__thread.ring);
	struct stele_stack_bounds bounds = {0};

	if (ring) {
		bounds.low = (uintptr_t)stele__thread_slot(ring)->stack_low;
		bounds.high = (uintptr_t)stele__thread_slot(ring)->stack_high;
	}
	return bounds;
}

static bool reentry_is_inside(const struct stele_stack_bounds *stack, const void *frame)
{
	return (uintptr_t)frame >= stack->low && (uintptr_t)frame < stack->high;
}

/*
 * Did a jump leave this emission behind? On the thread's own stack a live one lies above whatever
 * is within it. From an alternate stack nothing can be told of the own one; but whoever runs on
 * the own stack again has left the alternate one.
 */
static bool reentry_is_abandoned(const struct stele_emission *outer,
				 const struct stele_emission *inner)
{
	struct stele_stack_bounds stack = reentry_stack();

	if (!reentry_is_inside(&stack, inner))
		return false;
	return !reentry_is_inside(&stack, outer) || outer < inner;
}

/* The emission that this one is within, of several any that lasts; NULL: none. */
static struct stele_emission *reentry_outer(const struct stele_emission *e)
{
	struct stele_emission *outer = stele__load_relaxed(&stele__thread.emission);

	if (outer && reentry_is_abandoned(outer, e))
		outer = stele__load_relaxed(&stele__thread.outermost);
	return outer && reentry_is_abandoned(outer, e) ? NULL : outer;
}

/* Saying it --------------------------------------------------------------------------------- */

/* A line on standard error, without stdio. */
struct reentry_line {
	char text[REENTRY_LINE_BYTES];
	size_t bytes;
};

static void line_text(struct reentry_line *l, const char *text)
{
	while (*text && l->bytes < sizeof(l->text))
		l->text[l->bytes++] = *text++;
}

static void line_number(struct reentry_line *l, uint64_t value, unsigned base)
{
	char digits[STELE_DIGITS_MAX + 1];

	*stele__digits_put(digits, value, base) = '\0';
	line_text(l, digits);
}

static void line_end(struct reentry_line *l)
{
	if (l->bytes == sizeof(l->text))
		l->bytes--;
	l->text[l->bytes++] = '\n';
	stele__sys_write(2, l->text, l->bytes);
	l->bytes = 0;
}

static void reentry_print_frame(uint64_t pc)
{
	struct stele_image_place place;
	struct reentry_line line = {.bytes = 0};

	line_text(&line, "stele:     ");
	if (stele__image_find((uintptr_t)pc, &place)) {
		for (uint32_t i = 0; i < place.path_bytes && line.bytes < sizeof(line.text); i++)
			line.text[line.bytes++] = place.path[i];
		line_text(&line, "+0x");
		line_number(&line, place.offset, 16);
	} else {
		line_text(&line, "0x");
		line_number(&line, pc, 16);
	}
	line_end(&line);
}

static void reentry_print(const char *what, const struct stele_emission *e)
{
	struct stele_stack_bounds stack = reentry_stack();
	struct reentry_line line = {.bytes = 0};
	uint64_t pcs[REENTRY_FRAMES_MAX];
	struct stele_unwind_result walk =
		stele__unwind(&e->start, &stack, pcs, REENTRY_FRAMES_MAX, NULL);

	line_text(&line, "stele:   ");
	line_text(&line, what);
	line_text(&line, stele__kind_names[e->kind]);
	line_text(&line, ", at");
	line_end(&line);
	for (uint32_t i = 0; i < walk.frames; i++)
		reentry_print_frame(pcs[i]);
}

static void reentry_abort(const struct stele_emission *e)
{
	struct reentry_line line = {.bytes = 0};

	stele__sys_signals_block(); /* a third emission would print into these lines */
	line_text(&line, "stele: thread ");
	line_number(&line, stele__sys_tid(), 10);
	line_text(&line, " emitted an event within the emission of another (--reentry=abort)");
	line_end(&line);
	reentry_print("the inner one: ", e);
	reentry_print("the outer one: ", e->outer);
	stele__sys_die();
}

/* The policies ------------------------------------------------------------------------------ */

static uint64_t reentry_skip(enum stele_kind kind)
{
	struct stele_ring *ring = stele__load_relaxed(&stele__thread.ring);

	stele__add_relaxed(&stele__recorder.arena->skipped[kind], 1);
	if (ring)
		stele__emit_count_loss(ring, kind, STELE_LOSS_REENTRY);
	return 0;
}

static uint64_t reentry_emit(const struct stele_emission *e, uint64_t a, uint64_t b, uint64_t c)
{
	if (e->outer) {
		switch (stele__recorder.arena->reentry) {
		case STELE_REENTRY_SKIP:
			if (stele__kind_classes[e->kind] == STELE_CLASS_MEMORY)
				return reentry_skip(e->kind);
			break;
		case STELE_REENTRY_FLUSH:
			stele__emit_unwatched(STELE_KIND_BREAK, 0, 0, 0);
			break;
		case STELE_REENTRY_ABORT:
			reentry_abort(e);
			break;
		default:
			break;
		}
	}
	return stele__emit_unwatched(e->kind, a, b, c);
}

uint64_t stele__emit_watched(enum stele_kind kind, uint64_t a, uint64_t b, uint64_t c)
{
	struct stele_emission e = {.kind = kind, .start = stele__unwind_start()};
	uint64_t token;

	e.outer = reentry_outer(&e);
	stele__store_relaxed(&stele__thread.emission, &e);
	STELE_POINT("reentry.entered");
	if (!e.outer) /* in this order: what comes in between is within this one */
		stele__store_relaxed(&stele__thread.outermost, &e);
	token = reentry_emit(&e, a, b, c);
	stele__store_relaxed(&stele__thread.emission, e.outer);
	return token;
}
