/* SPDX-License-Identifier: MIT */
#ifndef STELE_SUPERVISE_DEFINITIONS_H
#define STELE_SUPERVISE_DEFINITIONS_H

#include "base/compiler.h"

/* What an ELF file's symbol tables say of it. */
struct stele_definitions {
	bool malloc;  /* it has a malloc of its own, which calls from it use */
	bool symbols; /* it has a symbol table beyond that of the dynamic linker */
	bool lines;   /* it has debugging information */
};

/* 0 or -errno; a damaged file has nothing. */
int stele__definitions_read(const char *path, struct stele_definitions *ret_definitions);

#endif
