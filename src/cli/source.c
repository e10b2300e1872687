/* SPDX-License-Identifier: MIT */
#include "cli/source.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "stele/version.h"

#ifdef STELE_HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef STELE_HAVE_ZSTD
#include <zstd.h>
#endif

#define SOURCE_BYTES	  ((size_t)1 << 17)
#define PROGRESS_EVENTS	  8192	   /* between two looks at the clock */
#define FOLLOW_PAUSE_NS	  50000000 /* between two looks at the file */
#define FOLLOW_TAIL_BYTES 64	   /* where the end mark is looked for */

struct stele__source {
	int fd;
	struct stele_reader *reader;
	uint8_t *buffer; /* raw bytes read ahead: at … end */
	size_t at, end;
	struct stele_progress progress;
	uint32_t events; /* since the clock was looked at */
	bool interrupted;
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

/* Following ------------------------------------------------------------------------------------ */

static volatile sig_atomic_t follow_signal;

static void follow_on_signal(int number)
{
	follow_signal = number;
}

/* An unsigned LEB128 at *at; false: it does not end before `end`. */
static bool tail_number(const uint8_t **at, const uint8_t *end, uint64_t *ret_value)
{
	*ret_value = 0;
	for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
		uint8_t byte = *(*at)++;

		*ret_value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

/* The records "ending" and "end" of docs/format.md, section 6, up to the last byte? */
static bool tail_is_end(const uint8_t *at, const uint8_t *end)
{
	uint64_t tag, bytes;

	for (unsigned want = STELE_DATA_ENDING; want <= STELE_DATA_END; want++) {
		if (!tail_number(&at, end, &tag) || tag != want || !tail_number(&at, end, &bytes) ||
		    bytes > (uint64_t)(end - at))
			return false;
		at += bytes;
	}
	return at == end;
}

/* The recorder's last words are the file's last bytes, but for header 26's EndOfGeneration. */
static bool follow_has_ended(int fd)
{
	enum { END_OF_GENERATION = 52 };
	uint8_t tail[FOLLOW_TAIL_BYTES];
	struct stat st;
	ssize_t got;
	off_t from;

	if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(tail))
		return false;
	from = st.st_size - (off_t)sizeof(tail);
	got = pread(fd, tail, sizeof(tail), from);
	for (ssize_t i = 0; i < got; i++)
		if (tail_is_end(tail + i, tail + got) ||
		    (tail[got - 1] == END_OF_GENERATION && tail_is_end(tail + i, tail + got - 1)))
			return true;
	return false;
}

/* What was written may be shorter than what was read: another recording has taken its place. */
static bool follow_was_cut(int fd)
{
	off_t at = lseek(fd, 0, SEEK_CUR);
	struct stat st;

	return fstat(fd, &st) == 0 && at > st.st_size;
}

static int64_t source_read_follow(void *arg, void *buffer, size_t bytes)
{
	const struct timespec pause = {0, FOLLOW_PAUSE_NS};
	struct stele__source *source = arg;

	for (;;) {
		bool ended = follow_has_ended(source->fd);
		int64_t got = source_read_plain(source, buffer, bytes);

		if (got != 0 || ended)
			return got;
		if (follow_signal || follow_was_cut(source->fd)) {
			source->interrupted = follow_signal != 0;
			return 0;
		}
		nanosleep(&pause, NULL);
	}
}

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

/* A file that can be mapped is the reader's alone: of many inputs each costs one descriptor. */
static int source_hand_over(struct stele__source *source, const char *path,
			    const struct stele_reader_options *options)
{
	int r = stele_reader_open(path, options, &source->reader);

	close(source->fd);
	source->fd = -1;
	free(source->buffer);
	source->buffer = NULL;
	return r < 0 ? source_error(path, r) : 0;
}

static int source_start(struct stele__source *source, const char *path, bool follow,
			const struct stele_reader_options *options)
{
	bool is_stdin = strcmp(path, "-") == 0;
	stele_read_fn read;
	struct stat st;
	int64_t have;
	int r;

	source->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (source->fd < 0)
		return source_error(path, -errno);
	if (fstat(source->fd, &st) == 0 && S_ISREG(st.st_mode) && !follow)
		stele__progress_begin(&source->progress, (uint64_t)st.st_size);
	source->buffer = malloc(SOURCE_BYTES);
	if (!source->buffer)
		return source_error(path, -ENOMEM);
	have = source_fill(source);
	if (have < 0)
		return source_error(path, (int)have);
	read = source_codec(source, path);
	if (!read)
		return STELE_EXIT_IO;
	if (follow && read != source_read_plain) {
		stele__complain("%s: a compressed file cannot be followed", path);
		return STELE_EXIT_USAGE;
	}
	if (read == source_read_plain && !follow && !is_stdin &&
	    lseek(source->fd, 0, SEEK_SET) == 0)
		return source_hand_over(source, path, options);
	if (follow)
		r = stele_reader_open_stream(source_read_follow, source, options, &source->reader);
	else
		r = stele_reader_open_stream(read, source, options, &source->reader);
	return r < 0 ? source_error(path, r) : 0;
}

static int source_new(const char *path, bool follow, const struct stele_reader_options *options,
		      struct stele__source **ret_source, struct stele_reader **ret_reader)
{
	struct stele__source *source = calloc(1, sizeof(*source));
	int exit;

	if (!source)
		return source_error(path, -ENOMEM);
	source->fd = -1;
	exit = source_start(source, path, follow, options);
	if (exit) {
		stele__source_close(source);
		return exit;
	}
	*ret_source = source;
	*ret_reader = source->reader;
	return 0;
}

int stele__source_open(const char *path, const struct stele_reader_options *options,
		       struct stele__source **ret_source, struct stele_reader **ret_reader)
{
	return source_new(path, false, options, ret_source, ret_reader);
}

int stele__source_follow(const char *path, const struct stele_reader_options *options,
			 struct stele__source **ret_source, struct stele_reader **ret_reader)
{
	struct sigaction action = {.sa_handler = follow_on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	return source_new(path, true, options, ret_source, ret_reader);
}

bool stele__source_interrupted(const struct stele__source *source)
{
	return source->interrupted;
}

/* Bytes of the file that are behind: of a compressed one, as they lie in it. */
static uint64_t source_done(const struct stele__source *source)
{
	off_t at = source->fd < 0 ? 0 : lseek(source->fd, 0, SEEK_CUR);
	uint64_t offset = stele_reader_offset(source->reader);

	return at > (off_t)SOURCE_BYTES ? (uint64_t)at : offset;
}

int stele__source_next(struct stele__source *source, const struct stele_event **ret_event)
{
	int got = stele_reader_next(source->reader, ret_event);

	if (STELE_UNLIKELY(got <= 0)) {
		stele__progress_end(&source->progress);
	} else if (STELE_UNLIKELY(++source->events == PROGRESS_EVENTS)) {
		source->events = 0;
		stele__progress_show(&source->progress, source_done(source));
	}
	return got;
}

void stele__source_hide_progress(struct stele__source *source)
{
	source->progress = (struct stele_progress){0};
}

void stele__source_close(struct stele__source *source)
{
	if (!source)
		return;
	stele__progress_end(&source->progress);
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
