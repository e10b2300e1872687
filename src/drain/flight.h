/* SPDX-License-Identifier: MIT */
/*
 * The flight recorder: keeps the newest generations of a trace in memory and forgets the oldest,
 * until somebody wants what is there. Its drain runs with options.excerpts, so any generation may
 * be the first of a trace.
 *
 * Threads: the sink is the drain's thread's; all else any thread's.
 */
#ifndef STELE_DRAIN_FLIGHT_H
#define STELE_DRAIN_FLIGHT_H

#include "drain/drain.h"

struct stele_flight_limits {
	uint64_t bytes; /* kept at most, but for the generation that is being written; > 0 */
	uint64_t ns;	/* what ended longer ago is forgotten; 0: nothing is for its age */
};

struct stele_flight_stats {
	uint64_t generations, bytes;	/* that are kept */
	uint64_t forgotten_generations; /* since the beginning */
	uint64_t begin_ns;		/* CLOCK_MONOTONIC of the oldest that is kept; 0: none */
	uint64_t end_ns;		/* of the newest */
	int error;			/* a generation is missing: no memory; 0: none */
};

struct stele_flight;
struct stele_recall;

/* -ENOMEM, -EINVAL. */
int stele__flight_new(const struct stele_flight_limits *limits, struct stele_flight **ret_flight);

/* After its drain. Recalls may live on. */
void stele__flight_free(struct stele_flight *flight);

struct stele_sink stele__flight_sink(struct stele_flight *flight);

/* Is the generation that is being written so large that it should end? The drain's thread. */
bool stele__flight_is_pressed(const struct stele_flight *flight);

void stele__flight_stats(struct stele_flight *flight, struct stele_flight_stats *ret_stats);

/* What is kept now; the flight goes on. -ENODATA: no generation is whole. */
int stele__flight_recall(struct stele_flight *flight, struct stele_recall **ret_recall);

/* Why it was wanted, 256 bytes at most, becomes part of the trace. */
void stele__recall_label(struct stele_recall *recall, const char *reason);

/* A whole trace, to the sink, in pieces. 0 or what the sink returned. */
int stele__recall_write(const struct stele_recall *recall, const struct stele_sink *sink);

/* The same in the reader's pieces: a struct stele_recall_cursor that begins with the recall alone.
 * As read(2). */
struct stele_recall_cursor {
	const struct stele_recall *recall;
	size_t piece, offset;
};
int64_t stele__recall_read(void *cursor, void *buffer, size_t bytes);

/* Of the generations. */
uint64_t stele__recall_bytes(const struct stele_recall *recall);
/* From the beginning of the first generation to the end of the last. */
uint64_t stele__recall_ns(const struct stele_recall *recall);
void stele__recall_free(struct stele_recall *recall);

#endif
