/* SPDX-License-Identifier: MIT */
/* stele check: is this a sound trace, and what does it hold? */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/source.h"
#include "cli/verdict.h"
#include "stele/version.h"

struct check_options {
	bool strict, json, quiet;
	bool many; /* several files: their names are printed */
};

static void check_help(void)
{
	fputs("usage: stele check [--strict] [--json] [-q] FILE…\n\n"
	      "Reads each trace as a whole and says whether it is sound: every byte decodes, "
	      "every\n"
	      "event is lawful after those before it. Prints 'ok' with counts, or what is wrong,\n"
	      "where, and what could be read in front of it. FILE may be '-' (stdin), and may be\n"
	      "compressed by gzip or zstd.\n\n"
	      "  --strict    refuse what Go's reader wrongly lets pass, too (exit status 3)\n"
	      "  --json      one JSON object a file, on one line\n"
	      "  -q          no output, only the exit status\n\n"
	      "exit status: 0 sound, 2 usage, 3 not a trace, corrupt or truncated, 4 sound but "
	      "with\n"
	      "losses (only with --strict), 5 the file cannot be read; of several, the greatest\n",
	      stdout);
}

static void check_print(const char *path, const struct check_options *options,
			const struct stele_reader *reader, const struct stele_counts *counts,
			const struct stele_recording *recording)
{
	const struct stele_diag *diag = stele_reader_diag(reader);

	if (options->json) {
		printf("{\"schema\": 1, \"file\": ");
		stele__json_text(stdout, path);
		fputs(", ", stdout);
		stele__verdict_json_diags(stdout, reader);
		fputs(", ", stdout);
		stele__verdict_json_counts(stdout, counts);
		if (recording->present) {
			fputs(", ", stdout);
			stele__verdict_json_losses(stdout, recording);
		}
		puts("}");
		return;
	}
	for (size_t i = 0; i < stele_reader_warning_count(reader); i++) {
		if (options->many)
			printf("%s: ", path);
		fputs("warning: ", stdout);
		stele__verdict_print_diag(stdout, stele_reader_warning(reader, i));
		fputc('\n', stdout);
	}
	if (options->many)
		printf("%s: ", path);
	fputs(stele__verdict_word(diag), stdout);
	if (diag) {
		fputs(": ", stdout);
		stele__verdict_print_diag(stdout, diag);
		if (options->many)
			printf("\n%s: ", path);
		else
			fputc('\n', stdout);
		fputs("read before that:", stdout);
	}
	stele__verdict_print_counts(stdout, counts);
	fputc('\n', stdout);
	if (!options->many)
		stele__verdict_print_losses(stdout, recording);
	else if (recording->lost_events)
		printf("%s: lost %" PRIu64 " events\n", path, recording->lost_events);
}

static int check_file(const char *path, const struct check_options *options)
{
	struct stele_recording recording = {0};
	struct stele_counter *counter = NULL;
	const struct stele_event *event;
	struct stele__source *source;
	struct stele_reader *reader;
	int exit = stele__source_open(path, NULL, &source, &reader);
	int r;

	if (exit)
		return exit;
	r = stele_counter_new(&counter);
	while (r >= 0 && stele__source_next(source, &event) > 0) {
		if (event->kind == STELE_EVENT_SYNC)
			stele_recording_add(&recording, reader);
		r = stele_counter_add(counter, reader, event);
	}
	if (r < 0) {
		stele__complain("%s: %s", path, stele_strerror(r));
		exit = STELE_EXIT_IO;
	} else {
		if (!options->quiet)
			check_print(path, options, reader, stele_counter_get(counter), &recording);
		exit = stele__verdict_exit(reader, &recording, options->strict);
	}
	stele_counter_free(counter);
	stele__source_close(source);
	return exit;
}

int stele__cmd_check(int argc, char **argv)
{
	struct check_options options = {0};
	int i, worst = STELE_EXIT_OK;

	for (i = 1; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			check_help();
			return STELE_EXIT_OK;
		}
		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		if (!strcmp(argv[i], "--strict"))
			options.strict = true;
		else if (!strcmp(argv[i], "--json"))
			options.json = true;
		else if (!strcmp(argv[i], "-q") || !strcmp(argv[i], "--quiet"))
			options.quiet = true;
		else
			return stele__usage_error("check", "unknown option '%s'", argv[i]);
	}
	if (i == argc)
		return stele__usage_error("check", "which file?");
	options.many = argc - i > 1;
	for (; i < argc; i++) {
		int exit = check_file(argv[i], &options);

		if (exit > worst)
			worst = exit;
	}
	return worst;
}
