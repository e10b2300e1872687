/* SPDX-License-Identifier: MIT */
/* stele events: one line an event, in order. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/aside.h"
#include "cli/cli.h"
#include "cli/duration.h"
#include "cli/listing.h"
#include "cli/source.h"
#include "cli/verdict.h"
#include "stele/version.h"

struct events_options {
	enum stele__listing_format format;
	uint32_t frames_max;
	int64_t from, to;	    /* ns from the first event */
	uint64_t thread, goroutine; /* STELE_NO_ID: any */
	unsigned kind;		    /* 0: any */
	bool strict, follow;
	const char *path;
};

static void events_help(void)
{
	fputs("usage: stele events [OPTION…] FILE\n\n"
	      "Prints one line an event, in order: seconds since the first event, thread (m),\n"
	      "proc (p) and goroutine (g) before the event, its kind, what it says, and the\n"
	      "innermost frame of its stack. FILE may be '-' (stdin), and may be compressed.\n\n"
	      "  --json              a JSON object a line, after one that tells schema and "
	      "version\n"
	      "  --format=reference  the format in which readers are compared\n"
	      "  --frames=N          print N frames of a stack (1; 0: none; all)\n"
	      "  --from=T, --to=T    only from, or up to, this long after the first event:\n"
	      "                      1.5s, 20ms, 7us, 1000ns\n"
	      "  --thread=ID         only what happened on this thread\n"
	      "  --goroutine=ID      only what happened in, or to, this goroutine\n"
	      "  --kind=NAME         only this kind: StateTransition, Log, …\n"
	      "  --follow            wait for more of a file that is still being recorded, until "
	      "the\n"
	      "                      recording ends, or ^C. What is printed is a second or two "
	      "late:\n"
	      "                      events are put in order a generation at a time\n"
	      "  --strict            exit status 3 also for what Go's reader wrongly lets pass\n\n"
	      "exit status: 0 sound, 2 usage, 3 not a trace, corrupt or truncated (after the\n"
	      "events in front of the defect; the message is on stderr), 5 cannot be read\n",
	      stdout);
}

static bool events_parse_id(const char *text, uint64_t *ret_id)
{
	char *end;

	errno = 0;
	*ret_id = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno;
}

static bool events_parse_kind(const char *text, unsigned *ret_kind)
{
	for (unsigned kind = 1; kind < STELE__EVENT_COUNT; kind++) {
		if (strcmp(text, stele_event_kind_name(kind)) == 0) {
			*ret_kind = kind;
			return true;
		}
	}
	return false;
}

static bool events_parse_frames(const char *text, uint32_t *ret_frames)
{
	uint64_t n;

	if (strcmp(text, "all") == 0) {
		*ret_frames = UINT32_MAX;
		return true;
	}
	if (!events_parse_id(text, &n) || n > UINT32_MAX)
		return false;
	*ret_frames = (uint32_t)n;
	return true;
}

/* The value of "--name=value", or NULL if this is another option. */
static const char *events_value(const char *arg, const char *name)
{
	size_t n = strlen(name);

	return strncmp(arg, name, n) == 0 && arg[n] == '=' ? arg + n + 1 : NULL;
}

static bool events_option(const char *arg, struct events_options *o)
{
	const char *v;

	if (strcmp(arg, "--json") == 0) {
		o->format = STELE__LISTING_JSON;
		return true;
	}
	if (strcmp(arg, "--strict") == 0)
		return o->strict = true;
	if (strcmp(arg, "--follow") == 0)
		return o->follow = true;
	if ((v = events_value(arg, "--format")) != NULL) {
		o->format = STELE__LISTING_REFERENCE;
		return strcmp(v, "reference") == 0;
	}
	if ((v = events_value(arg, "--frames")) != NULL)
		return events_parse_frames(v, &o->frames_max);
	if ((v = events_value(arg, "--from")) != NULL)
		return stele__duration_parse(v, &o->from);
	if ((v = events_value(arg, "--to")) != NULL)
		return stele__duration_parse(v, &o->to);
	if ((v = events_value(arg, "--thread")) != NULL)
		return events_parse_id(v, &o->thread);
	if ((v = events_value(arg, "--goroutine")) != NULL)
		return events_parse_id(v, &o->goroutine);
	if ((v = events_value(arg, "--kind")) != NULL)
		return events_parse_kind(v, &o->kind);
	return false;
}

