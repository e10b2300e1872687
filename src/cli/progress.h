/* SPDX-License-Identifier: MIT */
/* How far a long reading has come, on stderr if that is a terminal, from the first second on. */
#ifndef STELE_CLI_PROGRESS_H
#define STELE_CLI_PROGRESS_H

#include "base/compiler.h"

struct stele_progress {
	uint64_t total;	   /* bytes; 0: not known, nothing is shown */
	uint64_t begin_ns; /* 0: off */
	uint64_t shown_ns; /* 0: never */
};

/* total 0: nothing will be shown. */
void stele__progress_begin(struct stele_progress *progress, uint64_t total);

/* So many bytes are behind. Cheap enough for every few thousand events. */
void stele__progress_show(struct stele_progress *progress, uint64_t done);

/* Leaves the line as it was. */
void stele__progress_end(struct stele_progress *progress);

#endif
