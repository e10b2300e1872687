/* SPDX-License-Identifier: MIT */
/*
 * What an uncontended pthread_mutex_lock + unlock costs, alone and under the preload module, in
 * one run: children of this program measure themselves, by turns plainly and recorded, and the best
 * of each are compared.
 *
 *	bench_lock MODULE
 *
 * Twice: in a process of one thread, where glibc locks without atomic instructions, and in one of
 * two.
 */
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "arena/arena.h"
#include "sys/sys.h"

#define ROUNDS	   7
#define REPEATS	   9
#define ITERATIONS 1000000

static double lock_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The best of several, per pair. */
static double lock_measure(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	double best = 1e9;

	for (int i = 0; i < REPEATS; i++) {
		double start = lock_now_ns(), ns;

		for (int j = 0; j < ITERATIONS; j++) {
			pthread_mutex_lock(&mutex);
			pthread_mutex_unlock(&mutex);
		}
		ns = (lock_now_ns() - start) / ITERATIONS;
		if (ns < best)
			best = ns;
	}
	return best;
}

static void *lock_idle(void *arg)
{
	pause();
	return arg;
}

static int lock_arena(char *path, size_t bytes)
{
	struct stele_arena_options options = {.bytes = STELE_ARENA_BYTES_DEFAULT,
					      .clock = STELE_CLOCK_MONOTONIC,
					      .events = STELE_EVENTS_ALL,
					      .stack_frames_max = 32};
	struct stele_arena *arena = NULL;
	int fd = stele__sys_memfd("bench");

	snprintf(path, bytes, "/proc/%d/fd/%d", getpid(), fd);
	return fd < 0 ? fd : stele__arena_create(fd, &options, &arena);
}

/* The same program over again; it prints what it measured. Without a module: plainly. */
static double lock_child(const char *program, const char *module, int threads)
{
	char command[2048], arena[64] = "";
	double ns = -1;
	FILE *pipe;

	if (module && lock_arena(arena, sizeof(arena)) < 0)
		return -1;
	snprintf(command, sizeof(command), "LD_PRELOAD='%s' STELE_ARENA='%s' '%s' -%d",
		 module ? module : "", arena, program, threads);
	pipe = popen(command, "r");
	if (!pipe)
		return -1;
	if (fscanf(pipe, "%lf", &ns) != 1)
		ns = -1;
	pclose(pipe);
	return ns;
}

static int lock_compare(const char *program, const char *module, int threads)
{
	double plain = 1e9, traced = 1e9;

	for (int i = 0; i < ROUNDS; i++) {
		double a = lock_child(program, NULL, threads);
		double b = lock_child(program, module, threads);

		if (a < 0 || b < 0) {
			fprintf(stderr, "bench_lock: cannot run myself\n");
			return 1;
		}
		plain = a < plain ? a : plain;
		traced = b < traced ? b : traced;
	}
	printf("uncontended lock+unlock, %d thread%s: alone %.2f ns, recorded %.2f ns, "
	       "%.2f ns more (goal 5), ratio %.2f\n",
	       threads, threads > 1 ? "s" : "", plain, traced, traced - plain, traced / plain);
	return 0;
}

int main(int argc, char **argv)
{
	pthread_t other;

	if (argc < 2) {
		fprintf(stderr, "usage: bench_lock MODULE\n");
		return 2;
	}
	if (argv[1][0] != '-')
		return lock_compare(argv[0], argv[1], 1) || lock_compare(argv[0], argv[1], 2);
	if (argv[1][1] == '2' && pthread_create(&other, NULL, lock_idle, NULL) != 0)
		return 1;
	printf("%.3f\n", lock_measure());
	return 0;
}
