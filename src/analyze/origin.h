/* SPDX-License-Identifier: MIT */
#ifndef STELE_ANALYZE_ORIGIN_H
#define STELE_ANALYZE_ORIGIN_H

#include "stele/read.h"

/* A function of the C library in which threads begin. */
bool stele__origin_is_library(struct stele_string function);

/*
 * The function in which a thread's own code begins, by one of its stacks (count > 0): the
 * outermost frame, but for those of the C library that every thread has.
 */
struct stele_string stele__origin(const struct stele_stack_frame *frames, size_t count);

/*
 * The name of a system call, by its stack (count > 0): the innermost frame, but for what in Go only
 * passes calls on to the kernel.
 */
struct stele_string stele__call_name(const struct stele_stack_frame *frames, size_t count);

#endif
