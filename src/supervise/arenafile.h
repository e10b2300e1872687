/* SPDX-License-Identifier: MIT */
/*
 * Where an arena lives: in memory that ends with the last process that maps it, or in a file that
 * is still there when everybody was killed. The file has all its blocks from the beginning, so that
 * a full disk is an error here and not a SIGBUS in the traced process. It is locked as long as its
 * recorder lives.
 */
#ifndef STELE_SUPERVISE_ARENAFILE_H
#define STELE_SUPERVISE_ARENAFILE_H

#include <limits.h>

#include "base/compiler.h"

struct stele_arenafile {
	int fd;		     /* -1: none */
	char path[PATH_MAX]; /* absolute; "": it has no name */
};

/*
 * Makes one of so many bytes. `path` NULL: without a name. One that exists is replaced only with
 * `force`. -errno; -EEXIST; -EBUSY: a recorder uses it.
 */
int stele__arenafile_create(const char *path, bool force, uint64_t bytes,
			    struct stele_arenafile *ret_file);

/* Opens one that a dead recorder has left, for reading. -errno; -EBUSY: its recorder lives. */
int stele__arenafile_open(const char *path, struct stele_arenafile *ret_file);

/* Is it mapped by this process? */
bool stele__arenafile_is_mapped(const struct stele_arenafile *file, int pid);

/* Says which life of the machine this is. False: unknown. */
bool stele__arenafile_boot(uint64_t ret_boot[2]);

/* What the traced process opens. */
void stele__arenafile_name(const struct stele_arenafile *file, char *ret_path, size_t bytes);

/* Closes; removes the name if `remove`. */
void stele__arenafile_close(struct stele_arenafile *file, bool remove);

#endif
