/* SPDX-License-Identifier: MIT */
/* stele anonymize: the same trace without names, to be shown to others. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/input.h"
#include "cli/output.h"
#include "stele/version.h"
#include "surgery/anonymize.h"

#define KEEP_MAX 16

static const char anonymize_help[] =
	"usage: stele anonymize [-o OUT] [-f] [--keep=REGEX]… [--map=FILE] FILE|-\n"
	"\n"
	"Writes the trace with made-up names, so that it can be shown to others: f1, f2, … for\n"
	"functions, s1 for source files, m1 for programs and libraries, n1 for threads, regions,\n"
	"tasks, logs and everything else. The same name becomes the same one everywhere, so all\n"
	"reports are as before but for the names. Build-ids and the date are gone.\n"
	"\n"
	"What stays: times, durations, numbers of threads and processes, code and heap addresses,\n"
	"line numbers, sizes, samples of counters, and words that every program has (main, sync,\n"
	"sleep, chan receive, start_thread). Whoever has the program itself can name its code by\n"
	"the addresses.\n"
	"\n"
	"options:\n"
	"  -o OUT         the file to write, created for its owner alone; without it, or for -,\n"
	"                 standard output, unless that is a terminal\n"
	"  -f             overwrites OUT and the file of --map if they exist\n"
	"  --keep=REGEX   leaves texts as they are that match this extended regular expression;\n"
	"                 up to 16 times\n"
	"  --map=FILE     writes there what was made of what, to understand an answer: a line a\n"
	"                 name, the made-up one, a tab, the original with \\n, \\t, \\\\ escaped\n"
	"  -h, --help     prints this help\n"
	"\n"
	"exit status: 0 done; 2 wrong usage, or OUT exists; 3 FILE is not a trace or damaged "
	"(whole\n"
	"generations before the damage are written); 5 reading or writing failed\n"
	"\n"
	"example:\n"
	"  stele anonymize --keep='^(malloc|free|pthread_)' --map=names.txt -o a.trace x.trace\n";

struct anonymize {
	const char *out, *map;
	bool force;
	regex_t keep[KEEP_MAX];
	size_t keep_count;
	struct stele_output *output;
};

static bool anonymize_keep(void *arg, struct stele_string text)
{
	const struct anonymize *a = arg;
	regmatch_t whole = {.rm_so = 0, .rm_eo = (regoff_t)text.bytes};

	for (size_t i = 0; i < a->keep_count; i++) {
		regmatch_t match = whole;

		if (regexec(&a->keep[i], text.data, 1, &match, REG_STARTEND) == 0)
			return true;
	}
	return false;
}

static int anonymize_write(void *arg, const void *data, size_t bytes)
{
	const struct anonymize *a = arg;

	return stele__outfile_write(a->output, data, bytes);
}

static void map_text(struct stele_output *out, struct stele_string text)
{
	for (size_t i = 0; i < text.bytes; i++) {
		const char *escaped = text.data[i] == '\n'   ? "\\n"
				      : text.data[i] == '\t' ? "\\t"
				      : text.data[i] == '\\' ? "\\\\"
							     : NULL;

		if (escaped)
			stele__outfile_write(out, escaped, 2);
		else
			stele__outfile_write(out, text.data + i, 1);
	}
}

/* In any order. */
static int anonymize_map(const struct anonymize *a, const struct stele__aliases *aliases)
{
	static struct stele_output out; /* too big for the stack */
	const struct stele__alias *alias;
	size_t at = 0;
	int exit = stele__outfile_open(a->map, a->force, NULL, &out);

	if (exit)
		return exit;
	while ((alias = stele__keymap_each(&aliases->by_text, &at))) {
		stele__outfile_write(&out, alias->name.data, alias->name.bytes);
		stele__outfile_write(&out, "\t", 1);
		map_text(&out, alias->text);
		stele__outfile_write(&out, "\n", 1);
	}
	return stele__outfile_close(&out);
}

