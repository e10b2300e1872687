/* SPDX-License-Identifier: MIT */
/* stele start: events of a process are recorded from now on. */
#include <getopt.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/talk.h"
#include "supervise/eventclasses.h"

static const char start_help[] =
	"usage: stele start [OPTION…] PID\n"
	"\n"
	"Begins to record what happens in the process PID, which was started by 'stele record\n"
	"--dormant' or stopped by 'stele stop', or changes what is recorded of it. Threads that\n"
	"are there are known; what they hold or wait for at this moment is not.\n"
	"PID is the program's process id or that of its 'stele record'.\n"
	"\n"
	"options:\n"
	"      --events=LIST  what to record from now on, separated by commas, of sched, lock,\n"
	"                     syscall, cpu and user (default: what 'stele record' was told; "
	"see\n"
	"                     there). Memory is recorded if it was begun with --heap, samples\n"
	"                     of the CPU at its --cpu-hz\n"
	"  -h, --help         print this\n"
	"\n"
	"exit status:\n"
	"  0 done; 2 wrong usage; 5 nobody records PID, or the recorder refused\n"
	"\n"
	"examples:\n"
	"  stele record --dormant -o server.trace ./server &\n"
	"  stele start $(pidof server); sleep 10; stele stop $(pidof server)\n"
	"  stele start --events=lock $(pidof server)\n";

int stele__cmd_start(int argc, char **argv)
{
	static const struct option names[] = {{"events", required_argument, NULL, 'e'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	char request[256], answer[256];
	const char *events = "";
	int option, pid, status;
	uint32_t ignored;

	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, ":h", names, NULL)) != -1) {
		if (option == 'h') {
			fputs(start_help, stdout);
			return STELE_EXIT_OK;
		}
		if (option != 'e')
			return stele__usage_error("start",
						  option == ':' ? "option '%s' needs a value"
								: "there is no option '%s'",
						  argv[optind - 1]);
		events = optarg;
	}
	if (optind + 1 != argc)
		return stele__usage_error("start", "one process is to be named");
	pid = stele__talk_pid(argv[optind]);
	if (!pid)
		return stele__usage_error("start", "'%s' is no process id", argv[optind]);
	if (*events && !stele__classes_parse(events, &ignored))
		return stele__usage_error("start", "--events=%s: it is one of %s", events,
					  STELE_CLASSES_TEXT);
	snprintf(request, sizeof(request), "start%s%.200s", *events ? " " : "", events);
	status = stele__talk(pid, request, answer, sizeof(answer));
	if (status == STELE_EXIT_OK)
		puts(answer);
	return status;
}
