/* SPDX-License-Identifier: MIT */
/* A report for people: the trust banner, then a table for each question. */
#include <inttypes.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/columns.h"
#include "cli/report.h"
#include "cli/verdict.h"

#define REPORT_FRAMES 4
#define REPORT_NAME   36
#define REPORT_INDENT 6

struct report_table {
	enum stele_site_kind kind;
	const char *title, *last; /* last: heading of the names' column */
	const char *none;	  /* what to do about an empty table; NULL: say nothing */
	bool stacks;
};

static const struct report_table report_tables[] = {
	{STELE_SITES_WAIT, "WHO WAITED FOR WHAT", "reason, and where it waited",
	 "No thread waited for another, or locks were not recorded (stele record --events).", true},
	{STELE_SITES_SYSCALL, "SYSTEM CALLS", "where",
	 "None, or system calls were not recorded (stele record --events).", true},
	{STELE_SITES_READY, "READY, BUT NOT RUNNING", "made ready here", NULL, true},
	{STELE_SITES_REGION, "REGIONS", "name",
	 "None. Mark parts of the program with stele_region_begin() and stele_region_end().",
	 false},
	{STELE_SITES_TASK, "TASKS", "name",
	 "None. Mark requests, jobs, … with stele_task_begin() and stele_task_end().", false},
	{STELE_SITES_RANGE, "COLLECTOR AND STOPS", "name", NULL, false},
};

static void report_title(FILE *out, const struct stele_report *r, const char *title)
{
	fprintf(out, "\n%s%s%s", r->color ? "\033[1m" : "", title, r->color ? "\033[0m" : "");
}

static void report_time(FILE *out, int64_t ns)
{
	char text[STELE__COLUMN_TEXT];

	stele__column_right(out, stele__column_time(ns, text), 10);
}

static void report_count(FILE *out, uint64_t count, unsigned width)
{
	char text[STELE__COLUMN_TEXT];

	stele__column_right(out, stele__column_count(count, text), width);
}

static void report_bytes(FILE *out, uint64_t bytes)
{
	char text[STELE__COLUMN_TEXT];

	stele__column_right(out, stele__column_bytes(bytes, text), 11);
}

static double report_percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* "and N more", under a table that was cut. */
static void report_more(FILE *out, size_t count, size_t top)
{
	char text[STELE__COLUMN_TEXT];

	if (count > top)
		fprintf(out, "  and %s more (--top)\n", stele__column_count(count - top, text));
}

/* ---- trust ---- */

static void report_lost(FILE *out, const struct stele_recording *rec)
{
	char text[STELE__COLUMN_TEXT];

	if (!rec->lost_events) {
		fputs("  lost      nothing\n", out);
		return;
	}
	fprintf(out, "  lost      %s events\n", stele__column_count(rec->lost_events, text));
	for (unsigned cause = 0; cause < STELE_LOSS_CAUSE_MAX; cause++) {
		for (unsigned class = 0; class < STELE_LOSS_CLASS_MAX; class ++) {
			uint64_t count = rec->lost[cause][class];
			const char *why = stele_loss_cause_name(cause);
			const char *what = stele_loss_class_name(class);

			if (count)
				fprintf(out, "            %s, %s events: %s\n", why ? why : "?",
					what ? what : "?", stele__column_count(count, text));
		}
	}
	for (unsigned i = 0; i < STELE_SKIPPED_MAX; i++)
		if (rec->skipped[i])
			fprintf(out, "            skipped %s: %s\n", stele_skipped_name(i),
				stele__column_count(rec->skipped[i], text));
}

/* Of more than this without a name, it is worth a word how to get them. */
#define UNNAMED_MANY_PERCENT 10

/* As it is now: what the recorder counted was before stele symbolize. */
static void report_stacks(FILE *out, const struct stele_trust *trust, const char *path)
{
	const uint64_t *total = trust->recording.total;
	uint64_t frames = trust->frames, unnamed = trust->frames_unnamed;

	if (!frames) {
		frames = total[STELE_TOTAL_FRAMES];
		unnamed = total[STELE_TOTAL_FRAMES_UNNAMED];
	}
	fputs("  stacks    ", out);
	if (!frames) {
		fputs("none\n", out);
		return;
	}
	if (total[STELE_TOTAL_STACKS])
		fprintf(out, "%.1f %% cut off, ",
			report_percent(total[STELE_TOTAL_STACKS_CUT], total[STELE_TOTAL_STACKS]));
	fprintf(out, "%.1f %% of the code addresses without a name\n",
		report_percent(unnamed, frames));
	if (trust->recording.present && report_percent(unnamed, frames) > UNNAMED_MANY_PERCENT)
		fprintf(out, "            to name them: stele symbolize -o named.trace %s\n", path);
	if (trust->stackless)
		fprintf(out, "            %" PRIu64 " waits and system calls have no stack\n",
			trust->stackless);
}

