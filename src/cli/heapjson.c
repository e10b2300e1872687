/* SPDX-License-Identifier: MIT */
/* stele heap for programs. Times are ns, sizes bytes. docs/schema/heap.md */
#include <inttypes.h>

#include "cli/jsonparts.h"

static const char *const kind_names[] = {"free", "alloc", "exists", "unending"};
static const char *const cause_names[] = {
	[STELE_BROKEN_UNKNOWN] = "unknown",
	[STELE_BROKEN_EXISTED] = "existed",
	[STELE_BROKEN_SKIPPED] = "skipped",
	[STELE_BROKEN_LOST] = "lost",
	[STELE_BROKEN_INVERTED] = "inverted",
	[STELE_BROKEN_HEADER] = "header",
	[STELE_BROKEN_TINY] = "tiny",
	[STELE_BROKEN_SPAN] = "span",
	[STELE_BROKEN_DOUBLE_FREE] = "double_free",
};

static void json_curve(FILE *out, const struct stele_curve *curve)
{
	fprintf(out, ", \"curve\": {\"begin_ns\": %" PRId64 ", \"step_ns\": %" PRId64, curve->begin,
		curve->step_ns);
	fputs(", \"max_bytes\": [", out);
	for (uint32_t i = 0; i < curve->count; i++)
		fprintf(out, "%s%" PRIu64, i ? ", " : "", curve->max[i]);
	fputs("]}", out);
}

static void json_sums(FILE *out, const struct stele_report *r)
{
	const struct stele_memory *m = stele_analysis_memory(r->analysis);

	fprintf(out, ",\n\"memory\": {\"present\": %s", m->present ? "true" : "false");
	for (unsigned family = 0; family < STELE__MEMORY_FAMILIES; family++) {
		fprintf(out, ", \"%s\": {", stele_memory_family_name(family));
		stele__json_sum(out, &m->sum[family]);
		stele__json_number(out, "unseen_skips", m->unseen_skips[family]);
		json_curve(out, stele_analysis_memory_curve(r->analysis, family));
		fputc('}', out);
	}
	stele__json_number(out, "sample_bytes", m->sample_bytes);
	stele__json_number(out, "heap_max_bytes", m->heap_max);
	fputc('}', out);
}

static void json_sites(FILE *out, const struct stele_report *r)
{
	size_t count;
	const struct stele_memory_site *sites = stele_analysis_memory_sites(r->analysis, &count);

	fprintf(out, ",\n\"sites\": {\"places\": %zu, \"top\": [", count);
	for (size_t i = 0; i < count && i < r->top; i++) {
		fprintf(out, "%s\n{\"size\": %" PRIu64 ", ", i ? "," : "", sites[i].size);
		stele__json_sum(out, &sites[i].sum);
		stele__json_number(out, "at_peak", sites[i].at_peak);
		stele__json_number(out, "at_peak_bytes", sites[i].at_peak_bytes);
		stele__json_member(out, "name", sites[i].name);
		fputs(", \"freed_by\": [", out);
		for (unsigned k = 0; k < sites[i].freed_by_count; k++) {
			fprintf(out, "%s{\"count\": %" PRIu64, k ? ", " : "",
				sites[i].freed_by[k].count);
			stele__json_member(out, "name", sites[i].freed_by[k].name);
			fputc('}', out);
		}
		fputc(']', out);
		stele__json_stack(out, r, sites[i].stack);
		fputc('}', out);
	}
	fputs("]}", out);
}

static void json_parties(FILE *out, const struct stele_report *r, const char *name,
			 enum stele_memory_who who)
{
	size_t count;
	const struct stele_memory_party *parties =
		stele_analysis_memory_parties(r->analysis, who, &count);

	fprintf(out, ",\n\"%s\": {\"names\": %zu, \"top\": [", name, count);
	for (size_t i = 0; i < count && i < r->top; i++) {
		const struct stele_memory_sum *sum = &parties[i].sum;

		fprintf(out, "%s\n{\"allocated\": %" PRIu64, i ? "," : "", sum->allocated);
		stele__json_member(out, "name", parties[i].name);
		stele__json_number(out, "allocated_bytes", sum->allocated_bytes);
		stele__json_number(out, "live", sum->live);
		stele__json_number(out, "live_bytes", sum->live_bytes);
		if (who == STELE_WHO_THREAD) {
			stele__json_number(out, "freed_by_others", parties[i].freed_by_others);
			stele__json_number(out, "freed_of_others", parties[i].freed_of_others);
		}
		fputc('}', out);
	}
	fputs("]}", out);
}

static void json_sizes(FILE *out, const struct stele_report *r)
{
	size_t count;
	const struct stele_memory_size *sizes = stele_analysis_memory_sizes(r->analysis, &count);

	fputs(",\n\"sizes\": [", out);
	for (size_t i = 0; i < count; i++) {
		const struct stele_spread *lifetime = &sizes[i].lifetime;

		fprintf(out, "%s\n{\"least\": %" PRIu64, i ? "," : "", sizes[i].least);
		stele__json_number(out, "most", sizes[i].most);
		stele__json_number(out, "allocated", sizes[i].sum.allocated);
		stele__json_number(out, "allocated_bytes", sizes[i].sum.allocated_bytes);
		stele__json_number(out, "live", sizes[i].sum.live);
		stele__json_number(out, "live_bytes", sizes[i].sum.live_bytes);
		stele__json_number(out, "lifetimes", lifetime->count);
		stele__json_signed(out, "p50_ns", stele_spread_quantile(lifetime, 50));
		stele__json_signed(out, "p99_ns", stele_spread_quantile(lifetime, 99));
		stele__json_signed(out, "max_ns", lifetime->max);
		fputc('}', out);
	}
	fputc(']', out);
}

