/* SPDX-License-Identifier: MIT */
/*
 * Bytes alive while a trace is read, as counters: told when they have changed by 1/256 of the most
 * so far, or not for a millisecond, so that a picture is not made of counters alone.
 */
#ifndef STELE_EXPORT_HEAPCOUNTER_H
#define STELE_EXPORT_HEAPCOUNTER_H

#include "stele/analyze.h"

struct stele__heapcounter {
	struct stele_analysis *analysis; /* sees events of memory only */
	struct {
		uint64_t told, most;
		int64_t time;
	} family[STELE__MEMORY_FAMILIES];
};

/* 0 or -ENOMEM; freed also if that failed. */
int stele__heapcounter_init(struct stele__heapcounter *counter);
void stele__heapcounter_free(struct stele__heapcounter *counter);

/*
 * Takes an event: 1 and the family if its bytes are to be told now, 0, or a negative code. The
 * value is stele__heapcounter_bytes().
 */
int stele__heapcounter_event(struct stele__heapcounter *counter, const struct stele_reader *reader,
			     const struct stele_event *event, unsigned *ret_family);

uint64_t stele__heapcounter_bytes(const struct stele__heapcounter *counter, unsigned family);

#endif
