/* SPDX-License-Identifier: MIT */
/*
 * Locks. Only waiting is recorded: the lock is tried first, and if it was free nothing else is
 * done but to note where it was taken (held.h). When it is busy the program's own call follows,
 * which also gives its own errors then (EDEADLK of an error-checking mutex, where the try can only
 * say EBUSY). Giving a lock up is recorded where others wait for it.
 *
 * A try differs from the lock in nothing else: recursion, EOWNERDEAD, ENOTRECOVERABLE, EINVAL and
 * EAGAIN are the same. The timed calls that check their arguments before they look at the lock are
 * called at once when an argument is wrong.
 */
#include <errno.h>
#include <pthread.h>
#include <threads.h>
#include <time.h>

#include "preload/held.h"
#include "preload/preload.h"
#include "preload/resolve.h"

/* Points to glibc's word of this name, if it has one (2.32). */
static const char lock_threads_unknown;
static const char *lock_single_threaded = &lock_threads_unknown;

void stele__lock_start(void)
{
	const char *found = stele__resolve_data("__libc_single_threaded");

	if (found)
		lock_single_threaded = found;
}

STELE_INLINE bool lock_is_alone(void)
{
	return stele__load_relaxed(lock_single_threaded);
}

/*
 * In a process of one thread glibc locks without an atomic instruction, which a try always has and
 * which would double the price. The lock's word is looked at all the same, since the other side may
 * be another process.
 */
STELE_INLINE bool lock_is_free(const pthread_mutex_t *lock)
{
	return lock_is_alone() && stele__load_relaxed(&lock->__data.__lock) == 0;
}

/* Declared by newer headers only. */
int pthread_mutex_clocklock(pthread_mutex_t *lock, clockid_t clock, const struct timespec *until);
int pthread_rwlock_clockrdlock(pthread_rwlock_t *lock, clockid_t clock,
			       const struct timespec *until);
int pthread_rwlock_clockwrlock(pthread_rwlock_t *lock, clockid_t clock,
			       const struct timespec *until);

static bool lock_time_valid(const struct timespec *until)
{
	return until->tv_nsec >= 0 && until->tv_nsec < 1000000000;
}

static bool lock_clock_valid(clockid_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC;
}

static uint32_t lock_owner_MUTEX(const void *lock)
{
	return stele__held_owner_mutex(lock);
}

static uint32_t lock_owner_RWLOCK(const void *lock)
{
	return stele__held_owner_rwlock(lock);
}

/*
 * Is it the calling thread's now? With 0; a robust mutex also with EOWNERDEAD. No timeout and no
 * mistake is reported by that.
 */
static bool lock_is_taken(int result)
{
	return result == 0 || result == EOWNERDEAD;
}

/* direct: call it without a try. Waiting is a function of its own, so that a free lock does not pay
 * for its registers. */
