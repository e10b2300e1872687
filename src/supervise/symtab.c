/* SPDX-License-Identifier: MIT */
/*
 * libdw's own look-up walks the whole symbol table for each address, which is too slow between two
 * ticks of the drain.
 */
#include "supervise/symtab.h"

#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#define SYMTAB_MAX	(1u << 24)
#define SYMTAB_BACK_MAX 16 /* larger functions that may begin before a smaller one */

static int symtab_push(struct stele_symtab *table, const struct stele_symbol *symbol)
{
	if (table->count == table->capacity) {
		size_t capacity = table->capacity ? table->capacity * 2 : 1024;
		void *grown = capacity <= SYMTAB_MAX
				      ? realloc(table->symbols, capacity * sizeof(*symbol))
				      : NULL;

		if (!grown)
			return -ENOMEM;
		table->symbols = grown;
		table->capacity = capacity;
	}
	table->symbols[table->count++] = *symbol;
	return 0;
}

/* "read" before "__read"; then what is exported. */
static uint32_t symtab_rank(const char *name, const GElf_Sym *sym)
{
	uint32_t underscores = (uint32_t)strspn(name, "_");
	uint32_t local = GELF_ST_BIND(sym->st_info) == STB_LOCAL;

	if (name[0] == '_' && name[1] == 'Z')
		underscores = 0;
	return (underscores > 15 ? 15 : underscores) << 1 | local;
}

/* The flag that the section of such a symbol has; 0: a symbol that is of no use. */
static uint64_t symtab_section_flag(const GElf_Sym *sym, const char *name)
{
	unsigned type = GELF_ST_TYPE(sym->st_info);

	if (sym->st_shndx == SHN_UNDEF || sym->st_value == 0 || !name || !*name)
		return 0;
	if (type == STT_FUNC || type == STT_GNU_IFUNC)
		return SHF_EXECINSTR;
	if (type == STT_OBJECT) /* locks and the like are written to */
		return sym->st_size ? SHF_WRITE : 0;
	/* Labels of hand-written assembly; not the compiler's and the mapping symbols. */
	return type == STT_NOTYPE && name[0] != '$' && name[0] != '.' ? SHF_EXECINSTR : 0;
}

/* Where the section of a symbol ends, if it is of the right sort; else 0. */
static uint64_t symtab_section_end(Elf *elf, const GElf_Sym *sym, uint64_t flag)
{
	Elf_Scn *section = sym->st_shndx < SHN_LORESERVE ? elf_getscn(elf, sym->st_shndx) : NULL;
	GElf_Shdr header;

	if (!section || !gelf_getshdr(section, &header) || !(header.sh_flags & flag))
		return 0;
	return header.sh_addr + header.sh_size;
}

static int symtab_add_section(struct stele_symtab *table, Elf *elf, Elf_Scn *section,
			      const GElf_Shdr *header)
{
	Elf_Data *data = elf_getdata(section, NULL);
	size_t count = data && header->sh_entsize ? data->d_size / header->sh_entsize : 0;
	int error = 0;

	if (count > SYMTAB_MAX)
		count = SYMTAB_MAX;
	for (size_t i = 1; i < count && error == 0; i++) {
		struct stele_symbol symbol;
		GElf_Sym sym;
		uint64_t flag, end;

		if (!gelf_getsym(data, (int)i, &sym))
			break;
		symbol.name = elf_strptr(elf, header->sh_link, sym.st_name);
		flag = symtab_section_flag(&sym, symbol.name);
		if (!flag)
			continue;
		end = symtab_section_end(elf, &sym, flag);
		if (end <= sym.st_value)
			continue;
		symbol.low = sym.st_value;
		/* Without a size: up to the next symbol, found when sorted. */
		symbol.high = sym.st_size && sym.st_size < end - symbol.low
				      ? symbol.low + sym.st_size
				      : end;
		symbol.rank = symtab_rank(symbol.name, &sym) | (sym.st_size == 0) << 8;
		error = symtab_push(table, &symbol);
	}
	return error;
}

int stele__symtab_add(struct stele_symtab *table, Elf *elf)
{
	Elf_Scn *section = NULL;
	int error = 0;

	while (error == 0 && (section = elf_nextscn(elf, section))) {
		GElf_Shdr header;

		if (gelf_getshdr(section, &header) &&
		    (header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM))
			error = symtab_add_section(table, elf, section, &header);
	}
	return error;
}

static int symtab_compare(const void *left, const void *right)
{
	const struct stele_symbol *a = left, *b = right;

	if (a->low != b->low)
		return a->low < b->low ? -1 : 1;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return strcmp(a->name, b->name);
}

void stele__symtab_sort(struct stele_symtab *table)
{
	size_t kept = 0;

	if (table->count == 0)
		return;
	qsort(table->symbols, table->count, sizeof(table->symbols[0]), symtab_compare);
	for (size_t i = 1; i < table->count; i++) /* the best name of each address */
		if (table->symbols[i].low != table->symbols[kept].low)
			table->symbols[++kept] = table->symbols[i];
	table->count = kept + 1;
	for (size_t i = 0; i + 1 < table->count; i++) {
		struct stele_symbol *s = &table->symbols[i];

		if (s->rank >> 8 && s->high > s[1].low)
			s->high = s[1].low;
	}
}

const struct stele_symbol *stele__symtab_find(const struct stele_symtab *table, uint64_t address)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->symbols[middle].low <= address)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t back = 0; back < SYMTAB_BACK_MAX && back < low; back++)
		if (address < table->symbols[low - 1 - back].high)
			return &table->symbols[low - 1 - back];
	return NULL;
}

void stele__symtab_done(struct stele_symtab *table)
{
	free(table->symbols);
	*table = (struct stele_symtab){0};
}
