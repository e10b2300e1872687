/* SPDX-License-Identifier: MIT */
/*
 * Traces of several processes as one, in the order of the clock that they have in common.
 *
 * Threads keep their ids, where no two traces have the same at once. Goroutines, procs and tasks
 * get numbers of their own; addresses are told apart by bits that no program's address has, but
 * memory that processes share has one address for all.
 *
 * Left out, because a trace has one runtime: that the world is stopped, collections, metrics of a
 * runtime; and modules, whose addresses are those of a process.
 */
#ifndef STELE_SURGERY_MERGE_H
#define STELE_SURGERY_MERGE_H

#include "stele/read.h"

#define STELE__MERGE_MAX 65535u

struct stele__merge_input {
	const struct stele_reader *reader; /* that was not read from yet */
	/* stele_reader_next() of it. After an error the input counts as ended: what is wrong with
	 * it is its reader's to tell. */
	int (*next)(void *arg, const struct stele_event **ret_event);
	void *arg;
};

struct stele__merge_job {
	const struct stele__merge_input *inputs;
	size_t count;						 /* 1 to STELE__MERGE_MAX */
	int (*write)(void *arg, const void *data, size_t bytes); /* 0 or -errno */
	void *arg;
};

struct stele__merge_result {
	uint64_t events;    /* written, without those that tell what stands */
	uint64_t left_out;  /* that a trace of several processes has no place for */
	int64_t begin, end; /* ns, CLOCK_MONOTONIC */
	size_t refused;	    /* with -EINVAL: the input that cannot be merged */
	const char *why;
};

struct stele__merge;

/*
 * Begins to read: 0, -EINVAL: some cannot be merged, or an error of memory. The job's arrays and
 * the result are the caller's, until the merge is freed.
 */
int stele__merge_open(const struct stele__merge_job *job, struct stele__merge_result *result,
		      struct stele__merge **ret_merge);
/* Reads and writes it all. 0, or an error of memory or writing. */
int stele__merge_run(struct stele__merge *merge);
/* Accepts NULL. */
void stele__merge_free(struct stele__merge *merge);

#endif
