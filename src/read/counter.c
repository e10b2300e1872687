/* SPDX-License-Identifier: MIT */
/*
 * Counts what a trace holds. Distinct things are remembered by id for the whole trace: the one
 * part of reading whose memory grows with what ever lived, not with what is alive.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/spec.h"
#include "read/idmap.h"
#include "read/vector.h"
#include "stele/read.h"

struct stele_counter {
	struct stele_counts counts;
	struct stele__idmap goroutines, procs, threads;
	uint32_t *stacks; /* by handle: the Sync behind which it was last seen */
	uint32_t stack_capacity;
};

STELE_EXPORT int stele_counter_new(struct stele_counter **ret_counter)
{
	struct stele_counter *counter = calloc(1, sizeof(*counter));

	if (!counter)
		return -ENOMEM;
	stele__idmap_init(&counter->goroutines);
	stele__idmap_init(&counter->procs);
	stele__idmap_init(&counter->threads);
	*ret_counter = counter;
	return 0;
}

STELE_EXPORT void stele_counter_free(struct stele_counter *counter)
{
	if (!counter)
		return;
	stele__idmap_done(&counter->goroutines);
	stele__idmap_done(&counter->procs);
	stele__idmap_done(&counter->threads);
	free(counter->stacks);
	free(counter);
}

STELE_EXPORT const struct stele_counts *stele_counter_get(const struct stele_counter *counter)
{
	return &counter->counts;
}

static int counter_see(struct stele__idmap *seen, uint64_t id, uint64_t *count)
{
	if (stele__idmap_get(seen, id))
		return 0;
	++*count;
	return stele__idmap_put(seen, id, 1);
}

static int counter_stack(struct stele_counter *counter, const struct stele_reader *reader,
			 uint32_t stack)
{
	uint32_t before = counter->stack_capacity;
	uint32_t mark = (uint32_t)counter->counts.syncs;
	int r;

	if (!stack)
		return 0;
	r = stele__vector_reserve(&counter->stacks, &counter->stack_capacity, (uint64_t)stack + 1,
				  sizeof(*counter->stacks));
	if (r < 0)
		return r;
	if (counter->stack_capacity != before)
		memset(counter->stacks + before, 0,
		       (counter->stack_capacity - before) * sizeof(*counter->stacks));
	if (counter->stacks[stack] == mark)
		return 0;
	counter->stacks[stack] = mark;
	if (stele_reader_stack(reader, stack, NULL, 0))
		counter->counts.stacks++;
	return 0;
}

static int counter_transition(struct stele_counter *counter, const struct stele_event *event)
{
	if (event->resource == STELE_RESOURCE_GOROUTINE)
		return counter_see(&counter->goroutines, event->resource_id,
				   &counter->counts.goroutines);
	return counter_see(&counter->procs, event->resource_id, &counter->counts.procs);
}

STELE_EXPORT int stele_counter_add(struct stele_counter *counter, const struct stele_reader *reader,
				   const struct stele_event *event)
{
	struct stele_counts *counts = &counter->counts;
	int r = 0;

	if (!counts->events)
		counts->first = event->time;
	counts->last = event->time;
	counts->events++;
	counts->by_kind[event->kind]++;
	counts->by_type[event->type]++;
	counts->syncs = counts->by_kind[STELE_EVENT_SYNC];
	counts->generations += event->kind == STELE_EVENT_SYNC && counts->syncs > 1;
	counts->ranges = counts->by_kind[STELE_EVENT_RANGE_BEGIN];
	counts->tasks = counts->by_kind[STELE_EVENT_TASK_BEGIN];
	counts->regions = counts->by_kind[STELE_EVENT_REGION_BEGIN];
	counts->logs = counts->by_kind[STELE_EVENT_LOG];
	counts->metrics = counts->by_kind[STELE_EVENT_METRIC];
	counts->labels = counts->by_kind[STELE_EVENT_LABEL];
	counts->cpu_samples = counts->by_kind[STELE_EVENT_STACK_SAMPLE];
	counts->experimental = counts->by_kind[STELE_EVENT_EXPERIMENTAL];
	counts->transitions = counts->by_kind[STELE_EVENT_TRANSITION];
	if (event->thread != STELE_NO_ID)
		r = counter_see(&counter->threads, event->thread, &counts->threads);
	if (r >= 0 && event->kind == STELE_EVENT_TRANSITION)
		r = counter_transition(counter, event);
	if (r >= 0)
		r = counter_stack(counter, reader, event->stack);
	if (r >= 0)
		r = counter_stack(counter, reader, event->transition_stack);
	return r;
}
