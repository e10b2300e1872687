/* SPDX-License-Identifier: MIT */
/*
 * What a reader reads, written into another trace: its events with the numbers and ids of that one.
 * Sequence numbers are counted anew from the beginning of what is written on.
 */
#ifndef STELE_SURGERY_TRANSCRIPT_H
#define STELE_SURGERY_TRANSCRIPT_H

#include "surgery/retrace.h"
#include "surgery/standing.h"

struct stele__transcript {
	struct stele__retrace *retrace; /* the caller's; several transcripts may share it */
	struct stele__retrace_source source;
	struct stele__standing standing;
	uint64_t gc_seq; /* of the result */
	/* What an id is in the result: of STELE_ARG_GO, _PROC, _THREAD, _TASK, or of what an event
	 * of the memory experiment is about, by its type. NULL: all stay. */
	uint64_t (*id)(void *arg, unsigned kind, uint64_t id);
	void *arg;
};

void stele__transcript_init(struct stele__transcript *transcript, struct stele__retrace *retrace,
			    const struct stele_reader *reader);
void stele__transcript_done(struct stele__transcript *transcript);

/* What stands, in one event a nanosecond from *time on, which moves behind the last one; then
 * numbers count from there. 0 or -ENOMEM. */
int stele__transcript_stand(struct stele__transcript *transcript, int64_t *time,
			    uint64_t *ret_events);
/* At most so many events tell it. */
int64_t stele__transcript_standing(const struct stele__transcript *transcript);

/*
 * The event has happened: what stands follows, and if `write`, it is written at `time`. It is not a
 * Sync. 0 or an error.
 */
int stele__transcript_event(struct stele__transcript *transcript, const struct stele_event *event,
			    int64_t time, bool write);

#endif
