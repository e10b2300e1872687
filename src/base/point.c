/* SPDX-License-Identifier: MIT */
#include "base/compiler.h"

#ifdef STELE_POINTS
/* Set by a test before its threads start; NULL does nothing. */
void (*stele__point_hook)(const char *name);
#else
struct stele__no_points; /* a translation unit holds at least one declaration */
#endif
