/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: fibers run on workers, workers on threads.
 *
 *   fiber   what runs: a stack and where on it                 struct stele_fiber
 *   worker  the right to run: a queue of fibers, a proc        struct stele__worker
 *   thread  of the system: runs fibers while it has a worker   struct stele__sched_thread
 *
 * A fiber that stops goes back to the loop on its thread's own stack, with a function that is
 * called there (`after`): only now may others see it. A thread in a blocking call leaves its worker
 * behind; it takes it along again unless the monitor has given it to another thread meanwhile.
 *
 * Design, invariants, who may touch what: docs/design/runtime.md
 */
#ifndef STELE_FIBER_SCHEDULER_H
#define STELE_FIBER_SCHEDULER_H

#include <pthread.h>

#include "fiber/runqueue.h"
#include "fiber/say.h"
#include "fiber/stack.h"
#include "fiber/switch.h"
#include "stele/fiber.h"

enum stele__fiber_state {
	STELE__FIBER_UNUSED,
	STELE__FIBER_RUNNABLE,
	STELE__FIBER_RUNNING,
	STELE__FIBER_WAITING,
	STELE__FIBER_ENDED,
};

/* Never unmapped. Its owner: who runs it, or has the right to wake it. */
struct stele_fiber {
	struct stele__context context;
	struct stele__stack *stack;
	struct stele_goroutine trace;
	struct stele_fiber *next; /* in a queue: of those that run, wait, or are unused */
	void (*entry)(void *arg);
	const char *name;
	const void *creator; /* the function's address where it was made */
	uint32_t state;	     /* enum stele__fiber_state; for reports and asserts */
	uint32_t permit;     /* parking: PERMIT_… */
	uintptr_t joiner;    /* JOINER_…, or who waits for its end; by CAS */
	uint64_t id;
	int error;	/* errno */
	void *cxx[2];	/* what C++ keeps for each thread: exceptions under way */
	uint32_t why;	/* enum stele_wait, while it waits */
	bool began;	/* has run at least once */
	bool show;	/* is only resumed to show its stack */
	bool delivered; /* what it waited for came; else it was closed */
	void *value;	/* where a channel puts or finds the value */
	uint64_t wake_ns;
	struct stele_fiber *below, *sibling; /* in the heap of sleepers */
};

enum { STELE__NOT_RUNNING, STELE__STARTING, STELE__RUNNING };

/*
 * A worker's status; behind CALLING, how often it has been left in a call: who comes back from one
 * takes it along only if it was not given to another thread, and left again by that, meanwhile.
 */
enum { STELE__WORKER_IDLE, STELE__WORKER_RUNNING, STELE__WORKER_CALLING, STELE__WORKER_STATES };

struct stele__worker {
	struct stele__run_queue queue;
	struct stele_proc trace;
	uint32_t status;      /* STELE__WORKER_…; CALLING is left by CAS */
	uint32_t calls;	      /* how often it was left in one */
	uint32_t seen_status; /* the monitor's: when it looked last */
	uint32_t tick;	      /* how often it has chosen a fiber */
	struct stele__worker *idle_next;
	struct stele_fiber *fibers;  /* unused ones */
	struct stele__stack *stacks; /* unused ones of the usual limit */
	uint32_t fiber_count, stack_count;
} __attribute__((aligned(2 * STELE_CACHE_LINE)));

typedef void stele__after(struct stele_fiber *fiber, void *arg);

struct stele__sched_thread {
	struct stele__worker *worker;
	struct stele_fiber *current;
	struct stele__context loop;
	stele__after *after;
	void *after_arg;
	struct stele__worker *left; /* in a call: its worker, as long as nobody takes it, */
	uint32_t left_status;	    /* which has this status */
	stele_interval call;
	bool spinning;	 /* looks for work; one of sched.spinning */
	uint32_t signal; /* futex: grows when it is to look at `worker` */
	struct stele__sched_thread *idle_next, *all_next;
	void *signal_stack;
	pthread_t handle;
	uint32_t random;
};

struct stele__sched {
	uint32_t lock; /* of everything up to `workers` */
	struct stele_waiters global;
	uint32_t global_count; /* read without the lock, too */
	struct stele__worker *idle_workers;
	uint32_t idle_count; /* likewise */
	struct stele__sched_thread *idle_threads, *threads;
	uint32_t lost_calls; /* fibers in calls in which their worker was taken */
	int error;	     /* a thread could not be made */
	bool stopping;

