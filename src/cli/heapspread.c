/* SPDX-License-Identifier: MIT */
#include "cli/heapspread.h"

#include <inttypes.h>

#include "base/compiler.h"
#include "cli/columns.h"
#include "cli/parts.h"

#define NAME_COLUMNS 34
#define BAR_COLUMNS  20

static void spread_name(FILE *out, struct stele_string name)
{
	if (!name.bytes)
		name = (struct stele_string){"(unknown)", 9};
	stele__column_name(out, name, NAME_COLUMNS);
}

/* By whom ------------------------------------------------------------------------------------- */

void stele__heap_freers(FILE *out, const struct stele_memory_site *site)
{
	uint64_t others = site->sum.freed;
	char text[STELE__COLUMN_TEXT];

	if (!site->freed_by_count)
		return;
	fprintf(out, "%*sfreed by ", 10, "");
	for (unsigned i = 0; i < site->freed_by_count; i++) {
		const struct stele_memory_freer *freer = &site->freed_by[i];

		fputs(i ? ", " : "", out);
		spread_name(out, freer->name);
		fprintf(out, " %s", stele__column_count(freer->count, text));
		others -= freer->count < others ? freer->count : others;
	}
	if (others)
		fprintf(out, ", others %s", stele__column_count(others, text));
	fputc('\n', out);
}

static void party_row(FILE *out, const struct stele_memory_party *party, bool thread)
{
	stele__part_bytes(out, party->sum.allocated_bytes);
	stele__part_count(out, party->sum.allocated, 11);
	stele__part_bytes(out, party->sum.live_bytes);
	stele__part_count(out, party->sum.live, 10);
	if (thread) {
		stele__part_count(out, party->freed_by_others, 11);
		stele__part_count(out, party->freed_of_others, 11);
	}
	fputs("  ", out);
	spread_name(out, party->name);
	fputc('\n', out);
}

void stele__heap_parties(FILE *out, const struct stele_report *r)
{
	static const char *const titles[STELE__WHO_KINDS] = {
		[STELE_WHO_THREAD] = "BY WHOM",
		[STELE_WHO_REGION] = "WITHIN REGIONS",
		[STELE_WHO_TASK] = "FOR TASKS",
	};

	for (unsigned who = 0; who < STELE__WHO_KINDS; who++) {
		bool thread = who == STELE_WHO_THREAD;
		size_t count;
		const struct stele_memory_party *parties =
			stele_analysis_memory_parties(r->analysis, who, &count);

		if (!count)
			continue;
		stele__part_title(out, r, titles[who]);
		fprintf(out, "\n%11s%11s%11s%10s", "allocated", "objects", "alive", "objects");
		if (thread)
			fprintf(out, "%11s%11s", "by others", "of others");
		fputs(thread ? "  threads of one name\n" : "  name\n", out);
		for (size_t i = 0; i < count && i < r->top; i++)
			party_row(out, &parties[i], thread);
		stele__part_more(out, count, r->top);
	}
}

/* Sizes --------------------------------------------------------------------------------------- */

static void size_row(FILE *out, const struct stele_memory_size *size, uint64_t most)
{
	char text[STELE__COLUMN_TEXT];
	uint64_t bar = most ? (size->sum.allocated * BAR_COLUMNS + most - 1) / most : 0;

	stele__column_right(out, stele__column_bytes(size->most, text), 11);
	stele__part_count(out, size->sum.allocated, 11);
	stele__part_bytes(out, size->sum.allocated_bytes);
	stele__part_count(out, size->sum.live, 10);
	stele__part_bytes(out, size->sum.live_bytes);
	if (size->lifetime.count) {
		stele__part_time(out, stele_spread_quantile(&size->lifetime, 50));
		stele__part_time(out, stele_spread_quantile(&size->lifetime, 99));
	} else {
		fprintf(out, "%10s%10s", "-", "-");
	}
	fputs("  ", out);
	while (bar--)
		fputs("█", out);
	fputc('\n', out);
}

void stele__heap_sizes(FILE *out, const struct stele_report *r)
{
	size_t count;
	const struct stele_memory_size *sizes = stele_analysis_memory_sizes(r->analysis, &count);
	uint64_t most = 0;

	if (!count)
		return;
	for (size_t i = 0; i < count; i++)
		most = sizes[i].sum.allocated > most ? sizes[i].sum.allocated : most;
	stele__part_title(out, r, "SIZES");
	fprintf(out, " and lifetimes\n%11s%11s%11s%10s%11s%10s%10s\n", "up to", "objects",
		"allocated", "alive", "bytes", "median", "99 %");
	for (size_t i = 0; i < count; i++)
		size_row(out, &sizes[i], most);
}

/* Where --------------------------------------------------------------------------------------- */

void stele__heap_map(FILE *out, const struct stele_report *r)
{
	const struct stele_memory_map *map = stele_analysis_memory_map(r->analysis);
	char text[STELE__COLUMN_TEXT];

	if (!map->pages)
		return;
	stele__part_title(out, r, "PAGES KEPT");
	fputs(" by what is alive at the end\n", out);
	if (stele_analysis_memory(r->analysis)->sample_bytes) {
		fputs("  Unknown: objects were sampled, and only those that are here are seen.\n",
		      out);
		return;
	}
	fprintf(out, "  %s page%s of 4 KiB", stele__column_count(map->pages, text),
		map->pages == 1 ? "" : "s");
	fprintf(out, " with %s of objects", stele__column_bytes(map->page_bytes, text));
	fprintf(out, ", %.1f %% of them\n  full up to",
		stele__percent(map->page_bytes, map->pages << 12));
	for (unsigned i = 0; i < STELE_FILL_STEPS; i++)
		fprintf(out, "%6u %%", (i + 1) * 100 / STELE_FILL_STEPS);
	fputs("\n  pages     ", out);
	for (unsigned i = 0; i < STELE_FILL_STEPS; i++)
		stele__part_count(out, map->filled[i], 8);
	fputc('\n', out);
}
