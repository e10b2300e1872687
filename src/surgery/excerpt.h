/* SPDX-License-Identifier: MIT */
/*
 * A window of a trace as a trace of its own: those of its generations that lie in it, whole. Each
 * generation begins with the state of everything alive, so readers begin with any; what earlier
 * ones told for all that follow (how addresses are packed, modules, threads, counters) goes with
 * it.
 */
#ifndef STELE_SURGERY_EXCERPT_H
#define STELE_SURGERY_EXCERPT_H

#include "base/compiler.h"

struct stele_excerpt {
	int64_t from, to; /* the window, ns from the trace's first event */
	int (*write)(void *arg, const void *data, size_t bytes); /* 0 or -errno */
	void *arg;
};

struct stele_excerpt_result {
	uint64_t generations, kept;
	int64_t begin, end; /* of what was kept, ns from the trace's first event */
	int64_t whole;	    /* to where the last generation begins */
	uint64_t offset;    /* where reading stopped: at the end, or at a defect */
};

/*
 * 0, also if nothing lies in the window (kept is 0, nothing was written); STELE_E_NOT_TRACE,
 * STELE_E_UNSUPPORTED; STELE_E_TRUNCATED, STELE_E_CORRUPT: the generations before the defect were
 * looked at; -ENOMEM; what `write` returned.
 */
int stele__excerpt(const void *data, size_t bytes, const struct stele_excerpt *cut,
		   struct stele_excerpt_result *ret_result);

#endif
