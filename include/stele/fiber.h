/* SPDX-License-Identifier: MIT */
/**
 * Fibers: many flows of control on a few threads, on stacks that grow, on a heap of their own; all
 * of it recorded wherever Stele records.
 *
 *	static void hello(void *arg) { puts(arg); }
 *
 *	static void first(void *arg)
 *	{
 *		struct stele_fiber *f = stele_fiber_spawn(hello, "hello");
 *
 *		(void)arg;
 *		stele_fiber_join(f);
 *	}
 *
 *	int main(void) { return stele_fiber_run(NULL, first, "hello") < 0; }
 *
 * Fibers are not preempted: one that computes for long keeps its worker. A call that may block the
 * thread belongs between stele_fiber_blocking_begin and _end; then another thread goes on with the
 * worker. What is __thread belongs to the thread, not to the fiber, and may change wherever a fiber
 * may wait. errno stays with the fiber; but a compiler may ask only once in a function where it is,
 * so set and read it on the same side of a wait, or in functions of their own.
 *
 * Functions that wait, and all others unless they say otherwise, are to be called by fibers.
 *Signals: not safe. Handlers of signals must be installed with SA_ONSTACK: there may be no room for
 *them on a fiber's stack.
 */
#ifndef STELE_FIBER_H
#define STELE_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stele/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

struct stele_fiber;

/* Running ------------------------------------------------------------------------------------ */

struct stele_fiber_options {
	/** So many fibers run at once; 0: as many as there are processors for this process. */
	unsigned workers;
	/** Bytes that a stack may grow to, 16 KiB to 64 MiB, rounded up to a power of two; 0: 256
	 * KiB. */
	uint32_t stack_limit;
	/** Threads and signal handlers outside may wake fibers: that all wait is no deadlock. */
	bool woken_from_outside;
};

/**
 * Runs `entry` as the first fiber, and returns when it and all others have ended.
 *
 * If all fibers wait for each other, prints where each of them is and ends the process with status
 * 2.
 *
 * @param options  NULL: all are 0.
 * @return 0; -EBUSY: fibers are run already; -EINVAL: options out of range; -errno: no memory, no
 *         threads.
 *
 * Threads: any that is no fiber's; one at a time. The fault at the end of a stack is a SIGSEGV: its
 * handler is replaced while fibers run, and gets the faults that are not ours.
 */
int stele_fiber_run(const struct stele_fiber_options *options, void (*entry)(void *arg), void *arg);

/**
 * Makes a fiber, which will run entry(arg). It is to be joined or detached, once.
 *
 * @return NULL, with errno, if there is no memory for it (ENOMEM; where a guard page costs a
 *         mapping, before Linux 6.13, some 30,000 fibers are the most), or no fibers are run
 *         (ESRCH).
 *
 * Threads: any, while fibers are run.
 */
struct stele_fiber *stele_fiber_spawn(void (*entry)(void *arg), void *arg);

/** Likewise, with a limit of its own for its stack, and a name (kept, not copied; NULL: none) for
 * reports and as its label in the trace. */
struct stele_fiber *stele_fiber_spawn_with(uint32_t stack_limit, const char *name,
					   void (*entry)(void *arg), void *arg);

/** Waits until it has ended. */
void stele_fiber_join(struct stele_fiber *fiber);
/** Nobody will join it. Threads: any. */
void stele_fiber_detach(struct stele_fiber *fiber);

/** The calling fiber; NULL: the caller is none. Threads: any. */
struct stele_fiber *stele_fiber_self(void);

/** Others that could run may do so first. */
void stele_fiber_yield(void);
/** Goes on after so many nanoseconds, or a little later. */
void stele_fiber_sleep(uint64_t ns);

/**
 * Waits until it is unparked: at once, if it was since it last waited here. For those who build
 * locks and queues of their own.
 *
 * @param why, object  for the trace.
 */
