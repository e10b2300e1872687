/* SPDX-License-Identifier: MIT */
/*
 * Hashes all files below a directory: a fiber for each file, and one stack that grows with the
 * depth of the directories, for it has the path and a buffer in each frame.
 *
 * usage: hashdir [DIRECTORY]
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <stele/fiber.h>

#define FILES_MAX 64 /* open at once */

struct totals {
	struct stele_mutex lock;
	struct stele_wait_group files;
	struct stele_channel *places;
	unsigned long count, bytes, failed;
	uint64_t hash; /* of all, in whatever order */
	struct stele_fiber_stack deepest;
};

struct job {
	struct totals *totals;
	char path[PATH_MAX];
};

static uint64_t hash_bytes(uint64_t hash, const unsigned char *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ data[i]) * 0x100000001b3u; /* FNV-1a */
	return hash;
}

static ssize_t read_some(int fd, void *buffer, size_t bytes)
{
	ssize_t n;

	stele_fiber_blocking_begin(SYS_read);
	n = read(fd, buffer, bytes);
	stele_fiber_blocking_end(n);
	return n;
}

static void hash_file(void *arg)
{
	struct job *job = arg;
	struct totals *t = job->totals;
	unsigned char buffer[8 << 10];
	uint64_t hash = 0xcbf29ce484222325u;
	unsigned long bytes = 0;
	ssize_t n = -1;
	int fd = open(job->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char place;

	stele_region_begin("hash", 0);
	while (fd >= 0 && (n = read_some(fd, buffer, sizeof(buffer))) > 0) {
		hash = hash_bytes(hash, buffer, (size_t)n);
		bytes += (size_t)n;
	}
	stele_region_end("hash", 0);
	if (fd >= 0)
		close(fd);
	stele_mutex_lock(&t->lock);
	t->failed += n < 0;
	t->count += n == 0;
	t->bytes += bytes;
	t->hash += hash;
	stele_mutex_unlock(&t->lock);
	stele_heap_free(job);
	stele_channel_receive(t->places, &place);
	stele_wait_group_done(&t->files);
}

static void found_file(struct totals *t, const char *path)
{
	struct job *job = stele_heap_alloc(sizeof(*job));
	struct stele_fiber *f;

	job->totals = t;
	snprintf(job->path, sizeof(job->path), "%s", path);
	stele_wait_group_add(&t->files, 1);
	stele_channel_send(t->places, "");
	f = stele_fiber_spawn_with(0, "hash", hash_file, job);
	if (f)
		stele_fiber_detach(f);
	else
		hash_file(job);
}

/* Recursive, with its path on the stack: this is what makes it grow. */
static void walk(struct totals *t, const char *path)
{
	struct stele_fiber_stack stack;
	DIR *dir = opendir(path);
	char below[PATH_MAX];
	struct dirent *entry;
	struct stat status;

	stele_fiber_measure_stack(&stack);
	if (stack.bytes > t->deepest.bytes)
		t->deepest = stack;
	if (!dir) {
		t->failed++;
		return;
	}
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) >=
			    (int)sizeof(below) ||
		    lstat(below, &status) < 0)
			continue;
		if (S_ISDIR(status.st_mode))
			walk(t, below);
		else if (S_ISREG(status.st_mode))
			found_file(t, below);
	}
	closedir(dir);
}

static void hash_all(void *arg)
{
	struct totals totals = {.places = stele_channel_new(1, FILES_MAX)};
	struct totals *t = &totals;

	walk(t, arg);
	stele_wait_group_wait(&t->files);
	stele_channel_free(t->places);
	printf("%lu files, %lu bytes, %lu failed, hash %016llx\n", t->count, t->bytes, t->failed,
	       (unsigned long long)t->hash);
	printf("the walker's stack grew to %zu KiB\n", t->deepest.bytes >> 10);
}

int main(int argc, char **argv)
{
	struct stele_fiber_options options = {.stack_limit = 1 << 20};
	char here[] = ".";

	return stele_fiber_run(&options, hash_all, argc > 1 ? argv[1] : here) < 0;
}
