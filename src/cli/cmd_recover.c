/* SPDX-License-Identifier: MIT */
/* stele recover: its command line. What it does is supervise/recover.h. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"
#include "supervise/recover.h"
#include "supervise/summary.h"

static const char recover_help[] =
	"usage: stele recover [OPTION…] ARENA\n"
	"\n"
	"Completes the trace of a recording whose stele was killed. It must have been made with\n"
	"'stele record --arena=ARENA': then all that was recorded is either in the trace or still\n"
	"in ARENA, and the trace that comes out is what it would have been, but for how the\n"
	"program ended, which nobody has seen. After a crash of the machine, too, as far as the\n"
	"system had written both files.\n"
	"\n"
	"ARENA is only read. Remove it when you are content with the trace. If the program goes\n"
	"on, what it has done until now is recovered. The build of stele must be the one that\n"
	"recorded.\n"
	"\n"
	"options:\n"
	"  -o, --output=FILE  where the whole trace goes (default: the unfinished trace is\n"
	"                     completed where it is)\n"
	"  -f, --force        replace FILE if it exists\n"
	"  -t, --trace=TRACE  the unfinished trace, if it is not where it was when it was "
	"recorded\n"
	"  -q, --quiet        print errors and warnings only\n"
	"  -v, --verbose      print details, too\n"
	"  -h, --help         print this\n"
	"\n"
	"exit status:\n"
	"  0 done; 2 wrong usage; 3 ARENA or the trace is not what it should be, or they do not\n"
	"  belong together; 5 its recorder still lives, or reading or writing failed\n"
	"\n"
	"examples:\n"
	"  stele record --arena=/var/tmp/server.arena -o server.trace ./server\n"
	"  stele recover /var/tmp/server.arena            # after 'kill -9' of that stele\n"
	"  stele recover /var/tmp/server.arena -o whole.trace\n";

struct recover_command {
	struct stele_recover_options options;
	bool quiet, verbose;
};

static void recover_say(void *arg, enum stele_say level, const char *sentence)
{
	const struct recover_command *command = arg;

	if (level != STELE_SAY_DETAIL || command->verbose)
		stele__complain("%s", sentence);
}

static int recover_run(struct recover_command *command)
{
	struct stele_summary_style style = {stele__wants_color(STDERR_FILENO), command->verbose};
	struct stele_session_result result;
	int error = stele__recover(&command->options, &result);

	if (error == 0) {
		if (!command->quiet)
			stele__summary_print(stderr, &result, &style);
		return STELE_EXIT_OK;
	}
	return error == STELE_E_CORRUPT || error == STELE_E_MISMATCH || error == STELE_E_UNSUPPORTED
		       ? STELE_EXIT_BAD_TRACE
		       : STELE_EXIT_IO;
}

/* Returns -1 to go on, or an exit code. */
static int recover_parse(int argc, char **argv, struct recover_command *command)
{
	static const struct option names[] = {{"output", required_argument, NULL, 'o'},
					      {"force", no_argument, NULL, 'f'},
					      {"trace", required_argument, NULL, 't'},
					      {"quiet", no_argument, NULL, 'q'},
					      {"verbose", no_argument, NULL, 'v'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":o:ft:qvh", names, NULL)) != -1) {
		switch (option) {
		case 'o':
			command->options.output = optarg;
			break;
		case 'f':
			command->options.force = true;
			break;
		case 't':
			command->options.trace = optarg;
			break;
		case 'q':
			command->quiet = true;
			break;
		case 'v':
			command->verbose = true;
			break;
		case 'h':
			fputs(recover_help, stdout);
			return STELE_EXIT_OK;
		case ':':
			return stele__usage_error("recover", "'%s' needs a value",
						  argv[optind - 1]);
		default:
			return stele__usage_error("recover", "unknown option '%s'",
						  argv[optind - 1]);
		}
	}
	if (optind + 1 != argc)
		return stele__usage_error("recover", "one arena is needed");
	command->options.arena = argv[optind];
	return -1;
}

int stele__cmd_recover(int argc, char **argv)
{
	struct recover_command command = {.options = {.say = recover_say, .arg = &command}};
	int result = recover_parse(argc, argv, &command);

	return result >= 0 ? result : recover_run(&command);
}
