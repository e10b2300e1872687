/* SPDX-License-Identifier: MIT */
/* The modules of this process made known to the unwinder, as the recorder does. */
#ifndef TESTS_SUPPORT_MODULES_H
#define TESTS_SUPPORT_MODULES_H

#include <link.h>

#include "unwind/module.h"

static int modules_visit(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct stele_code_range range = {.code = STELE_CODE_PROGRAM, .stays = true};

	(void)size;
	(void)arg;
	for (unsigned i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
			range.eh_frame_hdr = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + p->p_vaddr;

		if (p->p_type == PT_LOAD && range.eh_frame_hdr - start < p->p_filesz) {
			range.data_start = start;
			range.data_end = start + p->p_filesz;
		}
	}
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && (p->p_flags & PF_X)) {
			range.start = info->dlpi_addr + p->p_vaddr;
			range.end = range.start + p->p_memsz;
			stele__module_add(&range);
		}
	}
	return 0;
}

static void modules_add(void)
{
	dl_iterate_phdr(modules_visit, NULL);
}

#endif
