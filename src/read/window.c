/* SPDX-License-Identifier: MIT */
#include "read/window.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW_FILL_BYTES    ((size_t)1 << 18)
#define WINDOW_RELEASE_BYTES ((uint64_t)1 << 20)
#define WINDOW_PAGE_BYTES    4096u
/* Further than this from the last glance the mapping has nothing yet, most likely. */
#define WINDOW_FAR_BYTES 16384u
/* Given back in one go: each time costs as much as 16 pages, and nothing beyond this is gained. */
#define WINDOW_GIVE_BYTES ((uint64_t)1 << 18)

static int64_t window_read_fd(void *arg, void *buffer, size_t bytes)
{
	const struct stele__window *window = arg;
	ssize_t got;

	do
		got = read(window->fd, buffer, bytes);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

int stele__window_open_file(struct stele__window *window, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	memset(window, 0, sizeof(*window));
	window->fd = -1;
	if (fstat(fd, &st) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	if (S_ISREG(st.st_mode) && st.st_size > 0) {
		void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

		if (map != MAP_FAILED) {
			madvise(map, (size_t)st.st_size, MADV_SEQUENTIAL);
			stele__window_open_memory(window, map, (size_t)st.st_size);
			window->map = map;
			window->map_bytes = (size_t)st.st_size;
			window->fd = fd;
			return 0;
		}
	}
	/* A pipe, a device, an empty file, a file system without mappings. */
	stele__window_open_stream(window, window_read_fd, window);
	window->fd = fd;
	return 0;
}

void stele__window_open_memory(struct stele__window *window, const void *data, size_t bytes)
{
	memset(window, 0, sizeof(*window));
	window->data = data;
	window->end = bytes;
	window->complete = true;
	window->fd = -1;
}

void stele__window_open_stream(struct stele__window *window, stele_read_fn read, void *arg)
{
	memset(window, 0, sizeof(*window));
	window->read = read;
	window->read_arg = arg;
	window->fd = -1;
}

void stele__window_done(struct stele__window *window)
{
	if (window->map)
		munmap(window->map, window->map_bytes);
	if (window->fd >= 0)
		close(window->fd);
	free(window->buffer);
	memset(window, 0, sizeof(*window));
	window->fd = -1;
}

/*
 * Grows by doubling, and only after the bytes that are there were used up: an announced length
 * that the input does not have costs at most twice what it does have.
 */
static int window_reserve(struct stele__window *window, size_t more)
{
	size_t used = (size_t)(window->end - window->base);
	size_t size = window->buffer_bytes ? window->buffer_bytes : WINDOW_FILL_BYTES;
	uint8_t *moved;

	if (more <= window->buffer_bytes - used)
		return 0;
	while (size - used < more) {
		if (size > SIZE_MAX / 4)
			return -ENOMEM;
		size *= 2;
	}
	moved = realloc(window->buffer, size);
	if (!moved)
		return -ENOMEM;
	window->buffer = moved;
	window->buffer_bytes = size;
	window->data = moved;
	return 0;
}

int stele__window_fill(struct stele__window *window, uint64_t end)
{
	while (window->end < end) {
		int64_t got;
		int r = window_reserve(window, WINDOW_FILL_BYTES / 4);

		if (r < 0)
			return r;
		got = window->read(window->read_arg, window->buffer + (window->end - window->base),
				   window->buffer_bytes - (size_t)(window->end - window->base));
		if (got < 0)
			return (int)got;
		if (got == 0) {
			window->complete = true;
			return 0;
		}
		window->end += (uint64_t)got;
	}
	return 1;
}

const uint8_t *stele__window_glance(struct stele__window *window, uint64_t offset,
				    size_t *ret_bytes)
{
	uint64_t left = window->end - offset;
	size_t bytes = left < STELE__GLANCE_BYTES ? (size_t)left : STELE__GLANCE_BYTES;
	bool again = window->glance_read && offset == window->glance_from;
	bool far = offset - window->glance_from >= WINDOW_FAR_BYTES;

	*ret_bytes = bytes;
	window->glance_from = offset;
	window->glance_read = again || (window->map && far &&
					pread(window->fd, window->glance, bytes, (off_t)offset) ==
						(ssize_t)bytes);
	return window->glance_read ? window->glance : stele__window_at(window, offset);
}

void stele__window_drop(struct stele__window *window, uint64_t offset)
{
	if (window->map) {
		/* The page cache keeps the file; this only keeps our own size flat. */
		uint64_t page = offset & ~(uint64_t)(WINDOW_RELEASE_BYTES - 1);

		if (page > window->released) {
			madvise((char *)window->map + window->released,
				(size_t)(page - window->released), MADV_DONTNEED);
			window->released = page;
		}
		return;
	}
	if (!window->buffer || offset <= window->base)
		return;
	memmove(window->buffer, window->buffer + (offset - window->base),
		(size_t)(window->end - offset));
	window->base = offset;
}

static void window_give_back(const struct stele__window *window)
{
	uint64_t page = ~(uint64_t)(WINDOW_PAGE_BYTES - 1);
	uint64_t first = (window->idle_from + WINDOW_PAGE_BYTES - 1) & page;
	uint64_t last = window->idle_end & page;

	if (last > first)
		madvise((char *)window->map + first, (size_t)(last - first), MADV_DONTNEED);
}

void stele__window_release(struct stele__window *window, uint64_t offset, uint64_t end)
{
	if (!window->map)
		return;
	/* Between two batches lies a header. */
	if (offset - window->idle_end < WINDOW_PAGE_BYTES) {
		window->idle_end = end;
	} else if (window->idle_from - end < WINDOW_PAGE_BYTES) {
		window->idle_from = offset;
	} else {
		window_give_back(window);
		window->idle_from = offset;
		window->idle_end = end;
	}
	if (window->idle_end - window->idle_from < WINDOW_GIVE_BYTES)
		return;
	window_give_back(window);
	window->idle_from = window->idle_end & ~(uint64_t)(WINDOW_PAGE_BYTES - 1);
}
