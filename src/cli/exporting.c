/* SPDX-License-Identifier: MIT */
#include "cli/exporting.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/duration.h"
#include "cli/number.h"
#include "cli/output.h"
#include "cli/source.h"
#include "cli/verdict.h"
#include "export/detail.h"
#include "export/export.h"
#include "export/profile.h"
#include "stele/version.h"

struct export_options {
	const char *path, *output, *to, *kind;
	bool force;
	int64_t min_ns;	     /* -1: not given */
	uint64_t max_bytes;  /* 0: not given */
	char name[PATH_MAX]; /* of the output, where none is said */
};

/* Nothing is begun of what is no trace. */
static int export_all(struct stele__export *e, struct stele__source *source,
		      struct stele_reader *reader, struct stele_recording *recording)
{
	const struct stele_event *event;
	int got = stele__source_next(source, &event), r = 0;

	if (!stele_reader_version(reader))
		return 0;
	if (e->format->file)
		r = stele__outfile_clear(e->arg);
	if (r >= 0)
		r = stele__export_start(e);
	for (; r >= 0 && got > 0; got = stele__source_next(source, &event)) {
		if (event->kind == STELE_EVENT_SYNC && stele_reader_sync(reader)->generation)
			stele_recording_add(recording, reader);
		r = e->format->event(e, reader, event);
	}
	return r < 0 ? r : e->format->finish(e);
}

/* Reads the trace before it is exported, so that it is known how much there is to be drawn. */
static int export_measure(const struct export_options *options, uint64_t max_bytes,
			  unsigned each_bytes, int64_t *ret_min)
{
	struct stele__detail detail;
	const struct stele_event *event;
	struct stele__source *source;
	struct stele_reader *reader;
	int exit = stele__source_open(options->path, NULL, &source, &reader);
	int r;

	if (exit)
		return exit;
	r = stele__detail_init(&detail);
	while (r >= 0 && stele__source_next(source, &event) > 0)
		r = stele__detail_event(&detail, reader, event);
	if (r >= 0)
		r = stele__detail_finish(&detail);
	if (r >= 0)
		*ret_min = stele__detail_min(&detail, max_bytes, each_bytes);
	else
		stele__complain("%s: %s", options->path, stele_strerror(r));
	stele__detail_done(&detail);
	stele__source_close(source);
	return r < 0 ? STELE_EXIT_IO : STELE_EXIT_OK;
}

/* How long a slice must be to be drawn by itself. */
static int export_detail(const struct export_options *options, const struct stele__format *format,
			 int64_t *ret_min)
{
	uint64_t max_bytes = options->max_bytes ? options->max_bytes : format->max_bytes;
	char text[STELE__COLUMN_TEXT], size[STELE__COLUMN_TEXT];
	int exit;

	*ret_min = options->min_ns > 0 ? options->min_ns : 0;
	if (options->min_ns >= 0 || !max_bytes || !strcmp(options->path, "-"))
		return STELE_EXIT_OK;
	exit = export_measure(options, max_bytes, format->each_bytes, ret_min);
	if (exit || !*ret_min)
		return exit;
	stele__column_bytes(max_bytes, size);
	if (*ret_min == INT64_MAX)
		stele__complain(
			"%s: more than %s, although all slices are drawn together: there is "
			"too much else (stele cut makes a shorter trace)",
			options->output, size);
	else
		stele__complain("%s: to stay at about %s, slices below %s are drawn together, and "
				"no wake-ups (--max-bytes, --min)",
				options->output, size, stele__column_time(*ret_min, text));
	return exit;
}

static int export_open(const struct export_options *options, const struct stele__format *format,
		       struct stele_output *ret_output)
{
	if (!format->binary && !strcmp(options->output, "-")) {
		stele__outfile_open_text(ret_output);
		return 0;
	}
	return stele__outfile_open_from(options->output, options->force, options->path, ret_output);
}

/* What the output does not say itself. */
static void export_complain(const struct export_options *options,
			    const struct stele_recording *recording)
{
	char text[STELE__COLUMN_TEXT];

	if (recording->lost_events)
		stele__complain("%s: %s events were lost by the recorder: counts and times are too "
				"low by them (stele info)",
				options->path, stele__column_count(recording->lost_events, text));
}

