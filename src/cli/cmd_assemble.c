/* SPDX-License-Identifier: MIT */
/* stele assemble: text to binary, entry by entry. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/input.h"
#include "cli/output.h"
#include "format/archive.h"
#include "format/textform.h"

static const char assemble_help[] =
	"usage: stele assemble [-o OUT] [-f] [--sizes] [--section NAME] FILE|-\n"
	"\n"
	"Makes a trace from the text that 'stele raw' prints. The entries are written as the text\n"
	"has them and nothing is checked, so that broken traces can be made for tests.\n"
	"FILE is the text, - is standard input. An archive of sections '-- NAME --', as the\n"
	"tests of Go are, is recognised by itself; its section 'trace' is used.\n"
	"\n"
	"options:\n"
	"  -o OUT          the file to write, created for its owner alone; without it, or\n"
	"                  for -, standard output, unless that is a terminal\n"
	"  -f              overwrites OUT if it exists\n"
	"  --sizes         computes the size of every batch; without it only of those EventBatch\n"
	"                  lines that have no size=\n"
	"  --section NAME  uses another section of an archive\n"
	"  -h, --help      prints this help\n"
	"\n"
	"the text: a first line 'Trace Go1.NN' (22, 23, 25 or 26), then one entry a line, as in\n"
	"  GoStart dt=5 g=1 g_seq=2\n"
	"with all arguments in their order, in decimal. A Stack is followed by its frames, one a\n"
	"line; a String or ExperimentalBatch by data=\"...\", quoted as in Go. Comments begin with "
	"#\n"
	"and have lines of their own. 24/10 is 24 written in 10 bytes.\n"
	"\n"
	"exit status: 0 done; 2 wrong usage, or OUT exists; 3 the text has an error (entries "
	"before\n"
	"it are written, and its line is told); 5 reading or writing failed\n";

struct assemble_options {
	const char *out;
	const char *section; /* NULL: the trace of an archive, or the whole text */
	bool force;
	bool sizes;
};

/* The part of the input that is the text. Returns 0 or an exit code. */
static int assemble_find(const struct stele_input *input, const struct assemble_options *options,
			 struct stele_section *ret_section)
{
	const char *name = options->section ? options->section : "trace";
	int found = stele__archive_find(input->data, input->bytes, name, ret_section);

	if (found == -ENOENT || (found == 0 && options->section)) {
		stele__complain("%s: there is no section '%s'", input->name, name);
		return STELE_EXIT_BAD_TRACE;
	}
	if (found == 0)
		*ret_section = (struct stele_section){input->data, input->bytes, 1};
	return 0;
}

static int assemble_write(struct stele_text *t, struct stele_output *output)
{
	uint8_t header[STELE_HEADER_BYTES];
	struct stele_text_out out;
	int result;

	stele__text_out_init(&out, stele__outfile_write, output);
	stele__header_put(header, t->version);
	stele__text_out_bytes(&out, header, sizeof(header));
	do
		result = stele__text_next(t, &out);
	while (result > 0);
	if (stele__text_out_flush(&out))
		return 0; /* told when the output is closed */
	return result;
}

static int assemble_complain(const struct stele_input *input, const struct stele_text *t)
{
	stele__complain("%s:%" PRIu64 ": %s", input->name, t->line, t->message);
	return STELE_EXIT_BAD_TRACE;
}

static int assemble_run(const struct stele_input *input, const struct assemble_options *options)
{
	struct stele_section section;
	struct stele_output output;
	struct stele_text t;
	int result = assemble_find(input, options, &section), closed;

	if (result)
		return result;
	if (stele__text_begin(&t, section.text, section.bytes, section.line, options->sizes))
		return assemble_complain(input, &t);
	result = stele__outfile_open(options->out, options->force, input, &output);
	if (result)
		return result;
	if (assemble_write(&t, &output) < 0)
		result = assemble_complain(input, &t);
	closed = stele__outfile_close(&output);
	return closed ? closed : result;
}

/* Returns -1 to go on, or an exit code. */
static int assemble_parse(int argc, char **argv, struct assemble_options *options)
{
	static const struct option names[] = {{"sizes", no_argument, NULL, 's'},
					      {"section", required_argument, NULL, 'S'},
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
		case 's':
			options->sizes = true;
			break;
		case 'S':
			options->section = optarg;
			break;
		case 'h':
			return fputs(assemble_help, stdout) < 0 ? STELE_EXIT_IO : STELE_EXIT_OK;
		case ':':
			return stele__usage_error("assemble", "'%s' needs a value",
						  argv[optind - 1]);
		default:
			return stele__usage_error("assemble", "unknown option '%s'",
						  argv[optind - 1]);
		}
	}
	if (optind + 1 != argc)
		return stele__usage_error("assemble", "one file is needed");
	return -1;
}

int stele__cmd_assemble(int argc, char **argv)
{
	struct assemble_options options = {.out = "-"};
	struct stele_input input;
	int result = assemble_parse(argc, argv, &options);

	if (result >= 0)
		return result;
	result = stele__input_open_or_complain(argv[optind], &input);
	if (result)
		return result;
	result = assemble_run(&input, &options);
	stele__input_close(&input);
	return result;
}
