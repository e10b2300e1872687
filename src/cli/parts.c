/* SPDX-License-Identifier: MIT */
#include "cli/parts.h"

#include <inttypes.h>
#include <string.h>

#include "cli/columns.h"
#include "cli/verdict.h"

#define FRAMES	      4
#define FRAMES_INDENT 10

void stele__part_title(FILE *out, const struct stele_report *r, const char *title)
{
	fprintf(out, "\n%s%s%s", r->color ? "\033[1m" : "", title, r->color ? "\033[0m" : "");
}

void stele__part_time(FILE *out, int64_t ns)
{
	char text[STELE__COLUMN_TEXT];

	stele__column_right(out, stele__column_time(ns, text), 10);
}

void stele__part_count(FILE *out, uint64_t count, unsigned width)
{
	char text[STELE__COLUMN_TEXT];

	stele__column_right(out, stele__column_count(count, text), width);
}

void stele__part_bytes(FILE *out, uint64_t bytes)
{
	char text[STELE__COLUMN_TEXT];

	stele__column_right(out, stele__column_bytes(bytes, text), 11);
}

double stele__percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

void stele__part_more(FILE *out, size_t count, size_t top)
{
	char text[STELE__COLUMN_TEXT];

	if (count > top)
		fprintf(out, "  and %s more (--top)\n", stele__column_count(count - top, text));
}

void stele__part_frames(FILE *out, const struct stele_report *r, uint32_t stack)
{
	size_t count;
	const struct stele_stack_frame *f = stele_analysis_stack(r->analysis, stack, &count);

	for (size_t i = 0; i < count && i < FRAMES; i++) {
		struct stele_string file = f[i].file;
		const char *slash = file.bytes ? memrchr(file.data, '/', file.bytes) : NULL;
		unsigned columns;

		if (slash)
			file = (struct stele_string){slash + 1,
						     file.bytes - (size_t)(slash + 1 - file.data)};
		fprintf(out, "%*s", FRAMES_INDENT, "");
		columns = stele__column_name(out, f[i].function, 55);
		if (file.bytes && f[i].line) {
			stele__column_pad(out, 56 - columns);
			stele__column_name(out, file, 25);
			fprintf(out, ":%" PRIu64, f[i].line);
		}
		fputc('\n', out);
	}
	if (count > FRAMES)
		fprintf(out, "%*s(%zu more)\n", FRAMES_INDENT, "", count - FRAMES);
}

/* The trust banner --------------------------------------------------------------------------- */

static void part_lost(FILE *out, const struct stele_recording *rec)
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

/* A merged trace has no modules, by which names could be looked up. */
static void part_remedy(FILE *out, const char *path, const struct stele_recording *rec)
{
	if (!rec->merged)
		fprintf(out, "            to name them: stele symbolize -o named.trace %s\n", path);
	else if (!rec->snapshot[0])
		fputs("            to name them: stele symbolize -o named.trace TRACE, of each one "
		      "before 'stele merge'\n",
		      out);
	else
		fputs("            the recorder would name them, if debugging information were "
		      "installed\n",
		      out);
}

/* As it is now: what the recorder counted was before stele symbolize. */
static void part_stacks(FILE *out, const struct stele_trust *trust, const char *path)
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
			stele__percent(total[STELE_TOTAL_STACKS_CUT], total[STELE_TOTAL_STACKS]));
	fprintf(out, "%.1f %% of the code addresses without a name\n",
		stele__percent(unnamed, frames));
	if (trust->recording.present && stele__percent(unnamed, frames) > UNNAMED_MANY_PERCENT)
		part_remedy(out, path, &trust->recording);
	if (trust->stackless)
		fprintf(out, "            %" PRIu64 " waits and system calls have no stack\n",
			trust->stackless);
}

static void part_recording(FILE *out, const struct stele_recording *rec)
{
	char text[STELE__COLUMN_TEXT];

	part_lost(out, rec);
	if (rec->total[STELE_TOTAL_WAITED_COUNT]) {
		fprintf(out, "  disturbed threads waited %s times for the recorder, ",
			stele__column_count(rec->total[STELE_TOTAL_WAITED_COUNT], text));
		fprintf(out, "%s in all\n",
			stele__column_time((int64_t)rec->total[STELE_TOTAL_WAITED_NS], text));
	}
	if (rec->total[STELE_TOTAL_CHILDREN])
		fprintf(out, "  children  %" PRIu64 " not recorded\n",
			rec->total[STELE_TOTAL_CHILDREN]);
	if (rec->snapshot[0])
		fprintf(out, "  snapshot  %s\n", rec->snapshot);
	fputs("  ended     ", out);
	if (rec->recovered)
		fputs("unknown: the recorder was killed; what it left was recovered\n", out);
	else if (rec->interrupted)
		fputs("recording was stopped before the program ended\n", out);
	else if (!rec->complete && rec->snapshot[0])
		fputs("not yet: this is a snapshot\n", out);
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
static void part_window(FILE *out, const struct stele_report *r)
{
	fprintf(out, "\n  window    from %.6fs ", (double)r->from / 1e9);
	if (r->to == INT64_MAX)
		fputs("to the end", out);
	else
		fprintf(out, "to %.6fs", (double)r->to / 1e9);
	fputs(" of it; losses are those of the seconds around", out);
}

void stele__part_trust(FILE *out, const struct stele_report *r)
{
	const struct stele_trust *trust = stele_analysis_trust(r->analysis);
	const struct stele_recording *rec = &trust->recording;
	const struct stele_diag *diag = stele_reader_diag(r->reader);
	char events[STELE__COLUMN_TEXT], time[STELE__COLUMN_TEXT];
	struct stele_string program = {rec->program, strlen(rec->program)};

	fputs("trace       ", out);
	stele__column_name(out, (struct stele_string){r->path, strlen(r->path)}, 80);
	if (r->from || r->to != INT64_MAX)
		part_window(out, r);
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
		part_recording(out, rec);
	part_stacks(out, trust, r->path);
	if (diag)
		fprintf(out, "  BROKEN    %s: only what came before is in this report\n",
			stele__verdict_word(diag));
}
