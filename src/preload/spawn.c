/* SPDX-License-Identifier: MIT */
/*
 * Threads: created, begun, named, joined, ended.
 *
 * The new thread starts in a trampoline. What it needs is handed over in a block of a static pool,
 * because malloc may be the program's own, and traced; it is free again as soon as the thread
 * has begun. With no block left a thread is created unannounced and shows by its first event.
 *
 * The end is noted by the destructor of a thread-specific key, which alone is reached by return,
 * pthread_exit and cancellation alike, in the main thread too. It puts itself off to the last of
 * the rounds that destructors have, since those of others may still lock and read.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <threads.h>

#include "preload/cpu.h"
#include "preload/file.h"
#include "preload/preload.h"
#include "preload/resolve.h"
#include "sys/sys.h"

#define BLOCKS_MAX 4096u

/* glibc keeps the values of the first keys in the thread itself; later ones cost a malloc. */
#define KEYS_WITHOUT_MALLOC 32u

/* What lies between the trampoline's frame and the top of the stack's mapping (the thread's own
 * block, static TLS), and the guard at its other end: rather too much than too little. */
#define STACK_SLACK_BYTES (128u << 10)

struct spawn_block {
	union {
		void *(*pthread)(void *);
		int (*c11)(void *);
		const void *address;
	} routine;
	void *argument;
	stele_goroutine_id goroutine;
	size_t stack_bytes;
	uint32_t next; /* index + 1 of the next free block */
};

static struct spawn_block blocks[BLOCKS_MAX];
static uint32_t blocks_used; /* handed out so far; the rest has never been touched */
static uint64_t blocks_free; /* tag:32 | index + 1:32; the tag grows at each pop, against ABA */

static pthread_key_t spawn_key;
static uint32_t spawn_key_state;

enum { SPAWN_KEY_NONE, SPAWN_KEY_MAKING, SPAWN_KEY_READY };

static struct spawn_block *block_take(void)
{
	uint64_t head = stele__load_acquire(&blocks_free); /* pairs with block_give's CAS */
	uint32_t used = stele__load_relaxed(&blocks_used);

	while ((uint32_t)head) {
		struct spawn_block *block = &blocks[(uint32_t)head - 1];
		uint64_t next = stele__load_relaxed(&block->next);

		if (stele__cas_u64(&blocks_free, head, ((head >> 32) + 1) << 32 | next))
			return block;
		head = stele__load_acquire(&blocks_free);
	}
	while (used < BLOCKS_MAX) {
		if (stele__cas_u32(&blocks_used, used, used + 1))
			return &blocks[used];
		used = stele__load_relaxed(&blocks_used);
	}
	return NULL;
}

static void block_give(struct spawn_block *block)
{
	uint32_t index = (uint32_t)(block - blocks);
	uint64_t head;

	do {
		head = stele__load_relaxed(&blocks_free);
		stele__store_relaxed(&block->next, (uint32_t)head);
	} while (!stele__cas_u64(&blocks_free, head, (head >> 32) << 32 | (index + 1)));
}

/* The calling thread's stack, as it was told; NULL: it was not. */
static STELE_TLS const char *spawn_stack_low;
static STELE_TLS size_t spawn_stack_bytes_told;

/* Pages that were never touched are in no memory. libc empties a stack before it is used again. */
static void spawn_tell_used(void)
{
	uintptr_t low = (uintptr_t)spawn_stack_low, high = low + spawn_stack_bytes_told;

	if (stele_memory_wanted())
		stele_stack_used(spawn_stack_low, high - stele__sys_lowest_resident(low, high));
}

static void spawn_end(void)
{
	stele__cpu_thread_end();
	if (spawn_stack_low) {
		spawn_tell_used();
		stele_stack_free(spawn_stack_low, spawn_stack_bytes_told);
	}
	spawn_stack_low = NULL;
	/* Whoever joins it has waited for this. */
	stele_release_last(STELE_WAIT_JOIN, (const void *)pthread_self());
	stele_thread_end();
}

/* The values count the rounds. */
static void spawn_destructor(void *value)
{
	uintptr_t round = (uintptr_t)value;

	if (round < PTHREAD_DESTRUCTOR_ITERATIONS &&
	    STELE_REAL(pthread_setspecific)(spawn_key, (void *)(round + 1)) == 0)
		return;
	spawn_end();
}