/* quiet: says nothing of where it went. */
static int export_run(const struct export_options *options, const struct stele__format *format,
		      bool quiet)
{
	static struct stele_output output; /* too big for the stack */
	struct stele__export e = {
		.format = format,
		.write = stele__outfile_write,
		.arg = &output,
		.path = options->output,
		.kind = options->kind,
	};
	struct stele_recording recording = {.present = false};
	struct stele__source *source;
	struct stele_reader *reader;
	int exit = export_detail(options, format, &e.min_ns);
	int r, closed;

	if (!exit)
		exit = stele__source_open(options->path, NULL, &source, &reader);
	if (exit)
		return exit;
	exit = export_open(options, format, &output);
	if (exit)
		goto out;
	r = export_all(&e, source, reader, &recording);
	stele__export_free(&e);
	if (r < 0 && format->file && !output.error)
		output.error = r;
	closed = stele__outfile_close_if(&output, stele_reader_version(reader) != 0);
	if (r < 0 && !closed) {
		stele__complain("%s: %s", options->path, stele_strerror(r));
		closed = STELE_EXIT_IO;
	}
	stele__verdict_complain(options->path, stele_reader_diag(reader));
	export_complain(options, &recording);
	exit = closed ? closed : stele__verdict_exit(reader, NULL, false);
	if (!closed && !quiet && stele_reader_version(reader) && strcmp(options->output, "-") != 0)
		printf("%s\n", options->output);
out:
	stele__source_close(source);
	return exit;
}

static bool export_has_kind(const struct stele__format *format, const char *name)
{
	for (const struct stele__profile_kind *kind = stele__profile_kinds; kind->name; kind++)
		if (format->profile && !strcmp(kind->name, name))
			return true;
	return false;
}

/* "xz.trace" and "sync" give "xz.trace.sync.svg". */
static int export_name(const struct stele__exporting *command, struct export_options *options)
{
	const char *kind = options->kind ? options->kind : stele__profile_kinds[0].name;

	if (!strcmp(options->path, "-"))
		return stele__usage_error(command->name, "where to? (-o)");
	if ((size_t)snprintf(options->name, sizeof(options->name), "%s.%s.%s", options->path, kind,
			     command->extension) >= sizeof(options->name))
		return stele__usage_error(command->name, "the name of FILE is too long");
	options->output = options->name;
	return STELE_EXIT_OK;
}

static int export_check(const struct stele__exporting *command, struct export_options *options)
{
	const struct stele__format *format;
	int exit;

	if (!options->to)
		return stele__usage_error(command->name, "which format? (--to)");
	format = stele__format_find(options->to);
	if (!format)
		return stele__usage_error(command->name, "there is no format '%s'", options->to);
	if (options->kind && !export_has_kind(format, options->kind))
		return stele__usage_error(command->name, "%s has no kind '%s'", options->to,
					  options->kind);
	if (!format->each_bytes && (options->min_ns >= 0 || options->max_bytes))
		return stele__usage_error(command->name, "%s draws no slices (--min, --max-bytes)",
					  options->to);
	if (!options->path)
		return stele__usage_error(command->name, "which file?");
	if (options->max_bytes && !strcmp(options->path, "-"))
		return stele__usage_error(command->name,
					  "--max-bytes reads FILE twice, which standard input "
					  "does not allow; --min does not");
	if (!options->output && !command->extension)
		return stele__usage_error(command->name, "where to? (-o)");
	if (format->file && !strcmp(options->output, "-"))
		return stele__usage_error(command->name, "%s is a file; name one (-o)",
					  format->name);
	exit = options->output ? STELE_EXIT_OK : export_name(command, options);
	return exit ? exit : export_run(options, format, !command->extension);
}

int stele__exporting(const struct stele__exporting *command, int argc, char **argv)
{
	struct export_options options = {.to = command->to, .min_ns = -1};
	bool only_files = false;
	const char *value;

	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];

		if (only_files || arg[0] != '-' || !arg[1]) {
			if (options.path)
				return stele__usage_error(command->name, "one file at a time");
			options.path = arg;
		} else if (!strcmp(arg, "--help") || !strcmp(arg, "-h")) {
			command->help();
			return STELE_EXIT_OK;
		} else if (!command->to &&
			   (value = stele__option_value(argc, argv, &i, "--to", NULL))) {
			options.to = value;
		} else if ((value = stele__option_value(argc, argv, &i, "--kind", NULL))) {
			options.kind = value;
		} else if ((value = stele__option_value(argc, argv, &i, "--output", "-o"))) {
			options.output = value;
		} else if (!command->to &&
			   (value = stele__option_value(argc, argv, &i, "--min", NULL))) {
			if (!stele__duration_parse(value, &options.min_ns))
				return stele__usage_error(command->name, "'%s' is no time", value);
		} else if (!command->to &&
			   (value = stele__option_value(argc, argv, &i, "--max-bytes", NULL))) {
			if (stele__number_bytes(value, &options.max_bytes) < 0 ||
			    !options.max_bytes)
				return stele__usage_error(command->name, "'%s' is no size", value);
		} else if (!strcmp(arg, "-f") || !strcmp(arg, "--force")) {
			options.force = true;
		} else if (!strcmp(arg, "--")) {
			only_files = true;
		} else {
			return stele__usage_error(command->name, "unknown option '%s'", arg);
		}
	}
	return export_check(command, &options);
}
