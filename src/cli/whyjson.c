/* SPDX-License-Identifier: MIT */
/* stele why for programs: docs/schema/why.md */
#include <inttypes.h>
#include <string.h>

#include "cli/jsonparts.h"
#include "cli/ledger.h"

static const char *const why_kinds[] = {
	[STELE_WHY_RUNNING] = "running",   [STELE_WHY_READY] = "ready", [STELE_WHY_LOCK] = "lock",
	[STELE_WHY_HANDOVER] = "handover", [STELE_WHY_WAIT] = "wait",	[STELE_WHY_CALL] = "call",
	[STELE_WHY_UNKNOWN] = "unknown",   [STELE_WHY_REST] = "rest",
};

/* A number, or null. */
static void why_json_id(FILE *out, const char *name, uint64_t id)
{
	if (id == STELE_NO_ID)
		fprintf(out, ", \"%s\": null", name);
	else
		stele__json_number(out, name, id);
}

static void why_json_row(FILE *out, const struct stele_report *r, const struct stele_why_row *row)
{
	fprintf(out, "{\"kind\": \"%s\"", why_kinds[row->kind]);
	stele__json_signed(out, "ns", row->ns);
	stele__json_number(out, "count", row->count);
	if (row->kind == STELE_WHY_WAIT || row->kind == STELE_WHY_LOCK)
		stele__json_member(out, "reason", row->name);
	if (row->kind == STELE_WHY_CALL)
		stele__json_member(out, "name", row->name);
	if (row->lock)
		stele__ledger_json_lock(out, row->lock);
	if (row->kind == STELE_WHY_WAIT || row->kind == STELE_WHY_LOCK ||
	    row->who_goroutine != STELE_NO_ID || row->released) {
		stele__json_member(out, "who", row->who);
		why_json_id(out, "who_thread", row->who_thread);
		why_json_id(out, "who_goroutine", row->who_goroutine);
		stele__json_place(out, r, "taken", row->taken);
		stele__json_place(out, r, "released", row->released);
	}
	if (row->stack)
		stele__json_stack(out, r, row->stack);
}

/* Rows nest: what is below one is its `meanwhile`. */
static void why_json_rows(FILE *out, const struct stele_report *r,
			  const struct stele_why_instance *instance)
{
	unsigned depth = 0;

	fputs(", \"rows\": [", out);
	for (size_t i = 0; i < instance->row_count; i++) {
		const struct stele_why_row *row = &instance->rows[i];

		if (i && row->depth > depth)
			fputs(", \"meanwhile\": [\n", out);
		for (; depth > row->depth; depth--)
			fputs("}]", out);
		if (i && row->depth == depth && instance->rows[i - 1].depth >= depth)
			fputs("},\n", out);
		depth = row->depth;
		why_json_row(out, r, row);
	}
	for (; depth; depth--)
		fputs("}]", out);
	fputs(instance->row_count ? "}]" : "]", out);
}

static void why_json_instance(FILE *out, const struct stele_report *r,
			      const struct stele_why_instance *instance)
{
	fprintf(out, "{\"goroutine\": %" PRIu64, instance->goroutine);
	why_json_id(out, "thread", instance->thread);
	stele__json_member(out, "name", instance->name);
	stele__json_signed(out, "begin_ns",
			   instance->begin - stele_analysis_trust(r->analysis)->first);
	stele__json_signed(out, "ns", instance->ns);
	fprintf(out, ", \"open\": %s", instance->open ? "true" : "false");
	why_json_rows(out, r, instance);
	fputc('}', out);
}

void stele__why_json(FILE *out, const struct stele_report *report)
{
	static const char *const names[] = {[STELE_WHY_REGION] = "region",
					    [STELE_WHY_TASK] = "task",
					    [STELE_WHY_GOROUTINE] = "goroutine",
					    [STELE_WHY_THREAD] = "thread",
					    [STELE_WHY_REQUEST] = "request"};
	const struct stele_why *why = stele_analysis_why(report->analysis);

	stele__json_begin(out, report);
	if (why->query.of == STELE_WHY_REGION || why->query.of == STELE_WHY_REQUEST)
		stele__json_member(out, names[why->query.of], why->query.region);
	else
		stele__json_number(out, names[why->query.of], why->query.id);
	stele__json_number(out, "count", why->count);
	fprintf(out, ",\n\"all\": {\"ns\": %" PRId64, why->all.ns);
	why_json_rows(out, report, &why->all);
	fputs("},\n\"slowest\": [", out);
	for (size_t i = 0; i < why->slowest_count; i++) {
		fputs(i ? ",\n" : "\n", out);
		why_json_instance(out, report, &why->slowest[i]);
	}
	fputs("]}\n", out);
}
