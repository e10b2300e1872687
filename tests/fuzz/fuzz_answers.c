/* SPDX-License-Identifier: MIT */
/* Any bytes as a trace that is analysed and exported to each format: no crash, no hang. */
#include <stdlib.h>

#include "export/export.h"
#include "export/profile.h"
#include "stele/analyze.h"

/* Looks at each byte, for MemorySanitizer and AddressSanitizer. */
static int look(void *arg, const void *data, size_t bytes)
{
	uint8_t *sum = arg;

	for (size_t i = 0; i < bytes; i++)
		*sum ^= ((const uint8_t *)data)[i];
	return 0;
}

#define REQUIRE(cond)                                                                              \
	do {                                                                                       \
		if (!(cond))                                                                       \
			__builtin_trap();                                                          \
	} while (0)

static void look_at_sum(const struct stele_memory_sum *sum)
{
	REQUIRE(sum->allocated == sum->freed + sum->live);
	REQUIRE(sum->existed <= sum->allocated && sum->temporary <= sum->freed);
	/* Bytes may be any number, and their sums overflow. */
	REQUIRE(sum->allocated_bytes == sum->freed_bytes + sum->live_bytes);
}

/* The same objects counted in all, by place and by kind of span. */
static void look_at_memory(const struct stele_analysis *analysis)
{
	const struct stele_memory *m = stele_analysis_memory(analysis);
	const struct stele_memory_site *sites;
	const struct stele_memory_kind *kinds;
	const struct stele_broken *broken;
	uint64_t live = 0, spans = 0;
	size_t count, stacks;

	for (unsigned family = 0; family < STELE__MEMORY_FAMILIES; family++)
		look_at_sum(&m->sum[family]);
	sites = stele_analysis_memory_sites(analysis, &count);
	for (size_t i = 0; i < count; i++) {
		look_at_sum(&sites[i].sum);
		live += sites[i].sum.live;
	}
	REQUIRE(live == m->sum[STELE_MEMORY_OBJECTS].live);
	kinds = stele_analysis_memory_kinds(analysis, &count);
	for (size_t i = 0; i < count; i++) {
		look_at_sum(&kinds[i].spans);
		spans += kinds[i].spans.live;
	}
	REQUIRE(spans == m->sum[STELE_MEMORY_SPANS].live);
	stele_analysis_stacks(analysis, &stacks);
	REQUIRE(stacks == m->sum[STELE_MEMORY_STACKS].live);
	broken = stele_analysis_broken(analysis, &count);
	for (size_t i = 0; i < count; i++)
		REQUIRE(broken[i].count > 0 && broken[i].family < STELE__MEMORY_FAMILIES);
}

static void analyze(const uint8_t *data, size_t size)
{
	struct stele_analysis *analysis;
	const struct stele_event *event;
	struct stele_reader *reader;
	size_t count;
	int r;

	if (stele_reader_open_memory(data, size, NULL, &reader) < 0)
		return;
	r = stele_analysis_new(&analysis);
	while (r >= 0 && stele_reader_next(reader, &event) > 0)
		r = stele_analysis_add(analysis, reader, event);
	if (r >= 0)
		r = stele_analysis_finish(analysis);
	if (r >= 0) {
		const struct stele_times *times = stele_analysis_threads(analysis, &count);

		for (size_t i = 0; i < count; i++)
			if (times[i].last < times[i].first)
				__builtin_trap();
		look_at_memory(analysis);
	}
	stele_analysis_free(analysis);
	stele_reader_close(reader);
}

static void export(const uint8_t *data, size_t size, const struct stele__format *format)
{
	uint8_t sum = 0;
	struct stele__export e = {.format = format, .write = look, .arg = &sum, .path = ":memory:"};
	const struct stele_event *event;
	struct stele_reader *reader;
	int r;

	if (stele_reader_open_memory(data, size, NULL, &reader) < 0)
		return;
	if (format->profile) {
		size_t kinds = 0;

		while (stele__profile_kinds[kinds].name)
			kinds++;
		e.kind = stele__profile_kinds[size % kinds].name;
	}
	r = stele__export_start(&e);
	while (r >= 0 && stele_reader_next(reader, &event) > 0)
		r = format->event(&e, reader, event);
	if (r >= 0)
		format->finish(&e);
	stele__export_free(&e);
	stele_reader_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	analyze(data, size);
	for (size_t i = 0; stele__formats[i]; i++)
		export(data, size, stele__formats[i]);
	return 0;
}
