/* SPDX-License-Identifier: MIT */
#include "analyze/origin.h"

#include "analyze/text.h"
#include "base/compiler.h"

bool stele__origin_is_library(struct stele_string function)
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
		if (stele__text_is(function, names[i]))
			return true;
	return false;
}

struct stele_string stele__origin(const struct stele_stack_frame *frames, size_t count)
{
	size_t at = count - 1;

	while (at > 0 && stele__origin_is_library(frames[at].function))
		at--;
	return frames[stele__origin_is_library(frames[at].function) ? count - 1 : at].function;
}

/* What only passes a call on to the kernel. */
static bool origin_is_gate(struct stele_string function)
{
	static const char *const gates[] = {"syscall.Syscall",		 "syscall.RawSyscall",
					    "syscall.syscall",		 "syscall.rawSyscall",
					    "internal/runtime/syscall.", "runtime.cgocall"};

	for (size_t i = 0; i < STELE_ARRAY_LENGTH(gates); i++)
		if (stele__text_begins(function, gates[i]))
			return true;
	return false;
}

struct stele_string stele__call_name(const struct stele_stack_frame *frames, size_t count)
{
	size_t at = 0;

	while (at + 1 < count && origin_is_gate(frames[at].function))
		at++;
	return frames[at].function;
}
