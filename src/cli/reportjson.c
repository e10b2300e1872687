/* SPDX-License-Identifier: MIT */
/* A report for programs. Times are ns, sizes bytes. docs/schema/report.md */
#include <inttypes.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/jsonparts.h"
#include "cli/ledger.h"
#include "cli/report.h"
#include "cli/stuck.h"

static void json_quantiles(FILE *out, const struct stele_spread *spread)
{
	stele__json_signed(out, "max_ns", spread->max);
	stele__json_signed(out, "p50_ns", stele_spread_quantile(spread, 50));
	stele__json_signed(out, "p90_ns", stele_spread_quantile(spread, 90));
	stele__json_signed(out, "p99_ns", stele_spread_quantile(spread, 99));
}

static void json_times(FILE *out, const char *name, const struct stele_times *times, size_t count,
		       size_t top)
{
	fprintf(out, ",\n\"%s\": [", name);
	for (size_t i = 0; i < count && i < top; i++) {
		const struct stele_times *t = &times[i];

		fprintf(out, "%s\n{\"members\": %" PRIu64, i ? "," : "", t->members);
		if (t->goroutine != STELE_NO_ID)
			stele__json_number(out, "goroutine", t->goroutine);
		if (t->thread != STELE_NO_ID)
			stele__json_number(out, "thread", t->thread);
		stele__json_member(out, "name", t->name);
		stele__json_member(out, "entry", t->entry);
		fprintf(out, ", \"ended\": %s", t->ended ? "true" : "false");
		stele__json_signed(out, "first_ns", t->first);
		stele__json_signed(out, "last_ns", t->last);
		stele__json_signed(out, "wall_ns", t->wall);
		stele__json_signed(out, "running_ns", t->running);
		stele__json_signed(out, "ready_ns", t->ready);
		stele__json_signed(out, "waiting_ns", t->waiting);
		stele__json_signed(out, "syscall_ns", t->syscall);
		stele__json_signed(out, "unknown_ns", t->unknown);
		stele__json_number(out, "waits", t->waits);
		stele__json_number(out, "syscalls", t->syscalls);
		if (t->latency) {
			stele__json_number(out, "latencies", t->latency->count);
			json_quantiles(out, t->latency);
		}
		fputs(", \"waiting_for\": [", out);
		for (unsigned k = 0; k < t->share_count; k++) {
			fprintf(out, "%s{\"count\": %" PRIu64, k ? ", " : "", t->shares[k].count);
			stele__json_signed(out, "ns", t->shares[k].ns);
			stele__json_member(out, "reason", t->shares[k].reason);
			fputc('}', out);
		}
		fputs("]}", out);
	}
	fputc(']', out);
}

/* Times of a trace whose clock may have said anything. */
static void json_add(int64_t *sum, int64_t ns)
{
	if (__builtin_add_overflow(*sum, ns, sum))
		*sum = INT64_MAX;
}

/* Totals of a whole table, so that a cut one can be judged. */
static void json_sum(FILE *out, const char *name, const struct stele_site *const *sites,
		     size_t count)
{
	uint64_t times = 0, open = 0;
	int64_t ns = 0, open_ns = 0;

	for (size_t i = 0; i < count; i++) {
		times += sites[i]->spread.count;
		json_add(&ns, sites[i]->spread.total);
		open += sites[i]->open_count;
		json_add(&open_ns, sites[i]->open_ns);
	}
	fprintf(out, ",\n\"%s\": {\"places\": %zu", name, count);
	stele__json_number(out, "count", times);
	stele__json_signed(out, "total_ns", ns);
	stele__json_number(out, "open_count", open);
	stele__json_signed(out, "open_ns", open_ns);
}

static void json_sites(FILE *out, const struct stele_report *r, const char *name,
		       enum stele_site_kind kind)
{
	size_t count;
	const struct stele_site *const *sites = stele_analysis_sites(r->analysis, kind, &count);

