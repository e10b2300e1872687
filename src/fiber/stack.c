/* SPDX-License-Identifier: MIT */
#include "fiber/stack.h"

#include <errno.h>
#include <sched.h>

#include "base/atomic.h"
#include "fiber/lock.h"
#include "fiber/objects.h"
#include "stele/runtime.h"
#include "sys/sys.h"

#define CLASSES	   13  /* limits: 16 KiB << class */
#define UNUSED_MAX 256 /* kept in each class */
#define ORDER_KEPT 2   /* of unused ones, in use at most: 32 KiB */

/* A stack that grows again within a tick of having shrunk is left alone for so many. */
#define SHRINK_PAUSE 10

/*
 * state: what there is, and whether the tracer knows. Everybody changes it by CAS. Who changes a
 * told one tells of the change. While it is being told, whoever changes it says nothing: the teller
 * finds the change, and tells of it.
 */
enum { STATE_TOLD = 1, STATE_TELLING = 2, STATE_IN_USE = 4, STATE_ORDER = 8 };
#define STATE_KNOWLEDGE (STATE_TOLD | STATE_TELLING)

static struct {
	uint32_t lock; /* of the lists */
	bool cheap;
	struct stele__pages *pages;
	struct stele__stack *unused[CLASSES];
	uint32_t unused_count[CLASSES];
} stacks;

static uint32_t state_order(uint32_t state)
{
	return state / STATE_ORDER;
}

static char *stack_high(const struct stele__stack *s)
{
	return (char *)(uintptr_t)(s + 1);
}

static size_t order_bytes(uint32_t order)
{
	return (size_t)STELE__STACK_BYTES_MIN << order;
}

static char *order_low(const struct stele__stack *s, uint32_t order)
{
	return stack_high(s) - order_bytes(order);
}

/* Guards -------------------------------------------------------------------------------------- */

static int guard_set(char *low, const char *high)
{
	uint64_t bytes = (uint64_t)(high - low);

	return stacks.cheap ? stele__sys_guard_install(low, bytes)
			    : stele__sys_guard_map(low, bytes);
}

static int guard_clear(char *low, const char *high)
{
	uint64_t bytes = (uint64_t)(high - low);

	return stacks.cheap ? stele__sys_guard_remove(low, bytes)
			    : stele__sys_guard_unmap(low, bytes);
}

static struct stele_teller stack_teller = {stele__stacks_forget, stele__stacks_tell, NULL};

/* Some that do not know such pages say that they have made one (qemu-user). */
static bool guards_are_cheap(void *page)
{
	bool works = stele__sys_guard_install(page, STELE__PAGE_BYTES) == 0 &&
		     stele__sys_probe(page) < 0;

	stele__sys_guard_remove(page, STELE__PAGE_BYTES);
	return works;
}

int stele__stacks_init(void)
{
	struct stele__pages *pages = stele__heap_pages();
	struct stele__span *span;

	if (stacks.pages)
		return 0;
	span = pages ? stele__pages_alloc(pages, 1, STELE__SPAN_STACK, 0) : NULL;
	if (!span)
		return -ENOMEM;
	stacks.pages = pages;
	stacks.cheap = guards_are_cheap(stele__span_base(pages, span));
	stele__pages_free(pages, span);
	stele_teller_add(&stack_teller); /* behind the heap's, which makes all see the recording */
	return 0;
}

/* Telling ------------------------------------------------------------------------------------- */

/* The pages of a stack came piece by piece: 8 KiB, and then as much again as there was. */
static void tell_pages(const struct stele__stack *s, uint32_t from, uint32_t to)
{
	for (uint32_t order = from; order < to; order++) {
		size_t bytes = order_bytes(order ? order - 1 : 0);

		stele_span_alloc(order_low(s, order), bytes, 1);
	}
}

static void tell_no_pages(const struct stele__stack *s, uint32_t from, uint32_t to)
{
	for (uint32_t order = from; order > to; order--)
		stele_span_free(order_low(s, order - 1), order_bytes(order > 1 ? order - 2 : 0));
}

/* The tracer learns what became of it. New before old: somewhere there is always a stack. */
static void tell_change(const struct stele__stack *s, uint32_t old, uint32_t now)
{
	uint32_t from = state_order(old), to = state_order(now);

	if (to > from)
		tell_pages(s, from + 1, to + 1);
	if (now & STATE_IN_USE && (from != to || !(old & STATE_IN_USE)))
		stele_stack_alloc(order_low(s, to), order_bytes(to));
	if (old & STATE_IN_USE && (from != to || !(now & STATE_IN_USE)))
		stele_stack_free(order_low(s, from), order_bytes(from));
	if (to < from)
		tell_no_pages(s, from + 1, to + 1);
}

