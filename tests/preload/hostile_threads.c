/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <threads.h>

#include "preload/hostile.h"

static void *thread_identity(void *arg)
{
	return arg;
}

/* Thousands of threads, some at a time; each result must come back. */
static int threads_many(void)
{
	pthread_t threads[100];
	uintptr_t sum = 0;

	for (uintptr_t round = 0; round < 30; round++) {
		for (uintptr_t i = 0; i < 100; i++)
			if (pthread_create(&threads[i], NULL, thread_identity,
					   (void *)(round * 100 + i)) != 0)
				return 1;
		for (int i = 0; i < 100; i++) {
			void *result = NULL;

			if (pthread_join(threads[i], &result) != 0)
				return 1;
			sum += (uintptr_t)result;
		}
	}
	printf("sum %lu\n", (unsigned long)sum);
	return 0;
}

static pthread_t thread_main;

static void *thread_after_main(void *arg)
{
	SHOW(pthread_join(thread_main, NULL));
	printf("still here\n");
	exit((int)(intptr_t)arg);
}

static int threads_exit_from_main(void)
{
	pthread_t thread;

	thread_main = pthread_self();
	pthread_create(&thread, NULL, thread_after_main, (void *)5);
	pthread_exit(NULL);
}

static pthread_key_t thread_key;
static pthread_mutex_t thread_mutex = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local int thread_rounds;

static void thread_destructor(void *value)
{
	char *copy = malloc(100);

	pthread_mutex_lock(&thread_mutex);
	thread_rounds++;
	usleep(1);
	pthread_mutex_unlock(&thread_mutex);
	pthread_setspecific(thread_key, value);
	free(copy);
	dprintf(1, "destructor round %d\n", thread_rounds);
}

static void *thread_with_key(void *arg)
{
	pthread_setspecific(thread_key, arg);
	if (*(int *)arg)
		pthread_exit(arg);
	return arg;
}

static int threads_destructors(void)
{
	int plain = 0, exits = 1;
	pthread_t thread;

	pthread_key_create(&thread_key, thread_destructor);
	for (int i = 0; i < 2; i++) {
		pthread_create(&thread, NULL, thread_with_key, i ? &exits : &plain);
		SHOW(pthread_join(thread, NULL));
	}
	return 0;
}

static int thread_pipe[2];
static pthread_cond_t thread_condition = PTHREAD_COND_INITIALIZER;
static sem_t thread_semaphore, thread_ready;
static int thread_how;

static void thread_cleanup(void *arg)
{
	printf("cleanup of %s\n", (const char *)arg);
	if (thread_how == 1)
		pthread_mutex_unlock(&thread_mutex);
}

static void thread_block(int how)
{
	char byte;

	switch (how) {
	case 0:
		read(thread_pipe[0], &byte, 1);
		break;
	case 1:
		pthread_mutex_lock(&thread_mutex);
		sem_post(&thread_ready);
		pthread_cond_wait(&thread_condition, &thread_mutex);
		break;
	case 2:
		pthread_join(thread_main, NULL);
		break;
	case 3:
		sem_wait(&thread_semaphore);
		break;
	case 4:
		sleep(100);
		break;
	case 5: /* pending before it is met; the semaphore is free */
		while (sem_trywait(&thread_ready) == 0)
			;
		sem_wait(&thread_semaphore);
		break;
	}
}

static void *thread_cancelled(void *arg)
{
	pthread_cleanup_push(thread_cleanup, arg);
	if (thread_how == 5) {
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
		sem_post(&thread_ready);
		usleep(200000);
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	} else if (thread_how != 1) {
		sem_post(&thread_ready);
	}
	thread_block(thread_how);
	printf("went on\n");
	pthread_cleanup_pop(0);
	return NULL;
}

