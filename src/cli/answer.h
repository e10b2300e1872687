/* SPDX-License-Identifier: MIT */
/*
 * A command that reads a trace once and prints what an analysis made of it: report, heap. All have
 * the same options: --json, --top, --from, --to, --strict.
 */
#ifndef STELE_CLI_ANSWER_H
#define STELE_CLI_ANSWER_H

#include "cli/report.h"

struct stele__answer {
	const char *name;
	void (*help)(void);
	void (*text)(FILE *out, const struct stele_report *report);
	void (*json)(FILE *out, const struct stele_report *report);
	int (*html)(FILE *out, const struct stele_report *report); /* NULL: there is no --html */
};

/* Exit status. */
int stele__answer(const struct stele__answer *answer, int argc, char **argv);

#endif
