/* SPDX-License-Identifier: MIT */
/* stele/runtime.h: goroutines and procs of runtimes that run them in turn on their threads. */
#include "arena/arena.h"
#include "record/capture.h"
#include "record/thread.h"
#include "stele/runtime.h"

/* Recordings of one process follow each other; what was told to one is unknown to the next. */
static bool goroutine_is_told(const struct stele_goroutine *g)
{
	return g->recording == stele__load_relaxed(&stele__recorder.arena->recording);
}

static void goroutine_number(struct stele_goroutine *g)
{
	g->id = stele__add_relaxed(&stele__recorder.arena->goroutines, 1) + 1;
	g->turn = 0;
	g->recording = stele__load_relaxed(&stele__recorder.arena->recording);
}

/*
 * Did the calling thread tell of it last? Then what it tells now is later by the order of its ring,
 * and the clock, which costs as much as all the rest, need not be read in order.
 */
static bool goroutine_is_here(struct stele_goroutine *g)
{
	bool here = g->teller == &stele__thread;

	g->teller = &stele__thread;
	return here;
}

/* It was there before the recording, and is runnable now. */
static STELE_COLD void goroutine_exist(struct stele_goroutine *g)
{
	goroutine_number(g);
	stele__emit(STELE_KIND_GO_EXISTS, g->id, (uint64_t)(uintptr_t)g->entry, 0);
}

STELE_EXPORT void stele_sched_worker(void)
{
	if (!stele__is_on() || stele__thread.lender)
		return;
	if (!stele__load_relaxed(&stele__thread.ring) &&
	    stele__thread_enter(0, STELE_THREAD_WORKER, 0))
		return;
	/* It was told as an ordinary thread. */
	stele__emit(STELE_KIND_GO_DESTROY, 0, 0, 0);
	stele__emit(STELE_KIND_PROC_STOP, 0, 0, 0);
}

STELE_EXPORT void stele_sched_acquire(struct stele_proc *p)
{
	if (!stele__is_on())
		return;
	if (p->recording != stele__load_relaxed(&stele__recorder.arena->recording)) {
		p->recording = stele__load_relaxed(&stele__recorder.arena->recording);
		p->turn = 0;
	}
	stele__emit(STELE_KIND_PROC_START, p->index, ++p->turn, 0);
	if (stele__load_relaxed(&stele__thread.ring))
		stele__capture_of_runtime();
}

STELE_EXPORT void stele_sched_release(void)
{
	if (stele__is_on())
		stele__emit(STELE_KIND_PROC_STOP, 0, 0, 0);
}

STELE_EXPORT void stele_sched_create(struct stele_goroutine *g, const void *entry)
{
	g->entry = entry;
	if (!stele__is_on())
		return;
	goroutine_number(g);
	g->teller = &stele__thread;
	stele__emit(STELE_KIND_GO_CREATE, g->id, (uint64_t)(uintptr_t)entry, STELE_CAPTURE().stack);
}

STELE_EXPORT void stele_sched_start(struct stele_proc *p, struct stele_goroutine *g,
				    const void *stack_low, const void *stack_high)
{
	if (!stele__is_on())
		return;
	if (STELE_UNLIKELY(p->recording != stele__load_relaxed(&stele__recorder.arena->recording)))
		stele_sched_acquire(p);
	if (STELE_UNLIKELY(!goroutine_is_told(g)))
		goroutine_exist(g);
	if (goroutine_is_here(g))
		stele__emit_as(STELE_KIND_GO_START, STELE_EMIT_SWITCHED, g->id, ++g->turn, 0);
	else
		stele__emit(STELE_KIND_GO_START, g->id, ++g->turn, 0);
	stele__thread_stand_on(stack_low, stack_high);
}

/* Is it known to run here? Otherwise its thread is taken for an ordinary one. */
static bool goroutine_leaves(const struct stele_goroutine *g)
{
	return stele__is_on() && goroutine_is_told(g);
}

STELE_EXPORT void stele_sched_yield(struct stele_goroutine *g, enum stele_wait why)
{
	if (!goroutine_leaves(g))
		return;
	stele__emit(STELE_KIND_GO_STOP, stele__wait_word(STELE_CAPTURE().stack, 0, (uint32_t)why),
		    0, 0);
}

STELE_EXPORT void stele_sched_park(struct stele_goroutine *g, enum stele_wait why,
				   const void *object)
{
	if (!goroutine_leaves(g))
		return;
	stele__emit(STELE_KIND_GO_PARK, stele__wait_word(STELE_CAPTURE().stack, 0, (uint32_t)why),
		    (uint64_t)(uintptr_t)object, 0);
}

STELE_EXPORT void stele_sched_ready(struct stele_goroutine *g)
{
	uint32_t stack;

	if (!stele__is_on())
		return;
	if (STELE_UNLIKELY(!goroutine_is_told(g))) {
		goroutine_exist(g);
		return;
	}
	stack = STELE_CAPTURE().stack;
	if (goroutine_is_here(g))
		stele__emit_as(STELE_KIND_GO_UNBLOCK, STELE_EMIT_UNORDERED, g->id, ++g->turn,
			       stack);
	else
		stele__emit(STELE_KIND_GO_UNBLOCK, g->id, ++g->turn, stack);
}

STELE_EXPORT void stele_sched_end(struct stele_goroutine *g)
{
	if (!goroutine_leaves(g))
		return;
	stele__emit(STELE_KIND_GO_DESTROY, 0, 0, 0);
	stele__thread_stand_on(NULL, NULL);
}

STELE_EXPORT void stele_sched_call_begin(struct stele_proc *p, struct stele_goroutine *g,
					 long number, uint64_t argument)
{
	p->call = 0;
	/* Without a frame: nobody leaves it by longjmp, and it may be begun further down than it is
	 * ended. */
	if (goroutine_leaves(g))
		p->call = stele__emit(STELE_KIND_SYSCALL_BEGIN,
				      (uint64_t)STELE_CAPTURE().stack << 32 | (uint32_t)number,
				      argument, 0);
}

STELE_EXPORT void stele_sched_retake(struct stele_proc *p)
{
	if (stele__is_on() && p->call &&
	    p->recording == stele__load_relaxed(&stele__recorder.arena->recording))
		stele__emit(STELE_KIND_PROC_STEAL, p->index, ++p->turn, p->call);
}

STELE_EXPORT void stele_sched_call_end(stele_interval call, int64_t result, bool taken)
{
	if (!call || !stele__is_on())
		return;
	stele__emit(STELE_KIND_SYSCALL_END, call, (uint64_t)result, taken);
	if (taken)
		stele__thread_stand_on(NULL, NULL);
}

STELE_EXPORT void stele_goroutine_label(const char *label)
{
	if (stele__is_on() &&
	    stele__load_relaxed(&stele__recorder.arena->events) & STELE_EVENTS_USER)
		stele__emit(STELE_KIND_LABEL,
			    stele__dictionary_string(stele__recorder.arena, label), 0, 0);
}
