/* SPDX-License-Identifier: MIT */
/* The analysis of a trace: hands each event to those that it concerns. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/model.h"
#include "analyze/why.h"

#define ANALYSIS_STELE_DATA 0x53 /* first byte of batches of Stele's own */

STELE_EXPORT int stele_analysis_new(struct stele_analysis **ret_analysis)
{
	struct stele_analysis *a = calloc(1, sizeof(*a));
	struct stele__keymap *maps[] = {
		a ? &a->names : NULL,	  a ? &a->sites : NULL,	  a ? &a->goroutines : NULL,
		a ? &a->tags : NULL,	  a ? &a->tasks : NULL,	  a ? &a->ranges : NULL,
		a ? &a->groups : NULL,	  a ? &a->threads : NULL, a ? &a->underway : NULL,
		a ? &a->site_sums : NULL,
	};

	if (!a)
		return -ENOMEM;
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(maps); i++)
		stele__keymap_init(maps[i]);
	a->empty = stele__name_intern(a, (struct stele_string){"", 0});
	a->main = stele__name_intern(a, (struct stele_string){"main", 4});
	a->memory = stele__memory_new();
	a->locks = stele__locks_new();
	a->files = stele__files_new();
	a->signalled = stele__signalled_new();
	a->orders = stele__orders_new();
	if (stele__stacks_init(&a->stacks) < 0 || !a->empty || !a->main || !a->memory ||
	    !a->locks || !a->files || !a->signalled || !a->orders) {
		stele_analysis_free(a);
		return -ENOMEM;
	}
	*ret_analysis = a;
	return 0;
}

STELE_EXPORT void stele_analysis_free(struct stele_analysis *a)
{
	struct stele__flow *go;
	size_t at = 0;

	if (!a)
		return;
	while ((go = stele__keymap_each(&a->goroutines, &at)))
		stele__flow_free(go);
	stele__keymap_done(&a->goroutines);
	stele__memory_free(a->memory);
	stele__locks_free(a->locks);
	stele__why_free(a->why);
	stele__files_free(a->files);
	stele__signalled_free(a->signalled);
	stele__orders_free(a->orders);
	stele__keymap_done(&a->threads);
	stele__stacks_done(&a->stacks);
	stele__sites_free(a);
	stele__keymap_free(&a->tags);
	stele__keymap_free(&a->tasks);
	stele__keymap_free(&a->ranges);
	stele__keymap_free(&a->groups);
	stele__keymap_free(&a->underway);
	stele__keymap_free(&a->names);
	free(a->finished);
	free(a->group_times);
	free(a->hot_functions);
	free(a->blockages);
	free(a->fallen);
	free(a);
}

static int analysis_own_data(struct stele_analysis *a, const struct stele_reader *reader)
{
	struct stele_experiment_batch batch;
	struct stele_data_item item;
	int r = 0;

	for (size_t i = 0; r >= 0 && stele_reader_batch(reader, i, &batch) == 0; i++) {
		size_t at = 0;

		if (!batch.bytes || batch.data[0] != ANALYSIS_STELE_DATA)
			continue;
		while (r >= 0 && stele_data_next(&batch, &at, &item) > 0)
			if (item.tag == STELE_DATA_THREAD)
				r = stele__flow_tag(a, &item);
			else if (item.tag == STELE_DATA_OBJECT)
				r = stele__locks_object(a, &item);
			else if (item.tag == STELE_DATA_PROCESS)
				r = stele__signalled_thread(a, &item);
	}
	return r;
}

/* What happened until the event, and what belongs to it. */
static int analysis_details(struct stele_analysis *a, const struct stele_reader *reader,
			    int64_t time)
{
	struct stele_detail detail;
	int r;

	while ((r = stele_reader_detail(reader, time, &detail)) > 0) {
		r = stele__locks_detail(a, reader, &detail);
		if (r >= 0)
			r = stele__files_detail(a, &detail);
		if (r >= 0)
			r = stele__underway_detail(a, reader, &detail);
		if (detail.kind == STELE_DETAIL_STACK)
			stele__stack_used(a, &detail);
		if (r < 0)
			break;
	}
	return r;
}

static int analysis_sync(struct stele_analysis *a, const struct stele_reader *reader)
{
	/* Behind the last event there may be details that nothing follows. */
	if (!stele_reader_sync(reader)->generation)
		return analysis_details(a, reader, INT64_MAX);
	a->trust.generations++;
	a->version = stele_reader_version(reader);
	a->trust.frequency = stele_reader_frequency(reader);
	stele_recording_add(&a->trust.recording, reader);
	stele__stacks_forget(&a->stacks);
	stele__keymap_free(&a->underway); /* of the generation before: nobody came */
	stele__memory_sync(a, reader);
	return analysis_own_data(a, reader);
}

STELE_EXPORT int stele_analysis_add(struct stele_analysis *analysis,
				    const struct stele_reader *reader,
				    const struct stele_event *event)
{
	struct stele_trust *trust = &analysis->trust;
	int r;

	if (!trust->events)
		trust->first = analysis->synced = event->time;
	trust->last = event->time;
	trust->events++;
	if (event->kind == STELE_EVENT_SYNC) {
		analysis->synced = event->time;
		return analysis_sync(analysis, reader);
	}
	r = analysis_details(analysis, reader, event->time);
	if (r < 0)
		return r;
	switch (event->kind) {
	case STELE_EVENT_TRANSITION:
		return stele__flow_transition(analysis, reader, event);
	case STELE_EVENT_METRIC:
	case STELE_EVENT_EXPERIMENTAL:
		return stele__memory_event(analysis, reader, event);
	default:
		return stele__scope_event(analysis, reader, event);
	}
}

STELE_EXPORT int stele_analysis_finish(struct stele_analysis *analysis)
{
	int64_t time = analysis->trust.last;
	int r;

	if (analysis->done)
		return 0;
	analysis->done = true;
	r = stele__flow_finish(analysis, time);
	if (r == 0)
		r = stele__scopes_finish(analysis, time);
	if (r == 0)
		r = stele__times_finish(analysis);
	if (r == 0)
		r = stele__memory_finish(analysis);
	if (r == 0)
		r = stele__orders_finish(analysis);
	if (r == 0)
		r = stele__locks_finish(analysis);
	if (r == 0)
		r = stele__why_finish(analysis);
	if (r == 0)
		r = stele__sites_finish(analysis);
	return r < 0 ? r : stele__hotspots_finish(analysis);
}

STELE_EXPORT const struct stele_trust *stele_analysis_trust(const struct stele_analysis *analysis)
{
	return &analysis->trust;
}

STELE_EXPORT const struct stele_stack_frame *
stele_analysis_stack(const struct stele_analysis *analysis, uint32_t stack, size_t *ret_count)
{
	if (!stack || stack >= analysis->stacks.count) {
		*ret_count = 0;
		return NULL;
	}
	*ret_count = analysis->stacks.all[stack]->count;
	return analysis->stacks.all[stack]->frames;
}
