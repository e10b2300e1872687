/* SPDX-License-Identifier: MIT */
#include "cli/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/duration.h"
#include "cli/output.h"
#include "cli/verdict.h"
#include "cli/within.h"
#include "export/timechart.h"
#include "stele/version.h"

#define TOP_TEXT 10
#define TOP_HTML 200
#define TOP_MAX	 1000000

struct answer_options {
	const char *path, *html;
	bool json, strict, force;
	size_t top;	  /* 0: not given */
	int64_t from, to; /* ns from the first event */
};

/* Reads the trace to its end or to its first defect; 0 or an error of ours. */
static int answer_read(struct stele__source *source, struct stele_reader *reader,
		       struct stele_analysis *analysis, struct stele__timechart *chart)
{
	const struct stele_event *event;
	int r = 0;

	while (r >= 0 && stele__source_next(source, &event) > 0) {
		r = stele_analysis_add(analysis, reader, event);
		if (r >= 0 && chart)
			r = stele__timechart_event(chart, reader, event);
	}
	if (r >= 0 && chart)
		r = stele__timechart_finish(chart);
	return r < 0 ? r : stele_analysis_finish(analysis);
}

static ssize_t answer_write(void *output, const char *data, size_t bytes)
{
	return stele__outfile_write(output, data, bytes) < 0 ? 0 : (ssize_t)bytes;
}

static int answer_page(const struct stele__answer *answer, const struct answer_options *options,
		       const struct stele_report *report)
{
	static struct stele_output output; /* too big for the stack */
	FILE *out;
	int exit, r;

	exit = stele__outfile_open_from(options->html, options->force, options->path, &output);
	if (exit)
		return exit;
	out = fopencookie(&output, "w", (cookie_io_functions_t){.write = answer_write});
	r = out ? answer->html(out, report) : -ENOMEM;
	if (out && fclose(out) != 0 && r == 0)
		r = -EIO;
	exit = stele__outfile_close(&output);
	if (exit)
		return exit;
	if (r < 0) {
		stele__complain("%s: %s", options->html, stele_strerror(r));
		return STELE_EXIT_IO;
	}
	if (strcmp(options->html, "-") != 0)
		puts(options->html);
	return STELE_EXIT_OK;
}

static int answer_print(const struct stele__answer *answer, const struct answer_options *options,
			const struct stele_reader *reader, const struct stele_analysis *analysis,
			struct stele__timechart *chart)
{
	struct stele_report report = {
		.path = options->path,
		.analysis = analysis,
		.reader = reader,
		.top = options->top    ? options->top
		       : options->json ? SIZE_MAX
		       : options->html ? TOP_HTML
				       : TOP_TEXT,
		.from = options->from,
		.to = options->to,
		.color = stele__wants_color(STDOUT_FILENO),
		.chart = chart,
	};

	if (options->html) /* of what is no trace there is nothing to look at */
		return stele_reader_version(reader) ? answer_page(answer, options, &report)
						    : STELE_EXIT_OK;
	if (options->json)
		answer->json(stdout, &report);
	else if (stele_reader_version(reader))
		answer->text(stdout, &report);
	if (fflush(stdout) || ferror(stdout)) {
		stele__complain("standard output cannot be written");
		return STELE_EXIT_IO;
	}
	return answer->verdict && stele_reader_version(reader)
		       ? answer->verdict(answer->arg, &report)
		       : STELE_EXIT_OK;
}

static int answer_open(const struct answer_options *options, struct stele__source **ret_source,
		       struct stele_reader **ret_reader, int *ret_damage)
{
	if (!options->from && options->to == INT64_MAX)
		return stele__source_open(options->path, NULL, ret_source, ret_reader);
	return stele__within_open(options->path, options->from, options->to, ret_source, ret_reader,
				  ret_damage);
}

