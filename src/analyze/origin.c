/* SPDX-License-Identifier: MIT */
#include "analyze/origin.h"

#include <string.h>

#include "base/compiler.h"

static bool origin_is_library(struct stele_string function)
{
	static const char *const names[] = {
		"_start",
		"__libc_start_main",
		"__libc_start_main_impl",
		"__libc_start_call_main",
		"clone",
		"clone3",
		"__clone",
		"__clone3",
		"start_thread",
	};

	for (size_t i = 0; i < STELE_ARRAY_LENGTH(names); i++)
		if (function.bytes == strlen(names[i]) &&
		    memcmp(function.data, names[i], function.bytes) == 0)
			return true;
	return false;
}

struct stele_string stele__origin(const struct stele_stack_frame *frames, size_t count)
{
	size_t at = count - 1;

	while (at > 0 && origin_is_library(frames[at].function))
		at--;
	return frames[origin_is_library(frames[at].function) ? count - 1 : at].function;
}
