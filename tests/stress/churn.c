/* SPDX-License-Identifier: MIT */
/*
 * What stress-ng's malloc stressor does, in threads of one process: tables of objects of random
 * sizes, each step replaces, resizes or frees one of them. (stress-ng itself forks its workers.)
 *
 *	churn SECONDS [THREADS]
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OBJECTS	    8192
#define BYTES_MAX   65536
#define THREADS_MAX 64

static time_t end;

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1dull >> 16;
}

/* Mostly small, now and then large, as programs are. */
static size_t random_bytes(uint64_t *state)
{
	uint64_t r = next_random(state);

	return r % 16 ? 1 + (r >> 8) % 256 : 64 * (1 + (r >> 8) % (BYTES_MAX / 64));
}

static void *step(void *object, uint64_t *state)
{
	switch (next_random(state) % 8) {
	case 0:
		free(object);
		return NULL;
	case 1:
	case 2:
		return realloc(object, random_bytes(state));
	case 3:
		free(object);
		return calloc(1, random_bytes(state));
	default:
		free(object);
		return malloc(random_bytes(state));
	}
}

static void *churn(void *arg)
{
	uint64_t state = 88172645463325252ull + (uintptr_t)arg * 7919;
	void **objects = calloc(OBJECTS, sizeof(*objects));
	uint64_t steps = 0;

	while (objects && (steps % 4096 || time(NULL) < end)) {
		void **object = &objects[next_random(&state) % OBJECTS];

		*object = step(*object, &state);
		if (*object)
			*(char *)*object = 1;
		steps++;
	}
	for (unsigned i = 0; objects && i < OBJECTS; i++)
		free(objects[i]);
	free(objects);
	return (void *)(uintptr_t)steps;
}

int main(int argc, char **argv)
{
	unsigned count = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 2;
	pthread_t threads[THREADS_MAX];
	uint64_t steps = 0;

	if (argc < 2 || count < 1 || count > THREADS_MAX) {
		fputs("usage: churn SECONDS [THREADS]\n", stderr);
		return 2;
	}
	end = time(NULL) + (time_t)strtoul(argv[1], NULL, 10);
	for (unsigned i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, churn, (void *)(uintptr_t)(i + 1)) != 0)
			return 1;
	for (unsigned i = 0; i < count; i++) {
		void *done;

		pthread_join(threads[i], &done);
		steps += (uintptr_t)done;
	}
	printf("%llu steps\n", (unsigned long long)steps);
	return 0;
}
