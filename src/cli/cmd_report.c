/* SPDX-License-Identifier: MIT */
/* stele report: where time went, what waited for what, what memory was used for. */
#include <stdio.h>

#include "cli/answer.h"
#include "cli/cli.h"

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
	      "  --html=OUT  a page to look at in a browser: a timeline down to single events, "
	      "tables that\n"
	      "              sort and filter, flame graphs, memory over time; one file, which "
	      "needs "
	      "no\n"
	      "              network (200 threads and rows of a table, unless --top)\n"
	      "  -f, --force replace OUT if it exists\n"
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
	      "  wall        from the thread's beginning, or the trace's, to its end; the sum of:\n"
	      "  running     on a processor, as far as the recorder can see: the kernel may have\n"
	      "              taken it away meanwhile\n"
	      "  ready       could run, but did not (goroutines and fibers)\n"
	      "  waiting     blocked: for a lock, a condition, another thread, a timer\n"
	      "  in calls    in system calls\n"
	      "  median      half of all took no longer; within 1/16, as is 99 %\n\n"
	      "exit status:\n"
	      "  0 sound; 1 nothing lies between --from and --to; 2 usage; 3 not a trace, corrupt "
	      "or\n"
	      "  truncated (what came before is told all the same, the diagnostic is on stderr);\n"
	      "  4 sound but with losses (only with --strict); 5 the file cannot be read\n\n"
	      "environment:\n"
	      "  NO_COLOR    if set and not empty, titles are not bold on a terminal\n\n"
	      "examples:\n"
	      "  stele record -o xz.trace -- xz -k big.tar && stele report xz.trace\n"
	      "  stele report --json --top=3 xz.trace | jq '.waits.top[].reason'\n",
	      stdout);
}

int stele__cmd_report(int argc, char **argv)
{
	const struct stele__answer answer = {.name = "report",
					     .help = report_help,
					     .text = stele__report_text,
					     .json = stele__report_json,
					     .html = stele__report_html};

	return stele__answer(&answer, argc, argv);
}
