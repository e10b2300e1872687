/* SPDX-License-Identifier: MIT */
/* Any bytes as a trace that is analysed, charted and exported to each format: no crash, no hang. */
#include <stdlib.h>

#include "export/detail.h"
#include "export/export.h"
#include "export/profile.h"
#include "export/timechart.h"
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

/* Each object has one size, one thread, and begins in one part of memory. */
static void look_at_spread(const struct stele_analysis *analysis)
{
	const struct stele_memory_sum *all =
		&stele_analysis_memory(analysis)->sum[STELE_MEMORY_OBJECTS];
	const struct stele_memory_map *map = stele_analysis_memory_map(analysis);
	const struct stele_memory_party *parties;
	const struct stele_memory_size *sizes;
	uint64_t by_size = 0, by_thread = 0, live = 0, passed = 0, begun = 0, pages = 0;
	size_t count;

	sizes = stele_analysis_memory_sizes(analysis, &count);
	for (size_t i = 0; i < count; i++)
		by_size += sizes[i].sum.allocated;
	REQUIRE(by_size == all->allocated);
	parties = stele_analysis_memory_parties(analysis, STELE_WHO_THREAD, &count);
	for (size_t i = 0; i < count; i++) {
		by_thread += parties[i].sum.allocated;
		live += parties[i].sum.live;
		passed += parties[i].freed_by_others - parties[i].freed_of_others;
	}
	REQUIRE(by_thread == all->allocated - all->existed && live <= all->live && !passed);
	REQUIRE(map->cell_count <= STELE_CELLS_MAX);
	for (uint32_t i = 0; i < map->cell_count; i++) {
		begun += map->cells[i].objects;
		REQUIRE(!i || map->cells[i].address > map->cells[i - 1].address);
	}
	for (unsigned i = 0; i < STELE_FILL_STEPS; i++)
		pages += map->filled[i];
	REQUIRE(begun == all->live && pages == map->pages);
}

static void chart(const uint8_t *data, size_t size)
{
	uint8_t sum = 0;
	struct stele__export sink = {.write = look, .arg = &sum};
	struct stele__textsink text = {.e = &sink};
	struct stele__timechart *chart;
	struct stele__detail detail;
	const struct stele_event *event;
	struct stele_reader *reader;
	int r;

	if (stele_reader_open_memory(data, size, NULL, &reader) < 0)
		return;
	r = stele__detail_init(&detail);
	if (r >= 0)
		r = stele__timechart_new(&chart);
	REQUIRE(r >= 0);
	while (r >= 0 && stele_reader_next(reader, &event) > 0) {
		r = stele__timechart_event(chart, reader, event);
		if (r >= 0)
			r = stele__detail_event(&detail, reader, event);
	}
	if (r >= 0 && stele__timechart_finish(chart) >= 0)
		stele__timechart_write(chart, size % 300, &text);
	if (r >= 0 && stele__detail_finish(&detail) >= 0)
		stele__detail_min(&detail, size, 1 + size % 200);
	stele__timechart_free(chart);
	stele__detail_done(&detail);
	stele_reader_close(reader);
}

/* What is told of one instance adds up to its time; what others did meanwhile is within it. */
static void look_at_instance(const struct stele_why_instance *instance)
{
	int64_t sum = 0;

	for (size_t i = 0; i < instance->row_count; i++) {
		REQUIRE(instance->rows[i].ns >= 0 && instance->rows[i].count > 0);
		if (!instance->rows[i].depth)
			sum += instance->rows[i].ns;
		REQUIRE(i ? instance->rows[i].depth <= instance->rows[i - 1].depth + 1
			  : !instance->rows[i].depth);
	}
	REQUIRE(sum == instance->ns || instance->ns > INT64_MAX / 4);
}

static void look_at_why(const struct stele_analysis *analysis)
{
	const struct stele_why *why = stele_analysis_why(analysis);

	REQUIRE(why->slowest_count <= why->count && why->slowest_count <= why->query.slowest);
	look_at_instance(&why->all);
	for (size_t i = 0; i < why->slowest_count; i++)
		look_at_instance(&why->slowest[i]);
}

static void look_at_locks(const struct stele_analysis *analysis)
{
	const struct stele_lock_cycle *cycles;
	size_t count;
	const struct stele_lock *const *locks = stele_analysis_locks(analysis, &count);

	for (size_t i = 0; i < count; i++)
		REQUIRE(locks[i]->locks > 0 && locks[i]->spread.count + locks[i]->open_count > 0);
	cycles = stele_analysis_lock_cycles(analysis, &count);
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < cycles[i].count; j++)
			REQUIRE(cycles[i].count > 1 && cycles[i].orders[j].held);
}

/* The input chooses what is asked. */
static struct stele_why_query question(size_t size)
{
	return (struct stele_why_query){.of = size % 5,
					.region = {"work", size % 3 ? 4 : 0},
					.id = size / 4 % 16,
					.slowest = size % 5};
}

static void analyze(const uint8_t *data, size_t size)
{
	const struct stele_why_query query = question(size);
	struct stele_analysis *analysis;
	const struct stele_event *event;
	struct stele_reader *reader;
	size_t count;
	int r;

	if (stele_reader_open_memory(data, size, NULL, &reader) < 0)
		return;
	r = stele_analysis_new(&analysis);
	if (r >= 0)
		r = stele_analysis_ask_why(analysis, &query);
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
		look_at_spread(analysis);
		look_at_locks(analysis);
		look_at_why(analysis);
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
	if (format->each_bytes)
		e.min_ns = (INT64_C(1) << size % 30) - 1;
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
	chart(data, size);
	for (size_t i = 0; stele__formats[i]; i++)
		export(data, size, stele__formats[i]);
	return 0;
}
