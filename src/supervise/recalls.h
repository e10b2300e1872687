/* SPDX-License-Identifier: MIT */
/*
 * What the flight recorders of one or several processes keep at one moment, as one trace: that of
 * the first alone as it is, those of several merged. Threads: one at a time; the recorders go on.
 */
#ifndef STELE_SUPERVISE_RECALLS_H
#define STELE_SUPERVISE_RECALLS_H

#include "drain/flight.h"

struct stele_recalls {
	struct stele_recall **all;
	size_t count;
};

/* Of those that have something. -ENODATA: none has; -ENOMEM. */
int stele__recalls_take(struct stele_flight *const *flights, size_t count,
			struct stele_recalls *ret_recalls);

/* Why they were wanted, as stele__recall_label(). */
void stele__recalls_label(struct stele_recalls *recalls, const char *reason);

/* 0, or what went wrong: an error of the sink, or of memory. */
int stele__recalls_write(const struct stele_recalls *recalls, const struct stele_sink *sink);

/* The longest that is kept of any. */
uint64_t stele__recalls_ns(const struct stele_recalls *recalls);
void stele__recalls_free(struct stele_recalls *recalls);

#endif
