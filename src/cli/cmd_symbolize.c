/* SPDX-License-Identifier: MIT */
/* stele symbolize: the same trace with names for its code, found by build-id. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/input.h"
#include "cli/output.h"
#include "stele/version.h"
#include "supervise/afterwards.h"
#include "surgery/rename.h"

#define DIRECTORIES_MAX 32
#define INLINED_MAX	16
#define WORST_MAX	5

static const char symbolize_help[] =
	"usage: stele symbolize [-o OUT] [-f] [--debug-dir DIR]… FILE|-\n"
	"\n"
	"Writes the trace with better names for its code: functions, files, lines and inlined\n"
	"calls, where it has module+0xOFFSET or a name without a line. All else is as it was.\n"
	"\n"
	"A module's names are taken from files with its build-id alone: the file that was loaded,\n"
	"if it is at its path and the same; its debugging information in /usr/lib/debug or in the\n"
	"directories that are given; and, if DEBUGINFOD_URLS is set, from those servers.\n"
	"Nothing is needed of the machine where the trace was recorded. Files without a build-id\n"
	"are left alone, since nothing tells whether they are the ones that were loaded.\n"
	"\n"
	"options:\n"
	"  -o OUT           the file to write, created for its owner alone; without it, or\n"
	"                   for -, standard output, unless that is a terminal\n"
	"  -f               overwrites OUT if it exists\n"
	"  --debug-dir DIR  looks for DIR/.build-id/ab/cdef….debug, and for the module's path\n"
	"                   below DIR; up to 32 times\n"
	"  -h, --help       prints this help\n"
	"\n"
	"environment:\n"
	"  DEBUGINFOD_URLS  servers to ask, separated by spaces (see debuginfod(8)); without it\n"
	"                   none is asked\n"
	"\n"
	"exit status: 0 done, whether names were found or not; 2 wrong usage, or OUT exists; 3 "
	"FILE\n"
	"is not a trace or damaged (what lies before the damage is written); 5 reading or writing\n"
	"failed\n";

struct symbolize {
	const char *out;
	bool force;
	const char *directories[DIRECTORIES_MAX];
	size_t directory_count;
	struct stele_afterwards *names;
	struct stele_output *output;
	bool no_memory;
};

static void symbolize_module(void *arg, const struct stele_data_item *item)
{
	struct symbolize *s = arg;
	const struct stele_string *id = &item->text[0], *path = &item->text[1];
	struct stele_module *module;

	if (item->value[0] || id->bytes > sizeof(module->build_id) || path->bytes > UINT16_MAX)
		return;
	module = calloc(1, sizeof(*module) + path->bytes);
	if (!module) {
		s->no_memory = true;
		return;
	}
	module->start = item->value[2];
	module->end = item->value[3];
	module->bias = item->value[4];
	module->build_id_bytes = (uint32_t)id->bytes;
	module->path_bytes = (uint32_t)path->bytes;
	if (id->bytes)
		memcpy(module->build_id, id->data, id->bytes);
	if (path->bytes)
		memcpy(module + 1, path->data, path->bytes);
	s->no_memory |= !stele__afterwards_add(s->names, module);
	free(module);
}

static size_t symbolize_rename(void *arg, const struct stele_old_frame *frame,
			       struct stele_new_frame *ret_frames, size_t max)
{
	struct symbolize *s = arg;
	const struct stele_afterwards_frame asked = {
		.function = frame->function.data,
		.function_bytes = frame->function.bytes,
		.file = frame->file.data,
		.file_bytes = frame->file.bytes,
		.pc = frame->pc,
		.line = frame->line,
	};
	struct stele_frame found[INLINED_MAX];
	size_t count = stele__afterwards_rename(s->names, &asked, found,
						max < INLINED_MAX ? max : INLINED_MAX);

	for (size_t i = 0; i < count; i++)
		ret_frames[i] =
			(struct stele_new_frame){found[i].function, found[i].file, found[i].line};
	return count;
}

static int symbolize_write(void *arg, const void *data, size_t bytes)
{
	struct symbolize *s = arg;

	return stele__outfile_write(s->output, data, bytes);
}

/* What was named, what was not, and what to do about it. */
static void symbolize_tell(const struct symbolize *s, const struct stele_rename_stats *stats)
{
	size_t count = stele__afterwards_count(s->names), lacking = 0;

	if (!count) {
		fprintf(stderr,
			"symbolize: the trace has no module map (only Stele's traces have): "
			"it was copied as it is\n");
		return;
	}
	fprintf(stderr, "symbolize: %" PRIu64 " of %" PRIu64 " frames have better names now\n",
		stats->renamed, stats->frames);
	for (size_t i = 0; i < count; i++) {
		struct stele_afterwards_module m = stele__afterwards_module(s->names, i);

		if (!m.unnamed || lacking++ >= WORST_MAX)
			continue;
		fprintf(stderr, "symbolize: %s: %s\n", m.path,
			m.found ? "some code has no name or no line"
				: "no debugging information with its build-id was found");
	}
	if (lacking > WORST_MAX)
		fprintf(stderr, "symbolize: and %zu more modules\n", lacking - WORST_MAX);
	if (lacking && !getenv("DEBUGINFOD_URLS"))
		fprintf(stderr, "symbolize: give --debug-dir, or set DEBUGINFOD_URLS to your "
				"distribution's server (see debuginfod(8))\n");
}