static int anonymize_result(const struct stele_input *input, int error,
			    const struct stele_anonymize_stats *stats)
{
	if (error == -ENOMEM)
		stele__complain("%s: no memory", input->name);
	else if (error < 0)
		stele__complain("%s: %s at offset %" PRIu64, input->name, stele_strerror(error),
				stats->offset);
	if (error == STELE_E_NOT_TRACE || error == STELE_E_UNSUPPORTED ||
	    error == STELE_E_TRUNCATED || error == STELE_E_CORRUPT)
		return STELE_EXIT_BAD_TRACE;
	return error < 0 ? STELE_EXIT_IO : STELE_EXIT_OK;
}

static int anonymize_run(struct anonymize *a, const struct stele_input *input)
{
	static struct stele_output output; /* too big for the stack */
	struct stele_anonymizer job = {.keep = anonymize_keep, .write = anonymize_write, .arg = a};
	struct stele_anonymize_stats stats;
	int exit = stele__outfile_open(a->out, a->force, input, &output), error;
	bool is_trace;

	if (exit)
		return exit;
	a->output = &output;
	stele__aliases_init(&job.aliases);
	error = stele__anonymize(input->data, input->bytes, &job, &stats);
	is_trace = error != STELE_E_NOT_TRACE && error != STELE_E_UNSUPPORTED;
	exit = stele__outfile_close_if(&output, is_trace);
	if (!exit)
		exit = anonymize_result(input, error, &stats);
	if (stats.left_out)
		stele__complain("%s: %" PRIu64 " batches of unknown experiments are left out",
				input->name, stats.left_out);
	if (a->map && is_trace && (!exit || exit == STELE_EXIT_BAD_TRACE)) {
		int mapped = anonymize_map(a, &job.aliases);

		exit = mapped ? mapped : exit;
	}
	stele__aliases_done(&job.aliases);
	return exit;
}

static int anonymize_parse_keep(struct anonymize *a, const char *text)
{
	char message[120];
	int r;

	if (a->keep_count == KEEP_MAX)
		return stele__usage_error("anonymize", "more than %d times --keep", KEEP_MAX);
	r = regcomp(&a->keep[a->keep_count], text, REG_EXTENDED);
	if (r) {
		regerror(r, &a->keep[a->keep_count], message, sizeof(message));
		return stele__usage_error("anonymize", "'%s' is no regular expression: %s", text,
					  message);
	}
	a->keep_count++;
	return -1;
}

/* Returns -1 to go on, or an exit code. */
static int anonymize_parse(int argc, char **argv, struct anonymize *a)
{
	static const struct option names[] = {{"keep", required_argument, NULL, 'k'},
					      {"map", required_argument, NULL, 'm'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	int option, exit = -1;

	opterr = 0;
	while (exit < 0 && (option = getopt_long(argc, argv, ":o:fh", names, NULL)) != -1) {
		switch (option) {
		case 'o':
			a->out = optarg;
			break;
		case 'f':
			a->force = true;
			break;
		case 'k':
			exit = anonymize_parse_keep(a, optarg);
			break;
		case 'm':
			a->map = optarg;
			break;
		case 'h':
			return fputs(anonymize_help, stdout) < 0 ? STELE_EXIT_IO : STELE_EXIT_OK;
		case ':':
			return stele__usage_error("anonymize", "'%s' needs a value",
						  argv[optind - 1]);
		default:
			return stele__usage_error("anonymize", "unknown option '%s'",
						  argv[optind - 1]);
		}
	}
	if (exit < 0 && optind + 1 != argc)
		return stele__usage_error("anonymize", "one file is needed");
	return exit;
}

int stele__cmd_anonymize(int argc, char **argv)
{
	struct anonymize a = {.out = "-"};
	struct stele_input input;
	int exit = anonymize_parse(argc, argv, &a);

	if (exit < 0) {
		exit = stele__input_open_or_complain(argv[optind], &input);
		if (!exit) {
			exit = anonymize_run(&a, &input);
			stele__input_close(&input);
		}
	}
	for (size_t i = 0; i < a.keep_count; i++)
		regfree(&a.keep[i]);
	return exit;
}
