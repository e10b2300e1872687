/* SPDX-License-Identifier: MIT */
#ifndef STELE_ANALYZE_ORIGIN_H
#define STELE_ANALYZE_ORIGIN_H

#include "stele/read.h"

/*
 * The function in which a thread's own code begins, by one of its stacks (count > 0): the
 * outermost frame, but for those of the C library that every thread has.
 */
struct stele_string stele__origin(const struct stele_stack_frame *frames, size_t count);

#endif
