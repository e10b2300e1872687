/* SPDX-License-Identifier: MIT */
/*
 * The public face: header, generation after generation, Sync events between them, strictly
 * increasing times, and what to say when the trace is broken.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "read/details.h"
#include "read/order.h"

enum reader_state {
	READER_HEADER,
	READER_LOAD,	  /* the next generation is to be loaded */
	READER_EVENTS,	  /* a generation is being put in order */
	READER_UNORDERED, /* it cannot: a thread's first event is broken */
	READER_CLOSE,	  /* the last Sync was delivered: the end, or `diag` */
	READER_ENDED,
	READER_FAILED,
};

struct stele_reader {
	struct stele__reader_run run; /* what is left of the order's; must be the first */
	struct stele__window window;
	struct stele__generation generation;
	struct stele__order order;
	struct stele__loader loader;
	struct stele__notes notes;
	struct stele__details *details; /* moves although the reader stands still */
	struct stele_reader_options options;
	enum reader_state state;
	bool broken; /* READER_CLOSE leads to a failure, not to the end */
	uint64_t syncs;
	struct stele_sync sync;
	struct stele_event sync_event;
	struct stele_diag diag;
};

static int reader_new(const struct stele_reader_options *options, struct stele_reader **ret_reader)
{
	struct stele_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return -ENOMEM;
	reader->window.fd = -1;
	reader->details = stele__details_new();
	if (options && options->size >= sizeof(reader->options))
		reader->options = *options;
	if (!reader->details || stele__generation_init(&reader->generation) < 0 ||
	    stele__order_init(&reader->order) < 0) {
		stele_reader_close(reader);
		return -ENOMEM;
	}
	reader->order.generation = &reader->generation;
	reader->order.window = &reader->window;
	reader->order.notes = &reader->notes;
	reader->order.whole = reader->options.whole_generations;
	reader->loader = (struct stele__loader){
		.window = &reader->window, .world = &reader->order.world, .notes = &reader->notes};
	*ret_reader = reader;
	return 0;
}

STELE_EXPORT int stele_reader_open(const char *path, const struct stele_reader_options *options,
				   struct stele_reader **ret_reader)
{
	struct stele_reader *reader;
	int r = reader_new(options, &reader);

	if (r < 0)
		return r;
	r = stele__window_open_file(&reader->window, path);
	if (r < 0) {
		stele_reader_close(reader);
		return r;
	}
	*ret_reader = reader;
	return 0;
}

STELE_EXPORT int stele_reader_open_memory(const void *data, size_t bytes,
					  const struct stele_reader_options *options,
					  struct stele_reader **ret_reader)
{
	struct stele_reader *reader;
	int r = reader_new(options, &reader);

	if (r < 0)
		return r;
	stele__window_open_memory(&reader->window, data, bytes);
	*ret_reader = reader;
	return 0;
}

STELE_EXPORT int stele_reader_open_stream(stele_read_fn read, void *arg,
					  const struct stele_reader_options *options,
					  struct stele_reader **ret_reader)
{
	struct stele_reader *reader;
	int r = reader_new(options, &reader);

	if (r < 0)
		return r;
	stele__window_open_stream(&reader->window, read, arg);
	*ret_reader = reader;
	return 0;
}

STELE_EXPORT void stele_reader_close(struct stele_reader *reader)
{
	if (!reader)
		return;
	stele__order_done(&reader->order);
	stele__generation_done(&reader->generation);
	stele__window_done(&reader->window);
	stele__notes_done(&reader->notes);
	stele__details_free(reader->details);
	free(reader);
}

_Static_assert(offsetof(struct stele_reader, run) == 0, "stele_reader_next() finds it there");

/* The order's new run, of which there is at least one event. */
static int reader_deliver(struct stele_reader *reader, const struct stele_event **ret_event)
{
	reader->run = (struct stele__reader_run){reader->order.run, reader->order.run_at};
	reader->notes.events += stele__order_run_count(&reader->order);
	*ret_event = *reader->run.at++;
	return 1;
}

static int reader_fail(struct stele_reader *reader, const struct stele_diag *diag)
{
	reader->diag = *diag;
	reader->diag.event = reader->notes.events;
	reader->state = READER_FAILED;
	return reader->diag.code;
}

static int reader_fail_header(struct stele_reader *reader, int code, uint64_t offset,
			      const char *text)
{
	struct stele_diag diag;

	stele__diag_set(&diag, code, (struct stele__place){offset, 0, STELE_NONE_ID}, "%s", text);
	return reader_fail(reader, &diag);
}

