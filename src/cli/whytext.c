/* SPDX-License-Identifier: MIT */
/* stele why for people. */
#include <inttypes.h>
#include <string.h>

#include "cli/columns.h"
#include "cli/ledger.h"
#include "cli/parts.h"

#define WHY_INDENT     2  /* more for each depth */
#define WHY_COLUMN     32 /* where the text of a row begins */
#define WHY_BELOW      4  /* rows below another one */
#define WHY_PLACE      48 /* columns of one */
#define WHY_FRAMES     2
#define WHY_CALL       52 /* columns of a call and its file; below another row: */
#define WHY_CALL_BELOW 36
#define WHY_SMALL      2000

static void why_name(FILE *out, struct stele_string name, const char *unknown, unsigned width)
{
	stele__column_name(out, name.bytes ? name : (struct stele_string){unknown, strlen(unknown)},
			   width);
}

/* "worker", "worker (thread 12)", "thread 12"; of a goroutine without a thread "goroutine 3". */
static void why_who(FILE *out, const struct stele_why_row *row)
{
	const char *what = row->who_thread != STELE_NO_ID ? "thread" : "goroutine";
	uint64_t id = row->who_thread != STELE_NO_ID ? row->who_thread : row->who_goroutine;

	if (!row->who.bytes && id == STELE_NO_ID) {
		fputs("a thread that is not known", out);
		return;
	}
	if (row->who.bytes)
		stele__column_name(out, row->who, 30);
	if (id != STELE_NO_ID)
		fprintf(out, row->who.bytes ? " (%s %" PRIu64 ")" : "%s %" PRIu64, what, id);
}

static void why_lock(FILE *out, const struct stele_lock *lock)
{
	char text[STELE__LEDGER_NAME];

	fputs("lock ", out);
	why_name(out, lock ? stele__ledger_name(lock, text) : (struct stele_string){"", 0}, "?",
		 30);
}

static void why_what(FILE *out, const struct stele_why_row *row)
{
	switch (row->kind) {
	case STELE_WHY_RUNNING:
		fputs("running", out);
		break;
	case STELE_WHY_READY:
		fputs("ready, but not running", out);
		break;
	case STELE_WHY_LOCK:
		why_lock(out, row->lock);
		fputs(", held by ", out);
		why_who(out, row);
		break;
	case STELE_WHY_HANDOVER:
		why_lock(out, row->lock);
		fputs(" was given up, and not yet got", out);
		break;
	case STELE_WHY_WAIT:
		why_name(out, row->name, "waiting", 30);
		if (row->lock && row->lock->name.bytes) {
			fputc(' ', out);
			stele__column_name(out, row->lock->name, 24);
		}
		break;
	case STELE_WHY_CALL:
		fputs("system call ", out);
		if (row->name.bytes)
			stele__column_call(out, row->name, row->depth ? WHY_CALL_BELOW : WHY_CALL);
		else
			fputc('?', out);
		break;
	case STELE_WHY_UNKNOWN:
		fputs("before the trace tells of it", out);
		break;
	default:
		fputs(row->depth ? "what is not kept of it" : "other", out);
	}
}

/* "label f (a.c:12)", and in the line below who called that; as far as they are known. */
static void why_place(FILE *out, const struct stele_report *r, unsigned indent, const char *label,
		      uint32_t stack, size_t skip)
{
	char text[STELE__LEDGER_NAME];

	for (size_t i = 0; i < WHY_FRAMES; i++) {
		struct stele_string place = stele__ledger_place(r, stack, skip + i, text);

		if (!place.bytes)
			return;
		fprintf(out, "%*s%s ", (int)indent, "", i ? "called by" : label);
		stele__column_name(out, place, WHY_PLACE);
		fputc('\n', out);
	}
}

/* Too little to be told, where not all was asked for. */
static bool why_is_small(const struct stele_report *r, const struct stele_why_row *row,
			 int64_t whole)
{
	return r->top != SIZE_MAX && row->ns < whole / WHY_SMALL;
}

