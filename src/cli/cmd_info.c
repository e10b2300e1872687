/* SPDX-License-Identifier: MIT */
/* stele info: what a trace holds, and how it was recorded. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/source.h"
#include "cli/verdict.h"
#include "format/spec.h"
#include "stele/version.h"

#define INFO_MODULES_MAX 4096

struct info_module {
	uint64_t epoch, start, end;
	char build_id[41]; /* hexadecimal */
	char *path;
};

struct info {
	unsigned version;
	uint64_t generation_first, generation_last;
	uint64_t frequency;
	bool has_clock;
	struct stele_sync clock; /* the first */
	struct stele_heap_info heap;
	struct stele_recording recording;
	const struct stele_counts *counts;
	struct info_module *modules;
	size_t module_count;
};

static void info_help(void)
{
	fputs("usage: stele info [--json] [--strict] FILE\n\n"
	      "Tells what a trace holds: format, time, threads, events by kind; and, of a trace\n"
	      "that Stele recorded: the program, its modules, how it ended, and what is missing\n"
	      "from the trace, by cause. FILE may be '-' (stdin), and may be compressed.\n\n"
	      "  --json      one JSON object\n"
	      "  --strict    exit status 3 also for what Go's reader wrongly lets pass\n\n"
	      "exit status: 0 sound, 2 usage, 3 not a trace, corrupt or truncated (what was read\n"
	      "before is told all the same), 4 sound but with losses (only with --strict), 5 the\n"
	      "file cannot be read\n",
	      stdout);
}

static char *info_copy(struct stele_string text)
{
	char *copy = malloc(text.bytes + 1);

	if (!copy)
		return NULL;
	memcpy(copy, text.data ? text.data : "", text.bytes);
	copy[text.bytes] = '\0';
	return copy;
}

static bool info_knows(const struct info *info, const struct stele_data_item *item)
{
	for (size_t i = 0; i < info->module_count; i++) {
		const struct info_module *m = &info->modules[i];

		if (m->epoch == item->value[1] && m->start == item->value[2] &&
		    m->end == item->value[3])
			return true;
	}
	return false;
}

static void info_add_module(struct info *info, const struct stele_data_item *item)
{
	struct info_module *grown, *module;

	if (item->value[0] || info->module_count == INFO_MODULES_MAX || info_knows(info, item))
		return; /* unloaded; or too many to be told; or told again */
	grown = realloc(info->modules, (info->module_count + 1) * sizeof(*grown));
	if (!grown)
		return;
	info->modules = grown;
	module = &grown[info->module_count];
	*module = (struct info_module){
		.epoch = item->value[1], .start = item->value[2], .end = item->value[3]};
	for (size_t i = 0; i < item->text[0].bytes && i < 20; i++)
		snprintf(module->build_id + 2 * i, 3, "%02x", (uint8_t)item->text[0].data[i]);
	module->path = info_copy(item->text[1]);
	info->module_count++;
}

static void info_add_modules(struct info *info, const struct stele_reader *reader)
{
	struct stele_experiment_batch batch;
	struct stele_data_item item;

	for (size_t i = 0; stele_reader_batch(reader, i, &batch) == 0; i++) {
		size_t at = 0;

		if (!batch.bytes || batch.data[0] != STELE_PAYLOAD_STELE)
			continue;
		while (stele_data_next(&batch, &at, &item) > 0)
			if (item.tag == STELE_DATA_MODULE)
				info_add_module(info, &item);
	}
}

static void info_add_sync(struct info *info, const struct stele_reader *reader)
{
	const struct stele_sync *sync = stele_reader_sync(reader);

	if (!sync->generation)
		return;
	if (!info->generation_first)
		info->generation_first = sync->generation;
	info->generation_last = sync->generation;
	info->frequency = stele_reader_frequency(reader);
	if (sync->has_clock && !info->has_clock) {
		info->has_clock = true;
		info->clock = *sync;
	}
	stele_recording_add(&info->recording, reader);
	info_add_modules(info, reader);
}

/* ---- text ---- */

static void info_print_time(const struct info *info)
{
	const struct stele_counts *c = info->counts;

	printf("time          %.6f s, clock of %" PRIu64 " ticks/s\n",
	       (double)(c->last - c->first) / 1e9, info->frequency);
	if (info->has_clock) {
		time_t wall = (time_t)info->clock.wall_s;
		char text[40] = "?";
		struct tm utc;

		if (gmtime_r(&wall, &utc))
			strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
		printf("started       %s\n", text);
	}
}

