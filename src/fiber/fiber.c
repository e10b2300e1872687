/* SPDX-License-Identifier: MIT */
/* stele/fiber.h: the life of a fiber, and how it waits. */
#include <errno.h>
#include <string.h>

#include "fiber/lock.h"
#include "fiber/objects.h"
#include "fiber/scheduler.h"
#include "sys/sys.h"

#define UNUSED_FIBERS 64u /* kept by a worker, like its stacks */
#define UNUSED_STACKS 32u
#define SLAB_PAGES    8u

enum { JOINER_NONE, JOINER_ENDED, JOINER_NOBODY }; /* or a fiber */
enum { PERMIT_NONE, PERMIT_GIVEN, PERMIT_AWAITED };

/* Descriptors come from slabs that stay: whoever holds a stale one reads a state, not a fault. */
struct fiber_slab {
	struct fiber_slab *next;
	uint32_t count;
	struct stele_fiber fibers[];
};

static struct {
	uint32_t lock;
	struct fiber_slab *slabs;
	uint32_t used; /* of the first slab */
	struct stele_fiber *unused;
} fibers;

static uint32_t slab_count(void)
{
	return (SLAB_PAGES * STELE__PAGE_BYTES - sizeof(struct fiber_slab)) /
	       sizeof(struct stele_fiber);
}

/* Under the lock. NULL: no memory. */
static struct stele_fiber *slab_take(void)
{
	struct stele__pages *pages = stele__heap_pages();
	struct stele__span *span;
	struct fiber_slab *slab;

	if (fibers.slabs && fibers.used < fibers.slabs->count)
		return &fibers.slabs->fibers[fibers.used++];
	span = stele__pages_alloc(pages, SLAB_PAGES, STELE__SPAN_MANUAL, 0);
	if (!span)
		return NULL;
	slab = stele__span_base(pages, span);
	memset(slab, 0, SLAB_PAGES * STELE__PAGE_BYTES);
	slab->count = slab_count();
	slab->next = fibers.slabs;
	fibers.slabs = slab;
	fibers.used = 1;
	return &slab->fibers[0];
}

void stele__fiber_each(void (*each)(struct stele_fiber *fiber, void *arg), void *arg)
{
	stele__lock(&fibers.lock);
	for (struct fiber_slab *slab = fibers.slabs; slab; slab = slab->next) {
		uint32_t count = slab == fibers.slabs ? fibers.used : slab->count;

		for (uint32_t i = 0; i < count; i++)
			each(&slab->fibers[i], arg);
	}
	stele__unlock(&fibers.lock);
}

static struct stele_fiber *descriptor_take(struct stele__worker *w)
{
	struct stele_fiber *f;

	if (w && w->fibers) {
		f = w->fibers;
		w->fibers = f->next;
		w->fiber_count--;
		return f;
	}
	stele__lock(&fibers.lock);
	f = fibers.unused;
	if (f)
		fibers.unused = f->next;
	else
		f = slab_take();
	stele__unlock(&fibers.lock);
	return f;
}

static void descriptor_give(struct stele_fiber *f)
{
	struct stele__sched_thread *t = stele__thread_self();
	struct stele__worker *w = t ? t->worker : NULL;

	stele__store_relaxed(&f->state, STELE__FIBER_UNUSED);
	if (w && w->fiber_count < UNUSED_FIBERS) {
		f->next = w->fibers;
		w->fibers = f;
		w->fiber_count++;
		return;
	}
	stele__lock(&fibers.lock);
	f->next = fibers.unused;
	fibers.unused = f;
	stele__unlock(&fibers.lock);
}

static struct stele__stack *stack_take(struct stele__worker *w, uint32_t limit)
{
	struct stele__stack *s;

	if (!w || !w->stacks || limit != stele__sched.stack_limit)
		return stele__stack_take(limit);
	s = w->stacks;
	w->stacks = s->next;
	w->stack_count--;
	return s;
}

static void stack_give(struct stele__worker *w, struct stele__stack *s)
{
	if (w->stack_count >= UNUSED_STACKS || s->low < (char *)s - (32 << 10) ||
	    stele__stack_limit(s) != stele__sched.stack_limit) {
		stele__stack_give(s);
		return;
	}
	s->next = w->stacks;
	w->stacks = s;
	w->stack_count++;
}

void stele__fiber_drop_unused(struct stele__worker *w)
{
	while (w->stacks) {
		struct stele__stack *s = w->stacks;

		w->stacks = s->next;
		stele__stack_give(s);
	}
	stele__lock(&fibers.lock);
	while (w->fibers) {
		struct stele_fiber *f = w->fibers;

		w->fibers = f->next;
		f->next = fibers.unused;
		fibers.unused = f;
	}
	stele__unlock(&fibers.lock);
}

/* Beginning and end --------------------------------------------------------------------------- */

void stele__context_begun(void *fiber)
{
	(void)fiber;
	stele__context_enter();
}

void stele__context_ended(void *fiber)
{
	stele__sched_leave(fiber, stele__fiber_finish, NULL, true);
}

