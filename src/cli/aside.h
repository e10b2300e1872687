/* SPDX-License-Identifier: MIT */
/* What a recording tells beside an event: what a system call is of, its result, what a wait is for.
 */
#ifndef STELE_CLI_ASIDE_H
#define STELE_CLI_ASIDE_H

#include "stele/read.h"

#define STELE__ASIDE_PENDING 64

struct stele__aside {
	/* Of the last event that was asked for. */
	bool told; /* else nothing is told of it */
	struct stele_detail detail;
	struct stele_string file; /* of a call: what its descriptor stands for; may be empty */

	struct stele_detail pending[STELE__ASIDE_PENDING]; /* not yet met their events */
	unsigned pending_count;
	void *files; /* a tree of tsearch(3): what descriptors stand for */
};

/* What belongs to the reader's last event, which is this. Ask for each. 0 or -ENOMEM. */
int stele__aside_of(struct stele__aside *aside, const struct stele_reader *reader,
		    const struct stele_event *event);

void stele__aside_done(struct stele__aside *aside);

#endif