static void info_print_events(const struct stele_counts *c)
{
	printf("events        %" PRIu64 "\n", c->events);
	for (unsigned kind = 1; kind < STELE__EVENT_COUNT; kind++)
		if (c->by_kind[kind])
			printf("  %-20s %12" PRIu64 "\n", stele_event_kind_name(kind),
			       c->by_kind[kind]);
	printf("by type\n");
	for (unsigned type = 1; type < 256; type++)
		if (c->by_type[type])
			printf("  %-20s %12" PRIu64 "\n", stele__spec((uint8_t)type)->name,
			       c->by_type[type]);
}

static void info_print_ending(const struct stele_recording *r)
{
	if (r->snapshot[0])
		printf("snapshot      %s\n", r->snapshot);
	if (r->recovered)
		puts("ending        unknown: the recorder was killed; what it left was recovered");
	else if (r->interrupted)
		puts("ending        recording was stopped before the program ended");
	else if (!r->complete && r->snapshot[0])
		puts("ending        not yet: this is a snapshot");
	else if (!r->complete)
		puts("ending        unknown: the recorder did not finish");
	else if (!r->ending_known)
		puts("ending        unknown");
	else if (r->signal)
		printf("ending        killed by signal %" PRIu64 "\n", r->signal);
	else
		printf("ending        exit status %" PRIu64 "\n", r->exit_status);
}

static void info_print_recording(const struct info *info)
{
	const struct stele_recording *r = &info->recording;

	if (!r->present)
		return;
	printf("program       %s, pid %" PRIu64 "\n", r->program[0] ? r->program : "?", r->pid);
	info_print_ending(r);
	stele__verdict_print_losses(stdout, r);
	for (unsigned i = 1; i < STELE_DATA_TOTALS_MAX; i++)
		if (r->total[i] && stele_data_total_name(i))
			printf("  %-36s %12" PRIu64 "\n", stele_data_total_name(i), r->total[i]);
	printf("modules       %zu\n", info->module_count);
	for (size_t i = 0; i < info->module_count; i++)
		printf("  %" PRIx64 "-%" PRIx64 " %s%s%s\n", info->modules[i].start,
		       info->modules[i].end, info->modules[i].path ? info->modules[i].path : "?",
		       info->modules[i].build_id[0] ? " " : "", info->modules[i].build_id);
}

static void info_print(const struct info *info)
{
	const struct stele_counts *c = info->counts;

	printf("format        go 1.%u, by %s\n", info->version,
	       info->recording.present ? "Stele" : "Go, or a writer that does not tell");
	printf("generations   %" PRIu64 " (%" PRIu64 "-%" PRIu64 ")\n", c->generations,
	       info->generation_first, info->generation_last);
	info_print_time(info);
	printf("threads       %" PRIu64 "\ngoroutines    %" PRIu64 "\nprocs         %" PRIu64
	       "\nstacks        %" PRIu64 "\n",
	       c->threads, c->goroutines, c->procs, c->stacks);
	if (info->heap.known)
		printf("heap          from 0x%" PRIx64 ", pages of %" PRIu64 " bytes\n",
		       info->heap.base, info->heap.page_bytes);
	info_print_recording(info);
	info_print_events(c);
}

/* ---- JSON ---- */

static void info_json_events(const struct stele_counts *c)
{
	const char *comma = "";

	fputs(", \"kinds\": {", stdout);
	for (unsigned kind = 1; kind < STELE__EVENT_COUNT; kind++) {
		if (!c->by_kind[kind])
			continue;
		printf("%s\"%s\": %" PRIu64, comma, stele_event_kind_name(kind), c->by_kind[kind]);
		comma = ", ";
	}
	fputs("}, \"types\": {", stdout);
	comma = "";
	for (unsigned type = 1; type < 256; type++) {
		if (!c->by_type[type])
			continue;
		printf("%s\"%s\": %" PRIu64, comma, stele__spec((uint8_t)type)->name,
		       c->by_type[type]);
		comma = ", ";
	}
	fputs("}", stdout);
}