void stele_fiber_park(enum stele_wait why, const void *object);
/** Threads: any. */
void stele_fiber_unpark(struct stele_fiber *fiber);

/**
 * What the caller does in between may block the thread. Nothing else of this header may be used
 * there.
 *
 * @param call  the number of the system call, for the trace (SYS_read …); -1: something else.
 * @param result  likewise.
 */
void stele_fiber_blocking_begin(long call);
void stele_fiber_blocking_end(int64_t result);

/**
 * Makes the memory [at, at + bytes) on the calling fiber's own stack ready for the kernel, which
 * gets EFAULT where the program itself would make the stack grow. Only needed where a system call
 * is made without a function call (by inline assembly), which would lie below and bring all above
 * it. Below the frame of whoever calls into this library 16 KiB are always ready.
 */
void stele_fiber_touch(void *at, size_t bytes);

struct stele_fiber_stack {
	size_t limit; /**< it may grow to */
	size_t bytes; /**< in use */
	size_t peak;  /**< most that ever was */
};
/** The stack of the calling fiber. */
void stele_fiber_measure_stack(struct stele_fiber_stack *ret_stack);

/* Waiting for each other --------------------------------------------------------------------- */

/** Fibers that wait, the longest waiting one first; part of what they wait for. */
struct stele_waiters {
	struct stele_fiber *first, *last;
};

/** All of them: zeroed, they are ready for use; no resources need to be given back. */
struct stele_mutex {
	uint32_t lock;
	bool held;
	struct stele_waiters waiters;
};
void stele_mutex_lock(struct stele_mutex *mutex);
bool stele_mutex_trylock(struct stele_mutex *mutex);
/** The longest waiting fiber gets it. Any fiber may unlock. */
void stele_mutex_unlock(struct stele_mutex *mutex);

struct stele_condition {
	uint32_t lock;
	struct stele_waiters waiters;
};
/** With the mutex held, and again when it returns. It may not return without a signal. */
void stele_condition_wait(struct stele_condition *condition, struct stele_mutex *mutex);
void stele_condition_signal(struct stele_condition *condition);
void stele_condition_broadcast(struct stele_condition *condition);

/** Counts what is under way. */
struct stele_wait_group {
	uint32_t lock;
	int64_t count;
	struct stele_waiters waiters;
};
void stele_wait_group_add(struct stele_wait_group *group, int64_t count);
void stele_wait_group_done(struct stele_wait_group *group);
/** Until the count is 0. */
void stele_wait_group_wait(struct stele_wait_group *group);

/** Passes values of one size from fiber to fiber. */
struct stele_channel;
/** @param capacity  values that are kept for receivers to come; 0: each sender waits for its
 * receiver. @return NULL: no memory. */
struct stele_channel *stele_channel_new(size_t value_bytes, size_t capacity);
/** Nobody uses it any more. */
void stele_channel_free(struct stele_channel *channel);
/** Waits until there is room, or a receiver. @return false: the channel is closed. */
bool stele_channel_send(struct stele_channel *channel, const void *value);
/** Waits for a value. @return false: the channel is closed and has no more; *ret_value is as it
 * was. */
bool stele_channel_receive(struct stele_channel *channel, void *ret_value);
/** No more will be sent. Who waits goes on. */
void stele_channel_close(struct stele_channel *channel);

/* Memory ------------------------------------------------------------------------------------- */

/**
 * The heap that fibers and everybody else may use, whether fibers are run or not. Threads: any. An
 * address that is none of its objects, or not any more, ends the process with a sentence.
 *
 * @return memory of any content, aligned to 16 bytes (8 of 8 bytes or less); NULL: there is none.
 */
void *stele_heap_alloc(size_t bytes);
void *stele_heap_realloc(void *object, size_t bytes);
/** NULL is no object, and is fine. */
void stele_heap_free(void *object);
/** How much room the object really has. */
size_t stele_heap_size(const void *object);

#ifdef __cplusplus
}
#endif

#endif
