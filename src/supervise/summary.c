/* SPDX-License-Identifier: MIT */
#include "supervise/summary.h"

#include <stdarg.h>
#include <string.h>

#include "stele/version.h"

#define SUMMARY_TEXT 64

struct summary {
	FILE *out;
	const struct stele_session_result *result;
	const struct stele_summary_style *style;
};

char *stele__summary_count(uint64_t count, char *text, size_t bytes)
{
	char digits[24];
	size_t length = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
	size_t at = 0;

	for (size_t i = 0; i < length && at + 2 < bytes; i++) {
		text[at++] = digits[i];
		if (i + 1 < length && (length - 1 - i) % 3 == 0)
			text[at++] = ',';
	}
	text[at] = '\0';
	return text;
}

char *stele__summary_bytes(uint64_t count, char *text, size_t bytes)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
	double value = (double)count;
	size_t unit = 0;

	if (count < 1024) {
		snprintf(text, bytes, "%llu bytes", (unsigned long long)count);
		return text;
	}
	for (value /= 1024; value >= 1023.95 && unit + 1 < STELE_ARRAY_LENGTH(units); unit++)
		value /= 1024;
	snprintf(text, bytes, "%.1f %s", value, units[unit]);
	return text;
}

static void summary_duration(uint64_t ns, char *text, size_t bytes)
{
	if (ns < 1000000)
		snprintf(text, bytes, "%.0f µs", (double)ns / 1e3);
	else if (ns < 1000000000)
		snprintf(text, bytes, "%.1f ms", (double)ns / 1e6);
	else
		snprintf(text, bytes, "%.2f s", (double)ns / 1e9);
}

/* "label     text", the label coloured where a terminal shows it. */
static void STELE_PRINTF(3, 4)
	summary_line(const struct summary *s, const char *label, const char *format, ...)
{
	const char *on = s->style->color ? "\033[1m" : "", *off = s->style->color ? "\033[0m" : "";
	va_list args;

	fprintf(s->out, "%s%-9s%s ", on, label, off);
	va_start(args, format);
	vfprintf(s->out, format, args);
	va_end(args);
	fputc('\n', s->out);
}

static double summary_percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* A flight recorder wrote some of it, if anything. */
static void summary_ring(const struct summary *s)
{
	const struct stele_session_result *r = s->result;
	char events[SUMMARY_TEXT], time[SUMMARY_TEXT], bytes[SUMMARY_TEXT];

	summary_duration(r->wall_ns, time, sizeof(time));
	summary_line(
		s, "ring", "%s events in %s passed through it",
		stele__summary_count(r->drain.events + r->followed.events, events, sizeof(events)),
		time);
	if (!r->snapshots)
		summary_line(s, "snapshots", "%s",
			     r->snapshots_failed ? "none" : "none: nothing asked for one");
	else
		summary_line(s, "snapshots", "%llu, %s together", (unsigned long long)r->snapshots,
			     stele__summary_bytes(r->file_bytes, bytes, sizeof(bytes)));
	if (r->snapshots_removed)
		summary_line(s, "", "%llu older ones were removed (--keep, --max-total)",
			     (unsigned long long)r->snapshots_removed);
	if (r->passed_over)
		summary_line(s, "",
			     "%llu reasons for one came too soon after another "
			     "(--snapshot-gap)",
			     (unsigned long long)r->passed_over);
	if (r->snapshots_failed)
		summary_line(s, "", "%llu could not be written",
			     (unsigned long long)r->snapshots_failed);
}

static void summary_contents(const struct summary *s)
{
	const struct stele_session_result *r = s->result;
	char bytes[SUMMARY_TEXT], time[SUMMARY_TEXT], events[SUMMARY_TEXT], threads[SUMMARY_TEXT];
	double each = r->drain.events ? (double)r->file_bytes / (double)r->drain.events : 0;

	summary_duration(r->wall_ns, time, sizeof(time));
	summary_line(s, "trace", "%s, %s, %s%s", r->path,
		     stele__summary_bytes(r->file_bytes, bytes, sizeof(bytes)), time,
		     r->cut_short ? ", cut short" : "");
	summary_line(s, "events", "%s from %s %s, %.1f bytes each",
		     stele__summary_count(r->drain.events, events, sizeof(events)),
		     stele__summary_count(r->drain.threads, threads, sizeof(threads)),
		     r->drain.threads == 1 ? "thread" : "threads", each);
}

