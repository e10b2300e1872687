/* SPDX-License-Identifier: MIT */
/*
 * A trace as a timeline that can be looked at as a whole and close by, in bounded memory:
 *
 *  - of each of the busiest lanes, how much of each step of time it spent in which state. All steps
 *    have one width; when time goes beyond the last, two become one;
 *  - all single slices, regions, instants and wake-ups of a window at the trace's end, the last
 *    STELE__TIMECHART_ITEMS.
 *
 * What is in the window is there whole: it begins when the last thing ended that is left out.
 */
#ifndef STELE_EXPORT_TIMECHART_H
#define STELE_EXPORT_TIMECHART_H

#include "export/lanes.h"
#include "export/textsink.h"

#define STELE__TIMECHART_STEPS 1024
#define STELE__TIMECHART_LANES 1024 /* that have steps */
#define STELE__TIMECHART_ITEMS 16384
#define STELE__TIMECHART_NEST  8 /* regions in each other; those further in are left out */

/* The first ones are counted in steps; waiting is the rest of a lane's life. */
enum stele__timechart_state {
	STELE__TIMECHART_RUNNING,
	STELE__TIMECHART_READY,
	STELE__TIMECHART_SYSCALL,
	STELE__TIMECHART_STATES,
	STELE__TIMECHART_WAITING = STELE__TIMECHART_STATES,
	STELE__TIMECHART_UNKNOWN,
};

struct stele__timechart_step {
	uint64_t ns[STELE__TIMECHART_STATES];
};

struct stele__timechart_lane {
	uint64_t serial, goroutine, thread; /* thread: STELE_NO_ID: none of its own */
	const struct stele__label *name;    /* NULL: unknown */
	int64_t first, last;
	int64_t busy; /* ns running or in system calls */
	struct stele__timechart_step *steps;
	uint32_t from, count, max; /* steps[0] is the chart's step `from` */
	uint32_t shown;		   /* place in the picture, from 1 on */
	uint32_t items;		   /* of the window that name it */
	uint32_t depth;		   /* open regions */
	bool dropped;		   /* others are busier: it has no steps any more */
	bool ended;
	struct {
		struct stele__label *name;
		int64_t begin;
	} regions[STELE__TIMECHART_NEST];
};

enum stele__timechart_kind {
	STELE__TIMECHART_SLICE,
	STELE__TIMECHART_REGION,
	STELE__TIMECHART_INSTANT,
	STELE__TIMECHART_WAKE, /* of `other` */
};

struct stele__timechart_item {
	uint8_t kind;
	uint8_t detail; /* of a slice: enum stele__timechart_state; of a region: how many are around
			   it */
	struct stele__timechart_lane *lane, *other;
	struct stele__label *name;
	char *text;	    /* of an instant; owned */
	uint64_t text_name; /* its number among the names */
	int64_t begin, end;
};

struct stele__timechart {
	struct stele__lanes lanes;
	struct stele__keymap by_serial; /* struct stele__timechart_lane, owned */
	uint64_t lane_count;		/* that there ever were */
	uint32_t with_steps;
	bool started;
	int64_t begin;	/* of the first step */
	unsigned shift; /* steps are 1 << shift ns */
	struct stele__timechart_step all[STELE__TIMECHART_STEPS];
	struct stele__timechart_item
		*items; /* a ring; the next one goes to item_count modulo size */
	uint64_t item_count;
	int64_t window; /* where it begins */
};

/* 0 or -ENOMEM. */
int stele__timechart_new(struct stele__timechart **ret_chart);
void stele__timechart_free(struct stele__timechart *chart);

/* 0 or a negative code. */
int stele__timechart_event(struct stele__timechart *chart, const struct stele_reader *reader,
			   const struct stele_event *event);
int stele__timechart_finish(struct stele__timechart *chart);

/* One object of JSON, with the busiest `top` lanes, for the page of a report. 0 or -ENOMEM. */
int stele__timechart_write(struct stele__timechart *chart, size_t top, struct stele__textsink *t);

#endif
