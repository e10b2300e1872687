/* SPDX-License-Identifier: MIT */
#include "cli/jsonparts.h"

#include <inttypes.h>
#include <string.h>

#include "cli/verdict.h"

void stele__json_member(FILE *out, const char *name, struct stele_string text)
{
	fprintf(out, ", \"%s\": ", name);
	stele__json_string(out, text.data, text.bytes);
}

void stele__json_number(FILE *out, const char *name, uint64_t value)
{
	fprintf(out, ", \"%s\": %" PRIu64, name, value);
}

void stele__json_signed(FILE *out, const char *name, int64_t value)
{
	fprintf(out, ", \"%s\": %" PRId64, name, value);
}

void stele__json_sum(FILE *out, const struct stele_memory_sum *sum)
{
	fprintf(out, "\"allocated\": %" PRIu64, sum->allocated);
	stele__json_number(out, "existed", sum->existed);
	stele__json_number(out, "freed", sum->freed);
	stele__json_number(out, "live", sum->live);
	stele__json_number(out, "allocated_bytes", sum->allocated_bytes);
	stele__json_number(out, "freed_bytes", sum->freed_bytes);
	stele__json_number(out, "live_bytes", sum->live_bytes);
	stele__json_number(out, "peak_bytes", sum->peak_bytes);
	stele__json_signed(out, "peak_ns", sum->peak_time);
	stele__json_number(out, "temporary", sum->temporary);
}

void stele__json_stack(FILE *out, const struct stele_report *r, uint32_t stack)
{
	size_t count, max;
	const struct stele_stack_frame *f = stele_analysis_stack(r->analysis, stack, &count);

	max = r->frames_max && r->frames_max < count ? r->frames_max : count;
	fputs(", \"stack\": [", out);
	for (size_t i = 0; i < max; i++) {
		fprintf(out, "%s{\"line\": %" PRIu64, i ? ", " : "", f[i].line);
		stele__json_member(out, "function", f[i].function);
		stele__json_member(out, "file", f[i].file);
		fputc('}', out);
	}
	fputc(']', out);
	if (max < count)
		fprintf(out, ", \"more_frames\": %zu", count - max);
}

void stele__json_place(FILE *out, const struct stele_report *r, const char *name, uint32_t stack)
{
	size_t count;
	const struct stele_stack_frame *f = stele_analysis_stack(r->analysis, stack, &count);

	fprintf(out, ", \"%s\": ", name);
	if (!count) {
		fputs("null", out);
		return;
	}
	fprintf(out, "{\"line\": %" PRIu64, f->line);
	stele__json_member(out, "function", f->function);
	stele__json_member(out, "file", f->file);
	fputc('}', out);
}

static void json_trust(FILE *out, const struct stele_report *r)
{
	const struct stele_trust *t = stele_analysis_trust(r->analysis);
	const struct stele_recording *rec = &t->recording;

	fprintf(out, ",\n\"trust\": {\"events\": %" PRIu64, t->events);
	stele__json_number(out, "generations", t->generations);
	stele__json_signed(out, "first_ns", t->first);
	stele__json_signed(out, "last_ns", t->last);
	stele__json_number(out, "ticks_per_s", t->frequency);
	stele__json_number(out, "goroutines", t->goroutines);
	stele__json_number(out, "stacks", t->stacks);
	stele__json_number(out, "frames", t->frames);
	stele__json_number(out, "frames_unnamed", t->frames_unnamed);
	stele__json_number(out, "without_stack", t->stackless);
	fprintf(out, ", \"stele\": %s", rec->present ? "true" : "false");
	if (rec->present) {
		stele__json_member(out, "program",
				   (struct stele_string){rec->program, strlen(rec->program)});
		stele__json_number(out, "pid", rec->pid);
		fprintf(out, ", \"complete\": %s, \"interrupted\": %s, \"recovered\": %s",
			rec->complete ? "true" : "false", rec->interrupted ? "true" : "false",
			rec->recovered ? "true" : "false");
		if (rec->snapshot[0])
			stele__json_member(
				out, "snapshot",
				(struct stele_string){rec->snapshot, strlen(rec->snapshot)});
		if (rec->ending_known)
			stele__json_number(out, rec->signal ? "signal" : "exit_status",
					   rec->signal ? rec->signal : rec->exit_status);
		fputs(", ", out);
		stele__verdict_json_losses(out, rec);
	}
	fputc('}', out);
}

void stele__json_begin(FILE *out, const struct stele_report *report)
{
	fputs("{\"schema\": 1, \"file\": ", out);
	stele__json_text(out, report->path);
	fprintf(out, ", \"version\": %u, ", stele_reader_version(report->reader));
	if (report->from)
		fprintf(out, "\"from_ns\": %" PRId64 ", ", report->from);
	if (report->to != INT64_MAX)
		fprintf(out, "\"to_ns\": %" PRId64 ", ", report->to);
	stele__verdict_json_diags(out, report->reader);
	json_trust(out, report);
}
