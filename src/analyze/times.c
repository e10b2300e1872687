/* SPDX-License-Identifier: MIT */
/* Tables of times: goroutines one by one, and summed up under their names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/model.h"

void stele__times_add_share(struct stele_times *t, const struct stele_share *from)
{
	struct stele_share *share;
	unsigned i = 0;

	while (i < t->share_count && t->shares[i].reason.data != from->reason.data)
		i++;
	if (i == STELE_SHARES_MAX) {
		share = &t->shares[--i];
		share->reason = (struct stele_string){"", 0};
	} else {
		share = &t->shares[i];
		if (i == t->share_count) {
			t->share_count++;
			*share = (struct stele_share){.reason = from->reason};
		}
	}
	share->count += from->count;
	stele__ns_add(&share->ns, from->ns);
}

static void times_add(struct stele_times *t, const struct stele_times *from)
{
	t->members++;
	t->ended = t->ended && from->ended;
	t->first = t->first < from->first ? t->first : from->first;
	t->last = t->last > from->last ? t->last : from->last;
	stele__ns_add(&t->wall, from->wall);
	stele__ns_add(&t->running, from->running);
	stele__ns_add(&t->ready, from->ready);
	stele__ns_add(&t->waiting, from->waiting);
	stele__ns_add(&t->syscall, from->syscall);
	stele__ns_add(&t->unknown, from->unknown);
	t->waits += from->waits;
	t->syscalls += from->syscalls;
	for (unsigned i = 0; i < from->share_count; i++)
		stele__times_add_share(t, &from->shares[i]);
}

static struct stele__group *times_group(struct stele_analysis *a, const struct stele__name *name)
{
	struct stele__group *group = stele__keymap_get(&a->groups, (uintptr_t)name);

	if (group)
		return group;
	group = calloc(1, sizeof(*group));
	if (!group || stele__keymap_add(&a->groups, (uintptr_t)name, group) < 0) {
		free(group);
		return NULL;
	}
	group->name = name;
	group->times = (struct stele_times){.goroutine = STELE_NO_ID,
					    .thread = STELE_NO_ID,
					    .ended = true,
					    .latency = &group->latency,
					    .first = INT64_MAX,
					    .last = INT64_MIN};
	return group;
}

static int times_by_share(const void *left, const void *right)
{
	const struct stele_share *a = left, *b = right;

	return (a->ns < b->ns) - (a->ns > b->ns);
}

static int times_compare(const void *left, const void *right)
{
	const struct stele_times *a = left, *b = right;
	int64_t busy_a = a->running + a->syscall, busy_b = b->running + b->syscall;
	int r = (busy_a < busy_b) - (busy_a > busy_b);

	if (!r)
		r = (a->wall < b->wall) - (a->wall > b->wall);
	if (!r)
		r = (a->goroutine > b->goroutine) - (a->goroutine < b->goroutine);
	return r ? r : (a->first > b->first) - (a->first < b->first);
}

/* All that are alive at the end, but of those that ended the busiest. */
static int times_keep(struct stele_analysis *a, const struct stele_times *times)
{
	struct stele_times *finished = a->finished;
	int r;

	/* Of what was cut once, the front is sorted. */
	if (times->ended && a->finished_cut &&
	    times_compare(times, &finished[STELE__FINISHED_MAX - 1]) > 0)
		return 0;
	if (times->ended && a->finished_count == 2 * STELE__FINISHED_MAX) {
		qsort(finished, a->finished_count, sizeof(*finished), times_compare);
		a->finished_count = STELE__FINISHED_MAX;
		a->finished_cut = true;
	}
	r = stele__list_reserve(&a->finished, a->finished_count, &a->finished_max,
				sizeof(*a->finished));
	if (r == 0)
		a->finished[a->finished_count++] = *times;
	return r;
}

/* The goroutine is over, or the trace: completes its times, and adds them to those of its name. */
int stele__times_account(struct stele_analysis *a, struct stele__flow *go)
{
	const struct stele__name *name = go->name ? go->name : a->empty;
	const struct stele__name *entry = stele__flow_entry(a, go);
	struct stele__group *group = times_group(a, name->text.bytes ? name : entry);

	if (!group)
		return -ENOMEM;
	go->times.name = name->text;
	go->times.entry = entry->text;
	go->times.wall = go->times.last - go->times.first;
	times_add(&group->times, &go->times);
	for (uint32_t i = 0; i < go->latency_count; i++)
		stele_spread_add(&group->latency, go->latencies[i]);
	if (go->latency)
		stele__spread_merge(&group->latency, go->latency);
	if (name->text.bytes)
		group->times.name = name->text;
	group->times.entry = entry->text;
	return times_keep(a, &go->times);
}

static void times_sort(struct stele_times *times, size_t count)
{
	for (size_t i = 0; i < count; i++)
		qsort(times[i].shares, times[i].share_count, sizeof(times[i].shares[0]),
		      times_by_share);
	if (count)
		qsort(times, count, sizeof(*times), times_compare);
}

int stele__times_finish(struct stele_analysis *a)
{
	struct stele__group *group;
	size_t at = 0;

	a->group_times = calloc(a->groups.used + 1, sizeof(*a->group_times));
	if (!a->group_times)
		return -ENOMEM;
	while ((group = stele__keymap_each(&a->groups, &at)))
		a->group_times[a->group_count++] = group->times;
	times_sort(a->group_times, a->group_count);
	times_sort(a->finished, a->finished_count);
	return 0;
}

STELE_EXPORT const struct stele_times *stele_analysis_threads(const struct stele_analysis *analysis,
							      size_t *ret_count)
{
	*ret_count = analysis->finished_count;
	return analysis->finished;
}

STELE_EXPORT uint64_t stele_analysis_thread_count(const struct stele_analysis *analysis)
{
	uint64_t count = 0;

	for (size_t i = 0; i < analysis->group_count; i++)
		count += analysis->group_times[i].members;
	return count;
}

STELE_EXPORT const struct stele_times *stele_analysis_groups(const struct stele_analysis *analysis,
							     size_t *ret_count)
{
	*ret_count = analysis->group_count;
	return analysis->group_times;
}
