/* SPDX-License-Identifier: MIT */
/* The lock ledger of stele report: which locks were waited for, and who had them meanwhile. */
#ifndef STELE_CLI_LEDGER_H
#define STELE_CLI_LEDGER_H

#include "cli/report.h"

#define STELE__LEDGER_NAME 160

/* "lock", "one of 12 made by f (a.c:12)", "at 0x7f…", into text[STELE__LEDGER_NAME]. */
struct stele_string stele__ledger_name(const struct stele_lock *lock, char *text);

/* "f (a.c:12)" of a stack's frame, 0: the innermost; "" of none; into text[STELE__LEDGER_NAME]. */
struct stele_string stele__ledger_place(const struct stele_report *report, uint32_t stack,
					size_t frame, char *text);

void stele__ledger_text(FILE *out, const struct stele_report *report);

/* The member `locks` of the report's object. */
void stele__ledger_json(FILE *out, const struct stele_report *report);

/* The members that tell which lock; each begins with a comma. */
void stele__ledger_json_lock(FILE *out, const struct stele_lock *lock);

#endif
