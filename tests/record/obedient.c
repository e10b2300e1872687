/* SPDX-License-Identifier: MIT */
/*
 * Does what it is told, a line at a time, and answers each with "done": "region NAME MS", "lock MS"
 * (another thread waits so long for a lock), "call MS" (for a byte in a pipe), "wait MS" (for a
 * condition), "poll MS", "grow MIB", "want" and "handler" (a snapshot), "hang" (a thread waits for
 * a lock for ever), "work N" (so many regions), "abort", "exit STATUS"; "child LINE": a child
 * process does so, which the first such line makes; "share MS": the child waits so long for a lock
 * that the two share.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

/* The child ------------------------------------------------------------------------------------ */

static void listen_to(FILE *in, FILE *out);

static pthread_mutex_t *shared;
static FILE *to_child, *from_child;

static FILE *stream(int fd, const char *how)
{
	FILE *file = fdopen(fd, how);

	if (!file)
		abort();
	setvbuf(file, NULL, _IOLBF, 0);
	return file;
}

static void bear_child(void)
{
	int down[2], up[2];

	if (pipe(down) || pipe(up))
		abort();
	if (fork() == 0) {
		close(down[1]);
		close(up[0]);
		listen_to(stream(down[0], "r"), stream(up[1], "w"));
		_exit(0);
	}
	close(down[0]);
	close(up[1]);
	to_child = stream(down[1], "w");
	from_child = stream(up[0], "r");
}

static void tell_child(const char *line)
{
	if (!to_child)
		bear_child();
	fputs(line, to_child);
}

/* One that has died answers, too. */
static void await_child(void)
{
	char answer[64];

	if (fgets(answer, sizeof(answer), from_child))
		return;
	fclose(to_child);
	fclose(from_child);
	to_child = from_child = NULL;
}

static void share(long ms)
{
	pthread_mutex_lock(shared);
	tell_child("take\n");
	milliseconds(ms);
	pthread_mutex_unlock(shared);
	await_child();
}

static void make_shared(void)
{
	pthread_mutexattr_t attributes;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED || pthread_mutexattr_init(&attributes) ||
	    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) ||
	    pthread_mutex_init(shared, &attributes))
		abort();
}

/* ---------------------------------------------------------------------------------------------- */

static void listen_to(FILE *in, FILE *out)
{
	char line[256], word[32], name[64];

	while (fgets(line, sizeof(line), in)) {
		long number = 0;

		if (sscanf(line, "region %63s %ld", name, &number) == 2) {
			obey("region", name, number);
		} else if (!strncmp(line, "child ", 6)) {
			tell_child(line + 6);
			await_child();
		} else if (!strcmp(line, "take\n")) {
			pthread_mutex_lock(shared);
			pthread_mutex_unlock(shared);
		} else if (sscanf(line, "share %ld", &number) == 1) {
			share(number);
		} else if (sscanf(line, "%31s %ld", word, &number) >= 1) {
			obey(word, "", number);
		}
		fputs("done\n", out);
	}
}

int main(void)
{
	if (pipe(ends))
		return 99;
	make_shared();
	signal(SIGUSR1, want_snapshot);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	listen_to(stdin, stdout);
	return 0;
}