/* Before glibc 2.34 the functions may come only later, with libpthread. */
static bool spawn_key_ready(void)
{
	if (STELE_LIKELY(stele__load_acquire(&spawn_key_state) == SPAWN_KEY_READY))
		return true;
	if (!stele__cas_u32(&spawn_key_state, SPAWN_KEY_NONE, SPAWN_KEY_MAKING))
		return false;
	if (STELE_REAL(pthread_key_create)(&spawn_key, spawn_destructor) != 0)
		return false;
	if (spawn_key >= KEYS_WITHOUT_MALLOC) {
		STELE_REAL(pthread_key_delete)(spawn_key);
		return false;
	}
	stele__store_release(&spawn_key_state, SPAWN_KEY_READY); /* pairs with the load above */
	return true;
}

void stele__spawn_watch(void)
{
	if (spawn_key_ready())
		STELE_REAL(pthread_setspecific)(spawn_key, (void *)1);
}

/* glibc keeps a thread's own block at the top of its stack, and the thread pointer points to it. */
static const char *spawn_thread_pointer(void)
{
	const char *pointer;

#if defined(__x86_64__)
	__asm__("mov %%fs:0, %0" : "=r"(pointer));
#elif defined(__aarch64__)
	__asm__("mrs %0, tpidr_el0" : "=r"(pointer));
#endif
	return pointer;
}

/*
 * The stack as far as it is sure to be this thread's: too small a guess costs the walks of the
 * deepest calls, too large a one could take somebody else's stack for this one. Between this frame
 * and the thread's own block lie the frames of libc that a walk ends in.
 */
static void spawn_note_stack(const struct spawn_block *own, const char *frame)
{
	size_t bytes = own->stack_bytes;
	size_t slack = bytes / 2 < STACK_SLACK_BYTES ? bytes / 2 : STACK_SLACK_BYTES;
	const char *high = spawn_thread_pointer();

	if (high <= frame || high - frame > STACK_SLACK_BYTES)
		high = frame + 2 * sizeof(void *);
	if (!bytes)
		return;
	spawn_stack_low = frame - (bytes - slack);
	spawn_stack_bytes_told = (size_t)(high - spawn_stack_low);
	stele_thread_set_stack(spawn_stack_low, high);
	stele_stack_alloc(spawn_stack_low, spawn_stack_bytes_told);
}

/* In the new thread. The block is copied first: its creator may want it again. */
static struct spawn_block spawn_begin(void *argument, const char *frame)
{
	struct spawn_block own = *(struct spawn_block *)argument;

	block_give(argument);
	stele_thread_begin(own.goroutine, own.routine.address);
	spawn_note_stack(&own, frame);
	stele__spawn_watch();
	stele__cpu_thread_begin();
	return own;
}

/* Without a key only the ordinary end is seen here; of others the drain learns from the kernel. */
static void spawn_returned(void)
{
	if (stele__load_relaxed(&spawn_key_state) != SPAWN_KEY_READY)
		spawn_end();
}

static void *spawn_run(void *argument)
{
	struct spawn_block own = spawn_begin(argument, __builtin_frame_address(0));
	void *result = own.routine.pthread(own.argument);

	spawn_returned();
	return result;
}

static int spawn_run_c11(void *argument)
{
	struct spawn_block own = spawn_begin(argument, __builtin_frame_address(0));
	int result = own.routine.c11(own.argument);

	spawn_returned();
	return result;
}

/* NULL attributes: those of the process. */
static size_t spawn_stack_bytes(const pthread_attr_t *attributes)
{
	pthread_attr_t defaults;
	size_t bytes = 0;

	if (attributes)
		return STELE_REAL(pthread_attr_getstacksize)(attributes, &bytes) ? 0 : bytes;
	if (STELE_REAL(pthread_attr_init)(&defaults) != 0)
		return 0;
	if (STELE_REAL(pthread_attr_getstacksize)(&defaults, &bytes) != 0)
		bytes = 0;
	STELE_REAL(pthread_attr_destroy)(&defaults);
	return bytes;
}

static struct spawn_block *spawn_announce(const void *routine, void *argument,
					  const pthread_attr_t *attributes)
{
	struct spawn_block *block;

	stele__loader_catch_up();
	block = block_take();
	if (!block)
		return NULL;
	block->routine.address = routine;
	block->argument = argument;
	block->stack_bytes = spawn_stack_bytes(attributes);
	block->goroutine = stele_goroutine_create(routine);
	return block;
}