	struct stele__worker *workers;
	uint32_t worker_count;
	uint32_t stack_limit;
	bool woken_from_outside;
	uint32_t spinning; /* threads that look for work */
	uint32_t now;	   /* counts 100 ms while fibers run; the monitor's */
	uint32_t ended;	   /* futex: all fibers have ended */
	uint32_t running;  /* stele_fiber_run is under way: STELE__NOT_RUNNING … */
	uint64_t live __attribute__((aligned(STELE_CACHE_LINE))); /* fibers that have not ended */
	uint64_t ids;
};

extern struct stele__sched stele__sched STELE_HIDDEN;

/* The calling thread's; NULL: it is none of the scheduler's. Never kept over a switch. */
struct stele__sched_thread *stele__thread_self(void) STELE_HIDDEN;

/* fibers: fiber.c ----------------------------------------------------------------------------- */

struct stele_fiber *stele__fiber_new(uint32_t stack_limit, void (*entry)(void *), void *arg,
				     const char *name, const void *creator) STELE_HIDDEN;
/* On the loop's stack, behind its last instruction. */
void stele__fiber_finish(struct stele_fiber *fiber, void *arg) STELE_HIDDEN;
void stele__fiber_drop_unused(struct stele__worker *worker) STELE_HIDDEN;
/* All that there ever were; their states tell which there are. Any thread. */
void stele__fiber_each(void (*each)(struct stele_fiber *fiber, void *arg), void *arg) STELE_HIDDEN;
/* The calling fiber waits; `after` lets others see it. Returns when it is ready. */
void stele__fiber_wait(enum stele_wait why, const void *object, stele__after *after,
		       void *arg) STELE_HIDDEN;
/* It waits in this list, whose lock is held, and given back when it has left its stack: whoever
 * gets the lock then may wake it. */
void stele__fiber_wait_in(struct stele_waiters *list, uint32_t *lock, enum stele_wait why,
			  const void *object) STELE_HIDDEN;

/* the scheduler: scheduler.c ------------------------------------------------------------------ */

/* Leaves the calling fiber for the loop. Returns when it runs again, on whatever thread. */
void stele__sched_leave(struct stele_fiber *fiber, stele__after *after, void *arg,
			bool last) STELE_HIDDEN;
/* Runnable: queued with the caller's worker, or for all. `next`: before the others there. */
void stele__sched_put(struct stele_fiber *fiber, bool next) STELE_HIDDEN;
/* It waited, and does so no longer. */
void stele__sched_ready(struct stele_fiber *fiber) STELE_HIDDEN;
/* A fiber that has lost its worker. */
void stele__sched_return(struct stele_fiber *fiber, void *arg) STELE_HIDDEN;
/* Gives a worker that nobody has to a thread, or lets it be idle. */
void stele__sched_hand_over(struct stele__worker *worker) STELE_HIDDEN;
bool stele__sched_has_work(void) STELE_HIDDEN;

/* time and calls that last: monitor.c --------------------------------------------------------- */

int stele__monitor_start(void) STELE_HIDDEN;
void stele__monitor_stop(void) STELE_HIDDEN;
/* Somebody has something for it to look at. */
void stele__monitor_kick(void) STELE_HIDDEN;
bool stele__monitor_has_sleepers(void) STELE_HIDDEN;

/* reports: deadlock.c, fault.c ---------------------------------------------------------------- */

_Noreturn void stele__deadlock(struct stele__sched_thread *thread) STELE_HIDDEN;
/* Prints the frames of the calling fiber. */
void stele__fiber_show(const struct stele_fiber *fiber) STELE_HIDDEN;
/* Which fiber it is. Signals: safe, but that the dynamic linker is asked for names. */
void stele__say_fiber(struct stele__message *m, const struct stele_fiber *fiber) STELE_HIDDEN;

int stele__fault_begin(void) STELE_HIDDEN;
void stele__fault_end(void) STELE_HIDDEN;
/* A signal stack for the calling thread; NULL: no memory. */
void *stele__fault_stack_begin(void) STELE_HIDDEN;
void stele__fault_stack_end(void *stack) STELE_HIDDEN;

STELE_INLINE void stele__waiters_add(struct stele_waiters *list, struct stele_fiber *f)
{
	f->next = NULL;
	if (list->last)
		list->last->next = f;
	else
		list->first = f;
	list->last = f;
}

STELE_INLINE struct stele_fiber *stele__waiters_take(struct stele_waiters *list)
{
	struct stele_fiber *f = list->first;

	if (!f)
		return NULL;
	list->first = f->next;
	if (!list->first)
		list->last = NULL;
	f->next = NULL;
	return f;
}

/* All of them: a list that nobody else has any more. */
STELE_INLINE void stele__waiters_ready(struct stele_waiters list)
{
	struct stele_fiber *f;

	while ((f = stele__waiters_take(&list)))
		stele__sched_ready(f);
}

#endif
