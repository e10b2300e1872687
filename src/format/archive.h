/* SPDX-License-Identifier: MIT */
/* Go's archives of text files (txtar), in which its tests keep a trace and what to expect of it. */
#ifndef STELE_FORMAT_ARCHIVE_H
#define STELE_FORMAT_ARCHIVE_H

#include "base/compiler.h"

struct stele_section {
	const char *text;
	size_t bytes;
	uint64_t line; /* number of its first line in the whole text */
};

/*
 * Finds the section that begins behind the line `-- NAME --`. 1: found; 0: the text has no such
 * lines and is no archive; -ENOENT: an archive without this section.
 */
int stele__archive_find(const char *text, size_t bytes, const char *name,
			struct stele_section *ret_section);

#endif