/* Objects that existed at the start count as allocated. */
static void summary_heap(const struct summary *s)
{
	const struct stele_drain_stats *d = &s->result->drain;
	uint64_t made =
		d->events_by_kind[STELE_KIND_OBJECT_ALLOC] + d->events_by_kind[STELE_KIND_OBJECT];
	uint64_t freed = d->events_by_kind[STELE_KIND_OBJECT_FREE];
	char count[SUMMARY_TEXT], bytes[SUMMARY_TEXT], live[SUMMARY_TEXT], sample[SUMMARY_TEXT];

	if (!s->result->heap)
		return;
	summary_line(s, "heap", "%s objects, %s; %s never freed",
		     stele__summary_count(made, count, sizeof(count)),
		     stele__summary_bytes(d->object_bytes, bytes, sizeof(bytes)),
		     stele__summary_count(made > freed ? made - freed : 0, live, sizeof(live)));
	if (d->heap_sample_bytes)
		summary_line(s, "", "sampled, one in %s: these are the sampled objects alone",
			     stele__summary_bytes(d->heap_sample_bytes, sample, sizeof(sample)));
}

/* Losses -------------------------------------------------------------------------------------- */

struct summary_loss {
	uint64_t count;
	const char *why;
};

#define SUMMARY_LOSSES 8

static size_t summary_losses(const struct stele_drain_stats *d, struct summary_loss *losses)
{
	static const char *const causes[STELE__LOSS_COUNT] = {
		[STELE_LOSS_RING_FULL] = "the buffer was full (see --on-full, --buffer-size)",
		[STELE_LOSS_ARENA_FULL] = "no memory was left in the buffer (see --buffer-size)",
		[STELE_LOSS_DRAIN_DEAD] = "the recorder did not answer",
		[STELE_LOSS_REENTRY] = "they came within the writing of another (--reentry=skip)",
	};
	const struct summary_loss others[] = {
		{d->no_slot, "of threads beyond the buffer's number (see --buffer-size)"},
		{d->late_discarded, "they were written too late"},
		{d->abandoned, "they were left unfinished by a jump or a thread's end"},
		{d->unexplained, "of a contradiction (please report it)"},
	};
	size_t count = 0;

	_Static_assert((size_t)STELE__LOSS_COUNT + STELE_ARRAY_LENGTH(others) <= SUMMARY_LOSSES,
		       "room for all");
	for (size_t cause = 0; cause < STELE__LOSS_COUNT; cause++) {
		uint64_t sum = 0;

		for (size_t class = 0; class < STELE__CLASS_COUNT; class ++)
			sum += d->dropped[cause][class];
		if (sum)
			losses[count++] = (struct summary_loss){sum, causes[cause]};
	}
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(others); i++)
		if (others[i].count)
			losses[count++] = others[i];
	return count;
}

static void summary_lost(const struct summary *s)
{
	const struct stele_drain_stats *d = &s->result->drain;
	struct summary_loss losses[SUMMARY_LOSSES];
	size_t count = summary_losses(d, losses);
	char text[SUMMARY_TEXT];

	if (s->result->cut_short && !s->result->ring)
		summary_line(s, "lost", "everything after writing failed");
	else if (count == 0)
		summary_line(s, "lost", "nothing");
	for (size_t i = 0; i < count; i++)
		summary_line(s, i ? "" : "lost", "%s because %s",
			     stele__summary_count(losses[i].count, text, sizeof(text)),
			     losses[i].why);
	if (d->dictionary_full)
		summary_line(s, "", "%s stacks and texts because the buffer's table was full",
			     stele__summary_count(d->dictionary_full, text, sizeof(text)));
	if (d->waited_count)
		summary_line(s, "waited", "%s %s for room in the buffer, %.3f s in all",
			     stele__summary_count(d->waited_count, text, sizeof(text)),
			     d->waited_count == 1 ? "time" : "times", (double)d->waited_ns / 1e9);
}

/* Stacks, process, next ----------------------------------------------------------------------- */

static void summary_stacks(const struct summary *s)
{
	const struct stele_drain_stats *d = &s->result->drain;
	const char *module = s->result->worst_module;
	char text[128] = "";

	if (d->stacks == 0)
		return;
	if (d->frames_unsymbolized && *module)
		snprintf(text, sizeof(text), ", mostly in %.90s", module);
	summary_line(s, "stacks",
		     "%.1f %% truncated, %.1f %% of the code addresses without a name%s",
		     summary_percent(d->stacks_truncated + d->stacks_broken, d->stacks),
		     summary_percent(d->frames_unsymbolized, d->frames), text);
}

