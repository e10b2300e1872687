/* SPDX-License-Identifier: MIT */
/* Opening a trace for a command: a file, "-" for stdin, plain or compressed by gzip or zstd. */
#ifndef STELE_CLI_SOURCE_H
#define STELE_CLI_SOURCE_H

#include "stele/read.h"

struct stele__source;

/*
 * Complains and returns an exit code (> 0) on failure, 0 on success. The reader is closed with
 * the source.
 */
int stele__source_open(const char *path, const struct stele_reader_options *options,
		       struct stele__source **ret_source, struct stele_reader **ret_reader);

void stele__source_close(struct stele__source *source);

#endif
