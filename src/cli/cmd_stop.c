/* SPDX-License-Identifier: MIT */
/* stele stop: nothing but threads of a process is recorded from now on. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/talk.h"

static const char stop_help[] =
	"usage: stele stop PID\n"
	"\n"
	"Ends the recording of what happens in the process PID, until 'stele start PID'. The\n"
	"program goes on, and so does its 'stele record', which records nothing but threads that\n"
	"come and go; what these do meanwhile shows as running. What was recorded up to now is\n"
	"in the trace's file, complete, when this returns; with --ring it is kept, and 'stele\n"
	"snapshot' can have it.\n"
	"PID is the program's process id or that of its 'stele record'.\n"
	"\n"
	"options:\n"
	"  -h, --help  print this\n"
	"\n"
	"exit status:\n"
	"  0 done; 2 wrong usage; 5 nobody records PID, or the recorder refused\n"
	"\n"
	"examples:\n"
	"  stele stop $(pidof server)\n";

int stele__cmd_stop(int argc, char **argv)
{
	char answer[256];
	int pid, status;

	if (argc == 2 && (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help"))) {
		fputs(stop_help, stdout);
		return STELE_EXIT_OK;
	}
	if (argc != 2)
		return stele__usage_error("stop", "one process is to be named");
	if (argv[1][0] == '-')
		return stele__usage_error("stop", "there is no option '%s'", argv[1]);
	pid = stele__talk_pid(argv[1]);
	if (!pid)
		return stele__usage_error("stop", "'%s' is no process id", argv[1]);
	status = stele__talk(pid, "stop", answer, sizeof(answer));
	if (status == STELE_EXIT_OK)
		puts(answer);
	return status;
}