#define LOCK(name, params, args, try, busy, why, direct)                                           \
	static STELE_NOINLINE int lock_wait_##name params                                          \
	{                                                                                          \
		stele_interval wait;                                                               \
		int result;                                                                        \
                                                                                                   \
		stele__held_tell_maker(lock);                                                      \
		wait = stele_block_on(STELE_WAIT_##why, lock, lock_owner_##why(lock));             \
		result = STELE_REAL(name) args;                                                    \
                                                                                                   \
		stele_wake(wait);                                                                  \
		return result;                                                                     \
	}                                                                                          \
                                                                                                   \
	STELE_EXPORT int name params                                                               \
	{                                                                                          \
		int result;                                                                        \
                                                                                                   \
		if (!stele__recording() || (direct))                                               \
			return STELE_REAL(name) args;                                              \
		result = STELE_REAL(try)(lock);                                                    \
		if (STELE_UNLIKELY(result == (busy) || result == ENOSYS))                          \
			result = lock_wait_##name args;                                            \
		if (STELE_LIKELY(lock_is_taken(result)))                                           \
			stele__held_take(lock, __builtin_return_address(0));                       \
		return result;                                                                     \
	}

#define TRYLOCK(name, type)                                                                        \
	STELE_EXPORT int name(type *lock)                                                          \
	{                                                                                          \
		int result = STELE_REAL(name)(lock);                                               \
                                                                                                   \
		if (stele__recording() && lock_is_taken(result))                                   \
			stele__held_push(lock, __builtin_return_address(0));                       \
		return result;                                                                     \
	}

/* Told before it is given up: whoever has it then has waited until now. A thread that is alone
 * noted nothing, but another process may wait. */
#define UNLOCK(name, type, wanted, why)                                                            \
	static STELE_NOINLINE int lock_give_##name(type *lock, const void *taken_at)               \
	{                                                                                          \
		stele_release(STELE_WAIT_##why, lock, taken_at);                                   \
		return STELE_REAL(name)(lock);                                                     \
	}                                                                                          \
                                                                                                   \
	STELE_EXPORT int name(type *lock)                                                          \
	{                                                                                          \
		const void *taken_at;                                                              \
                                                                                                   \
		if (!stele__recording())                                                           \
			return STELE_REAL(name)(lock);                                             \
		taken_at = lock_is_alone() ? NULL : stele__held_pop(lock);                         \
		if (STELE_UNLIKELY(wanted((const void *)lock)))                                    \
			return lock_give_##name(lock, taken_at);                                   \
		return STELE_REAL(name)(lock);                                                     \
	}

LOCK(pthread_mutex_lock, (pthread_mutex_t * lock), (lock), pthread_mutex_trylock, EBUSY, MUTEX,
     lock_is_free(lock))
LOCK(pthread_mutex_timedlock, (pthread_mutex_t * lock, const struct timespec *until), (lock, until),
     pthread_mutex_trylock, EBUSY, MUTEX, false)
LOCK(pthread_mutex_clocklock,
     (pthread_mutex_t * lock, clockid_t clock, const struct timespec *until), (lock, clock, until),
     pthread_mutex_trylock, EBUSY, MUTEX, !lock_clock_valid(clock))

LOCK(pthread_rwlock_rdlock, (pthread_rwlock_t * lock), (lock), pthread_rwlock_tryrdlock, EBUSY,
     RWLOCK, false)
LOCK(pthread_rwlock_wrlock, (pthread_rwlock_t * lock), (lock), pthread_rwlock_trywrlock, EBUSY,
     RWLOCK, false)
LOCK(pthread_rwlock_timedrdlock, (pthread_rwlock_t * lock, const struct timespec *until),
     (lock, until), pthread_rwlock_tryrdlock, EBUSY, RWLOCK, !lock_time_valid(until))
LOCK(pthread_rwlock_timedwrlock, (pthread_rwlock_t * lock, const struct timespec *until),
     (lock, until), pthread_rwlock_trywrlock, EBUSY, RWLOCK, !lock_time_valid(until))
LOCK(pthread_rwlock_clockrdlock,
     (pthread_rwlock_t * lock, clockid_t clock, const struct timespec *until), (lock, clock, until),
     pthread_rwlock_tryrdlock, EBUSY, RWLOCK, !(lock_clock_valid(clock) && lock_time_valid(until)))
LOCK(pthread_rwlock_clockwrlock,
     (pthread_rwlock_t * lock, clockid_t clock, const struct timespec *until), (lock, clock, until),
     pthread_rwlock_trywrlock, EBUSY, RWLOCK, !(lock_clock_valid(clock) && lock_time_valid(until)))

LOCK(mtx_lock, (mtx_t * lock), (lock), mtx_trylock, thrd_busy, MUTEX, false)
LOCK(mtx_timedlock, (mtx_t *restrict lock, const struct timespec *restrict until), (lock, until),
     mtx_trylock, thrd_busy, MUTEX, false)

TRYLOCK(pthread_mutex_trylock, pthread_mutex_t)
TRYLOCK(pthread_rwlock_trywrlock, pthread_rwlock_t)
TRYLOCK(pthread_rwlock_tryrdlock, pthread_rwlock_t)
TRYLOCK(mtx_trylock, mtx_t)

UNLOCK(pthread_mutex_unlock, pthread_mutex_t, stele__held_is_wanted_mutex, MUTEX)
UNLOCK(mtx_unlock, mtx_t, stele__held_is_wanted_mutex, MUTEX)
UNLOCK(pthread_rwlock_unlock, pthread_rwlock_t, stele__held_is_wanted_rwlock, RWLOCK)

STELE_MADE(pthread_mutex_init, (pthread_mutex_t * lock, const pthread_mutexattr_t *how),
	   (lock, how), lock)
STELE_MADE(pthread_rwlock_init,
	   (pthread_rwlock_t *restrict lock, const pthread_rwlockattr_t *restrict how), (lock, how),
	   lock)
STELE_MADE(mtx_init, (mtx_t * lock, int how), (lock, how), lock)
