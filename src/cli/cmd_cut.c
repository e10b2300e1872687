/* SPDX-License-Identifier: MIT */
/* stele cut: a window of a trace as a trace of its own. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/duration.h"
#include "cli/verdict.h"
#include "cli/within.h"
#include "stele/version.h"

static void cut_help(void)
{
	fputs("usage: stele cut [--from T] [--to T] [-o OUT] [-f] FILE|-\n\n"
	      "Writes a window of the trace as a trace of its own, which any reader accepts: the\n"
	      "events that 'stele events --from --to' shows, at their times. In front of them "
	      "stands\n"
	      "what they build on, the state of each goroutine and proc, a collection or sweep "
	      "that\n"
	      "is under way. Tables hold only what these events use. What earlier generations "
	      "told\n"
	      "for all that follow (modules, threads, how addresses are packed) is kept. FILE may "
	      "be\n"
	      "'-' (stdin), and may be compressed by gzip or zstd.\n\n"
	      "Objects and stacks of memory that were there before the window are not told again: "
	      "it\n"
	      "shows them being freed only. Nor are tasks and regions, of which it shows the end. "
	      "The\n"
	      "end of a stop-the-world whose begin lies before the window is left out. Losses and\n"
	      "totals of the recorder are those of the generations that the window touches, of "
	      "about\n"
	      "a second each.\n\n"
	      "options:\n"
	      "  --from T      where the window begins, after the first event: 1.5s, 20ms, 7us,\n"
	      "                1000ns, 2m; without it, at the beginning\n"
	      "  --to T        where it ends; without it, at the end\n"
	      "  -o OUT        the file to write, created for its owner alone; without it, or\n"
	      "                for -, standard output, unless that is a terminal\n"
	      "  -f            overwrites OUT if it exists\n"
	      "  -h, --help    prints this help\n\n"
	      "exit status: 0 done; 1 nothing of the trace lies in the window, OUT is empty; 2 "
	      "wrong\n"
	      "usage, or OUT exists; 3 FILE is not a trace or damaged (what lies in the window "
	      "before\n"
	      "the damage is written); 5 reading or writing failed\n\n"
	      "examples:\n"
	      "  stele cut --from 1.2s --to 1.3s -o part.trace big.trace\n"
	      "  stele cut --to 1s big.trace | stele export --to=perfetto -o part.pftrace -\n",
	      stdout);
}

struct cut_options {
	const char *path, *out;
	bool force;
	int64_t from, to;
};

static double cut_seconds(int64_t ns)
{
	return (double)ns / 1e9;
}

static int cut_tell(const char *path, const struct stele__excerpt_result *result)
{
	if (!result->events) {
		stele__complain("%s: nothing lies in the window; the trace ends at %.6fs", path,
				cut_seconds(result->last));
		return STELE_EXIT_FINDINGS;
	}
	fprintf(stderr,
		"cut: %" PRIu64 " events from %.6fs to %.6fs; %" PRIu64
		" tell what stands before them\n",
		result->events, cut_seconds(result->begin), cut_seconds(result->end),
		result->standing);
	return STELE_EXIT_OK;
}

static int cut_run(const struct cut_options *options)
{
	static struct stele_output output; /* too big for the stack */
	struct stele__excerpt_result result;
	const struct stele_diag *diag;
	struct stele__source *source;
	struct stele_reader *reader;
	int exit = stele__source_open(options->path, NULL, &source, &reader);
	int r, closed;

	if (exit)
		return exit;
	exit = stele__outfile_open_from(options->out, options->force, options->path, &output);
	if (exit)
		goto out;
	r = stele__within_cut(source, reader, options->from, options->to, &output, &result);
	closed = stele__outfile_close_if(&output, stele_reader_version(reader) != 0);
	diag = stele_reader_diag(reader);
	if (r < 0 && !closed)
		stele__complain("%s: %s", options->path, stele_strerror(r));
	stele__verdict_complain(options->path, diag);
	if (closed || r < 0)
		exit = closed ? closed : STELE_EXIT_IO;
	else if (diag)
		exit = stele__verdict_exit(reader, NULL, false);
	else
		exit = cut_tell(options->path, &result);
out:
	stele__source_close(source);
	return exit;
}

/* Returns -1 to go on, or an exit code. */
static int cut_parse(int argc, char **argv, struct cut_options *options)
{
	static const struct option names[] = {{"from", required_argument, NULL, 'F'},
					      {"to", required_argument, NULL, 'T'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":o:fh", names, NULL)) != -1) {
		switch (option) {
		case 'o':
			options->out = optarg;
			break;
		case 'f':
			options->force = true;
			break;
		case 'F':
		case 'T':
			if (!stele__duration_parse(optarg,
						   option == 'F' ? &options->from : &options->to))
				return stele__usage_error("cut", "'%s' is no time", optarg);
			break;
		case 'h':
			cut_help();
			return STELE_EXIT_OK;
		case ':':
			return stele__usage_error("cut", "'%s' needs a value", argv[optind - 1]);
		default:
			return stele__usage_error("cut", "unknown option '%s'", argv[optind - 1]);
		}
	}
	if (optind + 1 != argc)
		return stele__usage_error("cut", "one file is needed");
	options->path = argv[optind];
	if (options->to < options->from)
		return stele__usage_error("cut", "--to lies before --from");
	return -1;
}

int stele__cmd_cut(int argc, char **argv)
{
	struct cut_options options = {.out = "-", .to = INT64_MAX};
	int result = cut_parse(argc, argv, &options);

	return result >= 0 ? result : cut_run(&options);
}
