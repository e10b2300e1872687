/* SPDX-License-Identifier: MIT */
/* stele report: where time went, what waited for what, what memory was used for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/duration.h"
#include "cli/report.h"
#include "cli/verdict.h"
#include "cli/within.h"
#include "stele/version.h"

#define REPORT_TOP_TEXT 10
#define REPORT_TOP_MAX	1000000

struct report_options {
	const char *path;
	bool json, strict;
	size_t top;	  /* 0: not given */
	int64_t from, to; /* ns from the first event */
};

static void report_help(void)
{
	fputs("usage: stele report [OPTION…] FILE\n\n"
	      "Tells of a trace how far it can be trusted, where the time of each thread went, "
	      "what\n"
	      "was waited for and where, which system calls took long, and how long regions and\n"
	      "tasks took. Works for traces of Stele and of Go. FILE may be '-' (stdin), and may "
	      "be\n"
	      "compressed by gzip or zstd.\n\n"
	      "options:\n"
	      "  --json      one JSON object (docs/schema/report.md): whole tables, unless --top\n"
	      "  --top=N     at most N rows of each table (default: 10; all: every row)\n"
	      "  --from=T, --to=T\n"
	      "              only of the part between these moments after the first event: 1.5s, "
	      "20ms,\n"
	      "              7us, 1000ns, 2m. What was under way at its edges counts as far as it "
	      "lies\n"
	      "              inside; memory that was there before does not\n"
	      "  --strict    exit status 3 also for what Go's reader wrongly lets pass, and 4 if\n"
	      "              events were lost\n"
	      "  -h, --help  print this\n\n"
	      "columns:\n"
	      "  wall        from the first to the last that was seen of the thread; the sum of:\n"
	      "  running     on a processor, as far as the recorder can see: the kernel may have\n"
	      "              taken it away meanwhile\n"
	      "  ready       could run, but did not (goroutines and fibers)\n"
	      "  waiting     blocked: for a lock, a condition, another thread, a timer\n"
	      "  in calls    in system calls\n"
	      "  median      half of all took no longer; within 1/16, as is 99 %\n\n"
	      "exit status:\n"
	      "  0 sound; 1 nothing lies between --from and --to; 2 usage; 3 not a trace, corrupt "
	      "or truncated (what came before is told\n"
	      "  all the same, the diagnostic is on stderr); 4 sound but with losses (only with\n"
	      "  --strict); 5 the file cannot be read\n\n"
	      "environment:\n"
	      "  NO_COLOR    if set and not empty, titles are not bold on a terminal\n\n"
	      "examples:\n"
	      "  stele record -o xz.trace -- xz -k big.tar && stele report xz.trace\n"
	      "  stele report --json --top=3 xz.trace | jq '.waits.top[].reason'\n",
	      stdout);
}

/* Reads the trace to its end or to its first defect; 0 or an error of ours. */
static int report_read(struct stele__source *source, struct stele_reader *reader,
		       struct stele_analysis *analysis)
{
	const struct stele_event *event;
	int r = 0;

	while (r >= 0 && stele__source_next(source, &event) > 0)
		r = stele_analysis_add(analysis, reader, event);
	return r < 0 ? r : stele_analysis_finish(analysis);
}

static int report_print(const struct report_options *options, const struct stele_reader *reader,
			const struct stele_analysis *analysis)
{
	struct stele_report report = {
		.path = options->path,
		.analysis = analysis,
		.reader = reader,
		.top = options->top    ? options->top
		       : options->json ? SIZE_MAX
				       : REPORT_TOP_TEXT,
		.from = options->from,
		.to = options->to,
		.color = stele__wants_color(STDOUT_FILENO),
	};

	if (options->json)
		stele__report_json(stdout, &report);
	else if (stele_reader_version(reader))
		stele__report_text(stdout, &report);
	if (fflush(stdout) || ferror(stdout)) {
		stele__complain("standard output cannot be written");
		return STELE_EXIT_IO;
	}
	return STELE_EXIT_OK;
}

