/* SPDX-License-Identifier: MIT */
/*
 * A command that reads a trace once and prints what an analysis made of it: report, heap, why. All
 * have the same options: --json, --top, --from, --to, --strict.
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
	/* Of commands with options of their own; all NULL otherwise. */
	void *arg;
	/* argv[*at]: moves *at to its last argument. 0: it is none of them; 1: taken; negative: an
	 * exit status, negated, and the message was printed. */
	int (*option)(void *arg, int argc, char **argv, int *at);
	/* All options are known: an exit status, the message was printed. */
	int (*ready)(void *arg);
	/* Before the first event: 0 or an error. */
	int (*prepare)(void *arg, struct stele_analysis *analysis);
	/* The answer was printed: an exit status, with a message if that is not 0. */
	int (*verdict)(void *arg, const struct stele_report *report);
};

/* Exit status. */
int stele__answer(const struct stele__answer *answer, int argc, char **argv);

#endif
