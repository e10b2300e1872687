/* SPDX-License-Identifier: MIT */
/* Reports: what they are of, and their two forms. */
#ifndef STELE_CLI_REPORT_H
#define STELE_CLI_REPORT_H

#include <stdio.h>

#include "stele/analyze.h"

struct stele__timechart;

struct stele_report {
	const char *path;
	const struct stele_analysis *analysis; /* finished */
	const struct stele_reader *reader;
	size_t top;	   /* rows of a table */
	size_t frames_max; /* of a stack in JSON; 0: all */
	int64_t from, to;  /* the part of the trace that it is about; INT64_MAX: to the end */
	bool color;
	struct stele__timechart *chart; /* finished; of pages only */
};

/* For people: at most 100 columns. */
void stele__report_text(FILE *out, const struct stele_report *report);

/* For programs: one object; docs/schema/report.md */
void stele__report_json(FILE *out, const struct stele_report *report);

/* To look at: one page of HTML with everything in it. 0 or a negative code. */
int stele__report_html(FILE *out, const struct stele_report *report);

/* The same of memory alone; docs/schema/heap.md */
void stele__heap_text(FILE *out, const struct stele_report *report);
void stele__heap_json(FILE *out, const struct stele_report *report);

/* Where the time of one thing went; docs/schema/why.md */
void stele__why_text(FILE *out, const struct stele_report *report);
void stele__why_json(FILE *out, const struct stele_report *report);

#endif
