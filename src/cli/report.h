/* SPDX-License-Identifier: MIT */
/* The two forms of a report. */
#ifndef STELE_CLI_REPORT_H
#define STELE_CLI_REPORT_H

#include <stdio.h>

#include "stele/analyze.h"

struct stele_report {
	const char *path;
	const struct stele_analysis *analysis; /* finished */
	const struct stele_reader *reader;
	size_t top;	  /* rows of a table */
	int64_t from, to; /* the part of the trace that it is about; INT64_MAX: to the end */
	bool color;
};

/* For people: at most 100 columns. */
void stele__report_text(FILE *out, const struct stele_report *report);

/* For programs: one object; docs/schema/report.md */
void stele__report_json(FILE *out, const struct stele_report *report);

#endif
