/* SPDX-License-Identifier: MIT */
/* What has a beginning and an end of its own: regions, tasks, ranges; and CPU samples. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/model.h"
#include "analyze/why.h"

static int scope_close(struct stele_analysis *a, enum stele_site_kind kind,
		       const struct stele__name *name, int64_t ns, bool open)
{
	struct stele__site *site = stele__site_find(a, kind, name, 0);

	if (!site)
		return -ENOMEM;
	if (open)
		stele__site_add_open(site, ns, 0);
	else
		stele_spread_add(&site->s.spread, ns);
	return 0;
}

static int scope_region(struct stele_analysis *a, const struct stele_event *event)
{
	struct stele__flow *go = stele__flow_find(a, event->goroutine);
	const struct stele__name *name = stele__name_intern(a, event->name);
	uint32_t at;
	int r;

	if (!name)
		return -ENOMEM;
	if (!go)
		return 0;
	if (event->kind == STELE_EVENT_REGION_BEGIN) {
		r = stele__list_reserve(&go->regions, go->region_count, &go->region_max,
					sizeof(*go->regions));
		if (r < 0)
			return r;
		go->regions[go->region_count++] =
			(struct stele__region){name, event->task, event->time};
		return stele__why_region_begin(a, go, &go->regions[go->region_count - 1]);
	}
	for (at = go->region_count; at; at--)
		if (go->regions[at - 1].name == name && go->regions[at - 1].task == event->task)
			break;
	if (!at) /* it began before the trace did */
		return 0;
	r = stele__why_region_end(a, go, at - 1, event->time);
	if (r < 0)
		return r;
	go->region_count = at - 1;
	return scope_close(a, STELE_SITES_REGION, name, event->time - go->regions[at - 1].begin,
			   false);
}

int stele__scope_leave(struct stele_analysis *a, const struct stele__flow *go, int64_t time)
{
	int r = 0;

	for (uint32_t i = 0; i < go->region_count && r == 0; i++)
		r = scope_close(a, STELE_SITES_REGION, go->regions[i].name,
				time - go->regions[i].begin, true);
	return r;
}

static int scope_begin(struct stele__keymap *map, uint64_t key, const struct stele__scope *scope)
{
	struct stele__scope *copy = malloc(sizeof(*copy));
	int r = copy ? 0 : -ENOMEM;

	if (copy) {
		*copy = *scope;
		r = stele__keymap_add(map, key, copy);
	}
	if (r < 0)
		free(copy);
	return r;
}

static int scope_end(struct stele_analysis *a, struct stele__keymap *map, uint64_t key,
		     struct stele__scope *scope, int64_t time)
{
	enum stele_site_kind kind = map == &a->tasks ? STELE_SITES_TASK : STELE_SITES_RANGE;
	int r = scope_close(a, kind, scope->name, time - scope->begin, false);

	stele__keymap_drop(map, key, scope);
	free(scope);
	return r;
}

static int scope_task(struct stele_analysis *a, const struct stele_event *event)
{
	struct stele__scope *task = stele__keymap_get(&a->tasks, event->task);
	const struct stele__name *name;

	if (event->kind == STELE_EVENT_TASK_END)
		return task ? scope_end(a, &a->tasks, event->task, task, event->time) : 0;
	name = stele__name_intern(a, event->name);
	if (!name)
		return -ENOMEM;
	if (task)
		return 0;
	return scope_begin(&a->tasks, event->task,
			   &(struct stele__scope){event->task, 0, name, event->time});
}

static int scope_range(struct stele_analysis *a, const struct stele_event *event)
{
	const struct stele__name *name = stele__name_intern(a, event->name);
	uint64_t key = stele__keymap_mix(event->resource_id, (uintptr_t)name + event->resource);
	struct stele__scope *range;
	size_t at = 0;

	if (!name)
		return -ENOMEM;
	while ((range = stele__keymap_next(&a->ranges, key, &at)))
		if (range->id == event->resource_id && range->resource == event->resource &&
		    range->name == name)
			break;
	if (event->kind == STELE_EVENT_RANGE_END)
		return range ? scope_end(a, &a->ranges, key, range, event->time) : 0;
	if (range) /* told again at the beginning of a generation */
		return 0;
	return scope_begin(
		&a->ranges, key,
		&(struct stele__scope){event->resource_id, event->resource, name, event->time});
}

static int scope_samples(struct stele_analysis *a, const struct stele_reader *reader,
			 const struct stele_event *event)
{
	struct stele__site *site;
	uint32_t stack;
	int r = stele__stack_find(a, reader, event->stack, &stack); /* a loop has many addresses */

	if (r < 0)
		return r;
	site = stele__site_find(a, STELE_SITES_SAMPLE, a->empty, stack);
	if (!site)
		return -ENOMEM;
	site->s.spread.count++;
	return 0;
}

int stele__scope_event(struct stele_analysis *a, const struct stele_reader *reader,
		       const struct stele_event *event)
{
	switch (event->kind) {
	case STELE_EVENT_REGION_BEGIN:
	case STELE_EVENT_REGION_END:
		return scope_region(a, event);
	case STELE_EVENT_TASK_BEGIN:
	case STELE_EVENT_TASK_END:
		return scope_task(a, event);
	case STELE_EVENT_RANGE_BEGIN:
	case STELE_EVENT_RANGE_ACTIVE:
	case STELE_EVENT_RANGE_END:
		return scope_range(a, event);
	case STELE_EVENT_STACK_SAMPLE:
		return scope_samples(a, reader, event);
	default:
		return 0;
	}
}

int stele__scopes_finish(struct stele_analysis *a, int64_t time)
{
	struct stele__scope *scope;
	size_t at = 0;
	int r = 0;

	while (r == 0 && (scope = stele__keymap_each(&a->tasks, &at)))
		r = scope_close(a, STELE_SITES_TASK, scope->name, time - scope->begin, true);
	at = 0;
	while (r == 0 && (scope = stele__keymap_each(&a->ranges, &at)))
		r = scope_close(a, STELE_SITES_RANGE, scope->name, time - scope->begin, true);
	return r;
}
