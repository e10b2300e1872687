/* SPDX-License-Identifier: MIT */
/*
 * After the recorder was killed: the trace up to its last whole generation, and what the arena
 * still holds. The arena is only read, so this can be done again.
 */
#ifndef STELE_SUPERVISE_RECOVER_H
#define STELE_SUPERVISE_RECOVER_H

#include "supervise/session.h"

struct stele_recover_options {
	const char *arena;
	const char *trace;  /* what the dead recorder wrote; NULL: where the arena says */
	const char *output; /* NULL: the trace is completed where it is */
	bool force;	    /* replace an existing output */

	/* As in struct stele_session_options. */
	void (*say)(void *arg, enum stele_say level, const char *sentence);
	void *arg;
};

/*
 * 0, with result->recorded unless only what was written before was kept; -errno or STELE_E_*: said
 * why, and what was there is there still. result->status is not set.
 */
int stele__recover(const struct stele_recover_options *options,
		   struct stele_session_result *ret_result);

#endif
