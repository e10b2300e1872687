/* SPDX-License-Identifier: MIT */
#include "cli/source.h"

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

#define SOURCE_BYTES ((size_t)1 << 17)

struct stele__source {
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
static int64_t source_fill(struct stele__source *source)
{
	ssize_t got;

	if (source->at < source->end)
		return (int64_t)(source->end - source->at);
	do
		got = read(source->fd, source->buffer, SOURCE_BYTES);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	source->at = 0;
	source->end = (size_t)got;
	return got;
}

static int64_t source_read_plain(void *arg, void *buffer, size_t bytes)
{
	struct stele__source *source = arg;
	int64_t have = source_fill(source);

	if (have <= 0)
		return have;
	if (bytes > (size_t)have)
		bytes = (size_t)have;
	memcpy(buffer, source->buffer + source->at, bytes);
	source->at += bytes;
	return (int64_t)bytes;
}

#ifdef STELE_HAVE_ZLIB
static int64_t source_read_gzip(void *arg, void *buffer, size_t bytes)
{
	struct stele__source *source = arg;
	z_stream *z = &source->gzip;

	if (bytes > SOURCE_BYTES)
		bytes = SOURCE_BYTES;
	z->next_out = buffer;
	z->avail_out = (uInt)bytes;
	while (z->avail_out == bytes) {
		int64_t have = source_fill(source);
		int r;

		if (have <= 0) /* a cut file ends here; the reader says what is missing */
			return have;
		z->next_in = source->buffer + source->at;
		z->avail_in = (uInt)have;
		r = inflate(z, Z_NO_FLUSH);
		source->at = source->end - z->avail_in;
		if (r == Z_STREAM_END) /* another member may follow */
			r = inflateReset(z);
		if (r != Z_OK && r != Z_BUF_ERROR)
			return z->avail_out == bytes ? -EBADMSG : (int64_t)(bytes - z->avail_out);
	}
	return (int64_t)(bytes - z->avail_out);
}
#endif

#ifdef STELE_HAVE_ZSTD
static int64_t source_read_zstd(void *arg, void *buffer, size_t bytes)
{
	struct stele__source *source = arg;
	ZSTD_outBuffer out = {buffer, bytes, 0};

	while (out.pos == 0) {
		int64_t have = source_fill(source);
		ZSTD_inBuffer in;
		size_t r;

		if (have <= 0)
			return have;
		in = (ZSTD_inBuffer){source->buffer + source->at, (size_t)have, 0};
		r = ZSTD_decompressStream(source->zstd, &out, &in);
		source->at += in.pos;
		if (ZSTD_isError(r))
			return out.pos ? (int64_t)out.pos : -EBADMSG;
	}
	return (int64_t)out.pos;
}
#endif

static bool source_begins(const struct stele__source *source, const char *magic, size_t bytes)
{
	return source->end - source->at >= bytes &&
	       memcmp(source->buffer + source->at, magic, bytes) == 0;
}

/* How the bytes are packed; NULL with a complaint if this build cannot unpack them. */
static stele_read_fn source_codec(struct stele__source *source, const char *path)
{
	if (source_begins(source, "\x1f\x8b", 2)) {
#ifdef STELE_HAVE_ZLIB
		source->has_gzip = inflateInit2(&source->gzip, 15 + 16) == Z_OK;
		if (source->has_gzip)
			return source_read_gzip;
#endif
		stele__complain("%s: this build cannot read gzip", path);
		return NULL;
	}
	if (source_begins(source, "\x28\xb5\x2f\xfd", 4)) {
#ifdef STELE_HAVE_ZSTD
		source->zstd = ZSTD_createDStream();
		if (source->zstd)
			return source_read_zstd;
#endif
		stele__complain("%s: this build cannot read zstd", path);
		return NULL;
	}
	return source_read_plain;
}

static int source_error(const char *path, int error)
{
	stele__complain("%s: %s", path, stele_strerror(error));
	return STELE_EXIT_IO;
}

static int source_start(struct stele__source *source, const char *path,
			const struct stele_reader_options *options)
{
	bool is_stdin = strcmp(path, "-") == 0;
	stele_read_fn read;
	int64_t have;
	int r;

	source->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (source->fd < 0)
		return source_error(path, -errno);
	source->buffer = malloc(SOURCE_BYTES);
	if (!source->buffer)
		return source_error(path, -ENOMEM);
	have = source_fill(source);
	if (have < 0)
		return source_error(path, (int)have);
	read = source_codec(source, path);
	if (!read)
		return STELE_EXIT_IO;
	if (read == source_read_plain && !is_stdin && lseek(source->fd, 0, SEEK_SET) == 0)
		r = stele_reader_open(path, options, &source->reader); /* can be mapped */
	else
		r = stele_reader_open_stream(read, source, options, &source->reader);
	return r < 0 ? source_error(path, r) : 0;
}

int stele__source_open(const char *path, const struct stele_reader_options *options,
		       struct stele__source **ret_source, struct stele_reader **ret_reader)
{
	struct stele__source *source = calloc(1, sizeof(*source));
	int exit;

	if (!source)
		return source_error(path, -ENOMEM);
	source->fd = -1;
	exit = source_start(source, path, options);
	if (exit) {
		stele__source_close(source);
		return exit;
	}
	*ret_source = source;
	*ret_reader = source->reader;
	return 0;
}

void stele__source_close(struct stele__source *source)
{
	if (!source)
		return;
	stele_reader_close(source->reader);
#ifdef STELE_HAVE_ZLIB
	if (source->has_gzip)
		inflateEnd(&source->gzip);
#endif
#ifdef STELE_HAVE_ZSTD
	ZSTD_freeDStream(source->zstd);
#endif
	if (source->fd > STDIN_FILENO)
		close(source->fd);
	free(source->buffer);
	free(source);
}
