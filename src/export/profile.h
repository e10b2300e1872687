/* SPDX-License-Identifier: MIT */
/* Profiles: stacks with weights, as an analysis has them. What folded, pprof and flame are of. */
#ifndef STELE_EXPORT_PROFILE_H
#define STELE_EXPORT_PROFILE_H

#include "base/compiler.h"
#include "stele/analyze.h"

#define STELE__PROFILE_VALUES 4

struct stele__profile_kind {
	const char *name, *summary;
	struct {
		const char *name, *unit;
	} values[STELE__PROFILE_VALUES]; /* NULL behind the last one */
	unsigned weight;		 /* which of them flames are as wide as */
	/* Of one of these: */
	enum stele_site_kind sites;
	bool (*wants)(struct stele_string reason); /* of sites; NULL: all of them */
	void (*memory)(const struct stele_memory_site *site, uint64_t *values);
};

struct stele__profile_row {
	uint32_t stack;		  /* for stele_analysis_stack(); 0: none */
	struct stele_string leaf; /* what stands further in than its frames; may be empty */
	uint64_t values[STELE__PROFILE_VALUES];
};

/* Ended by a NULL name; the first one is the default. */
extern const struct stele__profile_kind stele__profile_kinds[];

/* NULL: the first; there is one of every name in here. */
const struct stele__profile_kind *stele__profile_find(const char *name);

/*
 * Calls `take` for each row, until it returns a negative code, which is returned.
 *
 * as_go: without what goroutines did before they first ran, which Go's profiles leave out.
 */
int stele__profile_each(const struct stele_analysis *analysis,
			const struct stele__profile_kind *kind, bool as_go,
			int (*take)(void *arg, const struct stele__profile_row *row), void *arg);

#endif