static int symbolize_result(const struct stele_input *input, int error,
			    const struct stele_rename_stats *stats)
{
	if (error == STELE_E_NOT_TRACE || error == STELE_E_UNSUPPORTED ||
	    error == STELE_E_TRUNCATED || error == STELE_E_CORRUPT) {
		stele__complain("%s: %s at offset %" PRIu64, input->name, stele_strerror(error),
				stats->offset);
		return STELE_EXIT_BAD_TRACE;
	}
	if (error == -ENOMEM)
		stele__complain("%s: no memory", input->name);
	return error < 0 ? STELE_EXIT_IO : STELE_EXIT_OK;
}

static int symbolize_run(struct symbolize *s, const struct stele_input *input)
{
	const struct stele_renamer renamer = {symbolize_module, symbolize_rename, symbolize_write,
					      s};
	const struct stele_binary_places places = {.directories = s->directories,
						   .directory_count = s->directory_count,
						   .servers = getenv("DEBUGINFOD_URLS") != NULL,
						   .elsewhere = true};
	struct stele_rename_stats stats;
	struct stele_output output;
	int result = stele__outfile_open(s->out, s->force, input, &output), closed, error;

	if (result)
		return result;
	s->output = &output;
	s->names = stele__afterwards_new(&places);
	error = s->names ? stele__rename(input->data, input->bytes, &renamer, &stats) : -ENOMEM;
	if (!error && s->no_memory)
		error = -ENOMEM;
	closed = stele__outfile_close_if(&output, error != STELE_E_NOT_TRACE &&
							  error != STELE_E_UNSUPPORTED);
	if (!error && !closed)
		symbolize_tell(s, &stats);
	stele__afterwards_free(s->names);
	return closed ? closed : symbolize_result(input, error, &stats);
}

/* Returns -1 to go on, or an exit code. */
static int symbolize_parse(int argc, char **argv, struct symbolize *s)
{
	static const struct option names[] = {
		{"debug-dir", required_argument, NULL, 'd'}, {"help", no_argument, NULL, 'h'}, {0}};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":o:fh", names, NULL)) != -1) {
		switch (option) {
		case 'o':
			s->out = optarg;
			break;
		case 'f':
			s->force = true;
			break;
		case 'd':
			if (s->directory_count == DIRECTORIES_MAX)
				return stele__usage_error("symbolize", "more than %d directories",
							  DIRECTORIES_MAX);
			s->directories[s->directory_count++] = optarg;
			break;
		case 'h':
			return fputs(symbolize_help, stdout) < 0 ? STELE_EXIT_IO : STELE_EXIT_OK;
		case ':':
			return stele__usage_error("symbolize", "'%s' needs a value",
						  argv[optind - 1]);
		default:
			return stele__usage_error("symbolize", "unknown option '%s'",
						  argv[optind - 1]);
		}
	}
	if (optind + 1 != argc)
		return stele__usage_error("symbolize", "one file is needed");
	return -1;
}

int stele__cmd_symbolize(int argc, char **argv)
{
	struct symbolize s = {.out = "-"};
	struct stele_input input;
	int result = symbolize_parse(argc, argv, &s);

	if (result >= 0)
		return result;
	result = stele__input_open_or_complain(argv[optind], &input);
	if (result)
		return result;
	result = symbolize_run(&s, &input);
	stele__input_close(&input);
	return result;
}
