/* SPDX-License-Identifier: MIT */
/*
 * A program that is traced by tests.
 *
 *   busy THREADS ROUNDS     creates and joins THREADS threads, ROUNDS times; they fight for a lock
 *   busy --interrupts N     counts SIGINT until there are N or a second has passed; prints them
 *   busy --orphan           leaves a child behind that sleeps, and exits at once
 *   busy --later FILE       creates FILE after half a second of the threads' work
 *   busy --slowly SECONDS   some threads every few milliseconds
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 200

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile sig_atomic_t interrupts;

static void pass_time(long ns)
{
	const struct timespec time = {0, ns};

	nanosleep(&time, NULL);
}

static void *fight(void *arg)
{
	pthread_mutex_lock(&lock);
	pass_time(1000);
	pthread_mutex_unlock(&lock);
	return arg;
}

static void run_threads(int count)
{
	pthread_t threads[THREADS_MAX];

	for (int i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, fight, NULL) != 0)
			abort();
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static void on_interrupt(int number)
{
	(void)number;
	interrupts++;
}

static int count_interrupts(int wanted)
{
	const struct sigaction action = {.sa_handler = on_interrupt};

	sigaction(SIGINT, &action, NULL);
	puts("ready");
	fflush(stdout);
	for (int i = 0; i < 100; i++) {
		pass_time(10000000);
		if (interrupts >= wanted && i < 80)
			i = 80; /* and a while for those that should not come */
	}
	printf("%d interrupts\n", (int)interrupts);
	return 0;
}

static int leave_orphan(void)
{
	if (fork() == 0) {
		sleep(20);
		_exit(0);
	}
	return 4;
}

static int work_slowly(int seconds)
{
	for (int i = 0; i < seconds * 100; i++) {
		run_threads(2);
		pass_time(10000000);
	}
	return 0;
}

static int create_later(const char *path)
{
	for (int i = 0; i < 50; i++) {
		run_threads(4);
		pass_time(10000000);
	}
	return open(path, O_WRONLY | O_CREAT, 0600) < 0;
}

int main(int argc, char **argv)
{
	int threads, rounds;

	if (argc == 3 && !strcmp(argv[1], "--interrupts"))
		return count_interrupts((int)strtol(argv[2], NULL, 10));
	if (argc == 2 && !strcmp(argv[1], "--orphan"))
		return leave_orphan();
	if (argc == 3 && !strcmp(argv[1], "--later"))
		return create_later(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "--slowly"))
		return work_slowly((int)strtol(argv[2], NULL, 10));
	if (argc != 3)
		return 2;
	threads = (int)strtol(argv[1], NULL, 10);
	rounds = (int)strtol(argv[2], NULL, 10);
	if (threads < 0 || threads > THREADS_MAX)
		return 2;
	while (rounds-- > 0)
		run_threads(threads);
	return 0;
}
