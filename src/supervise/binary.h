/* SPDX-License-Identifier: MIT */
/* One file of code that a traced process has loaded, and the names in it. */
#ifndef STELE_SUPERVISE_BINARY_H
#define STELE_SUPERVISE_BINARY_H

#include "arena/layout.h"
#include "supervise/debuginfo.h"

struct stele_binary;

/* Where files and their debugging information are looked for, beside their own paths. */
struct stele_binary_places {
	int pid;			/* as this process sees them; 0: unknown */
	const char *const *directories; /* below them: .build-id/…, and the paths themselves */
	size_t directory_count;
	bool servers;	/* ask debuginfod, which DEBUGINFOD_URLS names */
	bool elsewhere; /* the process ran at another time or place: without a build-id, nothing
			 * tells whether a file is the one that was loaded */
};

/*
 * Opens the file of a module entry, whose path (path_bytes long) is `path`. If the file that was
 * loaded cannot be found any more, the binary has no names. NULL: no memory.
 */
struct stele_binary *stele__binary_open(const struct stele_binary_places *places,
					const struct stele_module *module, const char *path);

/* Is this the file of that module entry? */
bool stele__binary_is(const struct stele_binary *binary, const struct stele_module *module,
		      const char *path);

const char *stele__binary_path(const struct stele_binary *binary);

/* Reads the file now rather than at the first stele__binary_find. */
void stele__binary_prepare(struct stele_binary *binary);

/*
 * The places of an address of the file, innermost first. Returns their number; 0: no name. Strings
 * live as long as the binary.
 */
size_t stele__binary_find(struct stele_binary *binary, uint64_t address, struct stele_place *places,
			  size_t max);

/* The variable that an address of the file lies in, and the first byte of it; NULL: none known. */
const char *stele__binary_variable(struct stele_binary *binary, uint64_t address,
				   uint64_t *ret_begin);

void stele__binary_free(struct stele_binary *binary);

#endif
