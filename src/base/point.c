/* SPDX-License-Identifier: MIT */
#include "base/compiler.h"

#ifdef STELE_POINTS
void (*stele__point_hook)(const char *name);
#endif
