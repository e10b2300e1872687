/* SPDX-License-Identifier: MIT */
/**
 * For those who build threads, fibers, schedulers and allocators on Stele: what a runtime tells the
 * tracer. Programs that only want to annotate their work need stele/trace.h alone.
 *
 * All functions may be called from any thread and, unless said otherwise, from a signal handler at
 * any instruction of any other call of Stele. They keep errno, allocate nothing, take no lock and
 * never fail towards the caller: what cannot be kept is counted and reported in the trace.
 */
#ifndef STELE_RUNTIME_H
#define STELE_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stele/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A thread's or fiber's number in the trace; 0 is none. */
typedef uint64_t stele_goroutine_id;

/** Names one open interval (a wait, a system call); 0: it was not recorded. */
typedef uint64_t stele_interval;

/** Why somebody waits. The order is part of the interface. */
enum stele_wait {
	STELE_WAIT_UNSPECIFIED,
	STELE_WAIT_MUTEX,
	STELE_WAIT_RWLOCK,
	STELE_WAIT_CONDITION,
	STELE_WAIT_SEMAPHORE,
	STELE_WAIT_BARRIER,
	STELE_WAIT_ONCE,
	STELE_WAIT_JOIN,
	STELE_WAIT_SLEEP,
	STELE_WAIT_NETWORK,
	STELE_WAIT_SELECT,
	STELE_WAIT_CHANNEL_SEND,
	STELE_WAIT_CHANNEL_RECEIVE,
	STELE_WAIT_FOREVER,
	STELE_WAIT_PREEMPTED,
	STELE_WAIT_YIELD,
	STELE_WAIT_FUTEX, /**< for a word of memory, by whoever made a lock of it */
	STELE_WAIT_KERNEL /**< the kernel's own: a page fault, a call that nobody told of */
};

/**
 * Joins the arena of a supervisor and turns recording on.
 *
 * @param path  what the supervisor put into STELE_ARENA.
 * @return 0, or a negative error: the file cannot be opened (-errno), it was made by another build
 *         (see stele_strerror), the clock is forbidden here, or the arena belongs to another
 *         process (-ECHILD; this process was then counted as a child that is not recorded).
 *
 * Threads: call once, before others emit. Signals: not safe.
 */
int stele_attach(const char *path);

/** The module that contains this code reports on behalf of others: its frames are left out of
 * stacks. Call before stele_attach; at most four. Signals: not safe. */
void stele_hide_module(const void *code);

/**
 * For who sees each dlopen, and attaches before the first: no module that is loaded at stele_attach
 * will ever be unloaded, which saves system calls where code is met for the first time.
 *
 * @param find_object  the dynamic linker's _dl_find_object (glibc 2.35), which tells in signal
 *                     handlers, too, what code there is; NULL: it has none.
 *
 * Call before stele_attach. Signals: not safe.
 */
void stele_modules_watched(int (*find_object)(void *pc, void *ret_object));

/** The calling thread is new and runs goroutine g, or 0 if nobody announced it. Threads that never
 * call this are introduced by their first event. */
void stele_thread_begin(stele_goroutine_id g, const void *entry);

/** The calling thread ends. It may still emit afterwards (late destructors do). */
void stele_thread_end(void);

/** Names the calling thread. At most 1024 bytes are kept. */
void stele_thread_set_name(const char *name);

/** Where the calling thread's stack lies: [low, high). Call early: stacks are walked within it. */
void stele_thread_set_stack(const void *low, const void *high);

/**
 * A thread or fiber is about to be created. Call before it can run.
 *
 * @param entry  the function it will run, for its name.
 * @return its id, to be passed to stele_thread_begin by the new thread; 0 if tracing is off, or if
 *         the arena has no place left for another thread.
 */
stele_goroutine_id stele_goroutine_create(const void *entry);

/** The creation announced by stele_goroutine_create failed. */
void stele_goroutine_cancel(stele_goroutine_id g);

/** The calling thread begins to wait. Call before it sleeps. @param object  what it waits for. */
stele_interval stele_block(enum stele_wait why, const void *object);

/** The same. @param holder  thread id of the present owner; 0: unknown. */
stele_interval stele_block_on(enum stele_wait why, const void *object, uint32_t holder);

