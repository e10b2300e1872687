/* SPDX-License-Identifier: MIT */
/* What can be recorded on this machine, and of a program, before it is run. */
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

#define STELE_FINDINGS_MAX 16

/* Findings are added at ret_findings[*count]; there is room for all. */
void stele__diagnose_machine(struct stele_finding *ret_findings, size_t *count);

/* The same of a program, found in `search` (a PATH) as a shell would. */
void stele__diagnose_program(const char *command, const char *search,
			     struct stele_finding *ret_findings, size_t *count);

#endif
