/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <string.h>

#include "base/compiler.h"
#include "stele/version.h"

STELE_EXPORT const char *stele_strerror(int error)
{
	switch (error) {
#define X(name, code, text)                                                                        \
	case code:                                                                                 \
		return text;
#include "base/error.def"
#undef X
	default:
		return error < 0 && error > -4096 ? strerror(-error) : "success";
	}
}