static int threads_cancel(void)
{
	static const char *const names[] = {"read",	 "condition", "join",
					    "semaphore", "sleep",     "free semaphore"};

	thread_main = pthread_self();
	pipe(thread_pipe);
	sem_init(&thread_ready, 0, 0);
	sem_init(&thread_semaphore, 0, 0);
	for (thread_how = 0; thread_how < 6; thread_how++) {
		pthread_t thread;
		void *result = NULL;

		if (thread_how == 5)
			sem_post(&thread_semaphore);
		pthread_create(&thread, NULL, thread_cancelled, (void *)names[thread_how]);
		sem_wait(&thread_ready);
		usleep(10000);
		SHOW(pthread_cancel(thread));
		SHOW(pthread_join(thread, &result));
		printf("%s\n", result == PTHREAD_CANCELED ? "cancelled" : "not cancelled");
	}
	return 0;
}

static void *thread_named(void *arg)
{
	char name[17] = "";

	(void)arg;
	SHOW(pthread_setname_np(pthread_self(), "first"));
	SHOW(prctl(PR_SET_NAME, "second", 0, 0, 0));
	SHOW(pthread_setname_np(pthread_self(), "far too long for a name"));
	SHOW(prctl(PR_GET_NAME, name));
	printf("%s\n", name);
	return NULL;
}

static void *thread_stack(void *arg)
{
	char local[256];
	pthread_attr_t attr;
	void *low;
	size_t bytes;

	memset(local, 1, sizeof(local));
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &low, &bytes);
	printf("on its stack: %d\n", local > (char *)low && local < (char *)low + bytes);
	pthread_attr_destroy(&attr);
	usleep(1);
	return arg;
}

static int threads_attributes(void)
{
	size_t bytes = 64 << 10;
	char *own = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_attr_t attr;
	pthread_t thread;
	void *result = NULL;

	pthread_create(&thread, NULL, thread_named, NULL);
	pthread_join(thread, NULL);
	pthread_attr_init(&attr);
	SHOW(pthread_attr_setstacksize(&attr, (size_t)PTHREAD_STACK_MIN));
	SHOW(pthread_create(&thread, &attr, thread_stack, own));
	SHOW(pthread_join(thread, &result));
	printf("%d\n", result == own);
	SHOW(pthread_attr_setstack(&attr, own, bytes));
	SHOW(pthread_create(&thread, &attr, thread_stack, NULL));
	SHOW(pthread_join(thread, NULL));
	pthread_attr_destroy(&attr);
	pthread_attr_init(&attr);
	SHOW(pthread_attr_setstacksize(&attr, (size_t)1 << 46));
	SHOW(pthread_create(&thread, &attr, thread_stack, NULL));
	SHOW(pthread_attr_setstacksize(&attr, 1 << 20));
	SHOW(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED));
	SHOW(pthread_create(&thread, &attr, thread_identity, NULL));
	return 0;
}

static int thread_c11(void *arg)
{
	struct timespec t = {.tv_nsec = 1000};

	thrd_sleep(&t, NULL);
	if (arg)
		thrd_exit(-4);
	return 42;
}

static int threads_c11(void)
{
	thrd_t thread;
	int result = 0;

	SHOW(thrd_create(&thread, thread_c11, NULL));
	SHOW(thrd_join(thread, &result));
	printf("%d\n", result);
	SHOW(thrd_create(&thread, thread_c11, &result));
	SHOW(thrd_join(thread, &result));
	printf("%d\n", result);
	return 0;
}

static int threads_join_errors(void)
{
	struct timespec past = {0};
	pthread_t thread;

	thread_main = pthread_self();
	SHOW(pthread_join(pthread_self(), NULL));
	pipe(thread_pipe);
	sem_init(&thread_ready, 0, 0);
	thread_how = 0;
	pthread_create(&thread, NULL, thread_cancelled, (void *)"read");
	sem_wait(&thread_ready);
	SHOW(pthread_tryjoin_np(thread, NULL));
	SHOW(pthread_timedjoin_np(thread, NULL, &past));
	write(thread_pipe[1], "x", 1);
	SHOW(pthread_join(thread, NULL));
	return 0;
}

const struct hostile hostile_threads[] = {
	{"many", threads_many},
	{"exit-from-main", threads_exit_from_main},
	{"destructors", threads_destructors},
	{"cancel", threads_cancel},
	{"attributes", threads_attributes},
	{"c11", threads_c11},
	{"join-errors", threads_join_errors},
	{NULL, NULL},
};
