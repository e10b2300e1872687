/* SPDX-License-Identifier: MIT */
/* A report for people: the trust banner, then a table for each question. */
#include <inttypes.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/columns.h"
#include "cli/ledger.h"
#include "cli/parts.h"
#include "cli/report.h"
#include "cli/stuck.h"
#include "cli/verdict.h"

#define REPORT_NAME	36
#define REPORT_INDENT	6
#define REPORT_FILE	38
#define REPORT_FUNCTION 68

struct report_table {
	enum stele_site_kind kind;
	const char *title, *last; /* last: heading of the names' column */
	const char *none;	  /* what to do about an empty table; NULL: say nothing */
	bool stacks;
};

static const struct report_table report_tables[] = {
	{STELE_SITES_WAIT, "WHO WAITED FOR WHAT", "reason, and where it waited",
	 "No thread waited for another, or locks were not recorded (stele record --events).", true},
	{STELE_SITES_CALL, "SYSTEM CALLS", "name",
	 "None, or system calls were not recorded (stele record --events).", false},
	{STELE_SITES_SYSCALL, "WHERE THEY WERE MADE", "from here", NULL, true},
	{STELE_SITES_READY, "READY, BUT NOT RUNNING", "made ready here", NULL, true},
	{STELE_SITES_REGION, "REGIONS", "name",
	 "None. Mark parts of the program with stele_region_begin() and stele_region_end().",
	 false},
	{STELE_SITES_TASK, "TASKS", "name",
	 "None. Mark requests, jobs, … with stele_task_begin() and stele_task_end().", false},
	{STELE_SITES_RANGE, "COLLECTOR AND STOPS", "name", NULL, false},
};

/* ---- time ---- */

static void report_times_head(FILE *out, const char *first)
{
	fprintf(out, "  %-*s", REPORT_NAME, first);
	for (const char *const *name =
		     (const char *const[]){"wall", "running", "ready", "waiting", "in calls", NULL};
	     *name; name++)
		stele__column_right(out, *name, 10);
	fputs("  waits\n", out);
}

/* "12 worker", the number of the thread or goroutine first. */
static unsigned report_times_name(FILE *out, const struct stele_times *t)
{
	struct stele_string name = t->name.bytes ? t->name : t->entry;
	unsigned columns;

	if (t->goroutine == STELE_NO_ID)
		columns = (unsigned)fprintf(out, "%" PRIu64 " × ", t->members) - 1;
	else if (t->thread != STELE_NO_ID)
		columns = (unsigned)fprintf(out, "%" PRIu64 " ", t->thread);
	else
		columns = (unsigned)fprintf(out, "g%" PRIu64 " ", t->goroutine);
	if (columns + 4 > REPORT_NAME)
		return columns;
	if (!name.bytes)
		name = (struct stele_string){"?", 1};
	columns += stele__column_name(out, name, REPORT_NAME - 1 - columns);
	if (t->goroutine == STELE_NO_ID || !t->name.bytes || !t->entry.bytes ||
	    columns + 8 > REPORT_NAME ||
	    (t->name.bytes == t->entry.bytes &&
	     !memcmp(t->name.data, t->entry.data, t->name.bytes)))
		return columns;
	fputs(" (", out);
	columns += 3 + stele__column_name(out, t->entry, REPORT_NAME - 4 - columns);
	fputc(')', out);
	return columns;
}

