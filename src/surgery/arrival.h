/* SPDX-License-Identifier: MIT */
/*
 * Goroutines that come into a result later than its first generation, and were there before: of a
 * process whose recorder came late, or kept the newest only. In the first generation a status tells
 * of them; in later ones the format knows new goroutines by their creation alone. So they are
 * created, and what else it takes for them to be where they are.
 */
#ifndef STELE_SURGERY_ARRIVAL_H
#define STELE_SURGERY_ARRIVAL_H

#include "surgery/transcript.h"

/* Is the event a status of a goroutine that is new to the transcript? */
bool stele__arrives(const struct stele__transcript *transcript, const struct stele_event *event);

/*
 * Such a status, in one event a nanosecond from *time on, which moves behind the last one. 0;
 * -ENOTSUP: it waits, and no thread of the transcript has a proc, which creating takes (Stele's
 * threads have one while they wait); or an error of memory.
 */
int stele__arrival(struct stele__transcript *transcript, const struct stele_event *status,
		   int64_t *time);

#endif
