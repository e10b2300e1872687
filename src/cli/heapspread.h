/* SPDX-License-Identifier: MIT */
/* Parts of stele heap for people: by whom, of which sizes, and where in memory. */
#ifndef STELE_CLI_HEAPSPREAD_H
#define STELE_CLI_HEAPSPREAD_H

#include "cli/report.h"

void stele__heap_parties(FILE *out, const struct stele_report *report);
void stele__heap_sizes(FILE *out, const struct stele_report *report);
void stele__heap_map(FILE *out, const struct stele_report *report);

/* A line under a site: who freed its objects. */
void stele__heap_freers(FILE *out, const struct stele_memory_site *site);

#endif
