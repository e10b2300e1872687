/* SPDX-License-Identifier: MIT */
/*
 * Does what it is told, a line at a time, and answers each with "done": "region NAME MS", "lock MS"
 * (another thread waits so long for a lock), "call MS" (for a byte in a pipe), "wait MS" (for a
 * condition), "poll MS", "grow MIB", "want" and "handler" (a snapshot), "hang" (a thread waits for
 * a lock for ever), "work N" (so many regions), "abort", "exit STATUS".
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stele/trace.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static int ends[2];

static void milliseconds(long ms)
{
	const struct timespec time = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

static void *take(void *unused)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	return unused;
}

static void *feed(void *ms)
{
	milliseconds((long)ms);
	if (write(ends[1], "", 1) != 1)
		abort();
	return NULL;
}

/* Another thread runs this while the caller does that. */
static void beside(void *(*run)(void *), void *arg, void (*here)(long), long ms)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, arg))
		abort();
	here(ms);
	pthread_join(thread, NULL);
}

static void hold(long ms)
{
	milliseconds(ms);
	pthread_mutex_unlock(&lock);
}

static void receive(long ms)
{
	char byte;

	(void)ms;
	if (read(ends[0], &byte, 1) != 1)
		abort();
}

static void wait_in_vain(long ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += ms % 1000 * 1000000;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&lock);
	pthread_cond_timedwait(&never, &lock, &until);
	pthread_mutex_unlock(&lock);
}

static void want_snapshot(int signal)
{
	(void)signal;
	stele_snapshot();
}

static void region(const char *name, long ms)
{
	stele_region_begin(name, 0);
	if (ms)
		milliseconds(ms);
	stele_region_end(name, 0);
}

static void grow(long mib)
{
	size_t bytes = (size_t)mib << 20;
	char *memory = malloc(bytes);

	if (!memory)
		abort();
	memset(memory, 1, bytes);
	__asm__ volatile("" : : "r"(memory) : "memory"); /* or nobody would need it */
	milliseconds(300);
	free(memory);
}

static void hang(void)
{
	static pthread_t thread;

	pthread_mutex_lock(&lock);
	if (pthread_create(&thread, NULL, take, NULL))
		abort();
}

static void obey(const char *word, const char *name, long number)
{
	if (!strcmp(word, "region")) {
		region(name, number);
	} else if (!strcmp(word, "lock")) {
		pthread_mutex_lock(&lock);
		beside(take, NULL, hold, number);
	} else if (!strcmp(word, "call")) {
		beside(feed, (void *)number, receive, 0);
	} else if (!strcmp(word, "wait")) {
		wait_in_vain(number);
	} else if (!strcmp(word, "poll")) {
		poll(NULL, 0, (int)number);
	} else if (!strcmp(word, "grow")) {
		grow(number);
	} else if (!strcmp(word, "want")) {
		stele_snapshot();
	} else if (!strcmp(word, "handler")) {
		raise(SIGUSR1);
	} else if (!strcmp(word, "hang")) {
		hang();
	} else if (!strcmp(word, "work")) {
		for (long i = 0; i < number; i++)
			region("work", 0);
	} else if (!strcmp(word, "abort")) {
		abort();
	} else if (!strcmp(word, "exit")) {
		exit((int)number);
	}
}

int main(void)
{
	char line[256], word[32], name[64];

	if (pipe(ends))
		return 99;
	signal(SIGUSR1, want_snapshot);
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		long number = 0;

		if (sscanf(line, "region %63s %ld", name, &number) == 2)
			obey("region", name, number);
		else if (sscanf(line, "%31s %ld", word, &number) >= 1)
			obey(word, "", number);
		puts("done");
	}
	return 0;
}
