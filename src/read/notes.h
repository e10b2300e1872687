/* SPDX-License-Identifier: MIT */
/* Diagnostics as data: filling one in, and the list of warnings. */
#ifndef STELE_READ_NOTES_H
#define STELE_READ_NOTES_H

#include "base/compiler.h"
#include "base/error.h"
#include "stele/read.h"

#define STELE__NOTES_MAX 64

struct stele__notes {
	struct stele_diag *list; /* room for STELE__NOTES_MAX once there is one */
	uint32_t count;
	uint64_t events; /* delivered so far */
	uint64_t total;	 /* with those that found no room */
};

void stele__notes_done(struct stele__notes *notes);

/* Where a defect was found. */
struct stele__place {
	uint64_t offset;
	uint64_t generation;
	uint64_t thread;
};

/* Fills in all but `event`. Returns code. */
int stele__diag_set(struct stele_diag *diag, int code, struct stele__place place,
		    const char *format, ...) STELE_PRINTF(4, 5);

/* The 65th and later warnings are only counted. */
void stele__notes_warn(struct stele__notes *notes, int code, struct stele__place place,
		       const char *format, ...) STELE_PRINTF(4, 5);

#endif