static void report_recording(FILE *out, const struct stele_recording *rec)
{
	char text[STELE__COLUMN_TEXT];

	report_lost(out, rec);
	if (rec->total[STELE_TOTAL_WAITED_COUNT]) {
		fprintf(out, "  disturbed threads waited %s times for the recorder, ",
			stele__column_count(rec->total[STELE_TOTAL_WAITED_COUNT], text));
		fprintf(out, "%s in all\n",
			stele__column_time((int64_t)rec->total[STELE_TOTAL_WAITED_NS], text));
	}
	if (rec->total[STELE_TOTAL_CHILDREN])
		fprintf(out, "  children  %" PRIu64 " not recorded\n",
			rec->total[STELE_TOTAL_CHILDREN]);
	fputs("  ended     ", out);
	if (rec->recovered)
		fputs("unknown: the recorder was killed; what it left was recovered\n", out);
	else if (rec->interrupted)
		fputs("recording was stopped before the program ended\n", out);
	else if (!rec->complete)
		fputs("unknown: the recording has no end\n", out);
	else if (!rec->ending_known)
		fputs("unknown\n", out);
	else if (rec->signal)
		fprintf(out, "killed by signal %" PRIu64 "\n", rec->signal);
	else
		fprintf(out, "exit status %" PRIu64 "\n", rec->exit_status);
}

/* What was lost can be told of whole generations only. */
static void report_window(FILE *out, const struct stele_report *r)
{
	fprintf(out, "\n  window    from %.6fs ", (double)r->from / 1e9);
	if (r->to == INT64_MAX)
		fputs("to the end", out);
	else
		fprintf(out, "to %.6fs", (double)r->to / 1e9);
	fputs(" of it; losses are those of the seconds around", out);
}

static void report_trust(FILE *out, const struct stele_report *r)
{
	const struct stele_trust *trust = stele_analysis_trust(r->analysis);
	const struct stele_recording *rec = &trust->recording;
	const struct stele_diag *diag = stele_reader_diag(r->reader);
	char events[STELE__COLUMN_TEXT], time[STELE__COLUMN_TEXT];
	struct stele_string program = {rec->program, strlen(rec->program)};

	fputs("trace       ", out);
	stele__column_name(out, (struct stele_string){r->path, strlen(r->path)}, 80);
	if (r->from || r->to != INT64_MAX)
		report_window(out, r);
	fprintf(out, "\n  holds     %s events in %s, %" PRIu64 " generation%s, clock of %g MHz\n",
		stele__column_count(trust->events, events),
		stele__column_time(trust->last - trust->first, time), trust->generations,
		trust->generations == 1 ? "" : "s", (double)trust->frequency / 1e6);
	fputs("  of        ", out);
	if (rec->present) {
		stele__column_name(out, program, 60);
		fprintf(out, ", pid %" PRIu64 ", recorded by Stele\n", rec->pid);
	} else {
		fprintf(out, "a Go program (Go 1.%u), or one whose recorder does not tell\n",
			stele_reader_version(r->reader));
	}
	if (rec->present)
		report_recording(out, rec);
	report_stacks(out, trust, r->path);
	if (diag)
		fprintf(out, "  BROKEN    %s: only what came before is in this report\n",
			stele__verdict_word(diag));
}

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
	report_time(out, t->wall);
	report_time(out, t->running);
	report_time(out, t->ready);
	report_time(out, t->waiting);
	report_time(out, t->syscall);
	report_count(out, t->waits, 7);
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

static void report_times(FILE *out, const struct stele_report *r)
{
	bool own = stele_analysis_trust(r->analysis)->recording.present;
	size_t count, groups;
	const struct stele_times *t = stele_analysis_threads(r->analysis, &count);
	const struct stele_times *g = stele_analysis_groups(r->analysis, &groups);

	report_title(out, r, "WHERE TIME WENT");
	fputs("\n", out);
	if (!count) {
		fputs("  No thread changed its state.\n", out);
		return;
	}
	report_times_head(out, own ? "thread" : "goroutine");
	for (size_t i = 0; i < count && i < r->top; i++)
		report_times_row(out, &t[i]);
	report_more(out, count, r->top);
	if (count <= r->top || groups == count)
		return;
	fputc('\n', out);
	report_times_head(out, "all of one name together");
	for (size_t i = 0; i < groups && i < r->top; i++)
		report_times_row(out, &g[i]);
	report_more(out, groups, r->top);
}

/* ---- places ---- */

static void report_frames(FILE *out, const struct stele_report *r, uint32_t stack)
{
	size_t count;
	const struct stele_stack_frame *f = stele_analysis_stack(r->analysis, stack, &count);

	for (size_t i = 0; i < count && i < REPORT_FRAMES; i++) {
		struct stele_string file = f[i].file;
		const char *slash = file.bytes ? memrchr(file.data, '/', file.bytes) : NULL;
		unsigned columns;

		if (slash)
			file = (struct stele_string){slash + 1,
						     file.bytes - (size_t)(slash + 1 - file.data)};
		fprintf(out, "%*s", REPORT_INDENT + 4, "");
		columns = stele__column_name(out, f[i].function, 55);
		if (file.bytes && f[i].line) {
			stele__column_pad(out, 56 - columns);
			stele__column_name(out, file, 25);
			fprintf(out, ":%" PRIu64, f[i].line);
		}
		fputc('\n', out);
	}
	if (count > REPORT_FRAMES)
		fprintf(out, "%*s(%zu more)\n", REPORT_INDENT + 4, "", count - REPORT_FRAMES);
}

