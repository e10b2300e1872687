/* SPDX-License-Identifier: MIT */
/*
 * From the ticks of records to the time of the trace: CLOCK_MONOTONIC in units of 8 ns.
 *
 * Piecewise linear. Each piece begins where the one before it stands at that tick, so the function
 * is continuous and never goes back; its slope is the rate measured over the whole recording plus
 * what takes the error of the piece before away again, so it does not drift.
 */
#ifndef STELE_DRAIN_TIMELINE_H
#define STELE_DRAIN_TIMELINE_H

#include "sys/clock.h"

#define STELE_WIRE_SHIFT     3 /* 8 ns */
#define STELE_WIRE_FREQUENCY (1000000000u >> STELE_WIRE_SHIFT)

struct stele_timeline_piece {
	uint64_t ticks; /* where it begins */
	uint64_t ns;
	uint64_t rate; /* ns per tick, 32.32 fixed point, > 0 */
};

struct stele_timeline {
	struct stele_timeline_piece now, before; /* before: for records older than now.ticks */
	struct stele_clock_pair first;
	uint64_t measured_ns; /* of the last measurement */
	uint64_t interval_ns; /* to the next one */
	bool exact;	      /* ticks are nanoseconds */
};

/* Begins with an assumed rate; the first measurements that follow correct it. */
void stele__timeline_init(struct stele_timeline *l, bool exact,
			  const struct stele_clock_pair *pair);

/* A new measurement; cheap to call often, used when it is time to. */
void stele__timeline_measure(struct stele_timeline *l, const struct stele_clock_pair *pair);

STELE_INLINE uint64_t stele__timeline_ns(const struct stele_timeline *l, uint64_t ticks)
{
	const struct stele_timeline_piece *p = ticks >= l->now.ticks ? &l->now : &l->before;
	uint64_t delta = ticks - p->ticks, before = p->ticks - ticks, ns;

	if (STELE_LIKELY((int64_t)delta >= 0))
		return p->ns + (uint64_t)(((unsigned __int128)delta * p->rate) >> 32);
	ns = (uint64_t)(((unsigned __int128)before * p->rate + UINT32_MAX) >> 32);
	return ns < p->ns ? p->ns - ns : 0;
}

STELE_INLINE uint64_t stele__timeline_wire(const struct stele_timeline *l, uint64_t ticks)
{
	return stele__timeline_ns(l, ticks) >> STELE_WIRE_SHIFT;
}

#endif
