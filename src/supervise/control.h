/* SPDX-License-Identifier: MIT */
/*
 * The thread through which a recording is controlled while it runs: clients at its socket
 * (rendezvous.h), and whatever wants a snapshot.
 *
 * Life: new, start, stop, free. Beginning without a socket is no failure: it is said.
 */
#ifndef STELE_SUPERVISE_CONTROL_H
#define STELE_SUPERVISE_CONTROL_H

#include "supervise/recorder.h"
#include "supervise/snapshot.h"

struct stele_control;

/* The recorder stays the caller's, and outlives it. NULL: no memory. */
struct stele_control *stele__control_new(struct stele_recorder *recorder);
void stele__control_start(struct stele_control *control, int pid);
void stele__control_stop(struct stele_control *control);
void stele__control_free(struct stele_control *control);

/*
 * Something happened that a snapshot was asked for: it follows when the time after it has been
 * recorded, too, but not if there was one a short while ago. Threads: any; it waits for nothing.
 */
void STELE_PRINTF(2, 3)
	stele__control_trigger(struct stele_control *control, const char *format, ...);

/* After the stop: the recording's snapshots, to which the caller may add the last. */
struct stele_snapshots *stele__control_snapshots(struct stele_control *control);

/* Why one is wanted that has not been taken; NULL: none is. After the stop. */
const char *stele__control_pending(const struct stele_control *control);

/* How many triggers came too soon after a snapshot to get one. After the stop. */
uint64_t stele__control_passed_over(const struct stele_control *control);

#endif
