/* SPDX-License-Identifier: MIT */
#include "cli/verdict.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/utf.h"
#include "cli/cli.h"

const char *stele__verdict_word(const struct stele_diag *diag)
{
	switch (diag ? diag->code : 0) {
	case 0:
		return "ok";
	case STELE_E_TRUNCATED:
		return "truncated";
	case STELE_E_UNSUPPORTED:
		return "unsupported";
	case STELE_E_NOT_TRACE:
		return "not a trace";
	case STELE_E_CORRUPT:
	case STELE_E_LIMIT:
		return "corrupt";
	default:
		return "unreadable";
	}
}

int stele__verdict_exit(const struct stele_reader *reader, const struct stele_recording *recording,
			bool strict)
{
	const struct stele_diag *diag = stele_reader_diag(reader);

	if (diag)
		return diag->code > -4096 ? STELE_EXIT_IO : STELE_EXIT_BAD_TRACE;
	if (strict && stele_reader_warning_count(reader))
		return STELE_EXIT_BAD_TRACE;
	if (strict && recording && recording->lost_events)
		return STELE_EXIT_LOSSES;
	return STELE_EXIT_OK;
}

void stele__verdict_complain(const char *path, const struct stele_diag *diag)
{
	if (!diag)
		return;
	fprintf(stderr, "stele: %s: %s: ", path, stele__verdict_word(diag));
	stele__verdict_print_diag(stderr, diag);
	fputc('\n', stderr);
}

void stele__verdict_print_losses(FILE *out, const struct stele_recording *recording)
{
	if (!recording->lost_events)
		return;
	fprintf(out, "lost          %" PRIu64 " events\n", recording->lost_events);
	for (unsigned i = 0; i < STELE_LOSS_CAUSE_MAX; i++)
		for (unsigned k = 0; k < STELE_LOSS_CLASS_MAX; k++)
			if (recording->lost[i][k])
				fprintf(out, "  %s, %s events %" PRIu64 "\n",
					stele_loss_cause_name(i) ? stele_loss_cause_name(i) : "?",
					stele_loss_class_name(k) ? stele_loss_class_name(k) : "?",
					recording->lost[i][k]);
	for (unsigned i = 0; i < STELE_SKIPPED_MAX; i++)
		if (recording->skipped[i])
			fprintf(out, "  skipped %s %" PRIu64 "\n", stele_skipped_name(i),
				recording->skipped[i]);
}

void stele__verdict_json_losses(FILE *out, const struct stele_recording *recording)
{
	const char *comma = "";

	fprintf(out, "\"lost\": {\"events\": %" PRIu64 ", \"causes\": [", recording->lost_events);
	for (unsigned i = 0; i < STELE_LOSS_CAUSE_MAX; i++) {
		for (unsigned k = 0; k < STELE_LOSS_CLASS_MAX; k++) {
			if (!recording->lost[i][k])
				continue;
			fprintf(out,
				"%s{\"cause\": \"%s\", \"class\": \"%s\", \"events\": %" PRIu64 "}",
				comma, stele_loss_cause_name(i) ? stele_loss_cause_name(i) : "?",
				stele_loss_class_name(k) ? stele_loss_class_name(k) : "?",
				recording->lost[i][k]);
			comma = ", ";
		}
	}
	comma = "";
	fputs("], \"skipped\": {", out);
	for (unsigned i = 0; i < STELE_SKIPPED_MAX; i++) {
		if (!recording->skipped[i])
			continue;
		fprintf(out, "%s\"%s\": %" PRIu64, comma, stele_skipped_name(i),
			recording->skipped[i]);
		comma = ", ";
	}
	comma = "";
	fputs("}, \"totals\": {", out);
	for (unsigned i = 1; i < STELE_DATA_TOTALS_MAX; i++) {
		if (!stele_data_total_name(i))
			continue;
		fprintf(out, "%s\"%s\": %" PRIu64, comma, stele_data_total_name(i),
			recording->total[i]);
		comma = ", ";
	}
	fputs("}}", out);
}

