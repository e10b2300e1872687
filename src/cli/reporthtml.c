/* SPDX-License-Identifier: MIT */
/*
 * A report as one page: the template (page.html) with the two JSON reports and the flame graphs in
 * it. Nothing is fetched from anywhere.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"
#include "cli/verdict.h"
#include "export/export.h"
#include "export/flame.h"
#include "export/timechart.h"

static const char page[] = {
#include "cli/page.html.h"
};

/* So that the page stays below 5 MB, whatever the trace holds. */
#define BOXES_MAX  1500
#define FRAMES_MAX 24

static const char page_mark[] = "/*@DATA@*/null";

/* A '<' could end the script that the data stand in; in JSON it occurs in strings only. */
static void html_write(FILE *out, const char *json, size_t bytes)
{
	while (bytes) {
		const char *less = memchr(json, '<', bytes);
		size_t run = less ? (size_t)(less - json) : bytes;

		fwrite(json, 1, run, out);
		if (less)
			fputs("\\u003c", out);
		json += run + (less != NULL);
		bytes -= run + (less != NULL);
	}
}

static int html_json(FILE *out, const struct stele_report *report,
		     void (*print)(FILE *out, const struct stele_report *report))
{
	size_t bytes = 0;
	char *text = NULL;
	FILE *memory = open_memstream(&text, &bytes);

	if (!memory)
		return -ENOMEM;
	print(memory, report);
	if (fclose(memory) == 0)
		html_write(out, text, bytes);
	free(text);
	return text ? 0 : -ENOMEM;
}

static int html_string(FILE *out, struct stele_string string)
{
	size_t bytes = 0;
	char *text = NULL;
	FILE *memory = open_memstream(&text, &bytes);

	if (!memory)
		return -ENOMEM;
	stele__json_string(memory, string.data, string.bytes);
	if (fclose(memory) == 0)
		html_write(out, text, bytes);
	free(text);
	return text ? 0 : -ENOMEM;
}

static int html_take(void *arg, const void *data, size_t bytes)
{
	return fwrite(data, 1, bytes, arg) == bytes ? 0 : -ENOMEM;
}

static int html_any(void *arg, const struct stele__profile_row *row)
{
	uint64_t *sum = arg;

	for (unsigned i = 0; i < STELE__PROFILE_VALUES; i++)
		*sum |= row->values[i];
	return 0;
}

/* As a string of JSON. */
static int html_flame(FILE *out, const struct stele_analysis *analysis,
		      const struct stele__profile_kind *kind)
{
	size_t bytes = 0;
	char *text = NULL;
	FILE *memory = open_memstream(&text, &bytes);
	struct stele__export sink = {.write = html_take, .arg = memory};
	struct stele__textsink picture = {.e = &sink};
	int r;

	if (!memory)
		return -ENOMEM;
	r = stele__flame_write(analysis, kind, BOXES_MAX, &picture);
	if (fclose(memory) != 0 && r == 0)
		r = -ENOMEM;
	if (r == 0)
		r = html_string(out, (struct stele_string){text, bytes});
	free(text);
	return r;
}

static int html_filter(void *arg, const void *data, size_t bytes)
{
	html_write(arg, data, bytes);
	return 0;
}

static int html_timeline(FILE *out, const struct stele_report *report)
{
	struct stele__export sink = {.write = html_filter, .arg = out};
	struct stele__textsink json = {.e = &sink};

	return stele__timechart_write(report->chart, report->top, &json);
}

static int html_flames(FILE *out, const struct stele_analysis *analysis)
{
	const char *comma = "";
	int r = 0;

	for (const struct stele__profile_kind *kind = stele__profile_kinds; kind->name && r == 0;
	     kind++) {
		uint64_t sum = 0;

		stele__profile_each(analysis, kind, false, html_any, &sum);
		if (!sum)
			continue;
		fprintf(out, "%s\"%s\": ", comma, kind->name);
		r = html_flame(out, analysis, kind);
		comma = ",\n";
	}
	return r;
}

int stele__report_html(FILE *out, const struct stele_report *whole)
{
	struct stele_report short_one = *whole;
	const struct stele_report *report = &short_one;
	const char *mark = memmem(page, sizeof(page), page_mark, sizeof(page_mark) - 1);
	const char *rest = mark + sizeof(page_mark) - 1;
	int r;

	short_one.frames_max = FRAMES_MAX;
	fwrite(page, 1, (size_t)(mark - page), out);
	fputs("{report: ", out);
	r = html_json(out, report, stele__report_json);
	fputs(", heap: ", out);
	if (r == 0)
		r = html_json(out, report, stele__heap_json);
	fputs(", timeline: ", out);
	if (r == 0)
		r = html_timeline(out, report);
	fputs(", flames: {", out);
	if (r == 0)
		r = html_flames(out, report->analysis);
	fputs("}}", out);
	fwrite(rest, 1, sizeof(page) - (size_t)(rest - page), out);
	return r < 0 ? r : ferror(out) ? -EIO : 0;
}
