/* SPDX-License-Identifier: MIT */
/* The trace file: made without overwriting anything, written as a stream, cut to what is valid. */
#ifndef STELE_SUPERVISE_TRACEFILE_H
#define STELE_SUPERVISE_TRACEFILE_H

#include <limits.h>
#include <sys/types.h>

#include "base/compiler.h"

struct stele_tracefile {
	int fd; /* -1: none */
	char path[PATH_MAX];
	bool ours;    /* a regular file that stele__tracefile_open made */
	dev_t device; /* of ours */
	ino_t inode;
	uint64_t bytes; /* written */
	int error;	/* the first failure of a write, 0: none */
};

/*
 * The file's name: `pattern` with %p replaced by pid and %% by %; NULL: PROGRAM.PID.trace, where
 * PROGRAM is the last part of `program`. -ENAMETOOLONG.
 */
int stele__tracefile_name(const char *pattern, const char *program, int pid, char *ret_path,
			  size_t bytes);

/*
 * Creates the file with mode 0600. A file that exists is replaced only with `force`; devices and
 * pipes are written to as they are. -errno; -EEXIST: exists, not forced; -EISDIR; -ENOTTY: the
 * bytes would go to a terminal.
 */
int stele__tracefile_open(const char *path, bool force, struct stele_tracefile *ret_output);

/* Opens an existing file to be written on behind its first `bytes` bytes; the rest goes. -errno. */
int stele__tracefile_continue(const char *path, uint64_t bytes, struct stele_tracefile *ret_output);

/* For struct stele_sink. The first failure is kept in `error`; nothing is written after it. */
int stele__tracefile_write(void *output, const void *data, size_t bytes);

/* Cuts the file to its first valid_bytes and closes it. -errno: not everything is on its way. */
int stele__tracefile_finish(struct stele_tracefile *output, uint64_t valid_bytes);

/* Closes, and removes the file if it is ours and still there. */
void stele__tracefile_discard(struct stele_tracefile *output);

#endif
