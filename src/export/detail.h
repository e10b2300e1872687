/* SPDX-License-Identifier: MIT */
/* How much detail a picture of a trace can have, so that it does not become too big. */
#ifndef STELE_EXPORT_DETAIL_H
#define STELE_EXPORT_DETAIL_H

#include "export/lanes.h"

#define STELE__DETAIL_STEPS 63

/* What there is to be drawn; slices by the binary digits of their lengths. */
struct stele__detail {
	struct stele__lanes lanes;
	uint64_t slices[STELE__DETAIL_STEPS + 1];
	uint64_t ns[STELE__DETAIL_STEPS + 1];
	uint64_t lane_count, wakes, others;
};

/* 0 or a negative code; to be followed by stele__detail_done() in any case. */
int stele__detail_init(struct stele__detail *detail);
void stele__detail_done(struct stele__detail *detail);
int stele__detail_event(struct stele__detail *detail, const struct stele_reader *reader,
			const struct stele_event *event);
int stele__detail_finish(struct stele__detail *detail);

/*
 * For the lanes' min_ns: the least, a power of two or 0, with which about `bytes` suffice if each
 * thing that is drawn takes `each`. If what cannot be drawn together is too much alone, the
 * greatest.
 */
int64_t stele__detail_min(const struct stele__detail *detail, uint64_t bytes, unsigned each);

#endif
