/* SPDX-License-Identifier: MIT */
/* Text in columns: numbers for people, names of a trace made safe and cut to a width. */
#ifndef STELE_CLI_COLUMNS_H
#define STELE_CLI_COLUMNS_H

#include <stdio.h>

#include "stele/read.h"

#define STELE__COLUMN_TEXT 40

/* "350 ns", "4.57 µs", "12.3 ms", "1.24 s", "3m05s", into text[STELE__COLUMN_TEXT]. */
const char *stele__column_time(int64_t ns, char *text);
/* "12,345". */
const char *stele__column_count(uint64_t count, char *text);
/* "999 B", "1.5 KiB". */
const char *stele__column_bytes(uint64_t bytes, char *text);

/* Right-aligned in so many columns; µ is one. */
void stele__column_right(FILE *out, const char *text, unsigned width);

/*
 * At most `width` columns: control characters and broken UTF-8 become '?', what is too long ends
 * with "...". Returns how many columns it took.
 */
unsigned stele__column_name(FILE *out, struct stele_string name, unsigned width);

/* The same of "read /a/long/path": the call, and as much of the end as has room. */
void stele__column_call(FILE *out, struct stele_string name, unsigned width);

void stele__column_pad(FILE *out, unsigned columns);

#endif
