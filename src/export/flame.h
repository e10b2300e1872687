/* SPDX-License-Identifier: MIT */
#ifndef STELE_EXPORT_FLAME_H
#define STELE_EXPORT_FLAME_H

#include "export/profile.h"
#include "export/textsink.h"

/* Some 300 bytes each. */
#define STELE__FLAME_BOXES_MAX 20000

/*
 * The flame graph of a finished analysis, as an SVG; 0 or a negative code. If there are more boxes
 * than `boxes_max`, those that are narrowest are left out and counted.
 */
int stele__flame_write(const struct stele_analysis *analysis,
		       const struct stele__profile_kind *kind, uint64_t boxes_max,
		       struct stele__textsink *t);

#endif