static uint32_t with_order(uint32_t state, uint32_t order)
{
	return (state & (STATE_ORDER - 1)) | order * STATE_ORDER;
}

/* The state becomes one of this order, in use or not. */
static void stack_change(struct stele__stack *s, uint32_t order, uint32_t in_use)
{
	uint32_t old = stele__load_relaxed(&s->state), now;

	do
		now = with_order((old & ~(uint32_t)STATE_IN_USE) | in_use, order);
	while (!__atomic_compare_exchange_n(&s->state, &old, now, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED));
	if ((old & STATE_KNOWLEDGE) == STATE_TOLD)
		tell_change(s, old, now);
}

static void tell_existing(const struct stele__stack *s, uint32_t state)
{
	for (uint32_t order = 0; order <= state_order(state); order++)
		stele_span_exists(order_low(s, order), order_bytes(order ? order - 1 : 0), 1);
	if (state & STATE_IN_USE)
		stele_stack_exists(order_low(s, state_order(state)),
				   order_bytes(state_order(state)));
}

/* Its place in the span is known as soon as the span says so: see stack_new. */
static struct stele__stack *stack_of(const struct stele__span *span)
{
	bool ready = stele__load_acquire(&span->ready); /* pairs with stack_new */

	return ready ? (struct stele__stack *)(void *)((char *)stele__span_base(stacks.pages,
										span) +
						       stele__span_bytes(span)) -
			       1
		     : NULL;
}

