/* SPDX-License-Identifier: MIT */
/* A report for programs. Times are ns, sizes bytes. docs/schema/report.md */
#include <inttypes.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/report.h"
#include "cli/verdict.h"

static void json_member(FILE *out, const char *name, struct stele_string text)
{
	fprintf(out, ", \"%s\": ", name);
	stele__json_string(out, text.data, text.bytes);
}

static void json_number(FILE *out, const char *name, uint64_t value)
{
	fprintf(out, ", \"%s\": %" PRIu64, name, value);
}

static void json_signed(FILE *out, const char *name, int64_t value)
{
	fprintf(out, ", \"%s\": %" PRId64, name, value);
}

static void json_trust(FILE *out, const struct stele_report *r)
{
	const struct stele_trust *t = stele_analysis_trust(r->analysis);
	const struct stele_recording *rec = &t->recording;

	fprintf(out, ",\n\"trust\": {\"events\": %" PRIu64, t->events);
	json_number(out, "generations", t->generations);
	json_signed(out, "first_ns", t->first);
	json_signed(out, "last_ns", t->last);
	json_number(out, "ticks_per_s", t->frequency);
	json_number(out, "goroutines", t->goroutines);
	json_number(out, "stacks", t->stacks);
	json_number(out, "frames", t->frames);
	json_number(out, "frames_unnamed", t->frames_unnamed);
	json_number(out, "without_stack", t->stackless);
	fprintf(out, ", \"stele\": %s", rec->present ? "true" : "false");
	if (rec->present) {
		json_member(out, "program",
			    (struct stele_string){rec->program, strlen(rec->program)});
		json_number(out, "pid", rec->pid);
		fprintf(out, ", \"complete\": %s, \"interrupted\": %s, \"recovered\": %s",
			rec->complete ? "true" : "false", rec->interrupted ? "true" : "false",
			rec->recovered ? "true" : "false");
		if (rec->ending_known)
			json_number(out, rec->signal ? "signal" : "exit_status",
				    rec->signal ? rec->signal : rec->exit_status);
		fputs(", ", out);
		stele__verdict_json_losses(out, rec);
	}
	fputc('}', out);
}

static void json_times(FILE *out, const char *name, const struct stele_times *times, size_t count,
		       size_t top)
{
	fprintf(out, ",\n\"%s\": [", name);
	for (size_t i = 0; i < count && i < top; i++) {
		const struct stele_times *t = &times[i];

		fprintf(out, "%s\n{\"members\": %" PRIu64, i ? "," : "", t->members);
		if (t->goroutine != STELE_NO_ID)
			json_number(out, "goroutine", t->goroutine);
		if (t->thread != STELE_NO_ID)
			json_number(out, "thread", t->thread);
		json_member(out, "name", t->name);
		json_member(out, "entry", t->entry);
		fprintf(out, ", \"ended\": %s", t->ended ? "true" : "false");
		json_signed(out, "first_ns", t->first);
		json_signed(out, "last_ns", t->last);
		json_signed(out, "wall_ns", t->wall);
		json_signed(out, "running_ns", t->running);
		json_signed(out, "ready_ns", t->ready);
		json_signed(out, "waiting_ns", t->waiting);
		json_signed(out, "syscall_ns", t->syscall);
		json_signed(out, "unknown_ns", t->unknown);
		json_number(out, "waits", t->waits);
		json_number(out, "syscalls", t->syscalls);
		fputs(", \"waiting_for\": [", out);
		for (unsigned k = 0; k < t->share_count; k++) {
			fprintf(out, "%s{\"count\": %" PRIu64, k ? ", " : "", t->shares[k].count);
			json_signed(out, "ns", t->shares[k].ns);
			json_member(out, "reason", t->shares[k].reason);
			fputc('}', out);
		}
		fputs("]}", out);
	}
	fputc(']', out);
}

static void json_stack(FILE *out, const struct stele_report *r, uint32_t stack)
{
	size_t count;
	const struct stele_stack_frame *f = stele_analysis_stack(r->analysis, stack, &count);

	fputs(", \"stack\": [", out);
	for (size_t i = 0; i < count; i++) {
		fprintf(out, "%s{\"line\": %" PRIu64, i ? ", " : "", f[i].line);
		json_member(out, "function", f[i].function);
		json_member(out, "file", f[i].file);
		fputc('}', out);
	}
	fputc(']', out);
}

