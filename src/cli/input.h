/* SPDX-License-Identifier: MIT */
/* A whole input file in memory: mapped where that is possible, else read. */
#ifndef STELE_CLI_INPUT_H
#define STELE_CLI_INPUT_H

#include "base/compiler.h"

struct stele_input {
	const char *name; /* for messages: the path, or "standard input" */
	const void *data; /* never NULL */
	size_t bytes;
	void *mapping; /* what data is part of, if it was mapped or read; NULL: nothing */
	size_t mapping_bytes;
	uint64_t device, inode; /* so that a command never writes over what it reads */
};

/*
 * Opens a file, or standard input for "-". A regular file is mapped: whoever truncates it
 * meanwhile kills the reader. Failure: -errno.
 * Owner: the caller, stele__input_close.
 */
int stele__input_open(const char *path, struct stele_input *ret_input);

/* The same, with the message printed on failure; returns 0 or an exit code. */
int stele__input_open_or_complain(const char *path, struct stele_input *ret_input);

void stele__input_close(struct stele_input *input);

#endif