static void tell_one(struct stele__span *span)
{
	struct stele__stack *s = stack_of(span);
	uint32_t seen, now;

	if (!s)
		return;
	seen = stele__load_relaxed(&s->state);
	do
		if (seen & STATE_KNOWLEDGE)
			return;
	while (!__atomic_compare_exchange_n(&s->state, &seen, seen | STATE_TELLING, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	STELE_POINT("stack.telling");
	tell_existing(s, seen);
	for (seen |= STATE_TELLING, now = seen;
	     !__atomic_compare_exchange_n(&s->state, &now, (now & ~STATE_KNOWLEDGE) | STATE_TOLD,
					  false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	     seen = now)
		tell_change(s, seen, now);
}

static void forget_one(struct stele__span *span)
{
	struct stele__stack *s = stack_of(span);

	if (s)
		__atomic_fetch_and(&s->state, ~(uint32_t)STATE_KNOWLEDGE, __ATOMIC_ACQ_REL);
}

void stele__stacks_forget(void)
{
	if (stacks.pages)
		stele__pages_each(stacks.pages, STELE__SPAN_STACK, forget_one);
}

void stele__stacks_tell(void)
{
	if (stacks.pages && stele_enabled())
		stele__pages_each(stacks.pages, STELE__SPAN_STACK, tell_one);
}

/* Taking and giving --------------------------------------------------------------------------- */

static unsigned class_of(uint32_t limit)
{
	return (unsigned)__builtin_ctz(limit / STELE__STACK_LIMIT_MIN);
}

/* A told one from the beginning, if something is recorded: nobody else can have told it. */
static struct stele__stack *stack_new(uint32_t limit)
{
	uint32_t pages = (limit + STELE__STACK_GUARD) / STELE__PAGE_BYTES;
	struct stele__span *span = stele__pages_alloc(stacks.pages, pages, STELE__SPAN_STACK, 0);
	struct stele__stack *s;
	char *base;

	if (!span)
		return NULL;
	base = stele__span_base(stacks.pages, span);
	s = (struct stele__stack *)(void *)(base + stele__span_bytes(span)) - 1;
	if (guard_set(base, stack_high(s) - STELE__STACK_BYTES_MIN) < 0) {
		guard_clear(base, stack_high(s));
		stele__pages_free(stacks.pages, span);
		return NULL;
	}
	*s = (struct stele__stack){.span = span,
				   .low = order_low(s, 0),
				   .limit = base + STELE__STACK_GUARD,
				   .state = stele_enabled() ? STATE_TOLD : 0};
	if (s->state)
		stele_span_alloc(s->low, STELE__STACK_BYTES_MIN, 1);
	stele__store_release(&span->ready, true); /* pairs with stack_of */
	/* Whoever began to tell before saw nothing of it; after, he makes this store visible first.
	 */
	__asm__ volatile("" ::: "memory");
	if (stele_enabled())
		tell_one(span);
	return s;
}

struct stele__stack *stele__stack_take(uint32_t limit)
{
	unsigned class = class_of(limit);
	struct stele__stack *s;

	stele__lock(&stacks.lock);
	s = stacks.unused[class];
	if (s) {
		stacks.unused[class] = s->next;
		stacks.unused_count[class]--;
	}
	stele__unlock(&stacks.lock);
	return s ? s : stack_new(limit);
}

void stele__stack_begin(struct stele__stack *s)
{
	s->peak = state_order(stele__load_relaxed(&s->state));
	s->shrunk_at = s->grown = 0;
	stack_change(s, state_order(stele__load_relaxed(&s->state)), STATE_IN_USE);
}

void stele__stack_end(struct stele__stack *s)
{
	stack_change(s, state_order(stele__load_relaxed(&s->state)), 0);
}

static bool stack_shrink_to(struct stele__stack *s, uint32_t order)
{
	char *low = order_low(s, order);

	if (guard_set(s->low, low) < 0) /* of no mappings left: then it stays as it is */
		return false;
	s->low = low;
	stack_change(s, order, stele__load_relaxed(&s->state) & STATE_IN_USE);
	return true;
}

/* Nobody is telling of it, nor will; the tracer learns that its pages are gone. */
static void stack_leave(struct stele__stack *s)
{
	uint32_t old = stele__load_acquire(&s->state);

	while (old & STATE_TELLING ||
	       !__atomic_compare_exchange_n(&s->state, &old, STATE_TELLING, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED)) {
		sched_yield();
		old = stele__load_acquire(&s->state);
	}
	if (old & STATE_TOLD)
		tell_no_pages(s, state_order(old) + 1, 0);
}

static void stack_delete(struct stele__stack *s)
{
	struct stele__span *span = s->span;
	char *base = stele__span_base(stacks.pages, span);

	stack_leave(s);
	guard_clear(base, s->low);
	stele__pages_free(stacks.pages, span);
}

void stele__stack_give(struct stele__stack *s)
{
	unsigned class = class_of((uint32_t)stele__stack_limit(s));
	bool kept;

	if (state_order(s->state) > ORDER_KEPT)
		stack_shrink_to(s, 0);
	stele__lock(&stacks.lock);
	kept = stacks.unused_count[class] < UNUSED_MAX;
	if (kept) {
		s->next = stacks.unused[class];
		stacks.unused[class] = s;
		stacks.unused_count[class]++;
	}
	stele__unlock(&stacks.lock);
	if (!kept)
		stack_delete(s);
}

/* Growing and shrinking ----------------------------------------------------------------------- */

bool stele__stack_is_over(const struct stele__stack *s, const void *address)
{
	return (const char *)address < s->limit &&
	       (const char *)address >= s->limit - STELE__STACK_GUARD;
}

bool stele__stack_grow(struct stele__stack *s, const void *address)
{
	uint32_t order = state_order(stele__load_relaxed(&s->state));
	char *low;

	if ((const char *)address < s->limit || (const char *)address >= s->low)
		return false;
	while (order_low(s, order) > (const char *)address)
		order++;
	low = order_low(s, order);
	if (guard_clear(low, s->low) < 0)
		return false;
	s->low = low;
	s->grown++;
	if (order > s->peak)
		s->peak = order;
	stack_change(s, order, STATE_IN_USE);
	return true;
}

/*
 * Less than a quarter is used: half of that is more than enough, and so on. What has grown again
 * since it shrank the last time needs its depth, and would only go to and fro.
 */
void stele__stack_shrink(struct stele__stack *s, const void *sp, uint32_t now)
{
	uint32_t order = state_order(stele__load_relaxed(&s->state)), less = order;
	size_t used = (size_t)(stack_high(s) - (const char *)sp);

	while (less > 0 && used < order_bytes(less) / 4 &&
	       used + STELE__STACK_HEADROOM <= order_bytes(less - 1))
		less--;
	if (STELE_LIKELY(less == order))
		return;
	if (s->shrunk_at && now - s->shrunk_at < (s->grown ? SHRINK_PAUSE : 1))
		return;
	s->grown = 0;
	s->shrunk_at = now ? now : 1;
	stack_shrink_to(s, less);
}
