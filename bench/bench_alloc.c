/* SPDX-License-Identifier: MIT */
/*
 * Allocators side by side, on two threads: the runtime's heap, libc's, and mimalloc where its
 * library is. Nanoseconds for an allocation and a release, and the ratios of the medians.
 *
 *	bench_alloc [ROUNDS [LOAD [ALLOCATOR]]]
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/timer.h"
#include "fiber/objects.h"

#define THREADS	   2
#define OPERATIONS 1000000
#define WORKING	   1000
#define BATCH	   10000
#define HANDED	   1024
#define ROUNDS_MAX 51

struct allocator {
	const char *name;
	void *(*alloc)(size_t bytes);
	void (*release)(void *object);
};

static struct allocator allocators[] = {
	{"stele", stele__heap_alloc, stele__heap_free},
	{"libc", malloc, free},
	{"mimalloc", NULL, NULL},
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void pairs(const struct allocator *a, unsigned thread)
{
	(void)thread;
	for (unsigned i = 0; i < OPERATIONS; i++) {
		void *object = a->alloc(64);

		BENCH_KEEP(object);
		a->release(object);
	}
}

static void working_set(const struct allocator *a, unsigned thread)
{
	void *objects[WORKING] = {0};
	uint64_t state = 88172645463325252ull + thread;

	for (unsigned i = 0; i < OPERATIONS; i++) {
		uint64_t r = next_random(&state);
		void **place = &objects[r % WORKING];

		a->release(*place);
		*place = a->alloc(16 + (r >> 32) % 1009);
		*(char *)*place = 1;
	}
	for (unsigned i = 0; i < WORKING; i++)
		a->release(objects[i]);
}

static void batches(const struct allocator *a, unsigned thread)
{
	static __thread void *objects[BATCH];

	(void)thread;
	for (unsigned i = 0; i < OPERATIONS / BATCH; i++) {
		for (unsigned k = 0; k < BATCH; k++) {
			objects[k] = a->alloc(48);
			*(char *)objects[k] = 1;
		}
		for (unsigned k = 0; k < BATCH; k++)
			a->release(objects[k]);
	}
}

/* One allocates, the other releases. */
static _Atomic(void *) handed[HANDED];

static void hand_over(const struct allocator *a, unsigned thread)
{
	for (unsigned i = 0; i < OPERATIONS; i++) {
		_Atomic(void *) *place = &handed[i % HANDED];
		void *object;

		if (thread == 0) {
			object = a->alloc(64);
			while (atomic_load_explicit(place, memory_order_relaxed))
				;
			atomic_store_explicit(place, object, memory_order_release);
		} else {
			while (!(object = atomic_load_explicit(place, memory_order_acquire)))
				;
			atomic_store_explicit(place, NULL, memory_order_relaxed);
			a->release(object);
		}
	}
}

static const struct load {
	const char *name;
	void (*run)(const struct allocator *a, unsigned thread);
} loads[] = {{"pairs", pairs},
	     {"working_set", working_set},
	     {"batches", batches},
	     {"hand_over", hand_over}};

static struct job {
	const struct allocator *allocator;
	const struct load *load;
	unsigned thread;
} jobs[THREADS];

static void *job_run(void *arg)
{
	const struct job *job = arg;

	job->load->run(job->allocator, job->thread);
	return NULL;
}

static double measure(const struct allocator *a, const struct load *load)
{
	pthread_t threads[THREADS];
	uint64_t begin = bench_now_ns();

	for (unsigned i = 0; i < THREADS; i++) {
		jobs[i] = (struct job){a, load, i};
		pthread_create(&threads[i], NULL, job_run, &jobs[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return (double)(bench_now_ns() - begin) / OPERATIONS;
}

/* In a process of its own, which has done it once before. */
static double measure_alone(const struct allocator *a, const struct load *load)
{
	double value = 0;
	int ends[2];
	pid_t child;

	if (pipe(ends))
		exit(1);
	child = fork();
	if (child == 0) {
		measure(a, load);
		value = measure(a, load);
		_exit(write(ends[1], &value, sizeof(value)) != sizeof(value));
	}
	close(ends[1]);
	if (child < 0 || read(ends[0], &value, sizeof(value)) != sizeof(value))
		exit(1);
	close(ends[0]);
	waitpid(child, NULL, 0);
	return value;
}

static void find_mimalloc(struct allocator *a)
{
	void *library = dlopen("libmimalloc.so.2", RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return;
	*(void **)&a->alloc = dlsym(library, "mi_malloc");
	*(void **)&a->release = dlsym(library, "mi_free");
}

static double values[3][ROUNDS_MAX]; /* sorted by bench_median */
static unsigned rounds;

/* Of the medians: above 1, ours is the slower one. */
static void print_ratios(const char *load)
{
	for (unsigned a = 1; a < 3; a++) {
		char name[64];

		if (!allocators[0].alloc || !allocators[a].alloc)
			continue;
		snprintf(name, sizeof(name), "%s_stele_to_%s", load, allocators[a].name);
		bench_print(name, values[0][rounds / 2] / values[a][rounds / 2]);
	}
}

int main(int argc, char **argv)
{
	rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 9;

	if (rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	find_mimalloc(&allocators[2]);
	for (unsigned a = 0; argc > 3 && a < 3; a++)
		if (strcmp(argv[3], allocators[a].name) != 0)
			allocators[a].alloc = NULL;
	for (unsigned l = 0; l < sizeof(loads) / sizeof(loads[0]); l++) {
		if (argc > 2 && strcmp(argv[2], loads[l].name) != 0)
			continue;
		for (unsigned r = 0; r < rounds; r++)
			for (unsigned a = 0; a < 3; a++)
				if (allocators[a].alloc)
					values[a][r] = measure_alone(&allocators[a], &loads[l]);
		for (unsigned a = 0; a < 3; a++) {
			char name[64];

			if (!allocators[a].alloc)
				continue;
			snprintf(name, sizeof(name), "%s_%s_ns", loads[l].name, allocators[a].name);
			bench_print(name, bench_median(values[a], rounds));
		}
		print_ratios(loads[l].name);
	}
	return 0;
}