/** Before it is told of otherwise: the call that returned there has made the object. */
void stele_object_made(const void *object, const void *made_at);

/**
 * The calling thread gives up what others wait for, or wakes some who wait. Call before they can
 * go on; nothing needs to be told where nobody waits.
 *
 * @param taken_at  return address of the call that took it; NULL: unknown.
 */
void stele_release(enum stele_wait why, const void *object, const void *taken_at);

/** The same by a thread that ends: without a stack, on which sanitizers keep their own by now. */
void stele_release_last(enum stele_wait why, const void *object);

/** Objects that are no addresses: signals to the process, or to the thread, whose id is added. */
#define STELE_SIGNALS_TO_PROCESS UINT64_C(0xffff000000000000)
#define STELE_SIGNALS_TO_THREAD	 UINT64_C(0xfffe000000000000)

/**
 * The calling thread takes `lock` while it has `held`: once for each pair is enough. Where some do
 * it the one way and some the other, they can wait for each other for ever.
 *
 * @param held_from, taken_at  return addresses of the calls that took them; NULL: unknown.
 */
void stele_lock_order(const void *held, const void *held_from, const void *lock,
		      const void *taken_at);

/** The wait is over. With 0 it does nothing. */
void stele_wake(stele_interval wait);

/** The calling thread enters a system call that may block. @param number  the kernel's number. */
stele_interval stele_syscall_begin(long number, uint64_t argument);

/** The same; its argument is a file descriptor. */
stele_interval stele_syscall_begin_file(long number, int fd);

/**
 * How often each thread shall tell what it runs, in times a second of its own running; 0: never.
 * Who has a timer and a handler for it calls stele_cpu_sample there.
 */
unsigned stele_cpu_hz(void);

/** The calling thread was running what this ucontext_t of a signal handler is of; so many times, if
 * a timer expired more than once before anybody looked. */
void stele_cpu_sample(const void *context, unsigned times);

/** From now on the descriptor stands for this: a path, an address. "": for nothing that is known.
 */
void stele_file(int fd, const char *name);

/**
 * Would it be recorded now what descriptors stand for; what is told of locks (stele_object_made,
 * stele_lock_order); of memory? For whoever finds that out at some cost, or tells it but once. It
 * may change while the program runs.
 */
bool stele_files_wanted(void);
bool stele_locks_wanted(void);
bool stele_memory_wanted(void);

/** It came back. With 0 it does nothing. */
void stele_syscall_end(stele_interval call, int64_t result);

/**
 * Goroutines that a runtime runs in turn on its threads, by procs: as many run at once as there are
 * procs, and a thread runs one while it has a proc. The two structures are the runtime's, zeroed,
 * with a proc's index set; what is in them is the tracer's. Only who has hold of one passes it:
 *
 *   a goroutine   who creates it, who runs it, who has the right to wake it
 *   a proc        the thread that has it; in a call, who has taken it away
 *
 * The runtime hands them over with acquire and release, as it must anyway. What is handed over is
 * told before, what was received after. They cost a load and a branch while nothing is recorded,
 * and may be used when recording begins at any time: what is not known yet is told on the way.
 */
struct stele_goroutine {
	stele_goroutine_id id;
	uint64_t turn;
	const void *entry;
	const void *teller;
	uint32_t recording;
};
struct stele_proc {
	uint32_t index; /**< the runtime's number, from 0 */
	uint32_t recording;
	uint64_t turn;
	stele_interval call;
};

/** The calling thread is new and has no goroutine but those that it will start. */
void stele_sched_worker(void);

/** The calling thread has got p, or gives it up. Without one it starts no goroutine. */
void stele_sched_acquire(struct stele_proc *p);
void stele_sched_release(void);

/** g was made and is runnable; the caller's stack is where. @param entry  what it will run. */
void stele_sched_create(struct stele_goroutine *g, const void *entry);

/** The calling thread, which has p, is about to run g, whose stack is [low, high). */
void stele_sched_start(struct stele_proc *p, struct stele_goroutine *g, const void *stack_low,
		       const void *stack_high);

/** g, which runs on the calling thread, stops and could go on; waits until somebody makes it ready;
 * ends. To be called on g's own stack; but for the end, which may come from any. */
