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
	int error; /* -errno of the first failed write; nothing is written after it */
	size_t used;
	uint8_t buffer[1 << 16];
};

/*
 * Creates a file for binary data (mode 0600), or takes standard output for "-". `input` (may be
 * NULL) is what is being read: it is never overwritten, -f or not. Returns 0 or, with the message
 * printed, an exit code.
 * Owner: the caller, stele__outfile_close.
 */
int stele__outfile_open(const char *path, bool force, const struct stele_input *input,
			struct stele_output *ret_output);

/* The same, made of the trace at `trace` ("-": standard input), which is never overwritten. */
int stele__outfile_open_from(const char *path, bool force, const char *trace,
			     struct stele_output *ret_output);

/* Standard output for text: no rule applies. */
void stele__outfile_open_text(struct stele_output *ret_output);

/* Buffered. Returns 0, or the first -errno. Fits as callback: `output` is a void pointer. */
int stele__outfile_write(void *output, const void *data, size_t bytes);

/* Writes what is left and closes. Returns 0 or, with the message printed, an exit code. */
int stele__outfile_close(struct stele_output *output);

#endif
