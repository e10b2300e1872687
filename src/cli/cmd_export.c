/* SPDX-License-Identifier: MIT */
/* stele export: a trace in the format of another tool. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/exporting.h"
#include "export/export.h"
#include "export/profile.h"

static void export_help(void)
{
	fputs("usage: stele export --to=FORMAT [OPTION…] -o OUT FILE\n\n"
	      "Writes a trace in the format of another tool. FILE may be '-' (stdin), and may be\n"
	      "compressed by gzip or zstd.\n\n"
	      "options:\n"
	      "  --to=FORMAT      one of the formats below\n"
	      "  --kind=KIND      what the stacks of flame, folded and pprof are of\n"
	      "  --min=TIME       chrome, perfetto: slices below it (2us, 1ms) are drawn together, "
	      "and\n"
	      "                   wake-ups are not drawn; 0ns draws all\n"
	      "  --max-bytes=SIZE chrome, perfetto: choose --min so that OUT has about so many "
	      "bytes at\n"
	      "                   most (64M, 1G; FILE is read twice); chrome: 512M unless said\n"
	      "  -o, --output=OUT where it goes; '-' is standard output\n"
	      "  -f, --force      replace OUT if it exists\n"
	      "  -h, --help       print this\n\n"
	      "formats:\n",
	      stdout);
	for (size_t i = 0; stele__formats[i]; i++)
		printf("  %-10s %s\n", stele__formats[i]->name, stele__formats[i]->summary);
	fputs("\nkinds, of flame, folded and pprof:\n", stdout);
	for (const struct stele__profile_kind *kind = stele__profile_kinds; kind->name; kind++)
		printf("  %-10s %s\n", kind->name, kind->summary);
	fputs("\nTimes are ns of what had ended before the trace did. In pprof, as in Go's own\n"
	      "profiles, what goroutines did before they first ran is left out.\n\n"
	      "exit status:\n"
	      "  0 done; 2 usage; 3 the trace is corrupt or truncated (what came before is in "
	      "OUT);\n"
	      "  5 a file cannot be read or written\n\n"
	      "examples:\n"
	      "  stele export --to=perfetto -o xz.pftrace xz.trace\n"
	      "  stele export --to=folded --kind=syscall -o - xz.trace | flamegraph.pl >xz.svg\n"
	      "  stele export --to=pprof --kind=heap -o h.pb.gz h.trace && go tool pprof "
	      "-http=: "
	      "h.pb.gz\n",
	      stdout);
}

int stele__cmd_export(int argc, char **argv)
{
	const struct stele__exporting command = {.name = "export", .help = export_help};

	return stele__exporting(&command, argc, argv);
}
