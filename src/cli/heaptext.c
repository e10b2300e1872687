/* SPDX-License-Identifier: MIT */
/* stele heap for people. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/columns.h"
#include "cli/heapspread.h"
#include "cli/parts.h"

#define NAME_COLUMNS  40
#define CURVE_COLUMNS 78

static void heap_name(FILE *out, struct stele_string name, const char *none)
{
	if (!name.bytes)
		name = (struct stele_string){none, strlen(none)};
	stele__column_name(out, name, NAME_COLUMNS);
}

/* Over time ------------------------------------------------------------------------------------ */

/* The greatest of the steps that this column of the picture stands for. */
static uint64_t curve_column(const struct stele_curve *curve, unsigned column)
{
	uint32_t from = curve->count * column / CURVE_COLUMNS;
	uint32_t to = curve->count * (column + 1) / CURVE_COLUMNS;
	uint64_t most = 0;

	for (uint32_t i = from; i < to || i == from; i++)
		if (curve->max[i] > most)
			most = curve->max[i];
	return most;
}

/* One line, in eighths of its height, from the trace's first event to its last. */
static void heap_curve(FILE *out, const struct stele_report *r, unsigned family)
{
	static const char *const bars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	const struct stele_curve *curve = stele_analysis_memory_curve(r->analysis, family);
	uint64_t top = 0;

	for (uint32_t i = 0; i < curve->count; i++)
		top = curve->max[i] > top ? curve->max[i] : top;
	if (!top)
		return;
	fprintf(out, "  %-8s", stele_memory_family_name(family));
	for (unsigned column = 0; column < CURVE_COLUMNS; column++) {
		double part = 8.0 * (double)curve_column(curve, column) / (double)top;
		unsigned height = (unsigned)(part + 0.5);

		fputs(bars[part > 0 && !height ? 1 : height], out);
	}
	fputc('\n', out);
}

/* What there was ------------------------------------------------------------------------------ */

static void heap_sums(FILE *out, const struct stele_report *r, const struct stele_memory *m)
{
	int64_t first = stele_analysis_trust(r->analysis)->first;
	char text[STELE__COLUMN_TEXT];

	stele__part_title(out, r, "MEMORY");
	fprintf(out, "\n%9s%11s%11s%10s%11s%11s%12s%11s\n", "", "existed", "allocated", "freed",
		"alive", "bytes", "peak", "at");
	for (unsigned family = STELE__MEMORY_FAMILIES; family-- > 0;) {
		const struct stele_memory_sum *sum = &m->sum[family];

		fprintf(out, "  %-7s", stele_memory_family_name(family));
		stele__part_count(out, sum->existed, 11);
		stele__part_count(out, sum->allocated - sum->existed, 11);
		stele__part_count(out, sum->freed, 10);
		stele__part_count(out, sum->live, 11);
		stele__part_bytes(out, sum->live_bytes);
		stele__column_right(out, stele__column_bytes(sum->peak_bytes, text), 12);
		if (sum->allocated)
			stele__column_right(out, stele__column_time(sum->peak_time - first, text),
					    11);
		fputc('\n', out);
	}
	for (unsigned family = STELE__MEMORY_FAMILIES; family-- > 0;)
		heap_curve(out, r, family);
	if (m->sample_bytes)
		fprintf(out,
			"  sampled: one object in %s is here; bytes are estimates of the whole, "
			"counts are of\n  those in the trace\n",
			stele__column_bytes(m->sample_bytes, text));
	if (m->heap_max)
		fprintf(out, "  Go's own count of the heap was at most %s\n",
			stele__column_bytes(m->heap_max, text));
}

/* Where from ---------------------------------------------------------------------------------- */

struct site_table {
	const char *title;
	int (*compare)(const void *left, const void *right);	  /* of pointers to sites */
	uint64_t (*wanted)(const struct stele_memory_site *site); /* 0: not in this table */
	bool own;						  /* for traces of Stele only */
};

static int site_more(uint64_t a, uint64_t b, const void *left, const void *right)
{
	if (a != b)
		return a < b ? 1 : -1;
	/* As the analysis has them. */
	return *(const struct stele_memory_site *const *)left <
			       *(const struct stele_memory_site *const *)right
		       ? -1
		       : 1;
}

static uint64_t site_at_peak(const struct stele_memory_site *site)
{
	return site->at_peak_bytes;
}

