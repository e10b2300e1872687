/* SPDX-License-Identifier: MIT */
/* stele cut: a window of a trace as a trace of its own. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/duration.h"
#include "cli/input.h"
#include "cli/output.h"
#include "stele/version.h"
#include "surgery/excerpt.h"

static const char cut_help[] =
	"usage: stele cut [--from T] [--to T] [-o OUT] [-f] FILE|-\n"
	"\n"
	"Writes a window of the trace as a trace of its own, which any reader accepts.\n"
	"\n"
	"A trace consists of generations, of about a second each. Those that overlap the window "
	"are\n"
	"kept whole, so the result may begin up to a second earlier and end up to a second later\n"
	"than was asked for; what it holds is told on stderr. 'stele events --from --to' shows\n"
	"exactly a window. What earlier generations told for all that follow (modules, threads, "
	"how\n"
	"addresses are packed) is kept, too. Totals of the recorder remain those of the whole\n"
	"recording up to then.\n"
	"\n"
	"options:\n"
	"  --from T      where the window begins, after the first event: 1.5s, 20ms, 7us,\n"
	"                1000ns, 2m; without it, at the beginning\n"
	"  --to T        where it ends; without it, at the end\n"
	"  -o OUT        the file to write, created for its owner alone; without it, or\n"
	"                for -, standard output, unless that is a terminal\n"
	"  -f            overwrites OUT if it exists\n"
	"  -h, --help    prints this help\n"
	"\n"
	"exit status: 0 done; 1 nothing of the trace lies in the window, OUT is empty; 2 wrong "
	"usage,\n"
	"or OUT exists; 3 FILE is not a trace or damaged (what lies in the window before the "
	"damage\n"
	"is written); 5 reading or writing failed\n";

struct cut_options {
	const char *out;
	bool force;
	int64_t from, to;
};

static double cut_seconds(int64_t ns)
{
	return (double)ns / 1e9;
}

static int cut_tell(const struct stele_input *input, int error,
		    const struct stele_excerpt_result *result)
{
	if (error == STELE_E_NOT_TRACE || error == STELE_E_UNSUPPORTED ||
	    error == STELE_E_TRUNCATED || error == STELE_E_CORRUPT) {
		stele__complain("%s: %s at offset %" PRIu64
				"; the generations before that were used",
				input->name, stele_strerror(error), result->offset);
		return STELE_EXIT_BAD_TRACE;
	}
	if (error == -ENOMEM)
		stele__complain("%s: no memory", input->name);
	if (error < 0)
		return STELE_EXIT_IO;
	if (!result->kept) {
		stele__complain("%s: nothing lies in the window; the last of %" PRIu64
				" generations begins at %.3fs",
				input->name, result->generations, cut_seconds(result->whole));
		return STELE_EXIT_FINDINGS;
	}
	fprintf(stderr, "cut: %" PRIu64 " of %" PRIu64 " generations, from %.3fs ", result->kept,
		result->generations, cut_seconds(result->begin));
	if (result->end == INT64_MAX)
		fputs("to the end\n", stderr);
	else
		fprintf(stderr, "to %.3fs\n", cut_seconds(result->end));
	return STELE_EXIT_OK;
}

static int cut_run(const struct cut_options *options, const struct stele_input *input)
{
	static struct stele_output output; /* too big for the stack */
	const struct stele_excerpt cut = {options->from, options->to, stele__outfile_write,
					  &output};
	struct stele_excerpt_result cut_result;
	int result = stele__outfile_open(options->out, options->force, input, &output);
	int error, closed;

	if (result)
		return result;
	error = stele__excerpt(input->data, input->bytes, &cut, &cut_result);
	closed = stele__outfile_close(&output);
	return closed ? closed : cut_tell(input, error, &cut_result);
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
			return fputs(cut_help, stdout) < 0 ? STELE_EXIT_IO : STELE_EXIT_OK;
		case ':':
			return stele__usage_error("cut", "'%s' needs a value", argv[optind - 1]);
		default:
			return stele__usage_error("cut", "unknown option '%s'", argv[optind - 1]);
		}
	}
	if (optind + 1 != argc)
		return stele__usage_error("cut", "one file is needed");
	if (options->to < options->from)
		return stele__usage_error("cut", "--to lies before --from");
	return -1;
}

int stele__cmd_cut(int argc, char **argv)
{
	struct cut_options options = {.out = "-", .to = INT64_MAX};
	struct stele_input input;
	int result = cut_parse(argc, argv, &options);

	if (result >= 0)
		return result;
	result = stele__input_open_or_complain(argv[optind], &input);
	if (result)
		return result;
	result = cut_run(&options, &input);
	stele__input_close(&input);
	return result;
}
