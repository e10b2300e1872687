/* SPDX-License-Identifier: MIT */
/* What an ELF file says about itself in its headers: enough to judge whether it can be traced and
 * to recognise it again. Reads a bounded amount; the file may hold anything. */
#ifndef STELE_SUPERVISE_ELFFILE_H
#define STELE_SUPERVISE_ELFFILE_H

#include "base/compiler.h"

#define STELE_BUILD_ID_MAX 32

struct stele_elffile {
	bool native; /* this machine's class, byte order and processor; else only the next two */
	unsigned machine;
	unsigned bits;
	bool executable_type;	 /* ET_EXEC */
	bool go;		 /* made by Go's tool chain */
	bool unwind_data;	 /* of its code */
	char interpreter[256];	 /* "": none, that is static */
	char sanitizer[64];	 /* the sanitizer runtime it needs, "": none */
	uint32_t build_id_bytes; /* 0: none */
	uint8_t build_id[STELE_BUILD_ID_MAX];
};

/* 0; -ENOEXEC: not an ELF file (or one cut short); -errno. */
int stele__elffile_read(int fd, struct stele_elffile *ret_image);

/* A name for an ELF machine number; NULL: none that we know. */
const char *stele__elffile_machine_name(unsigned machine);

#endif