static int site_by_peak(const void *left, const void *right)
{
	return site_more(site_at_peak(*(const struct stele_memory_site *const *)left),
			 site_at_peak(*(const struct stele_memory_site *const *)right), left,
			 right);
}

static uint64_t site_alive(const struct stele_memory_site *site)
{
	return site->sum.live;
}

static int site_by_alive(const void *left, const void *right)
{
	return site_more((*(const struct stele_memory_site *const *)left)->sum.live_bytes,
			 (*(const struct stele_memory_site *const *)right)->sum.live_bytes, left,
			 right);
}

static uint64_t site_temporary(const struct stele_memory_site *site)
{
	return site->sum.temporary;
}

static int site_by_temporary(const void *left, const void *right)
{
	return site_more(site_temporary(*(const struct stele_memory_site *const *)left),
			 site_temporary(*(const struct stele_memory_site *const *)right), left,
			 right);
}

static const struct site_table site_tables[] = {
	{"AT THE PEAK", site_by_peak, site_at_peak, false},
	{"ALIVE AT THE END", site_by_alive, site_alive, false},
	{"TEMPORARY", site_by_temporary, site_temporary, true},
};

static void heap_site(FILE *out, const struct stele_report *r, const struct stele_memory_site *site,
		      bool own)
{
	const struct stele_memory_sum *sum = &site->sum;
	char text[STELE__COLUMN_TEXT];

	stele__part_bytes(out, site->at_peak_bytes);
	stele__part_count(out, site->at_peak, 10);
	stele__part_bytes(out, sum->live_bytes);
	stele__part_count(out, sum->live, 10);
	stele__part_bytes(out, sum->allocated_bytes);
	stele__part_count(out, sum->allocated, 11);
	if (own)
		stele__part_count(out, sum->temporary, 11);
	fputs("  ", out);
	if (site->size)
		fprintf(out, "%s each", stele__column_bytes(site->size, text));
	else if (sum->allocated_bytes)
		fputs("several sizes", out);
	if (!site->stack) {
		fputs(sum->allocated_bytes ? ", " : "", out);
		heap_name(out, site->name,
			  own && sum->existed ? "(from before the recording)"
			  : own		      ? "(unknown)"
					      : "(no type)");
	}
	fputc('\n', out);
	stele__part_frames(out, r, site->stack);
	if (own)
		stele__heap_freers(out, site);
}

static void heap_table(FILE *out, const struct stele_report *r, const struct site_table *table,
		       const struct stele_memory_site **list)
{
	bool own = stele_analysis_trust(r->analysis)->recording.present;
	size_t site_count, count = 0;
	const struct stele_memory_site *sites =
		stele_analysis_memory_sites(r->analysis, &site_count);

	for (size_t i = 0; i < site_count; i++)
		if (table->wanted(&sites[i]))
			list[count++] = &sites[i];
	if (!count || (table->own && !own))
		return;
	qsort(list, count, sizeof(*list), table->compare);
	stele__part_title(out, r, table->title);
	fprintf(out, "\n%11s%10s%11s%10s%11s%11s", "at peak", "objects", "alive", "objects",
		"allocated", "objects");
	if (own)
		fprintf(out, "%11s", "temporary");
	fputs(own ? "  each, and where\n" : "  each, and type\n", out);
	for (size_t i = 0; i < count && i < r->top; i++)
		heap_site(out, r, list[i], own);
	stele__part_more(out, count, r->top);
}

static void heap_sites(FILE *out, const struct stele_report *r)
{
	size_t count;
	const struct stele_memory_site **list;

	stele_analysis_memory_sites(r->analysis, &count);
	list = calloc(count + 1, sizeof(*list));
	for (size_t i = 0; list && i < STELE_ARRAY_LENGTH(site_tables); i++)
		heap_table(out, r, &site_tables[i], list);
	free(list);
}

/* Spans --------------------------------------------------------------------------------------- */

static void heap_kind_name(FILE *out, const struct stele_memory_kind *kind)
{
	const char *pointers = kind->pointer_free ? ", no pointers" : "";
	char text[STELE__COLUMN_TEXT];

	if (!kind->heap)
		fputs("mappings, stacks and other pages", out);
	else if (!kind->size_class)
		fprintf(out, "large objects, a span each%s", pointers);
	else if (kind->object_bytes)
		fprintf(out, "objects of %s%s", stele__column_bytes(kind->object_bytes, text),
			pointers);
	else
		fprintf(out, "objects of class %u%s", kind->size_class, pointers);
}