static void summary_process(const struct summary *s)
{
	const struct stele_session_result *r = s->result;
	char text[SUMMARY_TEXT];
	uint64_t missed = r->drain.children + r->followed.missed;

	if (r->followed.processes)
		summary_line(s, "children", "%s recorded%s, %llu events, %llu lost",
			     stele__summary_count(r->followed.processes, text, sizeof(text)),
			     r->ring ? ", too" : " in files of their own",
			     (unsigned long long)r->followed.events,
			     (unsigned long long)r->followed.lost);
	if (r->followed.processes && !r->ring)
		summary_line(s, "", "one trace of all: stele merge -o all.trace FILE FILE…");
	if (missed)
		summary_line(s, r->followed.processes ? "" : "children", "%s %s not recorded",
			     stele__summary_count(missed, text, sizeof(text)),
			     missed == 1 ? "child" : "children");
	if (r->followed.failed)
		summary_line(s, "", "%llu for which there could be no file",
			     (unsigned long long)r->followed.failed);
	if (r->ending.signal) {
		const char *name = sigabbrev_np(r->ending.signal);

		summary_line(s, "ended", "killed by signal %d%s%s%s", r->ending.signal,
			     name ? " (SIG" : "", name ? name : "", name ? ")" : "");
	}
}

/* The file's name as a word for the shell. */
static void summary_quote(const char *path, char *text, size_t bytes)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_-+=./,:@%";
	size_t at = 0;

	if (path[0] != '-' && path[strspn(path, plain)] == '\0') {
		snprintf(text, bytes, "%s", path);
		return;
	}
	at += (size_t)snprintf(text, bytes, "%s'", path[0] == '-' ? "./" : "");
	for (; *path && at + 6 < bytes; path++)
		at += (size_t)snprintf(text + at, bytes - at, *path == '\'' ? "'\\''" : "%c",
				       *path);
	snprintf(text + at, bytes - at, "'");
}

static void summary_next(const struct summary *s)
{
	char path[4 * PATH_MAX + 8];

	if (!s->result->path[0])
		return;
	summary_quote(s->result->path, path, sizeof(path));
	summary_line(s, "next", "go tool trace %s", path);
	summary_line(s, "", "stele report %s", path);
	if (s->result->heap)
		summary_line(s, "", "stele heap %s", path);
}

static void summary_details(const struct summary *s)
{
	const struct stele_session_result *r = s->result;
	const struct stele_drain_stats *d = &r->drain;

	summary_line(s, "details", "%llu program images, %llu generations, clock %s",
		     (unsigned long long)r->images, (unsigned long long)d->generations, r->clock);
	summary_line(s, "", "%llu stacks, %llu addresses; names took %.1f ms",
		     (unsigned long long)d->stacks, (unsigned long long)d->frames,
		     (double)r->symbols_ns / 1e6);
	summary_line(s, "", "%llu state changes bridged, %llu records late, longest tick %.1f ms",
		     (unsigned long long)d->bridged, (unsigned long long)d->late,
		     (double)r->tick_ns_max / 1e6);
	if (r->unswitched)
		summary_line(s, "", "the kernel told of no context switches: %s",
			     stele_strerror(r->unswitched));
	else if (d->switches)
		summary_line(s, "", "%llu context switches, %llu lost",
			     (unsigned long long)d->switches, (unsigned long long)d->switches_lost);
	for (size_t kind = 1; kind < STELE__KIND_COUNT; kind++)
		if (d->events_by_kind[kind])
			summary_line(s, "", "%12llu %s",
				     (unsigned long long)d->events_by_kind[kind],
				     stele__kind_names[kind]);
}

void stele__summary_print(FILE *out, const struct stele_session_result *result,
			  const struct stele_summary_style *style)
{
	const struct summary s = {out, result, style};

	if (!result->recorded)
		return;
	if (result->ring)
		summary_ring(&s);
	else
		summary_contents(&s);
	summary_heap(&s);
	summary_lost(&s);
	summary_stacks(&s);
	summary_process(&s);
	if (style->verbose)
		summary_details(&s);
	summary_next(&s);
	fflush(out);
}
