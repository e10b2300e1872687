/* SPDX-License-Identifier: MIT */
#include "export/profile.h"

#include <string.h>

static bool wants_net(struct stele_string reason)
{
	return reason.bytes == 7 && !memcmp(reason.data, "network", 7);
}

static void memory_heap(const struct stele_memory_site *site, uint64_t *values)
{
	values[0] = site->sum.allocated;
	values[1] = site->sum.allocated_bytes;
	values[2] = site->sum.live;
	values[3] = site->sum.live_bytes;
}

static void memory_peak(const struct stele_memory_site *site, uint64_t *values)
{
	values[0] = site->at_peak;
	values[1] = site->at_peak_bytes;
}

static void memory_alloc(const struct stele_memory_site *site, uint64_t *values)
{
	values[0] = site->sum.allocated;
	values[1] = site->sum.allocated_bytes;
}

static void memory_temporary(const struct stele_memory_site *site, uint64_t *values)
{
	values[0] = site->sum.temporary;
}

#define DELAYS .values = {{"contentions", "count"}, {"delay", "nanoseconds"}}, .weight = 1

const struct stele__profile_kind stele__profile_kinds[] = {
	{.name = "sync",
	 .summary = "waits for locks, conditions, channels (default)",
	 DELAYS,
	 .sites = STELE_SITES_WAIT,
	 .wants = stele_reason_is_sync},
	{.name = "wait", .summary = "all waits", DELAYS, .sites = STELE_SITES_WAIT},
	{.name = "net",
	 .summary = "waits for the network",
	 DELAYS,
	 .sites = STELE_SITES_WAIT,
	 .wants = wants_net},
	{.name = "syscall", .summary = "system calls", DELAYS, .sites = STELE_SITES_SYSCALL},
	{.name = "sched", .summary = "ready, but not running", DELAYS, .sites = STELE_SITES_READY},
	{.name = "cpu",
	 .summary = "CPU samples; the weight is their number",
	 .values = {{"samples", "count"}},
	 .sites = STELE_SITES_SAMPLE},
	{.name = "heap",
	 .summary = "memory that is alive at the end; for pprof also what was allocated",
	 .values = {{"alloc_objects", "count"},
		    {"alloc_space", "bytes"},
		    {"inuse_objects", "count"},
		    {"inuse_space", "bytes"}},
	 .weight = 3,
	 .memory = memory_heap},
	{.name = "peak",
	 .summary = "memory that was alive at the peak",
	 .values = {{"peak_objects", "count"}, {"peak_space", "bytes"}},
	 .weight = 1,
	 .memory = memory_peak},
	{.name = "alloc",
	 .summary = "memory that was allocated",
	 .values = {{"alloc_objects", "count"}, {"alloc_space", "bytes"}},
	 .weight = 1,
	 .memory = memory_alloc},
	{.name = "temporary",
	 .summary = "allocations freed by their thread before it made another; their number",
	 .values = {{"temporary_objects", "count"}},
	 .memory = memory_temporary},
	{.name = NULL},
};

const struct stele__profile_kind *stele__profile_find(const char *name)
{
	const struct stele__profile_kind *kind = stele__profile_kinds;

	while (name && strcmp(kind->name, name) != 0)
		kind++;
	return kind;
}

static int profile_memory(const struct stele_analysis *analysis,
			  const struct stele__profile_kind *kind,
			  int (*take)(void *arg, const struct stele__profile_row *row), void *arg)
{
	size_t count;
	const struct stele_memory_site *sites = stele_analysis_memory_sites(analysis, &count);
	int r = 0;

	for (size_t i = 0; i < count && r >= 0; i++) {
		struct stele__profile_row row = {.stack = sites[i].stack};

		/* Where there is no stack, the name of what was allocated is all that there is. */
		if (!row.stack)
			row.leaf = sites[i].name;
		kind->memory(&sites[i], row.values);
		r = take(arg, &row);
	}
	return r;
}

int stele__profile_each(const struct stele_analysis *analysis,
			const struct stele__profile_kind *kind, bool as_go,
			int (*take)(void *arg, const struct stele__profile_row *row), void *arg)
{
	const struct stele_site *const *sites;
	size_t count;
	int r = 0;

	if (kind->memory)
		return profile_memory(analysis, kind, take, arg);
	sites = stele_analysis_sites_by_address(analysis, kind->sites, &count);
	for (size_t i = 0; i < count && r >= 0; i++) {
		const struct stele_site *site = sites[i];
		struct stele__profile_row row = {
			.stack = site->stack,
			.leaf = site->name,
			.values = {site->spread.count, (uint64_t)site->spread.total},
		};

		if (as_go) {
			row.values[0] -= site->early_count;
			row.values[1] -= (uint64_t)site->early_ns;
		}
		if (!kind->wants || kind->wants(site->name))
			r = take(arg, &row);
	}
	return r;
}