	json_sum(out, name, sites, count);
	fputs(", \"top\": [", out);
	for (size_t i = 0; i < count && i < r->top; i++) {
		const struct stele_site *s = sites[i];

		fprintf(out, "%s\n{\"count\": %" PRIu64, i ? "," : "", s->spread.count);
		if (kind != STELE_SITES_SAMPLE) {
			stele__json_signed(out, "total_ns", s->spread.total);
			json_quantiles(out, &s->spread);
			stele__json_number(out, "open_count", s->open_count);
			stele__json_signed(out, "open_ns", s->open_ns);
			stele__json_signed(out, "open_longest_ns", s->open_longest_ns);
		}
		if (kind != STELE_SITES_SYSCALL && kind != STELE_SITES_READY &&
		    kind != STELE_SITES_SAMPLE)
			stele__json_member(out, kind == STELE_SITES_WAIT ? "reason" : "name",
					   s->name);
		if (kind == STELE_SITES_WAIT || kind == STELE_SITES_READY ||
		    kind == STELE_SITES_SYSCALL || kind == STELE_SITES_SAMPLE)
			stele__json_stack(out, r, s->stack);
		if (kind == STELE_SITES_FILE) {
			stele__json_number(out, "bytes", s->bytes);
			stele__json_number(out, "errors", s->errors);
		}
		fputc('}', out);
	}
	fputs("]}", out);
}

/* Pairs that are broken in this way, and not by how Go names its objects. */
static uint64_t json_broken(const struct stele_analysis *analysis, unsigned kind)
{
	size_t count;
	const struct stele_broken *broken = stele_analysis_broken(analysis, &count);
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		if (broken[i].family == STELE_MEMORY_OBJECTS && broken[i].kind == kind &&
		    broken[i].cause != STELE_BROKEN_HEADER &&
		    broken[i].cause != STELE_BROKEN_TINY &&
		    broken[i].cause != STELE_BROKEN_INVERTED)
			sum += broken[i].count;
	return sum;
}

static void json_memory(FILE *out, const struct stele_report *r)
{
	const struct stele_memory *m = stele_analysis_memory(r->analysis);
	size_t count;
	const struct stele_memory_site *sites = stele_analysis_memory_sites(r->analysis, &count);

	fprintf(out, ",\n\"memory\": {\"present\": %s, ", m->present ? "true" : "false");
	stele__json_sum(out, &m->sum[STELE_MEMORY_OBJECTS]);
	stele__json_number(out, "unmatched_frees", json_broken(r->analysis, STELE_BROKEN_FREE));
	stele__json_number(out, "repeated_allocations",
			   json_broken(r->analysis, STELE_BROKEN_ALLOC));
	stele__json_number(out, "heap_max_bytes", m->heap_max);
	fprintf(out, ", \"places\": %zu, \"top\": [", count);
	for (size_t i = 0; i < count && i < r->top; i++) {
		fprintf(out, "%s\n{\"size\": %" PRIu64 ", ", i ? "," : "", sites[i].size);
		stele__json_sum(out, &sites[i].sum);
		stele__json_member(out, "name", sites[i].name);
		fputc('}', out);
	}
	fputs("]}", out);
}

static void json_functions(FILE *out, const struct stele_report *r)
{
	size_t count;
	const struct stele_hot_function *functions =
		stele_analysis_hot_functions(r->analysis, &count);

	fprintf(out, ",\n\"hot_functions\": {\"places\": %zu, \"top\": [", count);
	for (size_t i = 0; i < count && i < r->top; i++) {
		fprintf(out, "%s\n{\"self\": %" PRIu64 ", \"total\": %" PRIu64, i ? "," : "",
			functions[i].self, functions[i].total);
		stele__json_member(out, "name", functions[i].name);
		fputc('}', out);
	}
	fputs("]}", out);
}

void stele__report_json(FILE *out, const struct stele_report *report)
{
	static const struct {
		const char *name;
		enum stele_site_kind kind;
	} tables[] = {
		{"waits", STELE_SITES_WAIT},	 {"calls", STELE_SITES_CALL},
		{"files", STELE_SITES_FILE},	 {"syscalls", STELE_SITES_SYSCALL},
		{"ready", STELE_SITES_READY},	 {"regions", STELE_SITES_REGION},
		{"tasks", STELE_SITES_TASK},	 {"ranges", STELE_SITES_RANGE},
		{"samples", STELE_SITES_SAMPLE},
	};
	const struct stele_times *times;
	size_t count;

	stele__json_begin(out, report);
	times = stele_analysis_threads(report->analysis, &count);
	stele__json_number(out, "threads_total", stele_analysis_thread_count(report->analysis));
	json_times(out, "threads", times, count, report->top);
	times = stele_analysis_groups(report->analysis, &count);
	stele__json_number(out, "groups_total", count);
	json_times(out, "groups", times, count, report->top);
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(tables); i++)
		json_sites(out, report, tables[i].name, tables[i].kind);
	json_functions(out, report);
	stele__ledger_json(out, report);
	stele__stuck_json(out, report);
	json_memory(out, report);
	fputs("}\n", out);
}
