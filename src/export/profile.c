/* SPDX-License-Identifier: MIT */
#include "export/profile.h"

#include <string.h>

#define COUNT_AND_DELAY                                                                            \
	{                                                                                          \
		{"contentions", "count"},                                                          \
		{                                                                                  \
			"delay", "nanoseconds"                                                     \
		}                                                                                  \
	}

const struct stele__profile_kind stele__profile_kinds[] = {
	{"sync", "waits for locks, conditions, channels (default)", COUNT_AND_DELAY, 1},
	{"wait", "all waits", COUNT_AND_DELAY, 1},
	{"net", "waits for the network", COUNT_AND_DELAY, 1},
	{"syscall", "system calls", COUNT_AND_DELAY, 1},
	{"sched", "ready, but not running", COUNT_AND_DELAY, 1},
	{"cpu", "CPU samples; the weight is their number", {{"samples", "count"}}, 0},
	{"heap",
	 "memory that is alive at the end; for pprof also what was allocated",
	 {{"alloc_objects", "count"},
	  {"alloc_space", "bytes"},
	  {"inuse_objects", "count"},
	  {"inuse_space", "bytes"}},
	 3},
	{"peak",
	 "memory that was alive at the peak",
	 {{"peak_objects", "count"}, {"peak_space", "bytes"}},
	 1},
	{"alloc",
	 "memory that was allocated",
	 {{"alloc_objects", "count"}, {"alloc_space", "bytes"}},
	 1},
	{"temporary",
	 "allocations freed by their thread before it made another; their number",
	 {{"temporary_objects", "count"}},
	 0},
	{NULL, NULL, {{NULL, NULL}}, 0},
};

const struct stele__profile_kind *stele__profile_find(const char *name)
{
	const struct stele__profile_kind *kind = stele__profile_kinds;

	while (name && strcmp(kind->name, name) != 0)
		kind++;
	return kind;
}

static bool profile_is(const struct stele__profile_kind *kind, const char *name)
{
	return strcmp(kind->name, name) == 0;
}

static bool profile_wants(const struct stele__profile_kind *kind, struct stele_string reason)
{
	if (profile_is(kind, "sync"))
		return stele_reason_is_sync(reason);
	if (profile_is(kind, "net"))
		return reason.bytes == 7 && !memcmp(reason.data, "network", 7);
	return true;
}

static int profile_memory(const struct stele_analysis *analysis,
			  const struct stele__profile_kind *kind,
			  int (*take)(void *arg, const struct stele__profile_row *row), void *arg)
{
	size_t count;
	const struct stele_memory_site *sites = stele_analysis_memory_sites(analysis, &count);
	int r = 0;

	for (size_t i = 0; i < count && r >= 0; i++) {
		const struct stele_memory_sum *sum = &sites[i].sum;
		struct stele__profile_row row = {.stack = sites[i].stack};

		if (!row.stack)
			row.leaf = sites[i].name;
		if (profile_is(kind, "heap")) {
			row.values[0] = sum->allocated;
			row.values[1] = sum->allocated_bytes;
			row.values[2] = sum->live;
			row.values[3] = sum->live_bytes;
		} else if (profile_is(kind, "temporary")) {
			row.values[0] = sum->temporary;
		} else {
			bool peak = profile_is(kind, "peak");

			row.values[0] = peak ? sites[i].at_peak : sum->allocated;
			row.values[1] = peak ? sites[i].at_peak_bytes : sum->allocated_bytes;
		}
		r = take(arg, &row);
	}
	return r;
}

int stele__profile_each(const struct stele_analysis *analysis,
			const struct stele__profile_kind *kind, bool as_go,
			int (*take)(void *arg, const struct stele__profile_row *row), void *arg)
{
	enum stele_site_kind of = profile_is(kind, "syscall") ? STELE_SITES_SYSCALL
				  : profile_is(kind, "sched") ? STELE_SITES_READY
				  : profile_is(kind, "cpu")   ? STELE_SITES_SAMPLE
							      : STELE_SITES_WAIT;
	const struct stele_site *const *sites;
	size_t count;
	int r = 0;

	if (strcmp(kind->values[0].name, "contentions") != 0 && of != STELE_SITES_SAMPLE)
		return profile_memory(analysis, kind, take, arg);
	sites = stele_analysis_sites(analysis, of, &count);
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
		if (of != STELE_SITES_WAIT || profile_wants(kind, site->name))
			r = take(arg, &row);
	}
	return r;
}
