/* SPDX-License-Identifier: MIT */
/* Points in a trace as they are typed: "1.5s", "20ms", "7us", "1000ns", "2m"; seconds by default.
 */
#ifndef STELE_CLI_DURATION_H
#define STELE_CLI_DURATION_H

#include "base/compiler.h"

/* False: not a time, negative, or more than 285 years. */
bool stele__duration_parse(const char *text, int64_t *ret_ns);

#endif
