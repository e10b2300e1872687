/* SPDX-License-Identifier: MIT */
/*
 * Timed events of one batch, a block at a time: a tight loop that nothing interrupts. The order
 * among threads is found afterwards, by looking at times that are there.
 *
 * They are decoded into the events that a consumer will see: type, time as the thread's clock has
 * it, and the arguments as value[]. The rules fill in the rest in place; nothing is copied. What
 * only annotations have (read/blank.h) is left as it was.
 */
#ifndef STELE_READ_DECODE_H
#define STELE_READ_DECODE_H

#include "base/compiler.h"
#include "stele/read.h"

#define STELE__TIMED_ARGS_MAX 4

/* Where decoding stands in a batch. */
struct stele__decoder {
	const uint8_t *begin, *end; /* of the batch */
	const uint8_t *at;	    /* the next event */
	int64_t time;		    /* ns, of the last event, or of the batch */
};

/* How many numbers, dt included, an event has; 0: not a timed event. */
extern const uint8_t stele__timed_numbers[256];

/*
 * Decodes into [event, limit) until that is full, the batch ends or an event is broken: then the
 * decoder stands in front of it. Returns what is behind the last decoded event.
 */
struct stele_event *stele__decode(struct stele__decoder *decoder, double ns_per_tick,
				  struct stele_event *event, const struct stele_event *limit);

/* The same on any processor. */
struct stele_event *stele__decode_plain(struct stele__decoder *decoder, double ns_per_tick,
					struct stele_event *event, const struct stele_event *limit);

/* What is behind `count` good events. */
const uint8_t *stele__decode_skip(const uint8_t *at, const uint8_t *end, size_t count);

#endif
