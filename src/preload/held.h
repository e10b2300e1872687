/* SPDX-License-Identifier: MIT */
/*
 * What is known of locks beyond their waits: which ones the calling thread holds and where it took
 * them, whether others wait for one, who owns it, and who made it.
 *
 * Taking a lock notes two words in the thread; giving it up looks whether others wait, and only
 * then leaves a record, which tells them who held them up, and where that began and ended. Besides,
 * each pair of locks that a thread takes one within the other is recorded once.
 */
#ifndef STELE_PRELOAD_HELD_H
#define STELE_PRELOAD_HELD_H

#include <pthread.h>
#include <semaphore.h>

#include "preload/preload.h"
#include "preload/resolve.h"

/* The newest ones; older ones are forgotten. */
#define STELE_HELD_MAX 16

struct stele_held {
	const void *lock, *taken_at;
};

/* Pairs of locks that were told as taken one within the other: the newest by hash, and how many. */
#define STELE_ORDERS_SEEN 64
#define STELE_ORDERS_MAX  4096

struct stele_held_locks {
	uint32_t count; /* of all; the newest STELE_HELD_MAX are kept */
	uint32_t orders;
	struct stele_held locks[STELE_HELD_MAX];
	uint64_t seen[STELE_ORDERS_SEEN];
};

extern STELE_TLS struct stele_held_locks stele__held STELE_HIDDEN;

/*
 * The calling thread has taken this lock. A handler in between gives up again what it takes, so it
 * leaves the count as it was, and overwrites nothing below it.
 */
STELE_INLINE void stele__held_push(const void *lock, const void *taken_at)
{
	uint32_t at = stele__load_relaxed(&stele__held.count);
	struct stele_held *held = &stele__held.locks[at % STELE_HELD_MAX];

	stele__store_relaxed(&stele__held.count, at + 1);
	stele__store_release(&held->lock, lock); /* behind the count, for handlers */
	stele__store_release(&held->taken_at, taken_at);
}

void stele__held_order(const struct stele_held *outer, const void *lock, const void *taken_at,
		       uint64_t *seen, uint64_t pair) STELE_HIDDEN;

/* The same by a call that would have waited: the thread may wait for it with what it has. */
STELE_INLINE void stele__held_take(const void *lock, const void *taken_at)
{
	uint32_t count = stele__load_relaxed(&stele__held.count);

	if (count) {
		const struct stele_held *outer = &stele__held.locks[(count - 1) % STELE_HELD_MAX];
		uint64_t a = (uint64_t)(uintptr_t)stele__load_relaxed(&outer->lock);
		uint64_t pair = (a ^ (uint64_t)(uintptr_t)lock << 17) * 0x9e3779b97f4a7c15ull;
		uint64_t *seen = &stele__held.seen[pair >> 58];

		if (STELE_UNLIKELY(stele__load_relaxed(seen) != pair))
			stele__held_order(outer, lock, taken_at, seen, pair);
	}
	stele__held_push(lock, taken_at);
}

const void *stele__held_pop_slow(const void *lock, uint32_t count) STELE_HIDDEN;

/* It gives it up. Where it was taken; NULL: that is not known. */
STELE_INLINE const void *stele__held_pop(const void *lock)
{
	uint32_t count = stele__load_relaxed(&stele__held.count);
	const struct stele_held *held = &stele__held.locks[(count - 1) % STELE_HELD_MAX];
	const void *taken_at;

	if (STELE_UNLIKELY(!count || stele__load_relaxed(&held->lock) != lock))
		return stele__held_pop_slow(lock, count);
	taken_at = stele__load_relaxed(&held->taken_at);
	stele__store_release(&stele__held.count, count - 1); /* behind the load, for handlers */
	return taken_at;
}

#define STELE_MUTEX_TID_IN_WORD 0x30	    /* kinds: robust, inheriting */
#define STELE_MUTEX_WAITERS	0x80000000u /* of these: somebody waits */
#define STELE_MUTEX_CONTENDED	2	    /* of the others */

/* Pairs that were told are told again: a child of a fork has a recording of its own. */
void stele__held_forget_orders(void) STELE_HIDDEN;

/* Do others wait for it? It may be a moment ago that somebody did. */
STELE_INLINE bool stele__held_is_wanted_mutex(const pthread_mutex_t *lock)
{
	uint32_t word = (uint32_t)stele__load_relaxed(&lock->__data.__lock);

	if (STELE_UNLIKELY(stele__load_relaxed(&lock->__data.__kind) & STELE_MUTEX_TID_IN_WORD))
		return word & STELE_MUTEX_WAITERS;
	return word == STELE_MUTEX_CONTENDED;
}

bool stele__held_is_wanted_rwlock(const pthread_rwlock_t *lock) STELE_HIDDEN;
bool stele__held_is_wanted_condition(const pthread_cond_t *condition) STELE_HIDDEN;
bool stele__held_is_wanted_semaphore(const sem_t *semaphore) STELE_HIDDEN;

/* Thread id of the owner; 0: none, or several. */
uint32_t stele__held_owner_mutex(const pthread_mutex_t *lock) STELE_HIDDEN;
uint32_t stele__held_owner_rwlock(const pthread_rwlock_t *lock) STELE_HIDDEN;

/* This code has made the object. */
void stele__held_made(const void *object, const void *made_at) STELE_HIDDEN;

/* Tells who has made it, if that is known and was not told. */
void stele__held_tell_maker(const void *object) STELE_HIDDEN;

/* The interposer of a function that makes an object. */
#define STELE_MADE(name, params, args, object)                                                     \
	STELE_EXPORT int name params                                                               \
	{                                                                                          \
		if (stele__recording())                                                            \
			stele__held_made(object, __builtin_return_address(0));                     \
		return STELE_REAL(name) args;                                                      \
	}

#endif
