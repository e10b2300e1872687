/* SPDX-License-Identifier: MIT */
/*
 * A program that is ended in the midst of its work, and says in a shared file how far it had come.
 *
 *   doomed FILE HOW MICROSECONDS [CGROUP]
 *
 * HOW: wait (somebody else does it), segv, abort, exit; hog: takes memory in CGROUP until the
 * kernel ends it; after so long.
 */
#include "stress/doomed.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
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

/* The directory's limit is small; what the process has by now does not count there. */
static void hog(const char *cgroup)
{
	char path[256], pid[16];
	int fd, bytes = snprintf(pid, sizeof(pid), "%d", (int)getpid());

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, pid, (size_t)bytes) != bytes)
		_exit(2);
	for (;;) {
		void *more = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (more != MAP_FAILED)
			memset(more, 1, 1 << 20);
	}
}

static void end(const char *how, const char *cgroup)
{
	volatile int *volatile nowhere = NULL;

	if (!strcmp(how, "segv"))
		*nowhere = 1;
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "exit"))
		_exit(3);
	if (!strcmp(how, "hog"))
		hog(cgroup);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	pthread_t threads[DOOMED_THREADS];
	int fd = argc >= 4 ? open(argv[1], O_RDWR) : -1;

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
	end(argv[2], argc > 4 ? argv[4] : "");
}
