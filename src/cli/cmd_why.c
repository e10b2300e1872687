/* SPDX-License-Identifier: MIT */
/* stele why: why one thing took as long as it did. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/columns.h"

#define WHY_SLOWEST	5
#define WHY_SLOWEST_MAX 10000
#define WHY_NAMES	8 /* that are there, in a message */

struct why_command {
	struct stele_why_query query;
	unsigned asked; /* how many things */
};

static void why_help(void)
{
	fputs("usage: stele why [OPTION…] --region=NAME | --request[=CONNECTION] FILE\n"
	      "       stele why [OPTION…] --task=ID | --thread=TID | --goroutine=ID FILE\n\n"
	      "Says where the time of each went, to the last nanosecond: running, ready but not\n"
	      "running, system calls, sleep, and locks: which one, who had it, from which line to "
	      "which;\n"
	      "and what that thread did meanwhile, also if it had to wait itself. Works for traces "
	      "of\n"
	      "Stele and of Go; in those of Go, who woke whom stands in for who had a lock. FILE "
	      "may\n"
	      "be '-' (stdin), and may be compressed by gzip or zstd.\n\n"
	      "of what (one of them):\n"
	      "  --region=NAME   regions of this name: stele_region_begin(), "
	      "runtime/trace.WithRegion\n"
	      "  --request       from when a thread reads of a connection until it has written\n"
	      "                  to it: what a server does for a client, as it is. Connections\n"
	      "                  that it has made itself are none\n"
	      "  --request=TEXT  the same, of connections in whose name this is: a port, a path\n"
	      "  --task=ID       regions of the task with this id\n"
	      "  --thread=TID    the thread with this id, as long as it lived\n"
	      "  --goroutine=ID  the goroutine or fiber with this id\n\n"
	      "options:\n"
	      "  --slowest=N  tell of the N slowest one by one (default: 5; 0: only of all "
	      "together)\n"
	      "  --top=N      at most N rows of each (default: 10, and none below 0.05 %; all: "
	      "every row)\n"
	      "  --json       one JSON object (docs/schema/why.md), with every row\n"
	      "  --from=T, --to=T\n"
	      "               only of the part between these moments after the first event: 1.5s, "
	      "20ms,\n"
	      "               7us, 1000ns, 2m\n"
	      "  --strict     exit status 3 also for what Go's reader wrongly lets pass, and 4 if\n"
	      "               events were lost\n"
	      "  -h, --help   print this\n\n"
	      "exit status:\n"
	      "  0 told; 1 there is none of these in the trace, or nothing between --from and "
	      "--to;\n"
	      "  2 usage; 3 not a trace, corrupt or truncated (what came before is told all the "
	      "same);\n"
	      "  4 sound but with losses (only with --strict); 5 the file cannot be read\n\n"
	      "examples:\n"
	      "  stele record -o app.trace -- ./app && stele why --region=request app.trace\n"
	      "  stele why --request=:5432 --slowest=1 all.trace    (of a server that is as it is; "
	      "of\n"
	      "      one with several processes: 'stele merge' first)\n"
	      "  stele why --json --region=request app.trace | jq '.slowest[0].rows[0]'\n",
	      stdout);
}

static bool why_number(const char *text, uint64_t *ret_value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	*ret_value = strtoull(text, &end, 10);
	return !*end;
}

/* 0: it is none of ours; 1: taken; negative: an exit status. */
static int why_of(struct why_command *command, const char *value, enum stele_why_of of,
		  const char *option)
{
	if (!value)
		return 0;
	command->query.of = of;
	command->asked++;
	if (of == STELE_WHY_REGION || of == STELE_WHY_REQUEST)
		command->query.region = (struct stele_string){value, strlen(value)};
	else if (!why_number(value, &command->query.id))
		return -stele__usage_error("why", "%s needs a number, not '%s'", option, value);
	return 1;
}

