/* SPDX-License-Identifier: MIT */
/*
 * The thread through which a recording is controlled while it runs: clients at its socket
 * (rendezvous.h), and whatever wants a snapshot.
 *
 * Life: new, start, stop, free. Beginning without a socket is no failure: it is said.
 */
#ifndef STELE_SUPERVISE_CONTROL_H
#define STELE_SUPERVISE_CONTROL_H

#include "supervise/follow.h"
#include "supervise/recorder.h"
#include "supervise/snapshot.h"

struct stele_control;

/* Recorder and follow, NULL if nobody is followed, stay the caller's and outlive it. NULL: no
 * memory. */
struct stele_control *stele__control_new(struct stele_recorder *recorder,
					 struct stele_follow *follow);
void stele__control_start(struct stele_control *control, int pid);
/* Takes the snapshot that is wanted, if it is not there yet. Before the follow's stop. */
void stele__control_stop(struct stele_control *control);
void stele__control_free(struct stele_control *control);

/*
 * Something happened that a snapshot was asked for: it follows when the time after it has been
 * recorded, too, but not if there was one a short while ago. Threads: any; it waits for nothing.
 */
void STELE_PRINTF(2, 3)
	stele__control_trigger(struct stele_control *control, const char *format, ...);

/*
 * Waits until there is the snapshot that is wanted, if one is: so that something can go that is to
 * be in it. Threads: any but the control's and a drain's.
 */
void stele__control_await(struct stele_control *control);

/* As trigger and await, at once, and however short a while ago the last one was. */
void stele__control_insist(struct stele_control *control, const char *reason);

/* After the stop: the recording's snapshots. */
const struct stele_snapshots *stele__control_snapshots(const struct stele_control *control);

/* How many triggers came too soon after a snapshot to get one. After the stop. */
uint64_t stele__control_passed_over(const struct stele_control *control);

#endif