static void report_times_row(FILE *out, const struct stele_times *t)
{
	unsigned columns;

	fputs("  ", out);
	columns = report_times_name(out, t);
	stele__column_pad(out, columns < REPORT_NAME ? REPORT_NAME - columns : 1);
	stele__part_time(out, t->wall);
	stele__part_time(out, t->running);
	stele__part_time(out, t->ready);
	stele__part_time(out, t->waiting);
	stele__part_time(out, t->syscall);
	stele__part_count(out, t->waits, 7);
	fputc('\n', out);
	if (!t->share_count)
		return;
	fprintf(out, "%*swaiting for ", REPORT_INDENT, "");
	columns = 0;
	for (unsigned i = 0; i < t->share_count && columns < 48; i++) {
		char text[STELE__COLUMN_TEXT];
		struct stele_string reason = t->shares[i].reason;

		if (!reason.bytes)
			reason = (struct stele_string){"other reasons", 13};
		fputs(i ? ", " : "", out);
		columns += 12 + stele__column_name(out, reason, 30);
		fprintf(out, " %s", stele__column_time(t->shares[i].ns, text));
	}
	fputc('\n', out);
}

/* Cells of a table; p90: with one for it. */
static void report_spread(FILE *out, const struct stele_spread *spread, int64_t total,
			  uint64_t count, bool p90)
{
	stele__part_time(out, total);
	stele__part_count(out, count, 10);
	if (!spread->count) {
		fprintf(out, "%10s%s%10s%10s", "-", p90 ? "         -" : "", "-", "-");
		return;
	}
	stele__part_time(out, stele_spread_quantile(spread, 50));
	if (p90)
		stele__part_time(out, stele_spread_quantile(spread, 90));
	stele__part_time(out, stele_spread_quantile(spread, 99));
	stele__part_time(out, spread->max);
}

/* Of all that there were, those that are known one by one can be shown. */
static void report_times_more(FILE *out, uint64_t all, size_t count, size_t top)
{
	char text[STELE__COLUMN_TEXT];

	if (count > top || count == all)
		stele__part_more(out, (size_t)all, top);
	else
		fprintf(out, "  and %s more that were less busy\n",
			stele__column_count(all - count, text));
}

static void report_times(FILE *out, const struct stele_report *r)
{
	bool own = stele_analysis_trust(r->analysis)->recording.present;
	uint64_t all = stele_analysis_thread_count(r->analysis);
	size_t count, groups;
	const struct stele_times *t = stele_analysis_threads(r->analysis, &count);
	const struct stele_times *g = stele_analysis_groups(r->analysis, &groups);

	stele__part_title(out, r, "WHERE TIME WENT");
	fputs("\n", out);
	if (!count) {
		fputs("  No thread changed its state.\n", out);
		return;
	}
	report_times_head(out, own ? "thread" : "goroutine");
	for (size_t i = 0; i < count && i < r->top; i++)
		report_times_row(out, &t[i]);
	report_times_more(out, all, count, r->top);
	if (all <= r->top || groups == all)
		return;
	fputc('\n', out);
	report_times_head(out, "all of one name together");
	for (size_t i = 0; i < groups && i < r->top; i++)
		report_times_row(out, &g[i]);
	stele__part_more(out, groups, r->top);
}

/* How long it took to get a processor, for each name. */
static void report_latency(FILE *out, const struct stele_report *r)
{
	size_t count, shown = 0, all = 0;
	const struct stele_times *g = stele_analysis_groups(r->analysis, &count);

	for (size_t i = 0; i < count; i++)
		all += g[i].latency->count > 0;
	if (!all)
		return;
	stele__part_title(out, r, "READY, UNTIL THEY RAN");
	fprintf(out, "\n%10s%10s%10s%10s%10s%10s  %s\n", "total", "times", "median", "90 %", "99 %",
		"longest", "all of one name");
	for (size_t i = 0; i < count && shown < r->top; i++) {
		const struct stele_spread *latency = g[i].latency;

		if (!latency->count)
			continue;
		shown++;
		report_spread(out, latency, latency->total, latency->count, true);
		fputs("  ", out);
		report_times_name(out, &g[i]);
		fputc('\n', out);
	}
	stele__part_more(out, all, r->top);
}

