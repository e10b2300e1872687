/* SPDX-License-Identifier: MIT */
/*
 * A window of a trace as a trace of its own: the events that lie in it, behind the state of all
 * that stands at its beginning; what was told earlier for all that follows (how addresses are
 * packed, modules, threads, counters); and tables of what those events use.
 *
 * Left out, because no trace could hold it: the end of a stop-the-world whose begin lies before the
 * window.
 */
#ifndef STELE_SURGERY_EXCERPT_H
#define STELE_SURGERY_EXCERPT_H

#include "stele/read.h"

struct stele__excerpt;

struct stele__excerpt_window {
	int64_t from, to; /* ns from the trace's first event */
	int (*write)(void *arg, const void *data, size_t bytes); /* 0 or -errno */
	void *arg;
};

struct stele__excerpt_result {
	uint64_t events;    /* of the window, without those left out */
	uint64_t standing;  /* told at its beginning: goroutines, procs, ranges */
	int64_t begin, end; /* of those events, ns from the trace's first */
	int64_t last;	    /* of all that was read */
};

/* For a reader that was not read from yet. 0 or -ENOMEM. */
int stele__excerpt_new(const struct stele__excerpt_window *window,
		       const struct stele_reader *reader, struct stele__excerpt **ret_excerpt);

/* Takes in each event, from the first on. 1: the window is behind; 0; or an error of ours. */
int stele__excerpt_add(struct stele__excerpt *excerpt, const struct stele_event *event);

/* Writes what is left. Without any event in the window nothing is written. 0 or an error. */
int stele__excerpt_finish(struct stele__excerpt *excerpt, struct stele__excerpt_result *ret_result);

/* Accepts NULL. */
void stele__excerpt_free(struct stele__excerpt *excerpt);

#endif