/* Totals of a whole table, so that a cut one can be judged. */
static void json_sum(FILE *out, const char *name, const struct stele_site *const *sites,
		     size_t count)
{
	uint64_t times = 0, open = 0;
	int64_t ns = 0, open_ns = 0;

	for (size_t i = 0; i < count; i++) {
		times += sites[i]->spread.count;
		ns += sites[i]->spread.total;
		open += sites[i]->open_count;
		open_ns += sites[i]->open_ns;
	}
	fprintf(out, ",\n\"%s\": {\"places\": %zu", name, count);
	json_number(out, "count", times);
	json_signed(out, "total_ns", ns);
	json_number(out, "open_count", open);
	json_signed(out, "open_ns", open_ns);
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
			json_signed(out, "total_ns", s->spread.total);
			json_signed(out, "max_ns", s->spread.max);
			json_signed(out, "p50_ns", stele_spread_quantile(&s->spread, 50));
			json_signed(out, "p99_ns", stele_spread_quantile(&s->spread, 99));
			json_number(out, "open_count", s->open_count);
			json_signed(out, "open_ns", s->open_ns);
		}
		if (kind != STELE_SITES_SYSCALL && kind != STELE_SITES_READY &&
		    kind != STELE_SITES_SAMPLE)
			json_member(out, kind == STELE_SITES_WAIT ? "reason" : "name", s->name);
		if (kind <= STELE_SITES_SYSCALL || kind == STELE_SITES_SAMPLE)
			json_stack(out, r, s->stack);
		fputc('}', out);
	}
	fputs("]}", out);
}

static void json_memory(FILE *out, const struct stele_report *r)
{
	const struct stele_memory *m = stele_analysis_memory(r->analysis);
	size_t count;
	const struct stele_memory_site *sites = stele_analysis_memory_sites(r->analysis, &count);

	fprintf(out, ",\n\"memory\": {\"present\": %s", m->present ? "true" : "false");
	json_number(out, "allocated", m->allocated);
	json_number(out, "freed", m->freed);
	json_number(out, "live", m->live);
	json_number(out, "allocated_bytes", m->allocated_bytes);
	json_number(out, "freed_bytes", m->freed_bytes);
	json_number(out, "live_bytes", m->live_bytes);
	json_number(out, "peak_bytes", m->peak_bytes);
	json_signed(out, "peak_ns", m->peak_time);
	json_number(out, "unmatched_frees", m->unmatched_frees);
	json_number(out, "repeated_allocations", m->repeated);
	json_number(out, "heap_max_bytes", m->heap_max);
	fprintf(out, ", \"places\": %zu, \"top\": [", count);
	for (size_t i = 0; i < count && i < r->top; i++) {
		fprintf(out, "%s\n{\"size\": %" PRIu64, i ? "," : "", sites[i].size);
		json_member(out, "name", sites[i].name);
		json_number(out, "allocated", sites[i].allocated);
		json_number(out, "freed", sites[i].freed);
		json_number(out, "live", sites[i].live);
		json_number(out, "allocated_bytes", sites[i].allocated_bytes);
		json_number(out, "freed_bytes", sites[i].freed_bytes);
		json_number(out, "live_bytes", sites[i].live_bytes);
		json_number(out, "peak_bytes", sites[i].peak_bytes);
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
		{"waits", STELE_SITES_WAIT},	 {"syscalls", STELE_SITES_SYSCALL},
		{"ready", STELE_SITES_READY},	 {"regions", STELE_SITES_REGION},
		{"tasks", STELE_SITES_TASK},	 {"ranges", STELE_SITES_RANGE},
		{"samples", STELE_SITES_SAMPLE},
	};
	const struct stele_times *times;
	size_t count;

	fputs("{\"schema\": 1, \"file\": ", out);
	stele__json_text(out, report->path);
	fprintf(out, ", \"version\": %u, ", stele_reader_version(report->reader));
	if (report->from)
		fprintf(out, "\"from_ns\": %" PRId64 ", ", report->from);
	if (report->to != INT64_MAX)
		fprintf(out, "\"to_ns\": %" PRId64 ", ", report->to);
	stele__verdict_json_diags(out, report->reader);
	json_trust(out, report);
	times = stele_analysis_threads(report->analysis, &count);
	json_times(out, "threads", times, count, report->top);
	times = stele_analysis_groups(report->analysis, &count);
	json_times(out, "groups", times, count, report->top);
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(tables); i++)
		json_sites(out, report, tables[i].name, tables[i].kind);
	json_memory(out, report);
	fputs("}\n", out);
}
