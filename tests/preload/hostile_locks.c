/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>

#include "preload/hostile.h"

static pthread_mutex_t lock_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t lock_rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t lock_ready;

static struct timespec lock_in(clockid_t clock, long ns)
{
	struct timespec t;

	clock_gettime(clock, &t);
	t.tv_nsec += ns;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

static void lock_make(pthread_mutex_t *mutex, int type, int robust, int protocol)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, type);
	pthread_mutexattr_setrobust(&attr, robust);
	pthread_mutexattr_setprotocol(&attr, protocol);
	pthread_mutex_init(mutex, &attr);
	pthread_mutexattr_destroy(&attr);
}

static int locks_kinds(void)
{
	struct timespec soon, wrong = {.tv_nsec = 2000000000};
	pthread_mutex_t m;

	lock_make(&m, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
	SHOW(pthread_mutex_lock(&m));
	SHOW(pthread_mutex_lock(&m));
	SHOW(pthread_mutex_timedlock(&m, &wrong));
	SHOW(pthread_mutex_unlock(&m));
	SHOW(pthread_mutex_unlock(&m));
	lock_make(&m, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT);
	SHOW(pthread_mutex_lock(&m));
	SHOW(pthread_mutex_lock(&m));
	SHOW(pthread_mutex_unlock(&m));
	SHOW(pthread_mutex_unlock(&m));
	SHOW(pthread_mutex_unlock(&m));
	lock_make(&m, PTHREAD_MUTEX_ADAPTIVE_NP, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
	SHOW(pthread_mutex_lock(&m));
	soon = lock_in(CLOCK_REALTIME, 1000000);
	SHOW(pthread_mutex_timedlock(&m, &soon));
	SHOW(pthread_mutex_timedlock(&m, &wrong));
	soon = lock_in(CLOCK_MONOTONIC, 1000000);
	SHOW(pthread_mutex_clocklock(&m, CLOCK_MONOTONIC, &soon));
	SHOW(pthread_mutex_unlock(&m));
	SHOW(pthread_mutex_clocklock(&m, CLOCK_THREAD_CPUTIME_ID, &soon));
	SHOW(pthread_mutex_timedlock(&m, &wrong));
	return 0;
}

static void *lock_and_die(void *arg)
{
	pthread_mutex_lock(arg);
	return NULL;
}

static int locks_robust(void)
{
	pthread_mutex_t m;
	pthread_t thread;

	for (int type = 0; type < 3; type++) {
		lock_make(&m, type, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE);
		pthread_create(&thread, NULL, lock_and_die, &m);
		pthread_join(thread, NULL);
		SHOW(pthread_mutex_lock(&m));
		SHOW(pthread_mutex_consistent(&m));
		SHOW(pthread_mutex_unlock(&m));
		pthread_create(&thread, NULL, lock_and_die, &m);
		pthread_join(thread, NULL);
		SHOW(pthread_mutex_lock(&m));
		SHOW(pthread_mutex_unlock(&m));
		SHOW(pthread_mutex_lock(&m));
	}
	return 0;
}

static int locks_rwlock(void)
{
	struct timespec soon = lock_in(CLOCK_REALTIME, 1000000), wrong = {.tv_nsec = -1};
	pthread_rwlock_t *l = &lock_rwlock;

	SHOW(pthread_rwlock_rdlock(l));
	SHOW(pthread_rwlock_rdlock(l));
	SHOW(pthread_rwlock_timedwrlock(l, &soon));
	SHOW(pthread_rwlock_unlock(l));
	SHOW(pthread_rwlock_unlock(l));
	SHOW(pthread_rwlock_wrlock(l));
	SHOW(pthread_rwlock_rdlock(l));
	SHOW(pthread_rwlock_wrlock(l));
	SHOW(pthread_rwlock_timedrdlock(l, &soon));
	SHOW(pthread_rwlock_unlock(l));
	SHOW(pthread_rwlock_timedrdlock(l, &wrong));
	SHOW(pthread_rwlock_clockrdlock(l, CLOCK_PROCESS_CPUTIME_ID, &soon));
	SHOW(pthread_rwlock_clockwrlock(l, CLOCK_MONOTONIC, &soon));
	return 0;
}

static void lock_handler(int number)
{
	(void)number;
}

static int locks_semaphore(void)
{
	struct timespec soon = lock_in(CLOCK_REALTIME, 1000000), wrong = {.tv_nsec = -1};
	struct itimerval timer = {.it_value.tv_usec = 20000};
	struct sigaction action = {.sa_handler = lock_handler};
	sem_t s;

	SHOW(sem_init(&s, 0, 2));
	SHOW(sem_wait(&s));
	SHOW(sem_timedwait(&s, &wrong));
	SHOW(sem_timedwait(&s, &soon));
	SHOW(sem_timedwait(&s, &soon));
	SHOW(sem_clockwait(&s, CLOCK_THREAD_CPUTIME_ID, &soon));
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	SHOW(sem_wait(&s));
	return 0;
}

static void *lock_holder(void *arg)
{
	pthread_mutex_lock(&lock_mutex);
	pthread_rwlock_wrlock(&lock_rwlock);
	sem_post(&lock_ready);
	usleep(50000);
	pthread_rwlock_unlock(&lock_rwlock);
	usleep(50000);
	pthread_mutex_unlock(&lock_mutex);
	return arg;
}

/* One waiter each: exactly one MUTEX and one RWLOCK wait are to be seen. */
static int locks_contended(void)
{
	pthread_t thread;

	sem_init(&lock_ready, 0, 0);
	pthread_create(&thread, NULL, lock_holder, NULL);
	sem_wait(&lock_ready);
	SHOW(pthread_rwlock_rdlock(&lock_rwlock));
	SHOW(pthread_mutex_lock(&lock_mutex));
	SHOW(pthread_join(thread, NULL));
	return 0;
}

/* Nothing is to be seen. */
static int locks_free(void)
{
	mtx_t mtx;
	sem_t s;

	mtx_init(&mtx, mtx_plain);
	sem_init(&s, 0, 1000);
	for (int i = 0; i < 1000; i++) {
		pthread_mutex_lock(&lock_mutex);
		pthread_mutex_unlock(&lock_mutex);
		pthread_rwlock_rdlock(&lock_rwlock);
		pthread_rwlock_unlock(&lock_rwlock);
		pthread_rwlock_wrlock(&lock_rwlock);
		pthread_rwlock_unlock(&lock_rwlock);
		mtx_lock(&mtx);
		mtx_unlock(&mtx);
		sem_wait(&s);
	}
	return 0;
}

static pthread_once_t lock_once = PTHREAD_ONCE_INIT;
static pthread_barrier_t lock_barrier;
static pthread_cond_t lock_condition = PTHREAD_COND_INITIALIZER;
static int lock_turn;

static void lock_initialise(void)
{
	sem_post(&lock_ready);
	usleep(50000);
	printf("initialised\n");
}

static void *lock_member(void *arg)
{
	pthread_once(&lock_once, lock_initialise);
	pthread_barrier_wait(&lock_barrier);
	pthread_mutex_lock(&lock_mutex);
	lock_turn = 1;
	pthread_cond_signal(&lock_condition);
	pthread_mutex_unlock(&lock_mutex);
	return arg;
}

static int locks_meeting(void)
{
	struct timespec soon;
	pthread_t thread;

	sem_init(&lock_ready, 0, 0);
	pthread_barrier_init(&lock_barrier, NULL, 2);
	pthread_create(&thread, NULL, lock_member, NULL);
	sem_wait(&lock_ready);
	SHOW(pthread_once(&lock_once, lock_initialise));
	pthread_mutex_lock(&lock_mutex);
	pthread_barrier_wait(&lock_barrier);
	while (!lock_turn)
		pthread_cond_wait(&lock_condition, &lock_mutex);
	soon = lock_in(CLOCK_REALTIME, 1000000);
	SHOW(pthread_cond_timedwait(&lock_condition, &lock_mutex, &soon));
	soon = lock_in(CLOCK_MONOTONIC, 1000000);
	SHOW(pthread_cond_clockwait(&lock_condition, &lock_mutex, CLOCK_MONOTONIC, &soon));
	soon.tv_nsec = -1;
	SHOW(pthread_cond_timedwait(&lock_condition, &lock_mutex, &soon));
	SHOW(pthread_join(thread, NULL));
	return 0;
}

static int locks_c11(void)
{
	struct timespec soon = lock_in(CLOCK_REALTIME, 1000000);
	mtx_t m;
	cnd_t c;

	cnd_init(&c);
	SHOW(mtx_init(&m, mtx_timed));
	SHOW(mtx_lock(&m));
	SHOW(mtx_timedlock(&m, &soon));
	SHOW(cnd_timedwait(&c, &m, &soon));
	SHOW(mtx_unlock(&m));
	SHOW(mtx_init(&m, mtx_plain | mtx_recursive));
	SHOW(mtx_lock(&m));
	SHOW(mtx_lock(&m));
	return 0;
}

const struct hostile hostile_locks[] = {
	{"lock-kinds", locks_kinds},	{"robust", locks_robust},	{"rwlock", locks_rwlock},
	{"semaphore", locks_semaphore}, {"contended", locks_contended}, {"free", locks_free},
	{"meeting", locks_meeting},	{"c11-locks", locks_c11},	{NULL, NULL},
};
