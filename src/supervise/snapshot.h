/* SPDX-License-Identifier: MIT */
/*
 * Snapshots: what the flight recorders keep, written to a file, and the files of earlier ones
 * removed that are too many. Threads: one at a time.
 */
#ifndef STELE_SUPERVISE_SNAPSHOT_H
#define STELE_SUPERVISE_SNAPSHOT_H

#include "supervise/recalls.h"
#include "supervise/session.h"

struct stele_snapshots {
	const struct stele_session_options *options;
	int pid;	/* of the program */
	uint64_t tried; /* numbers given out */

	uint64_t written, bytes, removed, failed;
	char last[PATH_MAX]; /* the newest that was written; "": none */
};

/*
 * Writes one, labelled with the reason. path: where to, which replaces an existing file if the
 * options say so; NULL: by the options' output, where no file is replaced: %n, which such a name
 * has, is counted on. reason: for the sentence, which goes to the options' say if path is NULL;
 * else the caller tells. -errno.
 */
int stele__snapshot_write(struct stele_snapshots *snapshots, struct stele_recalls *recalls,
			  const char *path, const char *reason);

/* What %n stands for in this pattern of a file's name is filled in. -ENAMETOOLONG. */
int stele__snapshot_number(const char *pattern, uint64_t number, char *ret_text, size_t bytes);

#endif
