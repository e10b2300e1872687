/* SPDX-License-Identifier: MIT */
/* stele heap: what memory was used for, and whether that can be believed. */
#include <stdio.h>

#include "cli/answer.h"
#include "cli/cli.h"

static void heap_help(void)
{
	fputs("usage: stele heap [OPTION…] FILE\n\n"
	      "Tells of a trace with allocations (stele record --heap; Go: "
	      "GODEBUG=traceallocfree=1)\n"
	      "what is alive at its end and what was at the peak, where that was allocated, which\n"
	      "spans it lies in and how full they are, how large stacks became and whose they "
	      "are,\n"
	      "and which allocs and frees do not come in pairs, and why. FILE may be '-' (stdin), "
	      "and\n"
	      "may be compressed by gzip or zstd.\n\n"
	      "options:\n"
	      "  --json      one JSON object (docs/schema/heap.md): whole tables, unless --top\n"
	      "  --top=N     at most N rows of each table (default: 10; all: every row)\n"
	      "  --from=T, --to=T\n"
	      "              only of the part between these moments after the first event: 1.5s, "
	      "20ms,\n"
	      "              7us, 1000ns, 2m. What was allocated before is not known there\n"
	      "  --strict    exit status 3 also for what Go's reader wrongly lets pass, and 4 if\n"
	      "              events were lost\n"
	      "  -h, --help  print this\n\n"
	      "columns:\n"
	      "  at peak     of this row when the most bytes of all objects were alive\n"
	      "  alive       at the end of the trace: a leak, a cache, or still in use\n"
	      "  peak        the most that was alive at one moment, of this row\n"
	      "  temporary   freed by the thread that had allocated it before it allocated "
	      "anything\n"
	      "              else: these allocations are the easiest to save (C programs)\n"
	      "  occupied    how much of the spans is objects that are alive\n"
	      "  high        the largest stack that its owner has had\n\n"
	      "exit status:\n"
	      "  0 sound; 1 nothing lies between --from and --to; 2 usage; 3 not a trace, corrupt "
	      "or\n"
	      "  truncated (what came before is told all the same, the diagnostic is on stderr);\n"
	      "  4 sound but with losses (only with --strict); 5 the file cannot be read. Broken "
	      "pairs\n"
	      "  do not change it\n\n"
	      "environment:\n"
	      "  NO_COLOR    if set and not empty, titles are not bold on a terminal\n\n"
	      "examples:\n"
	      "  stele record --heap -o sort.trace -- sort big.txt && stele heap sort.trace\n"
	      "  stele heap --json sort.trace | jq '.broken[] | [.family, .cause, .count]'\n",
	      stdout);
}

int stele__cmd_heap(int argc, char **argv)
{
	const struct stele__answer answer = {.name = "heap",
					     .help = heap_help,
					     .text = stele__heap_text,
					     .json = stele__heap_json};

	return stele__answer(&answer, argc, argv);
}
