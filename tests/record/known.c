/* SPDX-License-Identifier: MIT */
/*
 * What takes as long as it says, at places that the test knows by their names: a lock held for
 * 200 ms while another thread waits for it, a region of 50 ms, a sleep 60 calls deep. And two locks
 * that are taken in both orders, by two threads that do not meet.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "stele/trace.h"

#define NOINLINE __attribute__((noinline, noclone))
#define DEPTH	 60

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

static void milliseconds(long ms)
{
	const struct timespec time = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

NOINLINE static void hold(void)
{
	pthread_mutex_lock(&lock);
	pthread_barrier_wait(&both);
	milliseconds(200);
	pthread_mutex_unlock(&lock);
	__asm__ volatile(""); /* no tail call */
}

NOINLINE static void want(void)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
}

static void *holder(void *unused)
{
	hold();
	return unused;
}

static void *waiter(void *unused)
{
	pthread_barrier_wait(&both);
	want();
	return unused;
}

static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER, second;

static void *forth(void *unused)
{
	pthread_mutex_lock(&first);
	pthread_mutex_lock(&second);
	pthread_mutex_unlock(&second);
	pthread_mutex_unlock(&first);
	return unused;
}

static void *back(void *unused)
{
	pthread_mutex_lock(&second);
	pthread_mutex_lock(&first);
	pthread_mutex_unlock(&first);
	pthread_mutex_unlock(&second);
	return unused;
}

static void cross(void)
{
	void *(*const ways[])(void *) = {forth, forth, back};
	pthread_t thread;

	pthread_mutex_init(&second, NULL);
	for (int i = 0; i < 3; i++) {
		pthread_create(&thread, NULL, ways[i], NULL);
		pthread_join(thread, NULL);
	}
}

NOINLINE static void nap(void)
{
	stele_region_begin("nap", 0);
	milliseconds(50);
	stele_region_end("nap", 0);
}

NOINLINE static void descend(int depth)
{
	if (depth)
		descend(depth - 1);
	else
		milliseconds(20);
	__asm__ volatile(""); /* no tail call */
}

static struct timespec begin;

/* What the program measures itself: "name ns". */
static void told(const char *name)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("%s %lld\n", name,
	       (now.tv_sec - begin.tv_sec) * 1000000000LL + now.tv_nsec - begin.tv_nsec);
}

int main(void)
{
	pthread_t threads[2];

	pthread_barrier_init(&both, NULL, 2);
	pthread_create(&threads[0], NULL, holder, NULL);
	pthread_create(&threads[1], NULL, waiter, NULL);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	told("lock");
	clock_gettime(CLOCK_MONOTONIC, &begin);
	nap();
	told("nap");
	clock_gettime(CLOCK_MONOTONIC, &begin);
	descend(DEPTH - 1);
	told("deep");
	cross();
	return 0;
}
