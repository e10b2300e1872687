/* SPDX-License-Identifier: MIT */
/*
 * Where a command writes a file, under the rules of the command line: nothing that exists is
 * overwritten without -f, binary never goes to a terminal, traces are for their owner alone.
 */
#ifndef STELE_CLI_OUTPUT_H
#define STELE_CLI_OUTPUT_H

#include "base/compiler.h"
#include "cli/input.h"

struct stele_output {
	const char *name; /* for messages */
	int fd;
	int error;	  /* -errno of the first failed write; nothing is written after it */
	const char *made; /* the path, if there was no such file before */
	bool stale;	  /* what the file held before is still there */
	size_t used;
	uint8_t buffer[1 << 16];
};

/*
 * Creates a file for binary data (mode 0600), or takes standard output for "-". `input` (may be
 * NULL) is what is being read: it is never overwritten, -f or not. What a file held before stays
 * until its buffer is full for the first time, or it is closed. Returns 0 or, with the message
 * printed, an exit code.
 * Owner: the caller, stele__outfile_close or stele__outfile_close_if.
 */
int stele__outfile_open(const char *path, bool force, const struct stele_input *input,
			struct stele_output *ret_output);

/* The same, made of the trace at `trace` ("-": standard input), which is never overwritten. */
int stele__outfile_open_from(const char *path, bool force, const char *trace,
			     struct stele_output *ret_output);

/* Standard output for text: no rule applies. */
void stele__outfile_open_text(struct stele_output *ret_output);

/* What the file held before is gone now: for those who write to it by its path. 0 or
 * -errno. */
int stele__outfile_clear(struct stele_output *output);

/* Buffered. Returns 0, or the first -errno. Fits as callback: `output` is a void pointer. */
int stele__outfile_write(void *output, const void *data, size_t bytes);

/*
 * Writes what is left and closes. Returns 0 or, with the message printed, an exit code: then a new
 * file is gone, and the room that it took.
 */
int stele__outfile_close(struct stele_output *output);

/*
 * The same, if the input turned out to be one. Else a new file is gone, and an old one is as it
 * was, unless a whole buffer has been written; 0.
 */
int stele__outfile_close_if(struct stele_output *output, bool any);

#endif