/* Of those that had not ended; the longest, if it is older than the trace. */
static void report_open(FILE *out, const struct stele_site *s)
{
	char text[STELE__COLUMN_TEXT];

	if (!s->open_count)
		return;
	fprintf(out, " (%" PRIu64 " not ended", s->open_count);
	if (s->open_longest_ns > s->open_ns)
		fprintf(out, ", up to %s old", stele__column_time(s->open_longest_ns, text));
	fputc(')', out);
}

static void report_site(FILE *out, const struct stele_report *r, const struct stele_site *s,
			const struct report_table *table)
{
	struct stele_string name = s->name;
	unsigned columns = table->stacks ? 45 : 35;

	report_spread(out, &s->spread, stele_site_total(s), s->spread.count + s->open_count,
		      !table->stacks);
	if (table->kind == STELE_SITES_WAIT && !name.bytes)
		name = (struct stele_string){"(began before the trace)", 24};
	if (!name.bytes && table->stacks && !s->stack)
		name = (struct stele_string){"(no stack)", 10};
	if (name.bytes)
		fputs("  ", out);
	stele__column_name(out, name, s->open_count ? columns - 18 : columns);
	report_open(out, s);
	fputc('\n', out);
	if (table->stacks)
		stele__part_frames(out, r, s->stack);
}

static void report_sites(FILE *out, const struct stele_report *r, const struct report_table *table)
{
	size_t count;
	const struct stele_site *const *sites =
		stele_analysis_sites(r->analysis, table->kind, &count);

	if (!count && !table->none)
		return;
	stele__part_title(out, r, table->title);
	fputc('\n', out);
	if (!count) {
		fprintf(out, "  %s\n", table->none);
		return;
	}
	fprintf(out, "%10s%10s%10s", "total", "times", "median");
	if (!table->stacks)
		fprintf(out, "%10s", "90 %");
	fprintf(out, "%10s%10s  %s\n", "99 %", "longest", table->last);
	for (size_t i = 0; i < count && i < r->top; i++)
		report_site(out, r, sites[i], table);
	stele__part_more(out, count, r->top);
}

static void report_file(FILE *out, const struct stele_site *s)
{
	stele__part_time(out, stele_site_total(s));
	stele__part_count(out, s->spread.count + s->open_count, 10);
	stele__part_time(out, stele_spread_quantile(&s->spread, 50));
	stele__part_time(out, s->spread.count ? s->spread.max : s->open_ns);
	stele__part_bytes(out, s->bytes);
	stele__part_count(out, s->errors, 8);
	fputs("  ", out);
	stele__column_call(out, s->name, REPORT_FILE);
	fputs(s->open_count ? " (not ended)\n" : "\n", out);
}

static void report_files(FILE *out, const struct stele_report *r)
{
	size_t count;
	const struct stele_site *const *sites =
		stele_analysis_sites(r->analysis, STELE_SITES_FILE, &count);

	if (!count)
		return;
	stele__part_title(out, r, "WHAT THEY WERE FOR");
	fprintf(out, "\n%10s%10s%10s%10s%11s%8s  call, and path or address\n", "total", "times",
		"median", "longest", "bytes", "failed");
	for (size_t i = 0; i < count && i < r->top; i++)
		report_file(out, sites[i]);
	stele__part_more(out, count, r->top);
}

static void report_functions(FILE *out, const struct stele_report *r, uint64_t samples)
{
	size_t count;
	const struct stele_hot_function *functions =
		stele_analysis_hot_functions(r->analysis, &count);

	stele__part_title(out, r, "HOTTEST FUNCTIONS");
	fprintf(out, " (%" PRIu64 " CPU %s)\n%10s%10s  %s\n", samples,
		samples == 1 ? "sample" : "samples", "itself", "with all",
		"function, and what it called");
	for (size_t i = 0; i < count && i < r->top; i++) {
		fprintf(out, "%8.1f %%%8.1f %%  ", stele__percent(functions[i].self, samples),
			stele__percent(functions[i].total, samples));
		stele__column_name(out, functions[i].name, REPORT_FUNCTION);
		fputc('\n', out);
	}
	stele__part_more(out, count, r->top);
}

