/* SPDX-License-Identifier: MIT */
/* Where in the program's files an address is, as far as the modules were announced. */
#ifndef STELE_RECORD_IMAGE_H
#define STELE_RECORD_IMAGE_H

#include "base/compiler.h"

struct stele_image_place {
	const char *path; /* in the arena, not terminated */
	uint32_t path_bytes;
	uint64_t offset; /* address in the ELF file */
};

/* False: in no known module. Signals: safe; a module that is being unloaded may still be named. */
bool stele__image_find(uintptr_t pc, struct stele_image_place *ret_place) STELE_HIDDEN;

/* Announces what is known again, in an arena whose dictionary was copied from the one before. */
void stele__image_announce(void) STELE_HIDDEN;

#endif
