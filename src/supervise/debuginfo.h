/* SPDX-License-Identifier: MIT */
/* Functions, inlined calls and source lines from a file's debugging information. */
#ifndef STELE_SUPERVISE_DEBUGINFO_H
#define STELE_SUPERVISE_DEBUGINFO_H

#include <elfutils/libdw.h>

#include "base/compiler.h"

/* One function at a place; what is unknown is NULL or 0. Strings lie in the Dwarf. */
struct stele_place {
	const char *function;
	const char *linkage; /* the mangled name, if there is one */
	const char *file;
	int line;
};

struct stele_debuginfo;

/* An index of the compilation units of `dwarf`, which stays the caller's. NULL: no memory. */
struct stele_debuginfo *stele__debuginfo_new(Dwarf *dwarf);

/* The places of an address, innermost (inlined) first; returns their number, at most max; 0: the
 * address lies in no unit. */
size_t stele__debuginfo_find(struct stele_debuginfo *index, uint64_t address,
			     struct stele_place *places, size_t max);

void stele__debuginfo_free(struct stele_debuginfo *index);

#endif