static void heap_kinds(FILE *out, const struct stele_report *r)
{
	size_t count;
	const struct stele_memory_kind *kinds = stele_analysis_memory_kinds(r->analysis, &count);

	stele__part_title(out, r, "SPANS");
	fputc('\n', out);
	if (!count) {
		fputs("  No spans are in this trace.\n", out);
		return;
	}
	fprintf(out, "%11s%9s%11s%11s%10s%10s  %s\n", "alive", "spans", "peak", "objects", "of",
		"occupied", "for");
	for (size_t i = 0; i < count && i < r->top; i++) {
		const struct stele_memory_kind *kind = &kinds[i];
		char text[STELE__COLUMN_TEXT];

		stele__part_bytes(out, kind->spans.live_bytes);
		stele__part_count(out, kind->spans.live, 9);
		stele__part_bytes(out, kind->spans.peak_bytes);
		stele__part_bytes(out, kind->object_bytes_live);
		stele__part_count(out, kind->objects, 10);
		snprintf(text, sizeof(text), "%.1f %%",
			 stele__percent(kind->object_bytes_live, kind->spans.live_bytes));
		stele__column_right(out, text, 10);
		fputs("  ", out);
		heap_kind_name(out, kind);
		fputc('\n', out);
	}
	stele__part_more(out, count, r->top);
}

/* Stacks -------------------------------------------------------------------------------------- */

static void heap_stack(FILE *out, const struct stele_report *r,
		       const struct stele_memory_stack *stack)
{
	int64_t first = stele_analysis_trust(r->analysis)->first;
	char text[STELE__COLUMN_TEXT];

	stele__part_bytes(out, stack->bytes);
	stele__column_right(
		out, stack->high_bytes ? stele__column_bytes(stack->high_bytes, text) : "?", 11);
	stele__column_right(out,
			    stack->since == INT64_MIN
				    ? "before"
				    : stele__column_time(stack->since - first, text),
			    11);
	fprintf(out, "  0x%-14" PRIx64, stack->address);
	if (stack->goroutine == STELE_NO_ID) {
		fputs("unknown\n", out);
		return;
	}
	fprintf(out, "%" PRIu64 " ", stack->goroutine);
	heap_name(out, stack->entry, "?");
	fputc('\n', out);
}

static void heap_stacks(FILE *out, const struct stele_report *r)
{
	size_t count, owner_count;
	const struct stele_memory_stack *stacks = stele_analysis_stacks(r->analysis, &count);
	const struct stele_memory_owner *owners =
		stele_analysis_stack_owners(r->analysis, &owner_count);
	char text[STELE__COLUMN_TEXT];

	stele__part_title(out, r, "STACKS");
	fputc('\n', out);
	if (!count && !owner_count) {
		fputs("  No stacks are in this trace.\n", out);
		return;
	}
	if (owner_count)
		fprintf(out, "%11s%11s%9s%11s%9s%9s%11s  %s\n", "high", "used", "owners", "alive",
			"stacks", "moved", "begin with", "of what begins with");
	for (size_t i = 0; i < owner_count && i < r->top; i++) {
		stele__part_bytes(out, owners[i].high_bytes);
		stele__column_right(out,
				    owners[i].used_bytes
					    ? stele__column_bytes(owners[i].used_bytes, text)
					    : "?",
				    11);
		stele__part_count(out, owners[i].owners, 9);
		stele__part_bytes(out, owners[i].live_bytes);
		stele__part_count(out, owners[i].live, 9);
		stele__part_count(out, owners[i].moved, 9);
		stele__column_right(out,
				    owners[i].suggested_bytes
					    ? stele__column_bytes(owners[i].suggested_bytes, text)
					    : "-",
				    11);
		fputs("  ", out);
		heap_name(out, owners[i].entry, "?");
		fputc('\n', out);
	}
	stele__part_more(out, owner_count, r->top);
	if (!count)
		return;
	fprintf(out, "%s%11s%11s%11s  %-16s%s\n", owner_count ? "\n" : "", "alive", "high", "since",
		"at", "owner");
	for (size_t i = 0; i < count && i < r->top; i++)
		heap_stack(out, r, &stacks[i]);
	stele__part_more(out, count, r->top);
}

