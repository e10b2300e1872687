/* SPDX-License-Identifier: MIT */
/* stele snapshot: has a flight recorder write what it keeps. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/talk.h"
#include "stele/version.h"

static const char snapshot_help[] =
	"usage: stele snapshot [OPTION…] PID\n"
	"\n"
	"Writes what happened in the process PID just now as a trace: what its recorder, 'stele\n"
	"record --ring', keeps of it. The program is not interrupted, and recording goes on.\n"
	"PID is the program's process id or that of its 'stele record'. The trace's name is\n"
	"printed.\n"
	"\n"
	"options:\n"
	"  -o, --output=FILE  where it goes (default: the recorder's own name for it, with the\n"
	"                     next number). FILE must not exist, unless the recorder was begun\n"
	"                     with -f; it is not counted by --keep and --max-total\n"
	"  -h, --help         print this\n"
	"\n"
	"exit status:\n"
	"  0 written; 2 wrong usage; 5 nobody records PID, or the trace could not be written\n"
	"\n"
	"environment:\n"
	"  XDG_RUNTIME_DIR  where recorders can be found, in its directory stele (without it:\n"
	"                   /tmp/stele-UID)\n"
	"\n"
	"examples:\n"
	"  stele record --ring=30s ./server &\n"
	"  stele snapshot $(pidof server)\n"
	"  stele report $(stele snapshot $(pidof server))\n";

/* The recorder is in another directory. -ENAMETOOLONG, -errno. */
static int snapshot_request(const char *output, char *request, size_t bytes)
{
	char here[PATH_MAX] = "";
	int n;

	if (!output)
		return snprintf(request, bytes, "snapshot") > 0 ? 0 : -EINVAL;
	if (*output != '/' && !getcwd(here, sizeof(here)))
		return -errno;
	n = snprintf(request, bytes, "snapshot %s%s%s", here, *here ? "/" : "", output);
	return n >= 0 && (size_t)n < bytes ? 0 : -ENAMETOOLONG;
}

static int snapshot_run(int pid, const char *output)
{
	char request[2 * PATH_MAX], answer[PATH_MAX + 1024];
	int error = snapshot_request(output, request, sizeof(request)), status;

	if (error < 0) {
		stele__complain("cannot write '%s': %s", output, stele_strerror(error));
		return STELE_EXIT_IO;
	}
	status = stele__talk(pid, request, answer, sizeof(answer));
	if (status == STELE_EXIT_OK)
		puts(answer);
	return status;
}

int stele__cmd_snapshot(int argc, char **argv)
{
	static const struct option names[] = {{"output", required_argument, NULL, 'o'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	const char *output = NULL;
	int option, pid;

	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, ":o:h", names, NULL)) != -1) {
		if (option == 'h') {
			fputs(snapshot_help, stdout);
			return STELE_EXIT_OK;
		}
		if (option != 'o')
			return stele__usage_error("snapshot",
						  option == ':' ? "option '%s' needs a value"
								: "there is no option '%s'",
						  argv[optind - 1]);
		output = optarg;
	}
	if (optind + 1 != argc)
		return stele__usage_error("snapshot", "one process is to be named");
	pid = stele__talk_pid(argv[optind]);
	if (!pid)
		return stele__usage_error("snapshot", "'%s' is no process id", argv[optind]);
	if (output && !*output)
		return stele__usage_error("snapshot", "--output= names no file");
	return snapshot_run(pid, output);
}