static void spawn_failed(struct spawn_block *block)
{
	stele_goroutine_cancel(block->goroutine);
	block_give(block);
}

STELE_EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
				void *(*routine)(void *), void *argument)
{
	struct spawn_block *block = NULL;
	int error;

	if (stele__recording())
		block = spawn_announce((const void *)routine, argument, attributes);
	if (!block)
		return STELE_REAL(pthread_create)(thread, attributes, routine, argument);
	error = STELE_REAL(pthread_create)(thread, attributes, spawn_run, block);
	if (error != 0)
		spawn_failed(block);
	return error;
}

STELE_EXPORT int thrd_create(thrd_t *thread, thrd_start_t routine, void *argument)
{
	struct spawn_block *block = NULL;
	int error;

	if (stele__recording())
		block = spawn_announce((const void *)routine, argument, NULL);
	if (!block)
		return STELE_REAL(thrd_create)(thread, routine, argument);
	error = STELE_REAL(thrd_create)(thread, spawn_run_c11, block);
	if (error != thrd_success)
		spawn_failed(block);
	return error;
}

/* Has it still to be waited for? Otherwise *ret_error is what the join gave. */
static bool join_must_wait(pthread_t thread, void **result, int *ret_error)
{
	int error = STELE_REAL(pthread_tryjoin_np)(thread, result);

	if (error == EBUSY || error == ENOSYS)
		return true;
	*ret_error = error;
	return false;
}

#define JOIN(name, params, args)                                                                   \
	STELE_EXPORT int name params                                                               \
	{                                                                                          \
		stele_interval wait;                                                               \
		int error = 0;                                                                     \
                                                                                                   \
		if (!stele__recording())                                                           \
			return STELE_REAL(name) args;                                              \
		stele__loader_catch_up();                                                          \
		if (!join_must_wait(thread, result, &error))                                       \
			return error;                                                              \
		wait = stele_block(STELE_WAIT_JOIN, (const void *)thread);                         \
		error = STELE_REAL(name) args;                                                     \
		stele_wake(wait);                                                                  \
		return error;                                                                      \
	}

int pthread_clockjoin_np(pthread_t thread, void **result, clockid_t clock,
			 const struct timespec *until);

JOIN(pthread_join, (pthread_t thread, void **result), (thread, result))
JOIN(pthread_timedjoin_np, (pthread_t thread, void **result, const struct timespec *until),
     (thread, result, until))
JOIN(pthread_clockjoin_np,
     (pthread_t thread, void **result, clockid_t clock, const struct timespec *until),
     (thread, result, clock, until))

STELE_EXPORT int thrd_join(thrd_t thread, int *result)
{
	stele_interval wait;
	int error;

	if (!stele__recording())
		return STELE_REAL(thrd_join)(thread, result);
	wait = stele_block(STELE_WAIT_JOIN, (const void *)thread);
	error = STELE_REAL(thrd_join)(thread, result);
	stele_wake(wait);
	return error;
}

STELE_EXPORT int pthread_setname_np(pthread_t thread, const char *name)
{
	int error = STELE_REAL(pthread_setname_np)(thread, name);

	if (error == 0 && pthread_equal(thread, pthread_self()) && stele__recording())
		stele_thread_set_name(name);
	return error;
}

STELE_EXPORT int prctl(int operation, ...)
{
	unsigned long a, b, c, d;
	va_list list;
	int result;

	va_start(list, operation);
	a = va_arg(list, unsigned long);
	b = va_arg(list, unsigned long);
	c = va_arg(list, unsigned long);
	d = va_arg(list, unsigned long);
	va_end(list);
	/* The first is asked for before the second, also where that comes by syscall(2). */
	if (operation == PR_SET_NO_NEW_PRIVS || operation == PR_SET_SECCOMP)
		stele__file_stop();
	result = STELE_REAL(prctl)(operation, a, b, c, d);
	if (result == 0 && operation == PR_SET_NAME && stele__recording()) {
		/* The kernel takes 16 bytes with or without a terminator. */
		char name[17] = "";

		STELE_REAL(prctl)(PR_GET_NAME, (unsigned long)name, 0ul, 0ul, 0ul);
		stele_thread_set_name(name);
	}
	return result;
}
