/* SPDX-License-Identifier: MIT */
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "stele/version.h"

#ifdef STELE_HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef STELE_HAVE_ZSTD
#include <zstd.h>
#endif

#define INPUT_BYTES ((size_t)1 << 17)

struct stele__input {
	int fd;
	struct stele_reader *reader;
	uint8_t *buffer; /* raw bytes read ahead: at … end */
	size_t at, end;
	bool ended;
	bool inside; /* within a compressed frame */
#ifdef STELE_HAVE_ZLIB
	z_stream gzip;
	bool has_gzip;
#endif
#ifdef STELE_HAVE_ZSTD
	ZSTD_DStream *zstd;
#endif
};

/* Makes sure that raw bytes are there; 0 at the end of the file. */
static int64_t input_fill(struct stele__input *input)
{
	ssize_t got;

	if (input->at < input->end)
		return (int64_t)(input->end - input->at);
	do
		got = read(input->fd, input->buffer, INPUT_BYTES);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	input->at = 0;
	input->end = (size_t)got;
	return got;
}

static int64_t input_read_plain(void *arg, void *buffer, size_t bytes)
{
	struct stele__input *input = arg;
	int64_t have = input_fill(input);

	if (have <= 0)
		return have;
	if (bytes > (size_t)have)
		bytes = (size_t)have;
	memcpy(buffer, input->buffer + input->at, bytes);
	input->at += bytes;
	return (int64_t)bytes;
}

#ifdef STELE_HAVE_ZLIB
static int64_t input_read_gzip(void *arg, void *buffer, size_t bytes)
{
	struct stele__input *input = arg;
	z_stream *z = &input->gzip;

	if (bytes > INPUT_BYTES)
		bytes = INPUT_BYTES;
	z->next_out = buffer;
	z->avail_out = (uInt)bytes;
	while (z->avail_out == bytes) {
		int64_t have = input_fill(input);
		int r;

		if (have <= 0) /* a cut file ends here; the reader says what is missing */
			return have;
		z->next_in = input->buffer + input->at;
		z->avail_in = (uInt)have;
		r = inflate(z, Z_NO_FLUSH);
		input->at = input->end - z->avail_in;
		if (r == Z_STREAM_END) /* another member may follow */
			r = inflateReset(z);
		if (r != Z_OK && r != Z_BUF_ERROR)
			return z->avail_out == bytes ? -EBADMSG : (int64_t)(bytes - z->avail_out);
	}
	return (int64_t)(bytes - z->avail_out);
}
#endif

#ifdef STELE_HAVE_ZSTD
static int64_t input_read_zstd(void *arg, void *buffer, size_t bytes)
{
	struct stele__input *input = arg;
	ZSTD_outBuffer out = {buffer, bytes, 0};

	while (out.pos == 0) {
		int64_t have = input_fill(input);
		ZSTD_inBuffer in;
		size_t r;

		if (have <= 0)
			return have;
		in = (ZSTD_inBuffer){input->buffer + input->at, (size_t)have, 0};
		r = ZSTD_decompressStream(input->zstd, &out, &in);
		input->at += in.pos;
		if (ZSTD_isError(r))
			return out.pos ? (int64_t)out.pos : -EBADMSG;
	}
	return (int64_t)out.pos;
}
#endif

static bool input_begins(const struct stele__input *input, const char *magic, size_t bytes)
{
	return input->end - input->at >= bytes &&
	       memcmp(input->buffer + input->at, magic, bytes) == 0;
}

/* How the bytes are packed; NULL with a complaint if this build cannot unpack them. */
static stele_read_fn input_codec(struct stele__input *input, const char *path)
{
	if (input_begins(input, "\x1f\x8b", 2)) {
#ifdef STELE_HAVE_ZLIB
		input->has_gzip = inflateInit2(&input->gzip, 15 + 16) == Z_OK;
		if (input->has_gzip)
			return input_read_gzip;
#endif
		stele__complain("%s: this build cannot read gzip", path);
		return NULL;
	}
	if (input_begins(input, "\x28\xb5\x2f\xfd", 4)) {
#ifdef STELE_HAVE_ZSTD
		input->zstd = ZSTD_createDStream();
		if (input->zstd)
			return input_read_zstd;
#endif
		stele__complain("%s: this build cannot read zstd", path);
		return NULL;
	}
	return input_read_plain;
}

static int input_error(const char *path, int error)
{
	stele__complain("%s: %s", path, stele_strerror(error));
	return STELE_EXIT_IO;
}

static int input_start(struct stele__input *input, const char *path,
		       const struct stele_reader_options *options)
{
	bool is_stdin = strcmp(path, "-") == 0;
	stele_read_fn read;
	int64_t have;
	int r;

	input->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (input->fd < 0)
		return input_error(path, -errno);
	input->buffer = malloc(INPUT_BYTES);
	if (!input->buffer)
		return input_error(path, -ENOMEM);
	have = input_fill(input);
	if (have < 0)
		return input_error(path, (int)have);
	read = input_codec(input, path);
	if (!read)
		return STELE_EXIT_IO;
	if (read == input_read_plain && !is_stdin && lseek(input->fd, 0, SEEK_SET) == 0)
		r = stele_reader_open(path, options, &input->reader); /* can be mapped */
	else
		r = stele_reader_open_stream(read, input, options, &input->reader);
	return r < 0 ? input_error(path, r) : 0;
}

int stele__input_open(const char *path, const struct stele_reader_options *options,
		      struct stele__input **ret_input, struct stele_reader **ret_reader)
{
	struct stele__input *input = calloc(1, sizeof(*input));
	int exit;

	if (!input)
		return input_error(path, -ENOMEM);
	input->fd = -1;
	exit = input_start(input, path, options);
	if (exit) {
		stele__input_close(input);
		return exit;
	}
	*ret_input = input;
	*ret_reader = input->reader;
	return 0;
}

void stele__input_close(struct stele__input *input)
{
	if (!input)
		return;
	stele_reader_close(input->reader);
#ifdef STELE_HAVE_ZLIB
	if (input->has_gzip)
		inflateEnd(&input->gzip);
#endif
#ifdef STELE_HAVE_ZSTD
	ZSTD_freeDStream(input->zstd);
#endif
	if (input->fd > STDIN_FILENO)
		close(input->fd);
	free(input->buffer);
	free(input);
}