static int reader_header(struct stele_reader *reader)
{
	static const char shape[] = "go 1.";
	uint64_t have;
	int r = stele__window_need(&reader->window, STELE_HEADER_BYTES);

	if (r < 0)
		return reader_fail_header(reader, r, 0, "reading the input failed");
	have = reader->window.end;
	if (r == 0) {
		size_t n = have < sizeof(shape) - 1 ? (size_t)have : sizeof(shape) - 1;

		if (!have)
			return reader_fail_header(reader, STELE_E_NOT_TRACE, 0,
						  "the input is empty");
		if (memcmp(stele__window_at(&reader->window, 0), shape, n) == 0)
			return reader_fail_header(reader, STELE_E_TRUNCATED, have,
						  "the input ends within the header");
		return reader_fail_header(reader, STELE_E_NOT_TRACE, 0,
					  "the input does not begin with \"go 1.NN trace\"");
	}
	r = stele__header_get(stele__window_at(&reader->window, 0));
	if (r == STELE_E_UNSUPPORTED) {
		char text[80];
		const uint8_t *p = stele__window_at(&reader->window, 0);

		snprintf(text, sizeof(text),
			 "header \"%.7s\": only 22, 23, 25 and 26 (Go 1.22 and later) are known",
			 (const char *)p);
		return reader_fail_header(reader, r, 5, text);
	}
	if (r < 0)
		return reader_fail_header(reader, r, 0,
					  "the input does not begin with \"go 1.NN trace\"");
	reader->loader.version = (unsigned)r;
	reader->loader.at = STELE_HEADER_BYTES;
	reader->state = READER_LOAD;
	return 0;
}

/* The Sync in front of a generation, or (NULL) behind the last one. */
static int reader_sync(struct stele_reader *reader, const struct stele__generation *g,
		       const struct stele_event **ret_event)
{
	struct stele_event *event = &reader->sync_event;

	*event = (struct stele_event){.kind = STELE_EVENT_SYNC,
				      .time = INT64_MIN,
				      .thread = STELE_NONE_ID,
				      .proc = STELE_NONE_ID,
				      .goroutine = STELE_NONE_ID,
				      .resource_id = STELE_NONE_ID,
				      .task = STELE_NONE_ID,
				      .parent_task = STELE_NONE_ID};
	reader->sync = (struct stele_sync){.number = ++reader->syncs};
	if (g) {
		event->time = stele__ticks_ns(g->time_min, g->ns_per_tick);
		reader->sync.generation = g->number;
		reader->sync.batch_count = g->experiment_count;
		reader->sync.has_clock = g->has_snapshot;
		reader->sync.time = stele__ticks_ns(g->snapshot_time, g->ns_per_tick);
		reader->sync.monotonic_ns = g->monotonic_ns;
		reader->sync.wall_s = g->wall_s;
		reader->sync.wall_ns = g->wall_ns;
	}
	stele__order_clear(&reader->order);
	stele__order_add(&reader->order, event);
	return reader_deliver(reader, ret_event);
}

/*
 * The closing Sync; then the end or the defect. A soft defect is one that Go's reader takes for
 * the end: it becomes a warning.
 */
static int reader_close(struct stele_reader *reader, const struct stele_diag *diag, bool soft,
			const struct stele_event **ret_event)
{
	reader->state = READER_CLOSE;
	if (diag && soft) {
		struct stele__place place = {diag->offset, diag->generation, diag->thread};

		stele__notes_warn(&reader->notes, diag->code, place, "%s", diag->text);
	} else if (diag) {
		reader->broken = true;
		reader->diag = *diag;
	}
	return reader_sync(reader, NULL, ret_event);
}

static int reader_load(struct stele_reader *reader, const struct stele_event **ret_event)
{
	struct stele__generation *g = &reader->generation;
	bool any;

	if (stele__details_leave(reader->details, g, &reader->window) < 0)
		stele__notes_warn(
			&reader->notes, -ENOMEM,
			(struct stele__place){reader->loader.at, g->number, STELE_NONE_ID},
			"no memory for details of events");
	stele__generation_clear(g, &reader->order.world);
	stele__window_drop(&reader->window, reader->loader.at);
	any = stele__generation_load(g, &reader->loader);
	if (!any)
		return reader_close(reader, NULL, false, ret_event);
	if (g->damaged && !g->deferred && (reader->options.whole_generations || !g->chain_count))
		return reader_close(reader, &g->damage, g->soft, ret_event);
	reader->loader.previous = g->number;
	reader->state = READER_EVENTS;
	if (stele__order_begin(&reader->order) < 0) {
		if (!g->damaged || g->deferred)
			g->damage = reader->order.diag;
		g->damaged = true;
		g->deferred = false;
		reader->state = READER_UNORDERED;
	}
	return reader_sync(reader, g, ret_event);
}

/* The generation is through, or broke. */
static int reader_leave(struct stele_reader *reader, int result,
			const struct stele_event **ret_event)
{
	struct stele__generation *g = &reader->generation;

	if (result < 0 && (!g->damaged || g->deferred))
		return reader_fail(reader, &reader->order.diag);
	if (!g->damaged) {
		reader->state = READER_LOAD;
		return 0;
	}
	return reader_close(reader, &g->damage, g->soft, ret_event);
}

