/* SPDX-License-Identifier: MIT */
#include "export/detail.h"

static struct stele__detail *detail_of(struct stele__lanes *lanes)
{
	return lanes->arg;
}

static int detail_process(struct stele__lanes *lanes)
{
	detail_of(lanes)->others++;
	return 0;
}

static int detail_slice(struct stele__lanes *lanes, struct stele__lane *lane,
			const struct stele__slice *slice)
{
	struct stele__detail *d = detail_of(lanes);
	uint64_t ns = slice->end > slice->begin ? (uint64_t)(slice->end - slice->begin) : 0;
	unsigned step = ns ? 64 - (unsigned)__builtin_clzll(ns) : 0;

	d->lane_count += !lane->mark;
	lane->mark = 1;
	d->slices[step]++;
	d->ns[step] += ns;
	return 0;
}

static int detail_wake(struct stele__lanes *lanes, struct stele__lane *by, struct stele__lane *lane,
		       int64_t time, uint64_t number)
{
	(void)by, (void)lane, (void)time, (void)number;
	detail_of(lanes)->wakes += 2;
	return 0;
}

static int detail_region(struct stele__lanes *lanes, struct stele__lane *lane,
			 struct stele__label *name, int64_t time, bool begin)
{
	(void)lane, (void)name, (void)time, (void)begin;
	detail_of(lanes)->others++;
	return 0;
}

static int detail_task(struct stele__lanes *lanes, const struct stele__task *task, int64_t time,
		       bool begin)
{
	(void)task, (void)time, (void)begin;
	detail_of(lanes)->others++;
	return 0;
}

static int detail_instant(struct stele__lanes *lanes, struct stele__lane *lane,
			  struct stele__label *name, struct stele_string text, int64_t time)
{
	(void)lane, (void)name, (void)text, (void)time;
	detail_of(lanes)->others++;
	return 0;
}

static int detail_counter(struct stele__lanes *lanes, struct stele__label *name, int64_t value,
			  int64_t time)
{
	(void)name, (void)value, (void)time;
	detail_of(lanes)->others++;
	return 0;
}

static const struct stele__draw detail_draw = {
	.heap = true,
	.process = detail_process,
	.slice = detail_slice,
	.wake = detail_wake,
	.region = detail_region,
	.task = detail_task,
	.instant = detail_instant,
	.counter = detail_counter,
};

int stele__detail_init(struct stele__detail *detail)
{
	*detail = (struct stele__detail){.wakes = 0};
	return stele__lanes_init(&detail->lanes, &detail_draw, detail);
}

void stele__detail_done(struct stele__detail *detail)
{
	stele__lanes_done(&detail->lanes);
}

int stele__detail_event(struct stele__detail *detail, const struct stele_reader *reader,
			const struct stele_event *event)
{
	return stele__lanes_event(&detail->lanes, reader, event);
}

int stele__detail_finish(struct stele__detail *detail)
{
	return stele__lanes_finish(&detail->lanes);
}

int64_t stele__detail_min(const struct stele__detail *detail, uint64_t bytes, unsigned each)
{
	uint64_t room = bytes / each, fixed = detail->others + detail->lane_count, longer = 0;
	uint64_t shorter = 0, short_ns = 0;

	for (unsigned i = 0; i <= STELE__DETAIL_STEPS; i++)
		longer += detail->slices[i];
	if (fixed + longer + detail->wakes <= room)
		return 0;
	/* Those of i digits and less are shorter than 1 << i. */
	for (unsigned i = 0; i < STELE__DETAIL_STEPS; i++) {
		uint64_t together;

		longer -= detail->slices[i];
		shorter += detail->slices[i];
		short_ns += detail->ns[i];
		/* They end where a longer one begins, or when they are as long as one. */
		together = longer + detail->lane_count + (short_ns >> i);
		if (fixed + longer + (together < shorter ? together : shorter) <= room)
			return INT64_C(1) << i;
	}
	return INT64_MAX;
}