struct stele_fiber *stele__fiber_new(uint32_t limit, void (*entry)(void *), void *arg,
				     const char *name, const void *creator)
{
	struct stele__sched_thread *t = stele__thread_self();
	struct stele__worker *w = t ? t->worker : NULL;
	struct stele_fiber *f = descriptor_take(w);

	if (!f)
		return NULL;
	f->stack = stack_take(w, limit);
	if (!f->stack) {
		descriptor_give(f);
		return NULL;
	}
	f->entry = entry;
	f->name = name;
	f->creator = creator;
	f->id = stele__add_relaxed(&stele__sched.ids, 1) + 1;
	f->permit = PERMIT_NONE;
	f->error = 0;
	f->cxx[0] = f->cxx[1] = NULL;
	f->began = f->show = false;
	stele__store_relaxed(&f->joiner, JOINER_NONE);
	stele__context_make(&f->context, f->stack->limit, f->stack, entry, arg, f);
	stele__add_relaxed(&stele__sched.live, 1);
	return f;
}

static void fiber_end_all(void)
{
	stele__store_release(&stele__sched.ended, 1);
	stele__sys_futex_wake(&stele__sched.ended, 1);
}

void stele__fiber_finish(struct stele_fiber *f, void *arg)
{
	struct stele__worker *w = stele__thread_self()->worker;
	uintptr_t joiner;

	(void)arg;
	stele__stack_end(f->stack);
	stele_sched_end(&f->trace);
	stele__context_done(&f->context);
	stack_give(w, f->stack);
	stele__store_relaxed(&f->state, STELE__FIBER_ENDED);
	/* Pairs with joiner_appear: what the fiber did is seen by who joins it. */
	joiner = __atomic_exchange_n(&f->joiner, JOINER_ENDED, __ATOMIC_ACQ_REL);
	if (joiner == JOINER_NOBODY)
		descriptor_give(f);
	else if (joiner != JOINER_NONE)
		stele__sched_ready((struct stele_fiber *)joiner);
	if (stele__add_acq_rel(&stele__sched.live, -1ull) == 1)
		fiber_end_all();
}

/* Waiting ------------------------------------------------------------------------------------- */

static void fiber_shrink(struct stele_fiber *f)
{
	stele__stack_shrink(f->stack, f->context.sp, stele__load_relaxed(&stele__sched.now));
}

static struct stele_fiber *self(void)
{
	struct stele__sched_thread *t = stele__thread_self();

	return t ? t->current : NULL;
}

/* What waits on its own thread's stack, with what is to be done when it has left its own. */
struct fiber_waiting {
	stele__after *after;
	void *arg;
};

static void fiber_after_wait(struct stele_fiber *f, void *arg)
{
	struct fiber_waiting w = *(struct fiber_waiting *)arg; /* on the fiber's stack */

	fiber_shrink(f);
	stele__store_relaxed(&f->state, STELE__FIBER_WAITING);
	w.after(f, w.arg);
}

void stele__fiber_wait(enum stele_wait why, const void *object, stele__after *after, void *arg)
{
	struct stele_fiber *f = self();
	struct fiber_waiting waiting = {after, arg};

	stele__stack_touch(f->stack, STELE__STACK_HEADROOM);
	f->why = why;
	stele_sched_park(&f->trace, why, object);
	stele__sched_leave(f, fiber_after_wait, &waiting, false);
}

static void after_unlock(struct stele_fiber *f, void *arg)
{
	(void)f;
	stele__unlock(arg);
}

void stele__fiber_wait_in(struct stele_waiters *list, uint32_t *lock, enum stele_wait why,
			  const void *object)
{
	stele__waiters_add(list, self());
	stele__fiber_wait(why, object, after_unlock, lock);
}

static void after_yield(struct stele_fiber *f, void *arg)
{
	(void)arg;
	stele__sched_put(f, false);
}

