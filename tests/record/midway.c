/* SPDX-License-Identifier: MIT */
/*
 * Fibers that allocate, grow their stacks, wait and call, while one of them starts and stops
 * recordings of it all.
 *
 * usage: midway FOLDER COUNT
 *        midway - SECONDS       without a recording of their own, for so long
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stele/fiber.h"
#include "stele/stele.h"

#define FIBERS	20
#define OBJECTS 50

static int done;
static struct stele_channel *channel;

static __attribute__((noinline)) int dig(unsigned depth)
{
	volatile char block[1000];

	block[0] = (char)depth;
	return depth ? dig(depth - 1) + block[0] : block[0];
}

static void churn(void *arg)
{
	unsigned random = (unsigned)(intptr_t)arg + 1;
	void *held[OBJECTS] = {NULL};

	while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) {
		void **place;

		random = random * 1664525u + 1013904223u;
		place = &held[(random >> 8) % OBJECTS];
		stele_heap_free(*place);
		*place = stele_heap_alloc((random >> 12) % 3000);
		if (random >> 24 == 1)
			dig((random >> 16) % 200);
		else if (random >> 24 == 2)
			stele_fiber_sleep(100000);
		else if (random >> 28 == 1)
			stele_fiber_yield();
		if (random >> 24 == 3) { /* another one frees it */
			stele_channel_send(channel, place);
			*place = NULL;
		} else if (random >> 24 == 4) {
			stele_fiber_blocking_begin(-1);
			usleep(50);
			stele_fiber_blocking_end(0);
		}
	}
	for (unsigned i = 0; i < OBJECTS; i++)
		stele_heap_free(held[i]);
}

static void free_others(void *arg)
{
	void *object;

	(void)arg;
	while (stele_channel_receive(channel, &object))
		stele_heap_free(object);
}

static void record_it(void *arg)
{
	char **words = arg;
	unsigned count = (unsigned)strtoul(words[1], NULL, 10);
	struct stele_fiber *f[FIBERS], *receiver;

	channel = stele_channel_new(sizeof(void *), 10);
	receiver = stele_fiber_spawn(free_others, NULL);
	for (intptr_t i = 0; i < FIBERS; i++)
		f[i] = stele_fiber_spawn(churn, (void *)i);
	if (!strcmp(words[0], "-"))
		stele_fiber_sleep(count * 1000000000ull);
	for (unsigned i = 0; i < count && strcmp(words[0], "-") != 0; i++) {
		char path[200];
		struct stele_output file = {.path = path};
		struct stele_start_options options = {.outputs = &file, .output_count = 1};

		stele_fiber_sleep(5000000);
		snprintf(path, sizeof(path), "%s/%u.trace", words[0], i);
		if (stele_start(&options) < 0)
			exit(1);
		stele_fiber_sleep(20000000);
		if (stele_stop(NULL) < 0)
			exit(1);
	}
	__atomic_store_n(&done, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < FIBERS; i++)
		stele_fiber_join(f[i]);
	stele_channel_close(channel);
	stele_fiber_join(receiver);
	stele_channel_free(channel);
}

int main(int argc, char **argv)
{
	struct stele_fiber_options options = {.workers = 2};

	return argc != 3 || stele_fiber_run(&options, record_it, argv + 1) < 0;
}
