/* SPDX-License-Identifier: MIT */
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

#define INPUT_CHUNK_BYTES (1u << 20)

static int input_map(int fd, uint64_t bytes, struct stele_input *input)
{
	void *p;

	if (bytes > SIZE_MAX)
		return -EFBIG;
	p = mmap(NULL, (size_t)bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	input->data = input->mapping = p;
	input->bytes = input->mapping_bytes = (size_t)bytes;
	return 0;
}

static int input_grow(struct stele_input *input)
{
	size_t bytes = input->mapping_bytes ? input->mapping_bytes * 2 : INPUT_CHUNK_BYTES;
	void *p = input->mapping
			  ? mremap(input->mapping, input->mapping_bytes, bytes, MREMAP_MAYMOVE)
			  : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				 -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	input->data = input->mapping = p;
	input->mapping_bytes = bytes;
	return 0;
}

/* For what has no size: pipes, terminals, files of /proc. */
static int input_read(int fd, struct stele_input *input)
{
	for (;;) {
		ssize_t n;

		if (input->bytes == input->mapping_bytes) {
			int error = input_grow(input);

			if (error)
				return error;
		}
		n = read(fd, (char *)input->mapping + input->bytes,
			 input->mapping_bytes - input->bytes);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			input->bytes += (size_t)n;
	}
}

static int input_fill(int fd, struct stele_input *input)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	input->device = st.st_dev;
	input->inode = st.st_ino;
	/* A redirected standard input may have been read in part already. */
	if (S_ISREG(st.st_mode) && st.st_size > 0 && lseek(fd, 0, SEEK_CUR) == 0)
		return input_map(fd, (uint64_t)st.st_size, input);
	return input_read(fd, input);
}

int stele__input_open(const char *path, struct stele_input *ret_input)
{
	bool is_stdin = strcmp(path, "-") == 0;
	struct stele_input input = {.name = is_stdin ? "standard input" : path, .data = ""};
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	int error;

	if (fd < 0)
		return -errno;
	error = input_fill(fd, &input);
	if (!is_stdin)
		close(fd);
	if (error) {
		stele__input_close(&input);
		return error;
	}
	*ret_input = input;
	return 0;
}

int stele__input_open_or_complain(const char *path, struct stele_input *ret_input)
{
	int error = stele__input_open(path, ret_input);

	if (!error)
		return 0;
	stele__complain("cannot read %s: %s", path, strerror(-error));
	return STELE_EXIT_IO;
}

void stele__input_close(struct stele_input *input)
{
	if (input && input->mapping)
		munmap(input->mapping, input->mapping_bytes);
	if (input)
		input->mapping = NULL;
}
