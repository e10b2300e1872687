/* SPDX-License-Identifier: MIT */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "stele/version.h"

static int output_refuse(const char *path, int error)
{
	stele__complain("cannot write %s: %s", path, stele_strerror(error));
	return STELE_EXIT_IO;
}

static int output_open_stdout(struct stele_output *output)
{
	if (isatty(STDOUT_FILENO)) {
		stele__complain("binary data is not written to a terminal; name a file with -o");
		return STELE_EXIT_USAGE;
	}
	stele__outfile_open_text(output);
	return 0;
}

/* With O_EXCL at first, so that it is known whether there was such a file. */
static int output_create(const char *path, bool force, struct stele_output *output)
{
	const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY;
	struct stat st;

	output->fd = open(path, flags | O_EXCL, 0600);
	output->made = output->fd >= 0 ? path : NULL;
	if (output->fd < 0 && errno == EEXIST) {
		/* Devices and pipes need no -f. */
		if (!force && (stat(path, &st) < 0 || S_ISREG(st.st_mode))) {
			stele__complain("%s exists; -f overwrites it", path);
			return STELE_EXIT_USAGE;
		}
		output->fd = open(path, flags, 0600);
	}
	return output->fd < 0 ? output_refuse(path, -errno) : 0;
}

/* Not with O_TRUNC: the file may turn out to be the input, which is perhaps mapped. */
static int output_open_file(const char *path, bool force, const struct stele_input *input,
			    struct stele_output *output)
{
	int exit = output_create(path, force, output);
	struct stat st;

	if (exit)
		return exit;
	output->name = path;
	output->error = 0;
	output->used = 0;
	output->stale = fstat(output->fd, &st) == 0 && S_ISREG(st.st_mode);
	if (output->stale && input && st.st_dev == input->device && st.st_ino == input->inode) {
		close(output->fd);
		stele__complain("%s is the input; it is not overwritten", path);
		return STELE_EXIT_USAGE;
	}
	return 0;
}

int stele__outfile_open(const char *path, bool force, const struct stele_input *input,
			struct stele_output *ret_output)
{
	if (strcmp(path, "-") == 0)
		return output_open_stdout(ret_output);
	return output_open_file(path, force, input, ret_output);
}

int stele__outfile_open_from(const char *path, bool force, const char *trace,
			     struct stele_output *ret_output)
{
	struct stele_input input = {0};
	struct stat st;
	bool known = strcmp(trace, "-") && stat(trace, &st) == 0;

	if (known) {
		input.device = st.st_dev;
		input.inode = st.st_ino;
	}
	return stele__outfile_open(path, force, known ? &input : NULL, ret_output);
}

void stele__outfile_open_text(struct stele_output *ret_output)
{
	ret_output->name = "standard output";
	ret_output->fd = STDOUT_FILENO;
	ret_output->error = 0;
	ret_output->made = NULL;
	ret_output->stale = false;
	ret_output->used = 0;
}

int stele__outfile_clear(struct stele_output *output)
{
	if (output->stale && !output->error && ftruncate(output->fd, 0) < 0)
		output->error = -errno;
	output->stale = false;
	return output->error;
}

static int output_flush(struct stele_output *output)
{
	size_t done = 0;

	stele__outfile_clear(output);
	while (!output->error && done < output->used) {
		ssize_t n = write(output->fd, output->buffer + done, output->used - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			output->error = -errno;
	}
	output->used = 0;
	return output->error;
}

int stele__outfile_write(void *arg, const void *data, size_t bytes)
{
	struct stele_output *output = arg;
	const uint8_t *p = data;

	while (bytes && !output->error) {
		size_t room = sizeof(output->buffer) - output->used;
		size_t n = bytes < room ? bytes : room;

		memcpy(output->buffer + output->used, p, n);
		output->used += n;
		p += n;
		bytes -= n;
		if (output->used == sizeof(output->buffer))
			output_flush(output);
	}
	return output->error;
}

int stele__outfile_close(struct stele_output *output)
{
	output_flush(output);
	if (output->fd != STDOUT_FILENO && close(output->fd) < 0 && !output->error)
		output->error = -errno;
	if (output->error && output->made)
		unlink(output->made);
	return output->error ? output_refuse(output->name, output->error) : 0;
}

int stele__outfile_close_if(struct stele_output *output, bool any)
{
	if (any)
		return stele__outfile_close(output);
	if (output->fd != STDOUT_FILENO)
		close(output->fd);
	if (output->made)
		unlink(output->made);
	return 0;
}
