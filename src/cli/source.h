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

/*
 * The same for a file that is still being written: at its end more is waited for, until the
 * recorder's end mark, or SIGINT or SIGTERM, has come. Uncompressed files only.
 */
int stele__source_follow(const char *path, const struct stele_reader_options *options,
			 struct stele__source **ret_source, struct stele_reader **ret_reader);

/* Was it a signal that ended the following? Then the trace need not be whole. */
bool stele__source_interrupted(const struct stele__source *source);

/* stele_reader_next, with progress shown on a terminal. */
int stele__source_next(struct stele__source *source, const struct stele_event **ret_event);

/* For commands that print while they read, if that goes to a terminal. */
void stele__source_hide_progress(struct stele__source *source);

void stele__source_close(struct stele__source *source);

#endif
