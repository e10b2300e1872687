/* SPDX-License-Identifier: MIT */
/* A part of a trace for a command that reads: the window is cut out and read in the trace's place.
 */
#ifndef STELE_CLI_WITHIN_H
#define STELE_CLI_WITHIN_H

#include "cli/output.h"
#include "cli/source.h"
#include "surgery/excerpt.h"

/*
 * Reads the source as far as the window goes and writes the window; 0 or an error of ours. What
 * ended the reading is the reader's to tell.
 */
int stele__within_cut(struct stele__source *source, const struct stele_reader *reader, int64_t from,
		      int64_t to, struct stele_output *output,
		      struct stele__excerpt_result *ret_result);

/*
 * Opens the part of a trace between two moments, in memory. Complains and returns an exit code on
 * failure: also where nothing lies in it. *ret_damage: an exit code, where the trace is damaged
 * before the window ends (what there was is read; it was complained).
 */
int stele__within_open(const char *path, int64_t from, int64_t to,
		       struct stele__source **ret_source, struct stele_reader **ret_reader,
		       int *ret_damage);

#endif
