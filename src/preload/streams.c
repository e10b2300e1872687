/* SPDX-License-Identifier: MIT */
/*
 * Streams of stdio. libc reads and writes for them by calls of its own, which nobody sees: so the
 * functions are calls when they have to make one; else it costs a look at the stream's buffer. Not
 * so single characters but for what getc_unlocked() and putc_unlocked() call themselves, and
 * printf() and scanf(), of which nobody knows before what they will do.
 */
#ifndef __NO_INLINE__
#define __NO_INLINE__ 1 /* headers would define some of them */
#endif
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "preload/file.h"
#include "preload/preload.h"
#include "preload/resolve.h"

/* Not in all headers. */
char *__fgets_chk(char *text, size_t room, int n, FILE *f);
char *__fgets_unlocked_chk(char *text, size_t room, int n, FILE *f);
size_t __fread_chk(void *p, size_t room, size_t size, size_t n, FILE *f);
size_t __fread_unlocked_chk(void *p, size_t room, size_t size, size_t n, FILE *f);
int __uflow(FILE *f);
int __underflow(FILE *f);
int __overflow(FILE *f, int c);

/* Macros of the headers. */
#undef fread_unlocked
#undef fwrite_unlocked

/* Bits of _flags, part of glibc's binary interface. */
#define STREAM_UNBUFFERED 0x2
#define STREAM_FAILED	  0x20
#define STREAM_LINES	  0x200

/*
 * Bytes that can be had without a call, at *ret_at. Another thread may be using the stream, whose
 * lock is not taken for this: what does not lie in its buffer just now is not there.
 */
static size_t stream_ready(const FILE *f, const char **ret_at)
{
	const char *at = f->_IO_read_ptr, *end = f->_IO_read_end;

	*ret_at = at;
	return at && f->_IO_buf_base <= at && at < end && end <= f->_IO_buf_end ? (size_t)(end - at)
										: 0;
}

/* Streams that are no files (fmemopen, fopencookie) have a negative descriptor. */
static bool stream_lacks(const FILE *f, size_t bytes)
{
	const char *at;

	return stream_ready(f, &at) < bytes && f->_fileno >= 0;
}

static bool stream_lacks_line(const FILE *f, int end, size_t bytes)
{
	const char *at;
	size_t ready = stream_ready(f, &at);

	return ready < bytes && f->_fileno >= 0 && !(ready && memchr(at, end, ready));
}

/* What the last read brought: past the buffer, or into it. */
static int64_t stream_read(const FILE *f, size_t past)
{
	int64_t bytes = f->_IO_read_end - f->_IO_read_base;

	if (bytes <= (int64_t)past)
		bytes = (int64_t)past;
	return bytes == 0 && f->_flags & STREAM_FAILED ? -errno : bytes;
}

static size_t stream_pending(const FILE *f)
{
	return f->_IO_write_ptr > f->_IO_write_base ? (size_t)(f->_IO_write_ptr - f->_IO_write_base)
						    : 0;
}

/* Surely, and not only if there is a newline. */
static bool stream_must_write(const FILE *f, size_t bytes)
{
	size_t buffer = (size_t)(f->_IO_buf_end - f->_IO_buf_base);

	if (f->_fileno < 0 || !bytes || f->_flags & STREAM_LINES)
		return false;
	return f->_flags & STREAM_UNBUFFERED ||
	       (f->_IO_buf_base && stream_pending(f) + bytes > buffer);
}

static int64_t stream_written(const FILE *f, size_t pending, bool failed)
{
	size_t left = stream_pending(f);

	return failed ? -errno : pending > left ? (int64_t)(pending - left) : 0;
}

/* lacks: it has to read; past: bytes that did not go through the buffer, by the result. */
#define READS(type, name, params, args, lacks, past)                                               \
	STELE_EXPORT type name params                                                              \
	{                                                                                          \
		stele_interval call;                                                               \
		type result;                                                                       \
                                                                                                   \
		if (!stele__recording() || STELE_LIKELY(!(lacks)))                                 \
			return STELE_REAL(name) args;                                              \
		call = stele__file_call(SYS_read, f->_fileno);                                     \
		result = STELE_REAL(name) args;                                                    \
		stele_syscall_end(call, stream_read(f, past));                                     \
		return result;                                                                     \
	}

