/* SPDX-License-Identifier: MIT */
/* What reports for people are put together from. */
#ifndef STELE_CLI_PARTS_H
#define STELE_CLI_PARTS_H

#include "cli/report.h"

/* A blank line, and the title without an end of line. */
void stele__part_title(FILE *out, const struct stele_report *report, const char *title);

/* Cells of a table, right-aligned: 10 columns, `width`, 11. */
void stele__part_time(FILE *out, int64_t ns);
void stele__part_count(FILE *out, uint64_t count, unsigned width);
void stele__part_bytes(FILE *out, uint64_t bytes);

/* 0 of nothing. */
double stele__percent(uint64_t part, uint64_t whole);

/* "and N more", under a table of `count` rows that was cut after `top`. */
void stele__part_more(FILE *out, size_t count, size_t top);

/* The innermost frames of a stack, a line each. */
void stele__part_frames(FILE *out, const struct stele_report *report, uint32_t stack);

/* What the trace is, and how far it can be trusted. */
void stele__part_trust(FILE *out, const struct stele_report *report);

#endif
