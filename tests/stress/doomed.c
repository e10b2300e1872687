/* SPDX-License-Identifier: MIT */
/*
 * A program that is ended in the midst of its work, and says in a shared file how far it had come.
 *
 *   doomed FILE HOW MICROSECONDS
 *
 * HOW: wait (somebody else does it), segv, abort, exit; after so long.
 */
#include "stress/doomed.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stele/trace.h"

static struct doomed *shared;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *work(void *arg)
{
	static const char *const names[DOOMED_THREADS] = {"samples 0", "samples 1"};
	unsigned me = (unsigned)(uintptr_t)arg;
	stele_name name = stele_name_intern(names[me]);

	atomic_fetch_add(&shared->ready, 1);
	for (unsigned long i = 0;; i++) {
		atomic_store(&shared->begun[me], i + 1);
		stele_counter(name, (int64_t)i);
		atomic_store(&shared->committed[me], i + 1);
		if (i % 64 == 0) {
			stele_region_begin("locked", 0);
			pthread_mutex_lock(&lock);
			pthread_mutex_unlock(&lock);
			stele_region_end("locked", 0);
		}
	}
	return NULL;
}

static void end(const char *how)
{
	volatile int *volatile nowhere = NULL;

	if (!strcmp(how, "segv"))
		*nowhere = 1;
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "exit"))
		_exit(3);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	pthread_t threads[DOOMED_THREADS];
	int fd = argc == 4 ? open(argv[1], O_RDWR) : -1;

	if (fd < 0)
		return 2;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		return 2;
	atomic_store(&shared->pid, getpid());
	for (uintptr_t i = 0; i < DOOMED_THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i))
			return 2;
	while (atomic_load(&shared->ready) < DOOMED_THREADS)
		usleep(100);
	usleep((useconds_t)strtoul(argv[3], NULL, 10));
	end(argv[2]);
}
