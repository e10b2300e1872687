/* SPDX-License-Identifier: MIT */
/*
 * Writes a trace of what readers read: generation after generation, each event into the batches of
 * its thread, with tables of just those strings, stacks and types that were asked for. Ticks are
 * nanoseconds.
 *
 * Functions that write may be called after a failure; the first error stays.
 */
#ifndef STELE_SURGERY_RETRACE_H
#define STELE_SURGERY_RETRACE_H

#include "analyze/keymap.h"
#include "format/encode.h"
#include "stele/read.h"

struct retrace_lane;

/* An open batch of each thread. */
struct stele__retrace_lanes {
	struct stele__keymap by_thread;	    /* owned */
	struct retrace_lane *first, **last; /* the same, the oldest first */
};

/* What of a reader's tables is in those of the result. */
struct stele__retrace_source {
	const struct stele_reader *reader;
	struct stele__keymap stacks, types; /* by handle and id: what they are in the result */
};

void stele__retrace_source_init(struct stele__retrace_source *source,
				const struct stele_reader *reader);
void stele__retrace_source_done(struct stele__retrace_source *source);
/* Its handles and ids mean something else from now on: a generation of the reader, or of the
 * result, begins. */
void stele__retrace_source_turn(struct stele__retrace_source *source);

struct stele__retrace {
	unsigned version;					 /* of the header: 22, 23, 25, 26 */
	int (*write)(void *arg, const void *data, size_t bytes); /* 0 or -errno */
	void *arg;
	int error;	     /* the first */
	uint64_t generation; /* 0: none is open */
	uint64_t time;	     /* its first tick: of all batches of tables */
	struct stele__retrace_lanes events, details;
	struct stele__keymap texts; /* by hash: strings of the table, owned */
	struct stele__keymap types; /* ids of the table */
	uint64_t text_count, stack_count;
	struct stele_batch strings, frames, descriptions, sites, samples;
};

/* `version` may be set until the first generation, which writes the header. 0 or -ENOMEM. */
int stele__retrace_init(struct stele__retrace *retrace,
			int (*write)(void *arg, const void *data, size_t bytes), void *arg);
void stele__retrace_done(struct stele__retrace *retrace);

/* Begins a generation at clock->time. */
void stele__retrace_begin(struct stele__retrace *retrace, uint64_t generation,
			  const struct stele_wire_clock *clock);
/* Ends it, if one is open. */
void stele__retrace_end(struct stele__retrace *retrace);

/* A timed event with its arguments as on the wire. */
void stele__retrace_event(struct stele__retrace *retrace, uint64_t thread, uint8_t type,
			  uint64_t time, const uint64_t *args);
/* Its stacks are put into the tables. */
void stele__retrace_detail(struct stele__retrace *retrace, struct stele__retrace_source *source,
			   const struct stele_detail *detail);
/* A CPU sample. */
void stele__retrace_sample(struct stele__retrace *retrace, struct stele__retrace_source *source,
			   const struct stele_event *event);
/* A batch of an experiment, as it is. */
void stele__retrace_batch(struct stele__retrace *retrace,
			  const struct stele_experiment_batch *batch);

/* Put into the tables: ids to be used as arguments. 0 for the empty string and for no stack. */
uint64_t stele__retrace_string(struct stele__retrace *retrace, struct stele_string text);
uint64_t stele__retrace_stack(struct stele__retrace *retrace, struct stele__retrace_source *source,
			      uint32_t stack);
/* The id stays what it is, unless another source's type has it. */
uint64_t stele__retrace_type(struct stele__retrace *retrace, struct stele__retrace_source *source,
			     uint64_t id);

#endif