/* Broken pairs -------------------------------------------------------------------------------- */

static const char *const broken_whats[] = {
	[STELE_BROKEN_FREE] = "freed, not allocated",
	[STELE_BROKEN_ALLOC] = "allocated while alive",
	[STELE_BROKEN_EXISTS] = "told to exist while alive",
	[STELE_BROKEN_UNENDING] = "gone without a free",
};

static const char *const broken_whys[] = {
	[STELE_BROKEN_UNKNOWN] = "nothing in the trace explains it",
	[STELE_BROKEN_EXISTED] = "existed before the trace began",
	[STELE_BROKEN_SKIPPED] = "the other event was skipped on re-entry",
	[STELE_BROKEN_LOST] = "the other event was lost by the recorder",
	[STELE_BROKEN_INVERTED] = "two threads' events in the wrong order",
	[STELE_BROKEN_HEADER] = "the free names the slot, the alloc the object in it",
	[STELE_BROKEN_TINY] = "small objects share a slot, which is freed as one",
	[STELE_BROKEN_SPAN] = "the span around it was freed",
	[STELE_BROKEN_DOUBLE_FREE] = "freed twice",
};

static void broken_sample(FILE *out, const struct stele_report *r,
			  const struct stele_broken *broken)
{
	const struct stele_stray *stray = &broken->sample;
	int64_t first = stele_analysis_trust(r->analysis)->first;
	char text[STELE__COLUMN_TEXT];
	const struct stele_memory_site *sites;
	size_t count;

	if (!stray->time)
		return;
	fprintf(out, "%*sthe first: 0x%" PRIx64 ", by thread %" PRIu64 " after %s", 20, "",
		stray->address, stray->thread, stele__column_time(stray->time - first, text));
	if (stray->before_thread != STELE_NO_ID)
		fprintf(out, "; freed before by %" PRIu64 " after %s", stray->before_thread,
			stele__column_time(stray->before_time - first, text));
	fputc('\n', out);
	sites = stele_analysis_memory_sites(r->analysis, &count);
	if (!stray->place || stray->place > count)
		return;
	fprintf(out, "%*swhat was there had been allocated here:\n", 20, "");
	stele__part_frames(out, r, sites[stray->place - 1].stack);
}

static void heap_broken(FILE *out, const struct stele_report *r, const struct stele_memory *m)
{
	size_t count;
	const struct stele_broken *broken = stele_analysis_broken(r->analysis, &count);
	char text[STELE__COLUMN_TEXT];

	stele__part_title(out, r, "BROKEN PAIRS");
	fputc('\n', out);
	if (!count)
		fputs("  None: every free has its alloc, and no address was allocated twice.\n",
		      out);
	for (size_t i = 0; i < count; i++) {
		stele__part_count(out, broken[i].count, 11);
		fprintf(out, " %-8s%-26s%s%s\n", stele_memory_family_name(broken[i].family),
			broken_whats[broken[i].kind], broken_whys[broken[i].cause],
			broken[i].inferred && broken[i].cause ? " (inferred)" : "");
		broken_sample(out, r, &broken[i]);
	}
	for (unsigned family = 0; family < STELE__MEMORY_FAMILIES; family++)
		if (m->unseen_skips[family])
			fprintf(out,
				"  %s more events of %s were skipped on re-entry; no pair shows "
				"it, but what\n  is alive may be that much more or less\n",
				stele__column_count(m->unseen_skips[family], text),
				stele_memory_family_name(family));
}

void stele__heap_text(FILE *out, const struct stele_report *report)
{
	const struct stele_memory *m = stele_analysis_memory(report->analysis);

	stele__part_trust(out, report);
	if (!m->present) {
		fputs("\nNo allocations are in this trace. C programs: stele record --heap; Go "
		      "programs:\nGODEBUG=traceallocfree=1 while the trace is taken.\n",
		      out);
		return;
	}
	heap_sums(out, report, m);
	heap_sites(out, report);
	stele__heap_parties(out, report);
	stele__heap_sizes(out, report);
	stele__heap_map(out, report);
	heap_kinds(out, report);
	heap_stacks(out, report);
	heap_broken(out, report, m);
}