static int answer_run(const struct stele__answer *answer, const struct answer_options *options)
{
	struct stele_analysis *analysis = NULL;
	struct stele__timechart *chart = NULL;
	struct stele__source *source;
	struct stele_reader *reader;
	int damage = STELE_EXIT_OK, bad;
	int exit = answer_open(options, &source, &reader, &damage);
	int r;

	if (exit)
		return exit;
	r = stele_analysis_new(&analysis);
	if (r == 0 && answer->prepare)
		r = answer->prepare(answer->arg, analysis);
	if (r == 0 && options->html)
		r = stele__timechart_new(&chart);
	if (r == 0)
		r = answer_read(source, reader, analysis, chart);
	if (r < 0) {
		stele__complain("%s: %s", options->path, stele_strerror(r));
		exit = STELE_EXIT_IO;
	} else {
		exit = answer_print(answer, options, reader, analysis, chart);
		stele__verdict_complain(options->path, stele_reader_diag(reader));
		bad = stele__verdict_exit(reader, &stele_analysis_trust(analysis)->recording,
					  options->strict);
		if (bad == STELE_EXIT_OK)
			bad = damage;
		/* What is not in what could be read may be in the rest. */
		if (exit == STELE_EXIT_OK || (exit == STELE_EXIT_FINDINGS && bad))
			exit = bad;
	}
	stele__timechart_free(chart);
	stele_analysis_free(analysis);
	stele__source_close(source);
	return exit;
}

/* A number from 1 on, or "all". */
static bool answer_parse_top(const char *text, size_t *ret_top)
{
	size_t top = 0;

	if (!strcmp(text, "all")) {
		*ret_top = SIZE_MAX;
		return true;
	}
	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9' || top > TOP_MAX)
			return false;
		top = 10 * top + (size_t)(*p - '0');
	}
	*ret_top = top;
	return top > 0;
}

int stele__answer(const struct stele__answer *answer, int argc, char **argv)
{
	struct answer_options options = {.to = INT64_MAX};
	bool only_files = false;
	const char *value;
	int r;

	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];

		if (only_files || arg[0] != '-' || !arg[1]) {
			if (options.path)
				return stele__usage_error(answer->name, "one file at a time");
			options.path = arg;
		} else if (!strcmp(arg, "--help") || !strcmp(arg, "-h")) {
			answer->help();
			return STELE_EXIT_OK;
		} else if (answer->option &&
			   (r = answer->option(answer->arg, argc, argv, &i)) != 0) {
			if (r < 0)
				return -r;
		} else if (!strcmp(arg, "--json")) {
			options.json = true;
		} else if (answer->html && (!strcmp(arg, "--force") || !strcmp(arg, "-f"))) {
			options.force = true;
		} else if (answer->html &&
			   (value = stele__option_value(argc, argv, &i, "--html", NULL))) {
			if (!*value)
				return stele__usage_error(answer->name, "--html names no file");
			options.html = value;
		} else if (!strcmp(arg, "--strict")) {
			options.strict = true;
		} else if ((value = stele__option_value(argc, argv, &i, "--top", NULL))) {
			if (!answer_parse_top(value, &options.top))
				return stele__usage_error(answer->name,
							  "--top needs a number, not '%s'", value);
		} else if ((value = stele__option_value(argc, argv, &i, "--from", NULL))) {
			if (!stele__duration_parse(value, &options.from))
				return stele__usage_error(answer->name, "'%s' is no time", value);
		} else if ((value = stele__option_value(argc, argv, &i, "--to", NULL))) {
			if (!stele__duration_parse(value, &options.to))
				return stele__usage_error(answer->name, "'%s' is no time", value);
		} else if (!strcmp(arg, "--")) {
			only_files = true;
		} else {
			return stele__usage_error(answer->name, "unknown option '%s'", arg);
		}
	}
	if (!options.path)
		return stele__usage_error(answer->name, "which file?");
	if (options.html && options.json)
		return stele__usage_error(answer->name, "either --html or --json");
	if (options.to < options.from)
		return stele__usage_error(answer->name, "--to lies before --from");
	r = answer->ready ? answer->ready(answer->arg) : STELE_EXIT_OK;
	if (r)
		return r;
	return answer_run(answer, &options);
}
