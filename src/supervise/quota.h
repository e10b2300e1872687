/* SPDX-License-Identifier: MIT */
/* So that snapshots do not fill the disk: the oldest traces of one name go. */
#ifndef STELE_SUPERVISE_QUOTA_H
#define STELE_SUPERVISE_QUOTA_H

#include "base/compiler.h"

struct stele_quota {
	uint64_t files; /* kept at most; 0: any number */
	uint64_t bytes; /* kept at most; 0: any */
};

/*
 * Removes the oldest traces in the directory of `pattern` whose names it fits, digits standing for
 * %p and %n. Only regular files of this user that begin as a trace does are touched; `newest`, a
 * path, stays. Returns the number of files removed, or -errno: the directory cannot be read.
 */
int stele__quota_apply(const struct stele_quota *quota, const char *pattern, const char *newest);

/* Would a file of this name be one of the pattern's? */
bool stele__quota_fits(const char *pattern, const char *name);

#endif
