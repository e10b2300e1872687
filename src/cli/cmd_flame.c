/* SPDX-License-Identifier: MIT */
/* stele flame: a flame graph, by default beside the trace. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/exporting.h"
#include "export/profile.h"

static void flame_help(void)
{
	fputs("usage: stele flame [OPTION…] FILE\n\n"
	      "Draws where time or memory went, as a flame graph: one box for each function on "
	      "each\n"
	      "path, as wide as its share, callers above. The SVG opens in any browser, from a "
	      "file,\n"
	      "without a network; a click makes a box as wide as the picture, Escape shows all "
	      "again,\n"
	      "'/' looks for functions by a pattern. FILE may be '-' (stdin), and may be "
	      "compressed "
	      "by\n"
	      "gzip or zstd.\n\n"
	      "options:\n"
	      "  --kind=KIND      what the graph is of, see below\n"
	      "  -o, --output=OUT where it goes; '-' is standard output (default: FILE.KIND.svg)\n"
	      "  -f, --force      replace OUT if it exists\n"
	      "  -h, --help       print this\n\n"
	      "kinds:\n",
	      stdout);
	for (const struct stele__profile_kind *kind = stele__profile_kinds; kind->name; kind++)
		printf("  %-10s %s\n", kind->name, kind->summary);
	fputs("\nexit status:\n"
	      "  0 done; 2 usage; 3 the trace is corrupt or truncated (what came before is in "
	      "OUT);\n"
	      "  5 a file cannot be read or written\n\n"
	      "examples:\n"
	      "  stele record -o xz.trace -- xz -T2 -k big.tar && stele flame xz.trace\n"
	      "  stele flame --kind=peak -o heap.svg heap.trace\n",
	      stdout);
}

int stele__cmd_flame(int argc, char **argv)
{
	const struct stele__exporting command = {
		.name = "flame", .help = flame_help, .to = "flame", .extension = "svg"};

	return stele__exporting(&command, argc, argv);
}
