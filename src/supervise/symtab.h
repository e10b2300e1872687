/* SPDX-License-Identifier: MIT */
/* The functions and variables that an ELF file's symbol tables name, sorted by address. */
#ifndef STELE_SUPERVISE_SYMTAB_H
#define STELE_SUPERVISE_SYMTAB_H

#include <libelf.h>

#include "base/compiler.h"

struct stele_symbol {
	uint64_t low;
	uint64_t high;
	const char *name; /* lies in the Elf */
	uint32_t rank;	  /* of several names at one address the lowest rank is shown */
};

struct stele_symtab {
	struct stele_symbol *symbols;
	size_t count, capacity;
};

/* Adds a file's .symtab and .dynsym; the Elf must outlive the table. -ENOMEM. */
int stele__symtab_add(struct stele_symtab *table, Elf *elf);

/* Once everything is added. */
void stele__symtab_sort(struct stele_symtab *table);

/* The function or variable at an address of the file; NULL: none known. */
const struct stele_symbol *stele__symtab_find(const struct stele_symtab *table, uint64_t address);

void stele__symtab_done(struct stele_symtab *table);

#endif