static void joiner_appear(struct stele_fiber *f, void *arg)
{
	struct stele_fiber *other = arg;
	uintptr_t none = JOINER_NONE;

	if (!__atomic_compare_exchange_n(&other->joiner, &none, (uintptr_t)f, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		stele__sched_ready(f);
}

static void park_after(struct stele_fiber *f, void *arg)
{
	uint32_t none = PERMIT_NONE;

	(void)arg;
	if (__atomic_compare_exchange_n(&f->permit, &none, PERMIT_AWAITED, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return;
	stele__store_relaxed(&f->permit, PERMIT_NONE);
	stele__sched_ready(f);
}

/* The interface ------------------------------------------------------------------------------- */

/* Inlined: the stack at which it was made begins with the function that the program called. */
STELE_INLINE struct stele_fiber *fiber_spawn(uint32_t limit, const char *name,
					     void (*entry)(void *arg), void *arg,
					     const void *creator)
{
	struct stele_fiber *here = self(), *f;

	if (stele__load_acquire(&stele__sched.running) != STELE__RUNNING) {
		errno = ESRCH;
		return NULL;
	}
	limit = limit ? stele__stack_round(limit) : stele__sched.stack_limit;
	if (!limit) {
		errno = EINVAL;
		return NULL;
	}
	if (here)
		stele__stack_touch(here->stack, STELE__STACK_HEADROOM);
	f = stele__fiber_new(limit, entry, arg, name, creator);
	if (!f) {
		errno = ENOMEM;
		return NULL;
	}
	stele_sched_create(&f->trace, (const void *)(uintptr_t)entry);
	stele__sched_put(f, true);
	return f;
}

STELE_EXPORT struct stele_fiber *stele_fiber_spawn_with(uint32_t stack_limit, const char *name,
							void (*entry)(void *arg), void *arg)
{
	return fiber_spawn(stack_limit, name, entry, arg, __builtin_return_address(0));
}

STELE_EXPORT struct stele_fiber *stele_fiber_spawn(void (*entry)(void *arg), void *arg)
{
	return fiber_spawn(0, NULL, entry, arg, __builtin_return_address(0));
}

STELE_EXPORT void stele_fiber_join(struct stele_fiber *f)
{
	if (stele__load_acquire(&f->joiner) != JOINER_ENDED) /* pairs with stele__fiber_finish */
		stele__fiber_wait(STELE_WAIT_JOIN, f, joiner_appear, f);
	descriptor_give(f);
}

STELE_EXPORT void stele_fiber_detach(struct stele_fiber *f)
{
	uintptr_t none = JOINER_NONE;

	if (!__atomic_compare_exchange_n(&f->joiner, &none, JOINER_NOBODY, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		descriptor_give(f);
}

STELE_EXPORT struct stele_fiber *stele_fiber_self(void)
{
	return self();
}

STELE_EXPORT void stele_fiber_yield(void)
{
	struct stele_fiber *f = self();

	stele__stack_touch(f->stack, STELE__STACK_HEADROOM);
	stele_sched_yield(&f->trace, STELE_WAIT_YIELD);
	stele__sched_leave(f, after_yield, NULL, false);
}

STELE_EXPORT void stele_fiber_park(enum stele_wait why, const void *object)
{
	struct stele_fiber *f = self();
	uint32_t given = PERMIT_GIVEN;

	if (!__atomic_compare_exchange_n(&f->permit, &given, PERMIT_NONE, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		stele__fiber_wait(why, object, park_after, NULL);
}

STELE_EXPORT void stele_fiber_unpark(struct stele_fiber *f)
{
	uint32_t seen = stele__load_relaxed(&f->permit);

	for (;;) {
		uint32_t next = seen == PERMIT_AWAITED ? PERMIT_NONE : PERMIT_GIVEN;

		/* Also if it is given already: what was done before is seen behind the park. */
		if (__atomic_compare_exchange_n(&f->permit, &seen, next, false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			break;
	}
	if (seen == PERMIT_AWAITED)
		stele__sched_ready(f);
}

STELE_EXPORT void stele_fiber_blocking_begin(long call)
{
	struct stele__sched_thread *t = stele__thread_self();
	struct stele__worker *w = t->worker;

	stele__stack_touch(t->current->stack, STELE__STACK_HEADROOM);
	stele_sched_call_begin(&w->trace, &t->current->trace, call, 0);
	t->call = w->trace.call;
	t->left = w;
	t->worker = NULL;
	t->left_status = STELE__WORKER_CALLING + ++w->calls * STELE__WORKER_STATES;
	stele__store_release(&w->status, t->left_status); /* pairs with the monitor's CAS */
}

STELE_EXPORT void stele_fiber_blocking_end(int64_t result)
{
	struct stele__sched_thread *t = stele__thread_self();
	struct stele__worker *w = t->left;
	uint32_t calling = t->left_status;

	t->left = NULL;
	if (__atomic_compare_exchange_n(&w->status, &calling, STELE__WORKER_RUNNING, false,
					__ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
		t->worker = w;
		stele_sched_call_end(t->call, result, false);
	} else {
		stele_sched_call_end(t->call, result, true);
		stele__sched_leave(t->current, stele__sched_return, NULL, false);
	}
}

STELE_EXPORT void stele_fiber_touch(void *at, size_t bytes)
{
	struct stele_fiber *f = self();
	char *low = at;

	/* The lowest byte brings all above it. */
	if (f && bytes && low < f->stack->low && low >= f->stack->limit)
		(void)*(volatile char *)low;
}

STELE_EXPORT void stele_fiber_measure_stack(struct stele_fiber_stack *ret_stack)
{
	struct stele__stack *s = self()->stack;

	*ret_stack = (struct stele_fiber_stack){
		.limit = stele__stack_limit(s),
		.bytes = (size_t)((char *)(s + 1) - s->low),
		.peak = (size_t)STELE__STACK_BYTES_MIN << s->peak,
	};
}

STELE_EXPORT void *stele_heap_alloc(size_t bytes)
{
	return stele__heap_alloc(bytes);
}

STELE_EXPORT void *stele_heap_realloc(void *object, size_t bytes)
{
	return stele__heap_realloc(object, bytes);
}

STELE_EXPORT void stele_heap_free(void *object)
{
	stele__heap_free(object);
}

STELE_EXPORT size_t stele_heap_size(const void *object)
{
	return stele__heap_size(object);
}