static void json_map(FILE *out, const struct stele_report *r)
{
	const struct stele_memory_map *map = stele_analysis_memory_map(r->analysis);

	fprintf(out, ",\n\"map\": {\"pages\": %" PRIu64, map->pages);
	stele__json_number(out, "page_bytes", map->page_bytes);
	fputs(", \"filled\": [", out);
	for (unsigned i = 0; i < STELE_FILL_STEPS; i++)
		fprintf(out, "%s%" PRIu64, i ? ", " : "", map->filled[i]);
	fputc(']', out);
	stele__json_number(out, "cell_bytes", UINT64_C(1) << map->cell_bits);
	fputs(", \"cells\": [", out);
	for (uint32_t i = 0; i < map->cell_count; i++)
		fprintf(out, "%s[\"0x%" PRIx64 "\",%" PRIu64 ",%" PRIu64 "]", i ? "," : "",
			map->cells[i].address, map->cells[i].objects, map->cells[i].bytes);
	fputs("]}", out);
}

static void json_kinds(FILE *out, const struct stele_report *r)
{
	size_t count;
	const struct stele_memory_kind *kinds = stele_analysis_memory_kinds(r->analysis, &count);

	fputs(",\n\"span_kinds\": [", out);
	for (size_t i = 0; i < count && i < r->top; i++) {
		const struct stele_memory_kind *kind = &kinds[i];

		fprintf(out, "%s\n{\"heap\": %s, \"pointer_free\": %s, ", i ? "," : "",
			kind->heap ? "true" : "false", kind->pointer_free ? "true" : "false");
		stele__json_sum(out, &kind->spans);
		stele__json_number(out, "size_class", kind->size_class);
		stele__json_number(out, "object_bytes", kind->object_bytes);
		stele__json_number(out, "objects", kind->objects);
		stele__json_number(out, "occupied_bytes", kind->object_bytes_live);
		fputc('}', out);
	}
	fputc(']', out);
}

static void json_stacks(FILE *out, const struct stele_report *r)
{
	size_t count;
	const struct stele_memory_owner *owners = stele_analysis_stack_owners(r->analysis, &count);
	const struct stele_memory_stack *stacks;

	fputs(",\n\"stack_owners\": [", out);
	for (size_t i = 0; i < count && i < r->top; i++) {
		fprintf(out, "%s\n{\"owners\": %" PRIu64, i ? "," : "", owners[i].owners);
		stele__json_member(out, "entry", owners[i].entry);
		stele__json_number(out, "high_bytes", owners[i].high_bytes);
		stele__json_number(out, "used_bytes", owners[i].used_bytes);
		stele__json_number(out, "live", owners[i].live);
		stele__json_number(out, "live_bytes", owners[i].live_bytes);
		stele__json_number(out, "moved", owners[i].moved);
		stele__json_number(out, "suggested_bytes", owners[i].suggested_bytes);
		fputc('}', out);
	}
	stacks = stele_analysis_stacks(r->analysis, &count);
	fprintf(out, "],\n\"stacks\": {\"live\": %zu, \"top\": [", count);
	for (size_t i = 0; i < count && i < r->top; i++) {
		fprintf(out, "%s\n{\"address\": %" PRIu64, i ? "," : "", stacks[i].address);
		stele__json_number(out, "bytes", stacks[i].bytes);
		if (stacks[i].since != INT64_MIN)
			stele__json_signed(out, "since_ns", stacks[i].since);
		if (stacks[i].goroutine != STELE_NO_ID) {
			stele__json_number(out, "high_bytes", stacks[i].high_bytes);
			stele__json_number(out, "goroutine", stacks[i].goroutine);
			stele__json_member(out, "entry", stacks[i].entry);
		}
		fputc('}', out);
	}
	fputs("]}", out);
}

static void json_broken(FILE *out, const struct stele_report *r)
{
	size_t count, site_count;
	const struct stele_broken *broken = stele_analysis_broken(r->analysis, &count);
	const struct stele_memory_site *sites =
		stele_analysis_memory_sites(r->analysis, &site_count);

	fputs(",\n\"broken\": [", out);
	for (size_t i = 0; i < count; i++) {
		const struct stele_broken *b = &broken[i];

		fprintf(out,
			"%s\n{\"family\": \"%s\", \"kind\": \"%s\", \"cause\": \"%s\", "
			"\"inferred\": %s",
			i ? "," : "", stele_memory_family_name(b->family), kind_names[b->kind],
			cause_names[b->cause], b->inferred ? "true" : "false");
		stele__json_number(out, "count", b->count);
		if (b->sample.time) {
			stele__json_number(out, "address", b->sample.address);
			stele__json_number(out, "thread", b->sample.thread);
			stele__json_signed(out, "time_ns", b->sample.time);
		}
		if (b->sample.time && b->sample.before_thread != STELE_NO_ID) {
			stele__json_number(out, "freed_by", b->sample.before_thread);
			stele__json_signed(out, "freed_ns", b->sample.before_time);
		}
		if (b->sample.place && b->sample.place <= site_count)
			stele__json_stack(out, r, sites[b->sample.place - 1].stack);
		fputc('}', out);
	}
	fputc(']', out);
}

void stele__heap_json(FILE *out, const struct stele_report *report)
{
	stele__json_begin(out, report);
	json_sums(out, report);
	json_sites(out, report);
	json_parties(out, report, "threads", STELE_WHO_THREAD);
	json_parties(out, report, "regions", STELE_WHO_REGION);
	json_parties(out, report, "tasks", STELE_WHO_TASK);
	json_sizes(out, report);
	json_map(out, report);
	json_kinds(out, report);
	json_stacks(out, report);
	json_broken(out, report);
	fputs("}\n", out);
}
