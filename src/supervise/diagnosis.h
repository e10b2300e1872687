/* SPDX-License-Identifier: MIT */
/* What can be recorded on this machine, of a program before it is run, and of a process. */
#ifndef STELE_SUPERVISE_DIAGNOSIS_H
#define STELE_SUPERVISE_DIAGNOSIS_H

#include "base/compiler.h"

enum stele_health {
	STELE_HEALTH_GOOD,
	STELE_HEALTH_LESS, /* works, but something will be missing or slower */
	STELE_HEALTH_BAD,  /* nothing can be recorded */
};

struct stele_finding {
	enum stele_health health;
	const char *subject; /* one word */
	char what[320];	     /* how it is, and what a report will lack, without full stop */
	char remedy[240];    /* ""; else what to do about it */
};

/* Of a process that runs, beside what there is to say of its program. False: there is none. */
bool stele__diagnose_process(int pid, struct stele_finding *ret_findings, size_t *count);

#define STELE_FINDINGS_MAX 24

/* Findings are added at ret_findings[*count]; there is room for all. */
void stele__diagnose_machine(struct stele_finding *ret_findings, size_t *count);

/* The same of a program, found in `search` (a PATH) as a shell would. */
void stele__diagnose_program(const char *command, const char *search,
			     struct stele_finding *ret_findings, size_t *count);

#endif