STELE_EXPORT int stele__reader_next_run(struct stele_reader *reader,
					const struct stele_event **ret_event)
{
	int r;

	if (reader->state == READER_EVENTS) {
		r = stele__order_run(&reader->order);
		if (STELE_LIKELY(r > 0))
			return reader_deliver(reader, ret_event);
		r = reader_leave(reader, r, ret_event);
		if (r != 0)
			return r;
	}
	switch (reader->state) {
	case READER_HEADER:
		r = reader_header(reader);
		return r < 0 ? r : reader_load(reader, ret_event);
	case READER_LOAD:
		return reader_load(reader, ret_event);
	case READER_UNORDERED:
		return reader_fail(reader, &reader->generation.damage);
	case READER_CLOSE:
		if (reader->broken)
			return reader_fail(reader, &reader->diag);
		reader->state = READER_ENDED;
		return 0;
	case READER_FAILED:
		return reader->diag.code;
	default:
		return 0;
	}
}

/* For those who do not inline it. */
extern int stele_reader_next(struct stele_reader *reader, const struct stele_event **ret_event);

STELE_EXPORT const struct stele_diag *stele_reader_diag(const struct stele_reader *reader)
{
	return reader->state == READER_FAILED ? &reader->diag : NULL;
}

STELE_EXPORT size_t stele_reader_warning_count(const struct stele_reader *reader)
{
	return reader->notes.count;
}

STELE_EXPORT const struct stele_diag *stele_reader_warning(const struct stele_reader *reader,
							   size_t index)
{
	return index < reader->notes.count ? &reader->notes.list[index] : NULL;
}

STELE_EXPORT unsigned stele_reader_version(const struct stele_reader *reader)
{
	return reader->loader.version;
}

STELE_EXPORT uint64_t stele_reader_generation(const struct stele_reader *reader)
{
	return reader->generation.number;
}

STELE_EXPORT uint64_t stele_reader_frequency(const struct stele_reader *reader)
{
	return reader->generation.frequency;
}

STELE_EXPORT uint64_t stele_reader_offset(const struct stele_reader *reader)
{
	return reader->loader.at;
}

STELE_EXPORT size_t stele_reader_stack(const struct stele_reader *reader, uint32_t stack,
				       struct stele_stack_frame *frames, size_t max)
{
	const struct stele__table *table = &reader->generation.table;
	const struct stele__table_stack *entry;

	if (stack >= table->stack_count)
		return 0;
	entry = &table->stacks[stack];
	for (uint32_t i = 0; i < entry->frame_count && i < max; i++) {
		const struct stele__table_frame *frame =
			&table->frames[table->frame_refs[entry->first + i]];

		frames[i].pc = frame->pc;
		frames[i].line = frame->line;
		frames[i].function =
			stele__table_text(table, &reader->window, (uint32_t)frame->function);
		frames[i].file = stele__table_text(table, &reader->window, (uint32_t)frame->file);
	}
	return entry->frame_count;
}

STELE_EXPORT const struct stele_sync *stele_reader_sync(const struct stele_reader *reader)
{
	return &reader->sync;
}

STELE_EXPORT int stele_reader_batch(const struct stele_reader *reader, size_t index,
				    struct stele_experiment_batch *ret_batch)
{
	const struct stele__generation *g = &reader->generation;
	const struct stele__experiment *experiment;

	if (index >= reader->sync.batch_count)
		return -ENOENT;
	experiment = &g->experiments[index];
	*ret_batch = (struct stele_experiment_batch){
		.experiment = experiment->number,
		.thread = experiment->thread,
		.time = stele__ticks_ns(experiment->time, g->ns_per_tick),
		.data = stele__window_at(&reader->window, experiment->offset),
		.bytes = experiment->bytes,
	};
	return 0;
}

STELE_EXPORT int stele_reader_detail(const struct stele_reader *reader, int64_t until,
				     struct stele_detail *ret_detail)
{
	return stele__details_next(reader->details, &reader->generation, &reader->window, until,
				   ret_detail);
}

STELE_EXPORT const struct stele_heap_info *stele_reader_heap(const struct stele_reader *reader)
{
	return &reader->generation.heap;
}

STELE_EXPORT int stele_reader_type(const struct stele_reader *reader, uint64_t id,
				   struct stele_heap_type *ret_type)
{
	const struct stele__table *table = &reader->generation.table;
	uint32_t index = stele__idmap_get(&table->type_ids, id);
	const struct stele__table_type *type;

	if (!index)
		return -ENOENT;
	type = &table->types[index - 1];
	*ret_type = (struct stele_heap_type){
		.address = type->address,
		.size = type->size,
		.pointer_bytes = type->pointer_bytes,
		.name = {type->name_bytes ? (const char *)stele__window_at(&reader->window,
									   type->name_offset)
					  : "",
			 type->name_bytes},
		.stack = stele__idmap_get(&table->stack_ids, type->stack),
	};
	return 0;
}
