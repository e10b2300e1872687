/* SPDX-License-Identifier: MIT */
#include "drain/syscall.h"

#include "base/compiler.h"

static const char *const names[] = {
#include "drain/syscalls.h"
};

const char *stele__syscall_name(uint16_t call)
{
	return call && call <= STELE_ARRAY_LENGTH(names) ? names[call - 1] : NULL;
}