#define READS_LINE(type, name, params, args, end, bytes)                                           \
	READS(type, name, params, args, stream_lacks_line(f, end, bytes), 0)
#define READS_BYTES(name, params, args)                                                            \
	READS(size_t, name, params, args, stream_lacks(f, size *n), result *size)

READS_LINE(char *, fgets, (char *text, int n, FILE *f), (text, n, f), '\n', (size_t)n - 1)
READS_LINE(char *, fgets_unlocked, (char *text, int n, FILE *f), (text, n, f), '\n', (size_t)n - 1)
READS_LINE(char *, __fgets_chk, (char *text, size_t room, int n, FILE *f), (text, room, n, f), '\n',
	   (size_t)n - 1)
READS_LINE(char *, __fgets_unlocked_chk, (char *text, size_t room, int n, FILE *f),
	   (text, room, n, f), '\n', (size_t)n - 1)
READS_LINE(ssize_t, getline, (char **text, size_t *room, FILE *f), (text, room, f), '\n', SIZE_MAX)
READS_LINE(ssize_t, getdelim, (char **text, size_t *room, int end, FILE *f), (text, room, end, f),
	   end, SIZE_MAX)
READS_LINE(ssize_t, __getdelim, (char **text, size_t *room, int end, FILE *f), (text, room, end, f),
	   end, SIZE_MAX)
READS_BYTES(fread, (void *p, size_t size, size_t n, FILE *f), (p, size, n, f))
READS_BYTES(fread_unlocked, (void *p, size_t size, size_t n, FILE *f), (p, size, n, f))
READS_BYTES(__fread_chk, (void *p, size_t room, size_t size, size_t n, FILE *f),
	    (p, room, size, n, f))
READS_BYTES(__fread_unlocked_chk, (void *p, size_t room, size_t size, size_t n, FILE *f),
	    (p, room, size, n, f))
READS(int, __uflow, (FILE * f), (f), stream_lacks(f, 1), 0)
READS(int, __underflow, (FILE * f), (f), stream_lacks(f, 1), 0)

/* bytes: that are to go into the stream. */
#define WRITES(type, name, params, args, must, bytes, failed)                                      \
	STELE_EXPORT type name params                                                              \
	{                                                                                          \
		stele_interval call;                                                               \
		size_t pending;                                                                    \
		type result;                                                                       \
                                                                                                   \
		if (!stele__recording() || STELE_LIKELY(!(must)))                                  \
			return STELE_REAL(name) args;                                              \
		pending = stream_pending(f) + (bytes);                                             \
		call = stele__file_call(SYS_write, f->_fileno);                                    \
		result = STELE_REAL(name) args;                                                    \
		stele_syscall_end(call, stream_written(f, pending, failed));                       \
		return result;                                                                     \
	}

WRITES(size_t, fwrite, (const void *p, size_t size, size_t n, FILE *f), (p, size, n, f),
       stream_must_write(f, size *n), size *n, result < n)
WRITES(size_t, fwrite_unlocked, (const void *p, size_t size, size_t n, FILE *f), (p, size, n, f),
       stream_must_write(f, size *n), size *n, result < n)
WRITES(int, fputs, (const char *text, FILE *f), (text, f), stream_must_write(f, strlen(text)),
       strlen(text), result < 0)
WRITES(int, fputs_unlocked, (const char *text, FILE *f), (text, f),
       stream_must_write(f, strlen(text)), strlen(text), result < 0)
WRITES(int, __overflow, (FILE * f, int c), (f, c), stream_must_write(f, 1), 1, result < 0)
WRITES(int, fflush, (FILE * f), (f), f &&stream_pending(f) && f->_fileno >= 0, 0, result < 0)
WRITES(int, fflush_unlocked, (FILE * f), (f), f &&stream_pending(f) && f->_fileno >= 0, 0,
       result < 0)

/* Writes what is left; the call is begun while it is known what the descriptor stands for. */
STELE_EXPORT int fclose(FILE *f)
{
	size_t pending = stream_pending(f);
	stele_interval call = 0;
	int fd = f->_fileno, result;

	if (!stele__recording())
		return STELE_REAL(fclose)(f);
	if (pending && fd >= 0)
		call = stele__file_call(SYS_write, fd);
	stele__file_forget(fd);
	result = STELE_REAL(fclose)(f);
	stele_syscall_end(call, result < 0 ? -errno : (int64_t)pending);
	return result;
}