static void report_samples(FILE *out, const struct stele_report *r)
{
	size_t count;
	const struct stele_site *const *sites =
		stele_analysis_sites(r->analysis, STELE_SITES_SAMPLE, &count);
	uint64_t sum = 0;

	if (!count)
		return;
	for (size_t i = 0; i < count; i++)
		sum += sites[i]->spread.count;
	report_functions(out, r, sum);
	stele__part_title(out, r, "HOTTEST STACKS");
	fputc('\n', out);
	for (size_t i = 0; i < count && i < r->top; i++) {
		stele__part_count(out, sites[i]->spread.count, 10);
		fprintf(out, "%8.1f %%\n", stele__percent(sites[i]->spread.count, sum));
		stele__part_frames(out, r, sites[i]->stack);
	}
	stele__part_more(out, count, r->top);
}

/* ---- memory ---- */

static void report_memory_sites(FILE *out, const struct stele_report *r)
{
	size_t count;
	const struct stele_memory_site *sites = stele_analysis_memory_sites(r->analysis, &count);

	fprintf(out, "%11s%11s%11s%10s%10s  %s\n", "alive", "peak", "allocated", "objects", "freed",
		"place or type");
	for (size_t i = 0; i < count && i < r->top; i++) {
		const struct stele_memory_sum *sum = &sites[i].sum;

		stele__part_bytes(out, sum->live_bytes);
		stele__part_bytes(out, sum->peak_bytes);
		stele__part_bytes(out, sum->allocated_bytes);
		stele__part_count(out, sum->allocated, 10);
		stele__part_count(out, sum->freed, 10);
		fputs("  ", out);
		if (sites[i].name.bytes)
			stele__column_name(out, sites[i].name, 44);
		else
			fputs("(no type)", out);
		fputc('\n', out);
	}
	stele__part_more(out, count, r->top);
}

static void report_memory(FILE *out, const struct stele_report *r)
{
	const struct stele_memory *m = stele_analysis_memory(r->analysis);
	const struct stele_memory_sum *objects = &m->sum[STELE_MEMORY_OBJECTS];
	char text[STELE__COLUMN_TEXT];

	stele__part_title(out, r, "MEMORY");
	fputc('\n', out);
	if (m->heap_max)
		fprintf(out, "  the heap held at most %s\n",
			stele__column_bytes(m->heap_max, text));
	if (!m->present) {
		fputs("  No allocations are in this trace (stele record --heap).\n", out);
		return;
	}
	fprintf(out, "  %s objects allocated", stele__column_count(objects->allocated, text));
	fprintf(out, ", %s", stele__column_bytes(objects->allocated_bytes, text));
	fprintf(out, "; %s freed", stele__column_count(objects->freed, text));
	fprintf(out, "; %s alive at the end", stele__column_count(objects->live, text));
	fprintf(out, ", %s", stele__column_bytes(objects->live_bytes, text));
	fprintf(out, "; peak %s\n", stele__column_bytes(objects->peak_bytes, text));
	if (m->sample_bytes)
		fprintf(out,
			"  sampled: one object in %s is here; bytes are estimates of the whole\n",
			stele__column_bytes(m->sample_bytes, text));
	fprintf(out, "  where from, spans, stacks, broken pairs: stele heap %s\n", r->path);
	report_memory_sites(out, r);
}

void stele__report_text(FILE *out, const struct stele_report *report)
{
	stele__part_trust(out, report);
	stele__stuck_text(out, report);
	report_times(out, report);
	report_latency(out, report);
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(report_tables); i++) {
		report_sites(out, report, &report_tables[i]);
		if (report_tables[i].kind == STELE_SITES_WAIT)
			stele__ledger_text(out, report);
		else if (report_tables[i].kind == STELE_SITES_CALL)
			report_files(out, report);
	}
	report_samples(out, report);
	report_memory(out, report);
}
