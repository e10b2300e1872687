/* SPDX-License-Identifier: MIT */
/*
 * Memory used in ways whose figures are known. With the argument "twice" an object is freed twice,
 * the second time by another thread.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline, noclone))

static void *volatile kept[1000];

NOINLINE static void leak(void)
{
	for (int i = 0; i < 1000; i++)
		kept[i] = malloc(48);
}

NOINLINE static void churn(void)
{
	for (int i = 0; i < 5000; i++) {
		void *volatile p = malloc(64);

		free(p);
	}
}

NOINLINE static void *volatile *large(void)
{
	void *volatile *all = malloc(200 * sizeof(*all));

	for (int i = 0; all && i < 200; i++)
		all[i] = malloc(10000);
	return all;
}

static void peak(void)
{
	void *volatile *all = large();

	for (int i = 0; all && i < 200; i++)
		free(all[i]);
	free((void *)all);
}

static void *release(void *p)
{
	free(p);
	return NULL;
}

NOINLINE static void *take(void)
{
	void *volatile p = malloc(24); /* no tail call */

	return p;
}

/* Allocated by one thread, freed by another. */
static void hand_over(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, release, take()) == 0)
		pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	leak();
	churn();
	peak();
	hand_over();
	if (argc > 1 && !strcmp(argv[1], "twice")) {
		void *volatile p = take();
		pthread_t thread;

		free(p);
		if (pthread_create(&thread, NULL, release, p) == 0)
			pthread_join(thread, NULL);
	}
	return 0;
}
