/* SPDX-License-Identifier: MIT */
/* What the commands say of a trace: whether it is sound, counts, and text made safe to print. */
#ifndef STELE_CLI_VERDICT_H
#define STELE_CLI_VERDICT_H

#include <stdio.h>

#include "stele/read.h"

/* "ok", "truncated", "corrupt", "unsupported", "not a trace", "unreadable". */
const char *stele__verdict_word(const struct stele_diag *diag);

/*
 * The exit code for what ended the reading. strict: warnings count as defects, and losses
 * (`recording`, may be NULL) count.
 */
int stele__verdict_exit(const struct stele_reader *reader, const struct stele_recording *recording,
			bool strict);

/* The diagnostic on stderr, if there is one. */
void stele__verdict_complain(const char *path, const struct stele_diag *diag);

/* "lost …" lines by cause and class; nothing if nothing is missing from the trace. */
void stele__verdict_print_losses(FILE *out, const struct stele_recording *recording);
/* "lost": {"events": 0, "causes": {…}, "totals": {…}} */
void stele__verdict_json_losses(FILE *out, const struct stele_recording *recording);

/* "offset 12, generation 1, thread 5, after 3 events: text". */
void stele__verdict_print_diag(FILE *out, const struct stele_diag *diag);

/* " events=1 goroutines=2 …", the fields of an ok line. */
void stele__verdict_print_counts(FILE *out, const struct stele_counts *counts);

/* JSON members, each without a comma behind the last one. */
void stele__verdict_json_diags(FILE *out, const struct stele_reader *reader);
void stele__verdict_json_counts(FILE *out, const struct stele_counts *counts);

/* A JSON string; bytes that are no UTF-8 become U+FFFD. */
void stele__json_string(FILE *out, const char *data, size_t bytes);
void stele__json_text(FILE *out, const char *text);

#endif