void stele__verdict_print_diag(FILE *out, const struct stele_diag *diag)
{
	fprintf(out, "offset %" PRIu64, diag->offset);
	if (diag->generation)
		fprintf(out, ", generation %" PRIu64, diag->generation);
	if (diag->thread != STELE_NO_ID)
		fprintf(out, ", thread %" PRIu64, diag->thread);
	fprintf(out, ", after %" PRIu64 " events: %s", diag->event, diag->text);
}

#define VERDICT_FIELDS(X)                                                                          \
	X(events)                                                                                  \
	X(goroutines)                                                                              \
	X(procs)                                                                                   \
	X(threads)                                                                                 \
	X(ranges) X(tasks) X(regions) X(logs) X(metrics) X(stacks) X(cpu_samples) X(experimental)

void stele__verdict_print_counts(FILE *out, const struct stele_counts *counts)
{
#define X(field) fprintf(out, " " #field "=%" PRIu64, counts->field);
	VERDICT_FIELDS(X)
#undef X
	fprintf(out, " gens=%" PRIu64 " syncs=%" PRIu64 " first=%" PRId64 " last=%" PRId64,
		counts->generations, counts->syncs, counts->first, counts->last);
}

void stele__verdict_json_counts(FILE *out, const struct stele_counts *counts)
{
	fputs("\"counts\": {", out);
#define X(field) fprintf(out, "\"" #field "\": %" PRIu64 ", ", counts->field);
	VERDICT_FIELDS(X)
#undef X
	fprintf(out,
		"\"generations\": %" PRIu64 ", \"syncs\": %" PRIu64 ", \"first_ns\": %" PRId64
		", \"last_ns\": %" PRId64 "}",
		counts->generations, counts->syncs, counts->first, counts->last);
}

static void verdict_json_diag(FILE *out, const struct stele_diag *diag)
{
	fprintf(out, "{\"severity\": \"%s\", \"code\": %d, \"offset\": %" PRIu64,
		diag->severity == STELE_WARNING ? "warning" : "fatal", diag->code, diag->offset);
	if (diag->generation)
		fprintf(out, ", \"generation\": %" PRIu64, diag->generation);
	if (diag->thread != STELE_NO_ID)
		fprintf(out, ", \"thread\": %" PRIu64, diag->thread);
	fprintf(out, ", \"event\": %" PRIu64 ", \"text\": ", diag->event);
	stele__json_text(out, diag->text);
	fputc('}', out);
}

void stele__verdict_json_diags(FILE *out, const struct stele_reader *reader)
{
	const struct stele_diag *diag = stele_reader_diag(reader);
	size_t count = stele_reader_warning_count(reader);

	fputs("\"verdict\": ", out);
	stele__json_text(out, stele__verdict_word(diag));
	fputs(", \"diagnostics\": [", out);
	for (size_t i = 0; i < count; i++) {
		verdict_json_diag(out, stele_reader_warning(reader, i));
		if (diag || i + 1 < count)
			fputs(", ", out);
	}
	if (diag)
		verdict_json_diag(out, diag);
	fputc(']', out);
}

void stele__json_string(FILE *out, const char *data, size_t bytes)
{
	const uint8_t *p = (const uint8_t *)data;

	fputc('"', out);
	for (size_t i = 0; i < bytes;) {
		size_t n = stele__utf_length(p + i, bytes - i);

		if (n == 0) {
			fputs("\\ufffd", out);
			n = 1;
		} else if (p[i] == '"' || p[i] == '\\') {
			fputc('\\', out);
			fputc(p[i], out);
		} else if (p[i] < 0x20) {
			fprintf(out, "\\u%04x", p[i]);
		} else {
			fwrite(p + i, 1, n, out);
		}
		i += n;
	}
	fputc('"', out);
}

void stele__json_text(FILE *out, const char *text)
{
	stele__json_string(out, text, strlen(text));
}
