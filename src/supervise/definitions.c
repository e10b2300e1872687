/* SPDX-License-Identifier: MIT */
#include "supervise/definitions.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <string.h>
#include <unistd.h>

static bool definitions_have(Elf *elf, Elf_Scn *section, const GElf_Shdr *header, const char *want)
{
	Elf_Data *data = elf_getdata(section, NULL);
	size_t count = data && header->sh_entsize ? header->sh_size / header->sh_entsize : 0;

	for (size_t i = 0; i < count && i < INT32_MAX; i++) {
		GElf_Sym symbol;
		const char *name;

		if (!gelf_getsym(data, (int)i, &symbol) || symbol.st_shndx == SHN_UNDEF ||
		    GELF_ST_TYPE(symbol.st_info) != STT_FUNC)
			continue;
		name = elf_strptr(elf, header->sh_link, symbol.st_name);
		if (name && !strcmp(name, want))
			return true;
	}
	return false;
}

static void definitions_scan(Elf *elf, struct stele_definitions *d)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names) < 0)
		return;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		const char *name;

		if (!gelf_getshdr(section, &header))
			continue;
		name = elf_strptr(elf, names, header.sh_name);
		d->symbols |= header.sh_type == SHT_SYMTAB;
		d->lines |= name && (!strcmp(name, ".debug_info") || !strcmp(name, ".zdebug_info"));
		if (header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM)
			d->malloc |= definitions_have(elf, section, &header, "malloc");
	}
}

int stele__definitions_read(const char *path, struct stele_definitions *ret_definitions)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf *elf;

	*ret_definitions = (struct stele_definitions){.malloc = false};
	if (fd < 0)
		return -errno;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (elf)
		definitions_scan(elf, ret_definitions);
	elf_end(elf);
	close(fd);
	return 0;
}
