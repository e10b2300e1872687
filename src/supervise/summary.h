/* SPDX-License-Identifier: MIT */
/* What is said after a recording: what is in the file, what is missing, what to type next. */
#ifndef STELE_SUPERVISE_SUMMARY_H
#define STELE_SUPERVISE_SUMMARY_H

#include <stdio.h>

#include "supervise/session.h"

struct stele_summary_style {
	bool color;
	bool verbose;
};

/* Nothing is printed about a program that was not recorded: its warning has been said. */
void stele__summary_print(FILE *out, const struct stele_session_result *result,
			  const struct stele_summary_style *style);

/* "1,234,567" and "12.3 MiB"; return text. */
char *stele__summary_count(uint64_t count, char *text, size_t bytes);
char *stele__summary_bytes(uint64_t count, char *text, size_t bytes);

#endif