static void info_json_recording(const struct info *info)
{
	const struct stele_recording *r = &info->recording;

	if (!r->present)
		return;
	fputs(", \"program\": ", stdout);
	stele__json_text(stdout, r->program);
	printf(", \"pid\": %" PRIu64 ", \"complete\": %s, \"interrupted\": %s, \"recovered\": %s",
	       r->pid, r->complete ? "true" : "false", r->interrupted ? "true" : "false",
	       r->recovered ? "true" : "false");
	if (r->snapshot[0]) {
		fputs(", \"snapshot\": ", stdout);
		stele__json_text(stdout, r->snapshot);
	}
	if (r->ending_known)
		printf(", \"%s\": %" PRIu64, r->signal ? "signal" : "exit_status",
		       r->signal ? r->signal : r->exit_status);
	fputs(", ", stdout);
	stele__verdict_json_losses(stdout, r);
	fputs(", \"modules\": [", stdout);
	for (size_t i = 0; i < info->module_count; i++) {
		printf("%s{\"start\": %" PRIu64 ", \"end\": %" PRIu64
		       ", \"build_id\": \"%s\", \"path\": ",
		       i ? ", " : "", info->modules[i].start, info->modules[i].end,
		       info->modules[i].build_id);
		stele__json_text(stdout, info->modules[i].path ? info->modules[i].path : "");
		putchar('}');
	}
	putchar(']');
}

static void info_json(const struct info *info, const char *path, const struct stele_reader *reader)
{
	fputs("{\"schema\": 1, \"file\": ", stdout);
	stele__json_text(stdout, path);
	printf(", \"version\": %u, \"generation_first\": %" PRIu64 ", \"generation_last\": %" PRIu64
	       ", \"ticks_per_s\": %" PRIu64 ", ",
	       info->version, info->generation_first, info->generation_last, info->frequency);
	if (info->has_clock)
		printf("\"clock\": {\"trace_ns\": %" PRId64 ", \"monotonic_ns\": %" PRIu64
		       ", \"wall_s\": %" PRIu64 ", \"wall_ns\": %" PRIu64 "}, ",
		       info->clock.time, info->clock.monotonic_ns, info->clock.wall_s,
		       info->clock.wall_ns);
	stele__verdict_json_diags(stdout, reader);
	fputs(", ", stdout);
	stele__verdict_json_counts(stdout, info->counts);
	info_json_events(info->counts);
	info_json_recording(info);
	puts("}");
}

static int info_run(const char *path, bool json, bool strict)
{
	struct stele_counter *counter = NULL;
	const struct stele_event *event;
	struct stele__source *source;
	struct stele_reader *reader;
	struct info info = {0};
	int exit = stele__source_open(path, NULL, &source, &reader);
	int r;

	if (exit)
		return exit;
	r = stele_counter_new(&counter);
	while (r >= 0 && stele__source_next(source, &event) > 0) {
		if (event->kind == STELE_EVENT_SYNC)
			info_add_sync(&info, reader);
		r = stele_counter_add(counter, reader, event);
	}
	info.version = stele_reader_version(reader);
	info.heap = *stele_reader_heap(reader);
	if (r < 0) {
		stele__complain("%s: %s", path, stele_strerror(r));
		exit = STELE_EXIT_IO;
	} else {
		info.counts = stele_counter_get(counter);
		if (json)
			info_json(&info, path, reader);
		else if (info.version)
			info_print(&info);
		stele__verdict_complain(path, stele_reader_diag(reader));
		exit = stele__verdict_exit(reader, &info.recording, strict);
	}
	for (size_t i = 0; i < info.module_count; i++)
		free(info.modules[i].path);
	free(info.modules);
	stele_counter_free(counter);
	stele__source_close(source);
	return exit;
}

int stele__cmd_info(int argc, char **argv)
{
	const char *path = NULL;
	bool json = false, strict = false, only_files = false;

	for (int i = 1; i < argc; i++) {
		if (only_files || argv[i][0] != '-' || !argv[i][1]) {
			if (path)
				return stele__usage_error("info", "one file at a time");
			path = argv[i];
		} else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			info_help();
			return STELE_EXIT_OK;
		} else if (!strcmp(argv[i], "--json")) {
			json = true;
		} else if (!strcmp(argv[i], "--strict")) {
			strict = true;
		} else if (!strcmp(argv[i], "--")) {
			only_files = true;
		} else {
			return stele__usage_error("info", "unknown option '%s'", argv[i]);
		}
	}
	if (!path)
		return stele__usage_error("info", "which file?");
	return info_run(path, json, strict);
}
