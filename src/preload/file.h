/* SPDX-License-Identifier: MIT */
/*
 * What descriptors stand for: paths and addresses. Each is looked up once, before the first call
 * with it, and again after something was put in its place. So it is known of all, however they
 * came, and at a moment when they are open.
 */
#ifndef STELE_PRELOAD_FILE_H
#define STELE_PRELOAD_FILE_H

#include "preload/preload.h"

#define STELE_FILES_MAX 4096 /* descriptors above are not told of */

/* A bit for each descriptor that is told of. */
extern uint64_t stele__files_told[STELE_FILES_MAX / 64] STELE_HIDDEN;

void stele__file_tell(int fd) STELE_HIDDEN;

/* What it stands for, "" if that is not known. False: it may stand for something else soon. Keeps
 * errno. Signals: safe. */
bool stele__file_describe(int fd, char *text, size_t bytes) STELE_HIDDEN;

STELE_INLINE bool stele__file_is_told(int fd)
{
	return (unsigned)fd < STELE_FILES_MAX &&
	       (stele__load_relaxed(&stele__files_told[fd / 64]) >> fd % 64 & 1);
}

/* Before a call with it. Keeps errno. Signals: safe. */
STELE_INLINE void stele__file_note(int fd)
{
	if (STELE_UNLIKELY((unsigned)fd < STELE_FILES_MAX && !stele__file_is_told(fd)))
		stele__file_tell(fd);
}

/* A system call of a file, which is looked up if it is not known yet. */
STELE_INLINE stele_interval stele__file_call(long number, int fd)
{
	stele__file_note(fd);
	return stele_syscall_begin_file(number, fd);
}

/* It stands for something else, or for nothing, from now on. */
void stele__file_forget(int fd) STELE_HIDDEN;
/* All do: a child of a fork has a recording of its own. */
void stele__file_forget_all(void) STELE_HIDDEN;
/* Nothing is looked up any more: the program is about to forbid itself system calls. */
void stele__file_stop(void) STELE_HIDDEN;

#endif
