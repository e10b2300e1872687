/* SPDX-License-Identifier: MIT */
/* Locks that threads wait for when the trace ends, and what those are at that have them. */
#ifndef STELE_CLI_STUCK_H
#define STELE_CLI_STUCK_H

#include "cli/report.h"

/* Nothing, if all waits are short. */
void stele__stuck_text(FILE *out, const struct stele_report *report);

/* The member `blockages`, behind another one. */
void stele__stuck_json(FILE *out, const struct stele_report *report);

#endif