void stele_sched_yield(struct stele_goroutine *g, enum stele_wait why);
void stele_sched_park(struct stele_goroutine *g, enum stele_wait why, const void *object);
void stele_sched_end(struct stele_goroutine *g);

/** g waited and is runnable. Any thread; before anybody else can start it. */
void stele_sched_ready(struct stele_goroutine *g);

/**
 * g, which runs on the calling thread by p, does something that may block: a system call. While it
 * does, another thread may take p away. p->call names the call for its end, and is read while p is
 * still the caller's.
 */
void stele_sched_call_begin(struct stele_proc *p, struct stele_goroutine *g, long number,
			    uint64_t argument);
/** By a thread that has taken p away from the call of another. */
void stele_sched_retake(struct stele_proc *p);
/** It came back. @param taken  p was taken away: the goroutine is runnable, and to be started. */
void stele_sched_call_end(stele_interval call, int64_t result, bool taken);

/** A label of the goroutine that the calling thread runs, from now on. */
void stele_goroutine_label(const char *label);

/**
 * The life of memory. An alloc is told after the memory was taken, a free before it is given back,
 * so that whoever gets an address next tells it later. "exists" stands for an alloc that was not
 * seen: what was there when recording began.
 *
 * Objects are what allocators hand out; the caller's stack is their allocation site. When objects
 * are sampled, alloc and exists decide which are recorded and free knows which were, so every call
 * is to be made all the same. NULL is no object.
 */
void stele_object_alloc(const void *object, size_t bytes);
void stele_object_exists(const void *object, size_t bytes);
void stele_object_free(const void *object);

/** Spans are what allocators get from below: mappings, parts of them. Whole pages. A span is freed
 * as it was allocated, never in part. @param kind  the runtime's own class of it, 1 if it has none.
 */
void stele_span_alloc(const void *span, size_t bytes, uint32_t kind);
void stele_span_exists(const void *span, size_t bytes, uint32_t kind);
void stele_span_free(const void *span, size_t bytes);

/** Stacks of threads and fibers; known by their lowest address. */
void stele_stack_alloc(const void *low, size_t bytes);
void stele_stack_exists(const void *low, size_t bytes);
void stele_stack_free(const void *low, size_t bytes);
/** Of this stack, which is about to be freed, so many bytes at most were ever in use. */
void stele_stack_used(const void *low, size_t bytes);

/**
 * For who knows what there is, and is to tell of it when recording begins in its midst: with
 * stele_object_exists, stele_span_exists, stele_stack_exists.
 *
 * Both are called by the thread that begins a recording, in the order in which they were added.
 */
struct stele_teller {
	/** Nothing is recorded: of what was told before nothing is known any more. NULL: nothing
	 * to forget. */
	void (*forget)(void);
	void (*tell)(void); /**< everything is recorded from now on */
	struct stele_teller *next;
};
/** It stays where it is for ever. Threads: any. Signals: not safe. */
void stele_teller_add(struct stele_teller *teller);

/** Modules were loaded or unloaded. Signals: not safe (it asks the dynamic linker). */
void stele_modules_changed(bool unloaded);

/** Around a call of dlclose and the stele_modules_changed that follows it: meanwhile nothing that
 * is known of code is relied on. Nests. Signals: not safe. */
void stele_unloading_begin(void);
void stele_unloading_end(void);

/**
 * Around fork(): prepare before it, then exactly one of the others. Blocks signals between the two.
 * The child is off and counted; its view of the arena is replaced before it goes on.
 */
struct stele_fork {
	uint64_t signals;
};
void stele_fork_prepare(struct stele_fork *state);
void stele_fork_parent(struct stele_fork *state, int child_pid);
void stele_fork_child(struct stele_fork *state);

/** Around vfork(), whose child runs on this thread's own memory: nothing is recorded in between.
 * Called in the parent before, and again in the parent after the child has gone. */
void stele_vfork_begin(void);
void stele_vfork_end(int child_pid);

/** A child was made in another way (posix_spawn, clone): count it. */
void stele_child(int child_pid);

/** Is an emission of the calling thread unfinished below this one? A preempting handler must not
 * switch fibers then. */
bool stele_busy(void);

#ifdef __cplusplus
}
#endif

#endif