static void report_site(FILE *out, const struct stele_report *r, const struct stele_site *s,
			const struct report_table *table)
{
	struct stele_string name = s->name;

	report_time(out, s->spread.total + s->open_ns);
	report_count(out, s->spread.count + s->open_count, 10);
	if (s->spread.count) {
		report_time(out, stele_spread_quantile(&s->spread, 50));
		report_time(out, stele_spread_quantile(&s->spread, 99));
		report_time(out, s->spread.max);
	} else {
		fprintf(out, "%10s%10s%10s", "-", "-", "-");
	}
	if (table->kind == STELE_SITES_WAIT && !name.bytes)
		name = (struct stele_string){"(began before the trace)", 24};
	if (!name.bytes && table->stacks && !s->stack)
		name = (struct stele_string){"(no stack)", 10};
	if (name.bytes)
		fputs("  ", out);
	stele__column_name(out, name, s->open_count ? 27 : 45);
	if (s->open_count)
		fprintf(out, " (%" PRIu64 " not ended)", s->open_count);
	fputc('\n', out);
	if (table->stacks)
		report_frames(out, r, s->stack);
}

static void report_sites(FILE *out, const struct stele_report *r, const struct report_table *table)
{
	size_t count;
	const struct stele_site *const *sites =
		stele_analysis_sites(r->analysis, table->kind, &count);

	if (!count && !table->none)
		return;
	report_title(out, r, table->title);
	fputc('\n', out);
	if (!count) {
		fprintf(out, "  %s\n", table->none);
		return;
	}
	fprintf(out, "%10s%10s%10s%10s%10s  %s\n", "total", "times", "median", "99 %", "longest",
		table->last);
	for (size_t i = 0; i < count && i < r->top; i++)
		report_site(out, r, sites[i], table);
	report_more(out, count, r->top);
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
	report_title(out, r, "HOTTEST STACKS");
	fputs(" (CPU samples)\n", out);
	for (size_t i = 0; i < count && i < r->top; i++) {
		report_count(out, sites[i]->spread.count, 10);
		fprintf(out, "%8.1f %%\n", report_percent(sites[i]->spread.count, sum));
		report_frames(out, r, sites[i]->stack);
	}
	report_more(out, count, r->top);
}

/* ---- memory ---- */

static void report_memory_sites(FILE *out, const struct stele_report *r)
{
	size_t count;
	const struct stele_memory_site *sites = stele_analysis_memory_sites(r->analysis, &count);

	fprintf(out, "%11s%11s%11s%10s%10s  %s\n", "alive", "peak", "allocated", "objects", "freed",
		"place or type");
	for (size_t i = 0; i < count && i < r->top; i++) {
		report_bytes(out, sites[i].live_bytes);
		report_bytes(out, sites[i].peak_bytes);
		report_bytes(out, sites[i].allocated_bytes);
		report_count(out, sites[i].allocated, 10);
		report_count(out, sites[i].freed, 10);
		fputs("  ", out);
		if (sites[i].name.bytes)
			stele__column_name(out, sites[i].name, 44);
		else
			fputs("(no type)", out);
		fputc('\n', out);
	}
	report_more(out, count, r->top);
}

static void report_memory(FILE *out, const struct stele_report *r)
{
	const struct stele_memory *m = stele_analysis_memory(r->analysis);
	uint64_t sample =
		stele_analysis_trust(r->analysis)->recording.total[STELE_TOTAL_HEAP_SAMPLE];
	char text[STELE__COLUMN_TEXT];

	report_title(out, r, "MEMORY");
	fputc('\n', out);
	if (m->heap_max)
		fprintf(out, "  the heap held at most %s\n",
			stele__column_bytes(m->heap_max, text));
	if (!m->present) {
		fputs("  No allocations are in this trace (stele record --heap).\n", out);
		return;
	}
	fprintf(out, "  %s objects allocated", stele__column_count(m->allocated, text));
	fprintf(out, ", %s", stele__column_bytes(m->allocated_bytes, text));
	fprintf(out, "; %s freed", stele__column_count(m->freed, text));
	fprintf(out, "; %s alive at the end", stele__column_count(m->live, text));
	fprintf(out, ", %s", stele__column_bytes(m->live_bytes, text));
	fprintf(out, "; peak %s\n", stele__column_bytes(m->peak_bytes, text));
	if (sample)
		fprintf(out, "  sampled: one object in %s is here\n",
			stele__column_bytes(sample, text));
	if (m->unmatched_frees || m->repeated)
		fprintf(out,
			"  broken pairs: %" PRIu64
			" objects freed that were never allocated, %" PRIu64 " allocated twice\n",
			m->unmatched_frees, m->repeated);
	report_memory_sites(out, r);
}

void stele__report_text(FILE *out, const struct stele_report *report)
{
	report_trust(out, report);
	report_times(out, report);
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(report_tables); i++)
		report_sites(out, report, &report_tables[i]);
	report_samples(out, report);
	report_memory(out, report);
}
