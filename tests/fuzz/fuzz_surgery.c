/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a trace to be cut, renamed, made anonymous, merged with itself and with a part of
 * it: no crash, and if the trace was sound, with nothing in it that Go's reader wrongly lets pass,
 * what comes out is sound. The last two bytes choose the window.
 */
#include <stdlib.h>
#include <string.h>

#include "stele/read.h"
#include "surgery/anonymize.h"
#include "surgery/excerpt.h"
#include "surgery/merge.h"
#include "surgery/rename.h"

#define OUT_BYTES_MAX (1u << 20)

struct out {
	uint8_t *data;
	size_t bytes;
};

static int out_write(void *arg, const void *data, size_t bytes)
{
	struct out *out = arg;

	if (bytes > OUT_BYTES_MAX - out->bytes)
		return -1;
	if (bytes)
		memcpy(out->data + out->bytes, data, bytes);
	out->bytes += bytes;
	return 0;
}

static void out_module(void *arg, const struct stele_data_item *item)
{
	(void)arg;
	if (item->text[1].bytes && item->text[1].data[0] == 'x')
		return;
}

/* Names for every other frame, several for some. */
static size_t out_rename(void *arg, const struct stele_old_frame *frame,
			 struct stele_new_frame *frames, size_t max)
{
	static const char *const names[] = {"one", "", "another"};
	size_t count = frame->function.bytes % 4;

	(void)arg;
	for (size_t i = 0; i < count && i < max; i++)
		frames[i] = (struct stele_new_frame){names[i % 3], names[(i + 1) % 3],
						     (uint32_t)(frame->line + i)};
	return count < max ? count : max;
}

/* Clocks are computed with 53 bits: beyond, times of one trace are not those of another. */
#define TIME_MAX (INT64_C(1) << 52)
/* Ids of several traces are made different by a factor. */
#define ID_MAX (UINT64_C(1) << 60)

static bool ids_are_small(const struct stele_event *event)
{
	const uint64_t ids[] = {event->thread,	    event->proc, event->goroutine,
				event->resource_id, event->task, event->parent_task};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (ids[i] != STELE_NO_ID && ids[i] > ID_MAX)
			return false;
	return true;
}

static bool is_sound(const uint8_t *data, size_t bytes, bool strict)
{
	const struct stele_event *event;
	struct stele_reader *reader;
	bool small = true;
	int64_t last = 0;
	int got;

	if (stele_reader_open_memory(data, bytes, NULL, &reader) < 0)
		return false;
	while ((got = stele_reader_next(reader, &event)) > 0) {
		small = small && ids_are_small(event);
		last = event->time;
	}
	if (strict && !small)
		got = -1;
	if (strict && (stele_reader_warning_count(reader) || last > TIME_MAX))
		got = -1;
	stele_reader_close(reader);
	return got == 0;
}

/* True: there was a window, and out has it. */
static bool cut(const uint8_t *data, size_t bytes, struct out *out)
{
	struct stele__excerpt_window window = {0, INT64_MAX, out_write, out};
	struct stele__excerpt_result result = {0};
	struct stele__excerpt *excerpt;
	const struct stele_event *event;
	struct stele_reader *reader;
	int r;

	if (bytes > 2) {
		window.from = data[bytes - 1] * (int64_t)data[bytes - 1] * 100000;
		window.to = window.from + data[bytes - 2] * (int64_t)data[bytes - 2] * 100000;
	}
	if (stele_reader_open_memory(data, bytes, NULL, &reader) < 0)
		return false;
	r = stele__excerpt_new(&window, reader, &excerpt);
	if (r == 0) {
		while (r == 0 && stele_reader_next(reader, &event) > 0)
			r = stele__excerpt_add(excerpt, event);
		if (r >= 0)
			r = stele__excerpt_finish(excerpt, &result);
		stele__excerpt_free(excerpt);
	}
	stele_reader_close(reader);
	return r >= 0 && result.events;
}

static bool keep_short(void *arg, struct stele_string text)
{
	(void)arg;
	return text.bytes < 3;
}

static bool anonymize(const uint8_t *data, size_t bytes, struct out *out)
{
	struct stele_anonymizer job = {.keep = keep_short, .write = out_write, .arg = out};
	struct stele_anonymize_stats stats;
	int r;

	stele__aliases_init(&job.aliases);
	r = stele__anonymize(data, bytes, &job, &stats);
	stele__aliases_done(&job.aliases);
	return r == 0;
}

static int merge_next(void *arg, const struct stele_event **ret_event)
{
	return stele_reader_next(arg, ret_event);
}

static bool merge(const struct out *traces, struct out *out)
{
	struct stele__merge_input inputs[2];
	const struct stele__merge_job job = {inputs, 2, out_write, out};
	struct stele_reader *readers[2] = {NULL, NULL};
	struct stele__merge_result result;
	struct stele__merge *merge;
	int r = 0;

	for (int i = 0; i < 2 && r == 0; i++) {
		r = stele_reader_open_memory(traces[i].data, traces[i].bytes, NULL, &readers[i]);
		inputs[i] = (struct stele__merge_input){readers[i], merge_next, readers[i]};
	}
	if (r == 0)
		r = stele__merge_open(&job, &result, &merge);
	if (r == 0) {
		r = stele__merge_run(merge);
		stele__merge_free(merge);
	}
	stele_reader_close(readers[0]);
	stele_reader_close(readers[1]);
	return r == 0 && out->bytes;
}

/* A sound trace with a part of itself, which begins later and with what is there already. */
static void merge_late(struct out whole, struct out part)
{
	struct out out = {malloc(OUT_BYTES_MAX), 0};

	if (out.data && is_sound(part.data, part.bytes, true) &&
	    merge((struct out[]){whole, part}, &out) && !is_sound(out.data, out.bytes, false))
		__builtin_trap();
	free(out.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct out out = {malloc(OUT_BYTES_MAX), 0};
	const struct stele_renamer renamer = {out_module, out_rename, out_write, &out};
	struct stele_rename_stats stats;
	bool sound = is_sound(data, size, true);
	struct out whole = {(uint8_t *)data, size};

	if (out.data && cut(data, size, &out) && sound) {
		if (!is_sound(out.data, out.bytes, false))
			__builtin_trap();
		merge_late(whole, out);
	}
	out.bytes = 0;
	if (out.data && stele__rename(data, size, &renamer, &stats) == 0 && sound &&
	    !is_sound(out.data, out.bytes, false))
		__builtin_trap();
	out.bytes = 0;
	if (out.data && anonymize(data, size, &out) && sound &&
	    !is_sound(out.data, out.bytes, false))
		__builtin_trap();
	out.bytes = 0;
	if (out.data && merge((struct out[]){whole, whole}, &out) && sound &&
	    !is_sound(out.data, out.bytes, false))
		__builtin_trap();
	free(out.data);
	return 0;
}