static bool events_wanted(const struct events_options *o, const struct stele_event *event,
			  int64_t since)
{
	if (since < o->from || (o->kind && event->kind != o->kind))
		return false;
	if (o->thread != STELE_NO_ID && event->thread != o->thread)
		return false;
	return o->goroutine == STELE_NO_ID || event->goroutine == o->goroutine ||
	       (event->resource == STELE_RESOURCE_GOROUTINE && event->resource_id == o->goroutine);
}

static void events_print_all(struct stele__source *source, struct stele_reader *reader,
			     const struct events_options *o, struct stele__printer *printer)
{
	static struct stele__aside aside;
	struct stele__listing listing = {o->format, o->frames_max, 0, reader, printer, &aside};
	const struct stele_event *event;
	bool first = true;

	while (!printer->error && stele__source_next(source, &event) > 0) {
		int64_t since;

		if (first) {
			listing.origin = event->time;
			if (o->format == STELE__LISTING_JSON) {
				stele__print(printer, "{\"schema\": 1, \"version\": ");
				stele__print_u64(printer, stele_reader_version(reader));
				stele__print(printer, "}\n");
			}
		}
		first = false;
		if (stele__aside_of(&aside, reader, event) < 0)
			break;
		since = (int64_t)((uint64_t)event->time - (uint64_t)listing.origin);
		if (since > o->to)
			break;
		if (o->follow && event->kind == STELE_EVENT_SYNC)
			stele__printer_flush(
				printer); /* the next generation may be long in coming */
		if (events_wanted(o, event, since))
			stele__listing_event(&listing, event);
	}
	stele__aside_done(&aside);
}

static int events_run(const struct events_options *o)
{
	struct stele_reader_options reader_options = STELE_READER_OPTIONS_INIT;
	struct stele__printer printer = {.used = 0};
	struct stele__source *source;
	struct stele_reader *reader;
	int exit, r;

	reader_options.whole_generations = o->format == STELE__LISTING_REFERENCE;
	exit = o->follow ? stele__source_follow(o->path, &reader_options, &source, &reader)
			 : stele__source_open(o->path, &reader_options, &source, &reader);
	if (exit)
		return exit;
	if (isatty(STDOUT_FILENO))
		stele__source_hide_progress(source);
	events_print_all(source, reader, o, &printer);
	r = stele__printer_flush(&printer);
	if (!stele__source_interrupted(source)) {
		exit = stele__verdict_exit(reader, NULL, o->strict);
		stele__verdict_complain(o->path, stele_reader_diag(reader));
	}
	stele__source_close(source);
	if (r < 0 && r != -EPIPE) {
		stele__complain("standard output: %s", stele_strerror(r));
		return STELE_EXIT_IO;
	}
	return exit;
}

int stele__cmd_events(int argc, char **argv)
{
	struct events_options options = {
		.frames_max = 1, .to = INT64_MAX, .thread = STELE_NO_ID, .goroutine = STELE_NO_ID};
	bool only_files = false;

	for (int i = 1; i < argc; i++) {
		if (only_files || argv[i][0] != '-' || !argv[i][1]) {
			if (options.path)
				return stele__usage_error("events", "one file at a time");
			options.path = argv[i];
		} else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			events_help();
			return STELE_EXIT_OK;
		} else if (!strcmp(argv[i], "--")) {
			only_files = true;
		} else if (!events_option(argv[i], &options)) {
			return stele__usage_error("events", "bad option '%s'", argv[i]);
		}
	}
	if (!options.path)
		return stele__usage_error("events", "which file?");
	return events_run(&options);
}