static void why_row(FILE *out, const struct stele_report *r, const struct stele_why_row *row,
		    int64_t whole)
{
	unsigned indent = WHY_COLUMN + row->depth * WHY_INDENT;
	char percent[16];

	snprintf(percent, sizeof(percent), "%.1f %%",
		 whole ? 100.0 * (double)row->ns / (double)whole : 0.0);
	stele__column_right(out, percent, 9);
	stele__part_time(out, row->ns);
	stele__part_count(out, row->count, 10);
	fprintf(out, "%*s", (int)(indent - 29), "");
	if (row->depth)
		fputs("meanwhile: ", out);
	why_what(out, row);
	fputc('\n', out);
	/* The innermost frame of a system call is the call. */
	why_place(out, r, indent + WHY_INDENT, "at", row->stack, row->kind == STELE_WHY_CALL);
	if ((row->kind == STELE_WHY_WAIT || row->kind == STELE_WHY_CALL) &&
	    (row->who.bytes || row->who_goroutine != STELE_NO_ID)) {
		fprintf(out, "%*sended by ", (int)(indent + WHY_INDENT), "");
		why_who(out, row);
		fputc('\n', out);
	}
	why_place(out, r, indent + WHY_INDENT, "taken at", row->taken, 0);
	why_place(out, r, indent + WHY_INDENT, row->kind == STELE_WHY_LOCK ? "given up at" : "at",
		  row->released, 0);
}

/* Rows that come after `top` of their depth are left out, with all below them. */
static void why_rows(FILE *out, const struct stele_report *r,
		     const struct stele_why_instance *instance)
{
	size_t shown[8] = {0}, more = 0;
	unsigned left_out = UINT32_MAX; /* deeper ones are, too */

	for (size_t i = 0; i < instance->row_count; i++) {
		const struct stele_why_row *row = &instance->rows[i];
		unsigned depth = row->depth < 7 ? row->depth : 7;
		size_t most = depth && r->top > WHY_BELOW ? WHY_BELOW : r->top;

		if (row->depth > left_out)
			continue;
		left_out = why_is_small(r, row, instance->ns) ? row->depth : UINT32_MAX;
		if (left_out != UINT32_MAX)
			continue;
		if (shown[depth]++ >= most) {
			left_out = row->depth;
			more += !row->depth;
			continue;
		}
		shown[depth + 1 < 8 ? depth + 1 : 7] = 0;
		why_row(out, r, row, instance->ns);
	}
	if (more)
		fprintf(out, "%*sand %zu more (--top)\n", WHY_COLUMN, "", more);
}

static void why_head(FILE *out, const struct stele_report *r, const struct stele_why *why)
{
	static const char *const of[] = {[STELE_WHY_REGION] = "region",
					 [STELE_WHY_TASK] = "region of task",
					 [STELE_WHY_GOROUTINE] = "goroutine",
					 [STELE_WHY_THREAD] = "thread",
					 [STELE_WHY_REQUEST] = "request"};
	char count[STELE__COLUMN_TEXT], time[STELE__COLUMN_TEXT];

	fprintf(out, "\n%s %s%s", stele__column_count(why->count, count), of[why->query.of],
		why->count == 1 ? "" : "s");
	if (why->query.of == STELE_WHY_REQUEST)
		fputs(why->query.region.bytes ? " on " : "", out);
	else
		fputc(' ', out);
	if (why->query.of == STELE_WHY_REGION || why->query.of == STELE_WHY_REQUEST)
		stele__column_name(out, why->query.region, 40);
	else
		fprintf(out, "%" PRIu64, why->query.id);
	fprintf(out, ", %s%s\n", stele__column_time(why->all.ns, time),
		why->count == 1 ? "" : " together");
	if (why->count > 1)
		why_rows(out, r, &why->all);
}

static void why_instance(FILE *out, const struct stele_report *r, const struct stele_why *why,
			 size_t at)
{
	const struct stele_why_instance *instance = &why->slowest[at];
	char title[24], time[STELE__COLUMN_TEXT], begin[STELE__COLUMN_TEXT];
	const struct stele_trust *trust = stele_analysis_trust(r->analysis);

	snprintf(title, sizeof(title), "#%zu", at + 1);
	stele__part_title(out, r, title);
	fprintf(out, "  %s%s, from %s on", stele__column_time(instance->ns, time),
		instance->open ? " and not ended" : "",
		stele__column_time(instance->begin - trust->first, begin));
	if (instance->thread != STELE_NO_ID)
		fprintf(out, ", thread %" PRIu64, instance->thread);
	fprintf(out, ", goroutine %" PRIu64, instance->goroutine);
	if (why->query.of != STELE_WHY_REGION && instance->name.bytes) {
		fputs(", ", out);
		stele__column_name(out, instance->name, 30);
	}
	fputc('\n', out);
	why_rows(out, r, instance);
}

void stele__why_text(FILE *out, const struct stele_report *report)
{
	const struct stele_why *why = stele_analysis_why(report->analysis);

	stele__part_trust(out, report);
	if (!why->count)
		return;
	why_head(out, report, why);
	for (size_t i = 0; i < why->slowest_count; i++)
		why_instance(out, report, why, i);
}
