/* SPDX-License-Identifier: MIT */
/* Which program a command names, and whether it can be traced: found out before it is run. */
#ifndef STELE_SUPERVISE_TARGET_H
#define STELE_SUPERVISE_TARGET_H

#include <limits.h>

#include "base/compiler.h"

enum stele_verdict {
	STELE_TARGET_TRACEABLE,
	STELE_TARGET_UNTRACEABLE, /* runs, but nothing can be preloaded into it */
	STELE_TARGET_NOT_FOUND,
	STELE_TARGET_NOT_EXECUTABLE,
};

struct stele_target {
	enum stele_verdict verdict;
	char path[PATH_MAX];  /* to execute */
	char image[PATH_MAX]; /* the program itself or its interpreter, as far as known */
	bool plain_text;      /* neither ELF nor "#!": the shell runs it if the kernel cannot */
	char sentence[512];   /* unless traceable: why not, without full stop */
	char sanitizer[64];   /* a runtime that must come first in LD_PRELOAD; "": none */
};

#define STELE_TARGET_SHELL "/bin/sh"

/* `search` is the PATH to look in; NULL: the system's default. */
void stele__target_examine(const char *command, const char *search,
			   struct stele_target *ret_target);

#endif
