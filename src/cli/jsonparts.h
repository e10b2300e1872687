/* SPDX-License-Identifier: MIT */
/* What reports for programs are put together from: docs/schema/ */
#ifndef STELE_CLI_JSONPARTS_H
#define STELE_CLI_JSONPARTS_H

#include "cli/report.h"

/* Members behind others of an object: each begins with a comma. */
void stele__json_member(FILE *out, const char *name, struct stele_string text);
void stele__json_number(FILE *out, const char *name, uint64_t value);
void stele__json_signed(FILE *out, const char *name, int64_t value);
void stele__json_stack(FILE *out, const struct stele_report *report, uint32_t stack);

/* The innermost frame of a stack, or null. */
void stele__json_place(FILE *out, const struct stele_report *report, const char *name,
		       uint32_t stack);

/* The members of a sum; no comma before them. */
void stele__json_sum(FILE *out, const struct stele_memory_sum *sum);

/* The beginning of the report's object: what the trace is, and how far it can be trusted. */
void stele__json_begin(FILE *out, const struct stele_report *report);

#endif