static int report_open(const struct report_options *options, struct stele__source **ret_source,
		       struct stele_reader **ret_reader, int *ret_damage)
{
	if (!options->from && options->to == INT64_MAX)
		return stele__source_open(options->path, NULL, ret_source, ret_reader);
	return stele__within_open(options->path, options->from, options->to, ret_source, ret_reader,
				  ret_damage);
}

static int report_run(const struct report_options *options)
{
	struct stele_analysis *analysis = NULL;
	struct stele__source *source;
	struct stele_reader *reader;
	int damage = STELE_EXIT_OK;
	int exit = report_open(options, &source, &reader, &damage);
	int r;

	if (exit)
		return exit;
	r = stele_analysis_new(&analysis);
	if (r == 0)
		r = report_read(source, reader, analysis);
	if (r < 0) {
		stele__complain("%s: %s", options->path, stele_strerror(r));
		exit = STELE_EXIT_IO;
	} else {
		exit = report_print(options, reader, analysis);
		stele__verdict_complain(options->path, stele_reader_diag(reader));
		if (exit == STELE_EXIT_OK)
			exit = stele__verdict_exit(reader,
						   &stele_analysis_trust(analysis)->recording,
						   options->strict);
		if (exit == STELE_EXIT_OK)
			exit = damage;
	}
	stele_analysis_free(analysis);
	stele__source_close(source);
	return exit;
}

/* The value of "--name=VALUE" or "--name VALUE"; NULL if it is another option. */
static const char *report_value(int argc, char **argv, int *i, const char *name)
{
	const char *arg = argv[*i];
	size_t length = strlen(name);

	if (strncmp(arg, name, length) || (arg[length] && arg[length] != '='))
		return NULL;
	return arg[length] ? arg + length + 1 : *i + 1 < argc ? argv[++*i] : "";
}

/* A number from 1 on, or "all". */
static bool report_parse_top(const char *text, size_t *ret_top)
{
	size_t top = 0;

	if (!strcmp(text, "all")) {
		*ret_top = SIZE_MAX;
		return true;
	}
	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9' || top > REPORT_TOP_MAX)
			return false;
		top = 10 * top + (size_t)(*p - '0');
	}
	*ret_top = top;
	return top > 0;
}

int stele__cmd_report(int argc, char **argv)
{
	struct report_options options = {.to = INT64_MAX};
	bool only_files = false;
	const char *value;

	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];

		if (only_files || arg[0] != '-' || !arg[1]) {
			if (options.path)
				return stele__usage_error("report", "one file at a time");
			options.path = arg;
		} else if (!strcmp(arg, "--help") || !strcmp(arg, "-h")) {
			report_help();
			return STELE_EXIT_OK;
		} else if (!strcmp(arg, "--json")) {
			options.json = true;
		} else if (!strcmp(arg, "--strict")) {
			options.strict = true;
		} else if ((value = report_value(argc, argv, &i, "--top"))) {
			if (!report_parse_top(value, &options.top))
				return stele__usage_error("report",
							  "--top needs a number, not '%s'", value);
		} else if ((value = report_value(argc, argv, &i, "--from"))) {
			if (!stele__duration_parse(value, &options.from))
				return stele__usage_error("report", "'%s' is no time", value);
		} else if ((value = report_value(argc, argv, &i, "--to"))) {
			if (!stele__duration_parse(value, &options.to))
				return stele__usage_error("report", "'%s' is no time", value);
		} else if (!strcmp(arg, "--")) {
			only_files = true;
		} else {
			return stele__usage_error("report", "unknown option '%s'", arg);
		}
	}
	if (!options.path)
		return stele__usage_error("report", "which file?");
	if (options.to < options.from)
		return stele__usage_error("report", "--to lies before --from");
	return report_run(&options);
}
