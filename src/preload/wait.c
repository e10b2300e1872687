/* SPDX-License-Identifier: MIT */
/*
 * Waits for others: conditions, semaphores, barriers, once; and who wakes them. (Sleeps are in
 * calls.def.)
 *
 * A condition and a barrier are always recorded: waiting is what they are for.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <threads.h>
#include <time.h>

#include "preload/held.h"
#include "preload/preload.h"
#include "preload/resolve.h"

/* Declared by newer headers only. */
int pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock,
			   const struct timespec *until);
int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *until);

/* Waiting for a condition gives the mutex up, and takes it again in the end. */
static stele_interval condition_block(const void *condition, const void *mutex)
{
	const void *taken_at = stele__held_pop(mutex);

	stele__loader_catch_up();
	if (stele__held_is_wanted_mutex(mutex))
		stele_release(STELE_WAIT_MUTEX, mutex, taken_at);
	stele__held_tell_maker(condition);
	return stele_block(STELE_WAIT_CONDITION, condition);
}

#define CONDITION(name, params, args)                                                              \
	STELE_EXPORT int name params                                                               \
	{                                                                                          \
		stele_interval wait;                                                               \
		int result;                                                                        \
                                                                                                   \
		if (!stele__recording())                                                           \
			return STELE_REAL(name) args;                                              \
		wait = condition_block(condition, mutex);                                          \
		result = STELE_REAL(name) args;                                                    \
		stele_wake(wait);                                                                  \
		stele__held_push(mutex, __builtin_return_address(0));                              \
		return result;                                                                     \
	}

CONDITION(pthread_cond_wait, (pthread_cond_t * condition, pthread_mutex_t *mutex),
	  (condition, mutex))
CONDITION(pthread_cond_timedwait,
	  (pthread_cond_t * condition, pthread_mutex_t *mutex, const struct timespec *until),
	  (condition, mutex, until))
CONDITION(pthread_cond_clockwait,
	  (pthread_cond_t * condition, pthread_mutex_t *mutex, clockid_t clock,
	   const struct timespec *until),
	  (condition, mutex, clock, until))
CONDITION(cnd_wait, (cnd_t * condition, mtx_t *mutex), (condition, mutex))
CONDITION(cnd_timedwait,
	  (cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until),
	  (condition, mutex, until))

/* Wakes one that waits, or all: who was woken is told by what follows. */
#define WAKE(name, type, wanted, why)                                                              \
	STELE_EXPORT int name(type *object)                                                        \
	{                                                                                          \
		if (stele__recording() && wanted((const void *)object))                            \
			stele_release(STELE_WAIT_##why, object, NULL);                             \
		return STELE_REAL(name)(object);                                                   \
	}

WAKE(pthread_cond_signal, pthread_cond_t, stele__held_is_wanted_condition, CONDITION)
WAKE(pthread_cond_broadcast, pthread_cond_t, stele__held_is_wanted_condition, CONDITION)
WAKE(cnd_signal, cnd_t, stele__held_is_wanted_condition, CONDITION)
WAKE(cnd_broadcast, cnd_t, stele__held_is_wanted_condition, CONDITION)
WAKE(sem_post, sem_t, stele__held_is_wanted_semaphore, SEMAPHORE)

STELE_MADE(pthread_cond_init,
	   (pthread_cond_t *restrict condition, const pthread_condattr_t *restrict how),
	   (condition, how), condition)
STELE_MADE(cnd_init, (cnd_t * condition), (condition), condition)
STELE_MADE(sem_init, (sem_t * semaphore, int shared, unsigned value), (semaphore, shared, value),
	   semaphore)

/*
 * Took it without waiting? sem_wait is a cancellation point even then, sem_trywait is none, so the
 * test for cancellation is ours. A failed try must not leave its errno behind.
 */
static bool semaphore_taken(sem_t *semaphore)
{
	int saved_errno = errno;

	STELE_REAL(pthread_testcancel)();
	if (STELE_REAL(sem_trywait)(semaphore) == 0)
		return true;
	errno = saved_errno;
	return false;
}

static bool semaphore_time_valid(const struct timespec *until)
{
	return until->tv_nsec >= 0 && until->tv_nsec < 1000000000;
}

static bool semaphore_clock_valid(clockid_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC;
}

#define SEMAPHORE(name, params, args, valid)                                                       \
	STELE_EXPORT int name params                                                               \
	{                                                                                          \
		stele_interval wait;                                                               \
		int result;                                                                        \
                                                                                                   \
		if (!stele__recording() || !(valid))                                               \
			return STELE_REAL(name) args;                                              \
		if (semaphore_taken(semaphore))                                                    \
			return 0;                                                                  \
		stele__held_tell_maker(semaphore);                                                 \
		wait = stele_block(STELE_WAIT_SEMAPHORE, semaphore);                               \
		result = STELE_REAL(name) args;                                                    \
		stele_wake(wait);                                                                  \
		return result;                                                                     \
	}

SEMAPHORE(sem_wait, (sem_t * semaphore), (semaphore), true)
SEMAPHORE(sem_timedwait, (sem_t *restrict semaphore, const struct timespec *restrict until),
	  (semaphore, until), semaphore_time_valid(until))
SEMAPHORE(sem_clockwait, (sem_t * semaphore, clockid_t clock, const struct timespec *until),
	  (semaphore, clock, until), semaphore_clock_valid(clock) && semaphore_time_valid(until))

STELE_EXPORT int pthread_barrier_wait(pthread_barrier_t *barrier)
{
	stele_interval wait;
	int result;

	if (!stele__recording())
		return STELE_REAL(pthread_barrier_wait)(barrier);
	/* If it is the last one, it wakes all others. */
	stele_release(STELE_WAIT_BARRIER, barrier, NULL);
	wait = stele_block(STELE_WAIT_BARRIER, barrier);
	result = STELE_REAL(pthread_barrier_wait)(barrier);
	stele_wake(wait);
	return result;
}

/*
 * Is somebody else in the middle of it? There is no try-function, and recording every first call
 * would make the initialiser's own time look like waiting. glibc's word is 0 before, odd while
 * somebody runs it, 2 after (since 2.0, on all machines); if that ever changes, a wait of no
 * length is recorded, or a wait is missed.
 */
static bool once_running(const void *once)
{
	return stele__load_relaxed((const uint32_t *)once) & 1;
}

STELE_EXPORT int pthread_once(pthread_once_t *once, void (*routine)(void))
{
	stele_interval wait;
	int result;

	if (!once_running(once) || !stele__recording())
		return STELE_REAL(pthread_once)(once, routine);
	wait = stele_block(STELE_WAIT_ONCE, once);
	result = STELE_REAL(pthread_once)(once, routine);
	stele_wake(wait);
	return result;
}

STELE_EXPORT void call_once(once_flag *once, void (*routine)(void))
{
	stele_interval wait;

	if (!once_running(once) || !stele__recording()) {
		STELE_REAL(call_once)(once, routine);
		return;
	}
	wait = stele_block(STELE_WAIT_ONCE, once);
	STELE_REAL(call_once)(once, routine);
	stele_wake(wait);
}
