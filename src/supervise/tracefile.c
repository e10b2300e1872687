/* SPDX-License-Identifier: MIT */
#include "supervise/tracefile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int stele__tracefile_name(const char *pattern, const char *program, int pid, char *ret_path,
			  size_t bytes)
{
	char text[PATH_MAX];
	size_t length = 0;

	if (!pattern) {
		const char *slash = strrchr(program, '/');
		int n = snprintf(text, sizeof(text), "%s.%d.trace", slash ? slash + 1 : program,
				 pid);

		if (n < 0 || (size_t)n >= bytes)
			return -ENAMETOOLONG;
		memcpy(ret_path, text, (size_t)n + 1);
		return 0;
	}
	for (const char *p = pattern; *p; p++) {
		char number[16] = {*p};

		if (p[0] == '%' && p[1] == 'p')
			snprintf(number, sizeof(number), "%d", pid);
		if (p[0] == '%' && (p[1] == 'p' || p[1] == '%'))
			p++;
		if (length + strlen(number) >= sizeof(text) || length + strlen(number) >= bytes)
			return -ENAMETOOLONG;
		memcpy(text + length, number, strlen(number));
		length += strlen(number);
	}
	memcpy(ret_path, text, length);
	ret_path[length] = '\0';
	return 0;
}

static int tracefile_create(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);

	return fd < 0 ? -errno : fd;
}

/* A pipe or device: nothing there can be overwritten. Without a reader a pipe is an error (ENXIO)
 * rather than a wait. */
static int tracefile_open_special(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (isatty(fd)) {
		close(fd);
		return -ENOTTY;
	}
	return fd;
}

/* Something of that name exists. */
static int tracefile_open_existing(const char *path, bool force)
{
	struct stat link, st;

	if (lstat(path, &link) < 0)
		return -errno;
	if (stat(path, &st) < 0)
		st = link; /* a dangling link */
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return tracefile_open_special(path);
	if (!force)
		return -EEXIST;
	/* A link is replaced, not followed: what it points to may be anybody's. */
	if (unlink(path) < 0)
		return -errno;
	return tracefile_create(path);
}

int stele__tracefile_open(const char *path, bool force, struct stele_tracefile *ret_output)
{
	struct stele_tracefile output = {.fd = tracefile_create(path)};
	struct stat st;

	if (output.fd == -EEXIST)
		output.fd = tracefile_open_existing(path, force);
	if (output.fd < 0)
		return output.fd;
	if (fstat(output.fd, &st) == 0 && S_ISREG(st.st_mode)) {
		output.ours = true;
		output.device = st.st_dev;
		output.inode = st.st_ino;
	}
	snprintf(output.path, sizeof(output.path), "%s", path);
	*ret_output = output;
	return 0;
}

int stele__tracefile_continue(const char *path, uint64_t bytes, struct stele_tracefile *ret_output)
{
	struct stele_tracefile output = {.fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY)};
	int error = 0;

	if (output.fd < 0)
		return -errno;
	if (ftruncate(output.fd, (off_t)bytes) < 0 || lseek(output.fd, 0, SEEK_END) < 0)
		error = -errno;
	if (error < 0) {
		close(output.fd);
		return error;
	}
	output.bytes = bytes;
	snprintf(output.path, sizeof(output.path), "%s", path);
	*ret_output = output;
	return 0;
}

static int tracefile_write_some(struct stele_tracefile *output, const char *data, size_t bytes)
{
	ssize_t done = write(output->fd, data, bytes);

	if (done > 0) {
		output->bytes += (uint64_t)done;
		return (int)done;
	}
	if (done == 0)
		return -ENOSPC;
	if (errno == EAGAIN) {
		struct pollfd writable = {.fd = output->fd, .events = POLLOUT};

		poll(&writable, 1, -1);
		return 0;
	}
	return errno == EINTR ? 0 : -errno;
}

int stele__tracefile_write(void *arg, const void *data, size_t bytes)
{
	struct stele_tracefile *output = arg;
	const char *from = data;

	while (!output->error && bytes > 0) {
		/* In pieces that the result of tracefile_write_some can count. */
		size_t piece = bytes < (64u << 20) ? bytes : 64u << 20;
		int done = tracefile_write_some(output, from, piece);

		if (done < 0) {
			output->error = done;
		} else {
			from += done;
			bytes -= (size_t)done;
		}
	}
	return output->error;
}

int stele__tracefile_finish(struct stele_tracefile *output, uint64_t valid_bytes)
{
	int error = 0;

	if (output->fd < 0)
		return 0;
	if (output->ours && valid_bytes < output->bytes &&
	    ftruncate(output->fd, (off_t)valid_bytes) < 0)
		error = -errno;
	/* Some file systems report only here that the bytes found no place. */
	if (close(output->fd) < 0 && errno != EINTR)
		error = -errno;
	output->fd = -1;
	return error;
}

void stele__tracefile_discard(struct stele_tracefile *output)
{
	struct stat st;

	if (output->fd < 0)
		return;
	if (output->ours && lstat(output->path, &st) == 0 && st.st_dev == output->device &&
	    st.st_ino == output->inode)
		unlink(output->path);
	close(output->fd);
	output->fd = -1;
}
