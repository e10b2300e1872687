/* SPDX-License-Identifier: MIT */
/*
 * Where the time of a region, a task's regions, a request, or a goroutine went, down to what those
 * did who had what it waited for. Receipts of those that are open grow with each state that ends;
 * of those that ended, the slowest are kept.
 */
#ifndef STELE_ANALYZE_WHY_H
#define STELE_ANALYZE_WHY_H

#include "analyze/history.h"

struct stele__why;

/* NULL: no memory. */
struct stele__why *stele__why_new(struct stele_analysis *a, const struct stele_why_query *query);
void stele__why_free(struct stele__why *why);

/* The goroutine appears. */
int stele__why_appear(struct stele_analysis *a, const struct stele__flow *go, int64_t time);
/* It leaves its state, by this transition (NULL: the trace ends). In front of all that forgets what
 * the state was. */
int stele__why_leave(struct stele_analysis *a, const struct stele_reader *reader,
		     const struct stele__flow *go, int64_t time, const struct stele_event *event);
/* It is gone, or the trace is; no state of it is open. */
int stele__why_gone(struct stele_analysis *a, const struct stele__flow *go, int64_t time,
		    bool ended);

/* go->called has ended, and has been left. */
int stele__why_called(struct stele_analysis *a, const struct stele__flow *go, int64_t time);

int stele__why_region_begin(struct stele_analysis *a, const struct stele__flow *go,
			    const struct stele__region *region);
/* The region that is the `at`-th of those open. */
int stele__why_region_end(struct stele_analysis *a, const struct stele__flow *go, uint32_t at,
			  int64_t time);

int stele__why_finish(struct stele_analysis *a);

#endif
