/* SPDX-License-Identifier: MIT */
/*
 * A program that makes much of one thing.
 *
 *   crowd threads N   N threads that end at the same moment, with another N behind them
 *   crowd texts N     N logs, no two alike
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stele/trace.h"

static pthread_barrier_t barrier;

static void *wait_and_end(void *arg)
{
	pthread_barrier_wait(&barrier);
	return arg;
}

static int end_at_once(unsigned count)
{
	pthread_t *threads = calloc(count, sizeof(*threads));
	pthread_attr_t small;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	for (int round = 0; threads && round < 2; round++) {
		pthread_barrier_init(&barrier, NULL, count + 1);
		for (unsigned i = 0; i < count; i++)
			if (pthread_create(&threads[i], &small, wait_and_end, NULL))
				abort();
		pthread_barrier_wait(&barrier);
		for (unsigned i = 0; i < count; i++)
			pthread_join(threads[i], NULL);
		pthread_barrier_destroy(&barrier);
	}
	pthread_attr_destroy(&small);
	free(threads);
	return 0;
}

static int tell_much(unsigned count)
{
	char text[32];

	for (unsigned i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "text %u", i);
		stele_log(0, "much", text);
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned count = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;

	if (!count)
		return 2;
	return strcmp(argv[1], "texts") ? end_at_once(count) : tell_much(count);
}