static int why_option(void *arg, int argc, char **argv, int *at)
{
	static const struct {
		const char *name;
		enum stele_why_of of;
	} options[] = {
		{"--region", STELE_WHY_REGION},
		{"--task", STELE_WHY_TASK},
		{"--goroutine", STELE_WHY_GOROUTINE},
		{"--thread", STELE_WHY_THREAD},
	};
	struct why_command *command = arg;
	const char *value = stele__option_value(argc, argv, at, "--slowest", NULL);
	uint64_t slowest;

	if (value) {
		if (!why_number(value, &slowest) || slowest > WHY_SLOWEST_MAX)
			return -stele__usage_error("why", "--slowest needs a number, not '%s'",
						   value);
		command->query.slowest = (size_t)slowest;
		return 1;
	}
	if (!strcmp(argv[*at], "--request"))
		return why_of(command, "", STELE_WHY_REQUEST, NULL);
	if (!strncmp(argv[*at], "--request=", 10))
		return why_of(command, argv[*at] + 10, STELE_WHY_REQUEST, NULL);
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(options); i++) {
		int r;

		value = stele__option_value(argc, argv, at, options[i].name, NULL);
		r = why_of(command, value, options[i].of, options[i].name);
		if (r)
			return r;
	}
	return 0;
}

static int why_ready(void *arg)
{
	const struct why_command *command = arg;

	if (command->asked == 1)
		return STELE_EXIT_OK;
	return stele__usage_error(
		"why", command->asked
			       ? "one thing at a time"
			       : "of what? --region=NAME, --request, --task=ID, --thread=TID or "
				 "--goroutine=ID");
}

static int why_prepare(void *arg, struct stele_analysis *analysis)
{
	const struct why_command *command = arg;

	return stele_analysis_ask_why(analysis, &command->query);
}

/* The names of regions that the trace has. */
static void why_regions(const struct stele_report *report)
{
	size_t count;
	const struct stele_site *const *sites =
		stele_analysis_sites(report->analysis, STELE_SITES_REGION, &count);

	if (!count) {
		fputs("there are no regions in this trace: mark them with stele_region_begin() and "
		      "stele_region_end()\n",
		      stderr);
		return;
	}
	fputs("it has", stderr);
	for (size_t i = 0; i < count && i < WHY_NAMES; i++) {
		fputs(i ? ", '" : " '", stderr);
		stele__column_name(stderr, sites[i]->name, 40);
		fputc('\'', stderr);
	}
	fputs(count > WHY_NAMES ? ", …\n" : "\n", stderr);
}

static int why_verdict(void *arg, const struct stele_report *report)
{
	const struct stele_why_query *query = &((const struct why_command *)arg)->query;

	if (stele_analysis_why(report->analysis)->count)
		return STELE_EXIT_OK;
	if (query->of == STELE_WHY_REGION) {
		stele__complain("%s: no region '%s' began in it", report->path, query->region.data);
		why_regions(report);
	} else if (query->of == STELE_WHY_REQUEST) {
		stele__complain("%s: nothing was read of a connection%s%s in it; 'stele report' "
				"lists the files that calls were for",
				report->path, query->region.bytes ? " with " : "",
				query->region.data);
	} else if (query->of == STELE_WHY_TASK) {
		stele__complain("%s: no region of task %" PRIu64
				" began in it; 'stele events' shows those that did",
				report->path, query->id);
	} else {
		stele__complain("%s: no %s %" PRIu64 " in it; 'stele report' lists those there are",
				report->path,
				query->of == STELE_WHY_THREAD ? "thread" : "goroutine", query->id);
	}
	return STELE_EXIT_FINDINGS;
}

int stele__cmd_why(int argc, char **argv)
{
	struct why_command command = {.query = {.slowest = WHY_SLOWEST}};
	const struct stele__answer answer = {.name = "why",
					     .arg = &command,
					     .help = why_help,
					     .text = stele__why_text,
					     .json = stele__why_json,
					     .option = why_option,
					     .ready = why_ready,
					     .prepare = why_prepare,
					     .verdict = why_verdict};

	return stele__answer(&answer, argc, argv);
}
