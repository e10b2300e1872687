/* SPDX-License-Identifier: MIT */
#include "export/lanes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/origin.h"

#define LANES_STELE_DATA  0x53 /* first byte of batches of Stele's own */
#define LANES_FRAMES	  256
#define LANES_CALL_FRAMES 8

/* What Stele's own data says of a goroutine. */
struct lanes_tag {
	uint64_t goroutine, thread;
	struct stele__label *name;
};

static struct stele__label *lanes_label(struct stele__lanes *lanes, struct stele_string text)
{
	uint64_t hash = lanes->labels.multiplier;
	struct stele__label *label;
	size_t at = 0;

	for (size_t i = 0; i < text.bytes; i++)
		hash = stele__keymap_mix(hash, (uint8_t)text.data[i]);
	while ((label = stele__keymap_next(&lanes->labels, hash, &at)))
		if (label->text.bytes == text.bytes &&
		    (!text.bytes || !memcmp(label->data, text.data, text.bytes)))
			return label;
	label = calloc(1, sizeof(*label) + text.bytes + 1);
	if (!label)
		return NULL;
	if (text.bytes)
		memcpy(label->data, text.data, text.bytes);
	label->text = (struct stele_string){label->data, text.bytes};
	label->id = ++lanes->label_count;
	if (stele__keymap_add(&lanes->labels, hash, label) < 0) {
		free(label);
		return NULL;
	}
	return label;
}

int stele__lanes_init(struct stele__lanes *lanes, const struct stele__draw *draw, void *arg)
{
	static const char *const names[STELE__STATE_COUNT] = {
		[STELE_STATE_RUNNABLE] = "ready",
		[STELE_STATE_RUNNING] = "running",
		[STELE_STATE_WAITING] = "waiting",
		[STELE_STATE_SYSCALL] = "system call",
	};

	static const char *const heap_names[STELE__MEMORY_FAMILIES] = {
		[STELE_MEMORY_SPANS] = "bytes in spans",
		[STELE_MEMORY_OBJECTS] = "bytes in objects",
		[STELE_MEMORY_STACKS] = "bytes in stacks",
	};

	lanes->draw = draw;
	lanes->arg = arg;
	stele__keymap_init(&lanes->labels);
	stele__keymap_init(&lanes->lanes);
	stele__keymap_init(&lanes->tasks);
	stele__keymap_init(&lanes->pids);
	stele__keymap_init(&lanes->tags);
	for (unsigned i = 0; i < STELE__STATE_COUNT; i++) {
		const char *name = names[i] ? names[i] : "unknown";

		lanes->states[i] = lanes_label(lanes, (struct stele_string){name, strlen(name)});
		if (!lanes->states[i])
			return -ENOMEM;
	}
	for (unsigned i = 0; i < STELE__MEMORY_FAMILIES; i++) {
		const char *name = heap_names[i];

		lanes->heap_names[i] =
			lanes_label(lanes, (struct stele_string){name, strlen(name)});
		if (!lanes->heap_names[i])
			return -ENOMEM;
	}
	lanes->short_label = lanes_label(lanes, (struct stele_string){"short slices", 12});
	if (!lanes->short_label)
		return -ENOMEM;
	return draw->heap ? stele__heapcounter_init(&lanes->heap) : 0;
}

void stele__lanes_done(struct stele__lanes *lanes)
{
	stele__heapcounter_free(&lanes->heap);
	stele__keymap_free(&lanes->lanes);
	stele__keymap_free(&lanes->tasks);
	stele__keymap_free(&lanes->tags);
	stele__keymap_done(&lanes->pids);
	stele__keymap_free(&lanes->labels);
}

/* ---- Stele's own data ---- */

static int lanes_tag(struct stele__lanes *lanes, const struct stele_data_item *item)
{
	uint64_t id = item->value[2];
	struct lanes_tag *tag = stele__keymap_get(&lanes->tags, id);
	struct stele__lane *lane = stele__keymap_get(&lanes->lanes, id);
	struct stele__label *name = lanes_label(lanes, item->text[0]);

	if (!name)
		return -ENOMEM;
	if (!tag) {
		int r;

		tag = calloc(1, sizeof(*tag));
		r = tag ? stele__keymap_add(&lanes->tags, id, tag) : -ENOMEM;
		if (r < 0) {
			free(tag);
			return r;
		}
	}
	*tag = (struct lanes_tag){id, item->value[0], name};
	if (lane) {
		lane->thread = tag->thread;
		if (name->text.bytes)
			lane->name = name;
		lane->mark = 0;
	}
	return 0;
}

/* The map's values are numbers. */
static int lanes_process(struct stele__lanes *lanes, uint64_t thread, uint64_t pid)
{
	const void *before = stele__keymap_get(&lanes->pids, thread);

	if (before)
		stele__keymap_drop(&lanes->pids, thread, before);
	return pid ? stele__keymap_add(&lanes->pids, thread, (void *)(uintptr_t)pid) : 0;
}

uint64_t stele__lanes_pid(const struct stele__lanes *lanes, const struct stele__lane *lane)
{
	uintptr_t pid = (uintptr_t)stele__keymap_get(&lanes->pids, lane->thread);

	return pid ? pid : lanes->pid;
}

static int lanes_item(struct stele__lanes *lanes, const struct stele_data_item *item)
{
	struct stele__label *label;

	switch (item->tag) {
	case STELE_DATA_THREAD:
		return lanes_tag(lanes, item);
	case STELE_DATA_PROGRAM:
		lanes->pid = item->value[0];
		lanes->program = lanes_label(lanes, item->text[0]);
		return lanes->program ? lanes->draw->process(lanes) : -ENOMEM;
	case STELE_DATA_PROCESS:
		return lanes_process(lanes, item->value[0], item->value[1]);
	case STELE_DATA_COUNTER:
		label = lanes_label(lanes, item->text[0]);
		if (!label)
			return -ENOMEM;
		label->counter = true;
		return 0;
	default:
		return 0;
	}
}

static int lanes_sync(struct stele__lanes *lanes, const struct stele_reader *reader)
{
	struct stele_experiment_batch batch;
	struct stele_data_item item;
	int r = 0;

	for (size_t i = 0; r >= 0 && stele_reader_batch(reader, i, &batch) == 0; i++) {
		size_t at = 0;

		if (!batch.bytes || batch.data[0] != LANES_STELE_DATA)
			continue;
		lanes->own = true;
		while (r >= 0 && stele_data_next(&batch, &at, &item) > 0)
			r = lanes_item(lanes, &item);
	}
	return r;
}

/* ---- states ---- */

static int lanes_new(struct stele__lanes *lanes, const struct stele_event *event,
		     struct stele__lane **ret_lane)
{
	uint64_t id = event->resource_id;
	const struct lanes_tag *tag = stele__keymap_get(&lanes->tags, id);
	struct stele__lane *lane = calloc(1, sizeof(*lane));
	int r = lane ? stele__keymap_add(&lanes->lanes, id, lane) : -ENOMEM;

	if (r < 0) {
		free(lane);
		return r;
	}
	lane->goroutine = id;
	lane->thread = tag ? tag->thread : STELE_NO_ID;
	lane->name = tag && tag->name->text.bytes ? tag->name : NULL;
	lane->serial = ++lanes->serial;
	/* As in the analysis: in Go a status says how it was when the generation began. */
	lane->since = event->from == STELE_STATE_UNDETERMINED && !lanes->own ? lanes->synced
									     : event->time;
	*ret_lane = lane;
	return 0;
}

/* Named after the function that it was created with; else after the outermost it is seen in. */
static int lanes_name(struct stele__lanes *lanes, const struct stele_reader *reader,
		      struct stele__lane *lane, const struct stele_event *event)
{
	bool own = event->goroutine == event->resource_id;
	uint32_t stack = event->transition_stack ? event->transition_stack : own ? event->stack : 0;
	struct stele_stack_frame frames[LANES_FRAMES];
	size_t count;

	if (lane->name || !stack)
		return 0;
	count = stele_reader_stack(reader, stack, frames, LANES_FRAMES);
	if (!count)
		return 0;
	if (count > LANES_FRAMES)
		count = LANES_FRAMES;
	lane->name = lanes_label(lanes, event->from == STELE_STATE_NOT_EXIST
						? frames[0].function
						: stele__origin(frames, count));
	lane->mark = 0;
	return lane->name ? 0 : -ENOMEM;
}

static int lanes_draw(struct stele__lanes *lanes, struct stele__lane *lane, uint8_t state,
		      const struct stele__label *reason, int64_t begin, int64_t end)
{
	struct stele__label *name = lanes->states[state];
	struct stele__slice slice = {name->data, name, begin, end, lane->woken};

	if ((state == STELE_STATE_WAITING || state == STELE_STATE_SYSCALL) && reason &&
	    reason->text.bytes)
		slice.name = (struct stele__label *)(uintptr_t)reason;
	return lanes->draw->slice(lanes, lane, &slice);
}

/* Draws what is short and was not drawn yet. */
static int lanes_flush(struct stele__lanes *lanes, struct stele__lane *lane)
{
	struct stele__slice slice = {"short", lanes->short_label, lane->short_begin,
				     lane->short_end, 0};
	uint32_t count = lane->short_count;

	lane->short_count = 0;
	if (count > 1)
		return lanes->draw->slice(lanes, lane, &slice);
	return count ? lanes_draw(lanes, lane, lane->short_state, lane->short_name,
				  lane->short_begin, lane->short_end)
		     : 0;
}

/* Its state ends. */
static int lanes_slice(struct stele__lanes *lanes, struct stele__lane *lane, int64_t time)
{
	int64_t since = lane->since;
	int r = 0;

	lane->since = time;
	if (lane->short_count &&
	    (time - since >= lanes->min_ns || lane->short_end - lane->short_begin >= lanes->min_ns))
		r = lanes_flush(lanes, lane);
	if (r < 0)
		return r;
	if (time - since >= lanes->min_ns) {
		r = lanes_draw(lanes, lane, lane->state, lane->reason, since, time);
		lane->woken = 0;
		return r;
	}
	if (!lane->short_count++) {
		lane->short_begin = since;
		lane->short_state = lane->state;
		lane->short_name = lane->reason;
	}
	lane->short_end = time;
	return 0;
}

/* The call's name, "" if it has no stack; NULL: no memory. */
static const struct stele__label *lanes_call(struct stele__lanes *lanes,
					     const struct stele_reader *reader,
					     const struct stele_event *event)
{
	struct stele_stack_frame frames[LANES_CALL_FRAMES];
	size_t count = event->stack
			       ? stele_reader_stack(reader, event->stack, frames, LANES_CALL_FRAMES)
			       : 0;

	if (count > LANES_CALL_FRAMES)
		count = LANES_CALL_FRAMES;
	return lanes_label(lanes,
			   count ? stele__call_name(frames, count) : (struct stele_string){"", 0});
}

/* Somebody else makes it ready, be it the first time. */
static int lanes_wake(struct stele__lanes *lanes, struct stele__lane *lane,
		      const struct stele_event *event)
{
	struct stele__lane *by = stele__keymap_get(&lanes->lanes, event->goroutine);

	if (lanes->min_ns || !by || by == lane || event->to != STELE_STATE_RUNNABLE ||
	    (event->from != STELE_STATE_WAITING && event->from != STELE_STATE_NOT_EXIST))
		return 0;
	lane->woken = ++lanes->wakes;
	return lanes->draw->wake(lanes, by, lane, event->time, lane->woken);
}

static int lanes_transition(struct stele__lanes *lanes, const struct stele_reader *reader,
			    const struct stele_event *event)
{
	struct stele__lane *lane = stele__keymap_get(&lanes->lanes, event->resource_id);
	int r = 0;

	if (event->resource != STELE_RESOURCE_GOROUTINE)
		return 0;
	if (!lane && event->to == STELE_STATE_NOT_EXIST)
		return 0;
	if (!lane)
		r = lanes_new(lanes, event, &lane);
	else if (lane->state != event->to)
		r = lanes_slice(lanes, lane, event->time);
	if (r < 0)
		return r;
	if (event->to == STELE_STATE_NOT_EXIST) {
		void *tag = stele__keymap_get(&lanes->tags, lane->goroutine);

		if (tag)
			stele__keymap_drop(&lanes->tags, lane->goroutine, tag);
		free(tag);
		r = lanes_flush(lanes, lane);
		for (; lane->depth && r == 0; lane->depth--)
			r = lanes->draw->region(lanes, lane, lanes->states[0], event->time, false);
		if (r == 0 && lanes->draw->end)
			r = lanes->draw->end(lanes, lane);
		stele__keymap_drop(&lanes->lanes, lane->goroutine, lane);
		free(lane);
		return r;
	}
	if (lane->state != event->to) {
		lane->state = event->to;
		lane->reason = event->to == STELE_STATE_SYSCALL ? lanes_call(lanes, reader, event)
								: lanes_label(lanes, event->name);
		if (!lane->reason)
			return -ENOMEM;
		r = lanes_wake(lanes, lane, event);
	}
	return r < 0 ? r : lanes_name(lanes, reader, lane, event);
}

/* ---- annotations ---- */

static int lanes_region(struct stele__lanes *lanes, const struct stele_event *event)
{
	struct stele__lane *lane = stele__keymap_get(&lanes->lanes, event->goroutine);
	struct stele__label *name = lanes_label(lanes, event->name);
	bool begin = event->kind == STELE_EVENT_REGION_BEGIN;

	if (!name)
		return -ENOMEM;
	if (!lane || (!begin && !lane->depth)) /* it began before the trace did */
		return 0;
	lane->depth += begin ? 1 : UINT32_MAX;
	return lanes->draw->region(lanes, lane, name, event->time, begin);
}

static int lanes_task(struct stele__lanes *lanes, const struct stele_event *event)
{
	struct stele__task *task = stele__keymap_get(&lanes->tasks, event->task);
	int r;

	if (event->kind == STELE_EVENT_TASK_END) {
		if (!task)
			return 0;
		r = lanes->draw->task(lanes, task, event->time, false);
		stele__keymap_drop(&lanes->tasks, event->task, task);
		free(task);
		return r;
	}
	if (task)
		return 0;
	task = calloc(1, sizeof(*task));
	if (!task)
		return -ENOMEM;
	*task = (struct stele__task){event->task, ++lanes->serial, lanes_label(lanes, event->name)};
	r = task->name ? stele__keymap_add(&lanes->tasks, event->task, task) : -ENOMEM;
	if (r < 0) {
		free(task);
		return r;
	}
	return lanes->draw->task(lanes, task, event->time, true);
}

/* A decimal number as counters write it. */
static bool lanes_number(struct stele_string text, int64_t *ret_value)
{
	size_t i = text.bytes && text.data[0] == '-';
	bool negative = i;
	int64_t value = 0;

	if (i == text.bytes)
		return false;
	for (; i < text.bytes; i++) {
		int digit = text.data[i] - '0';

		if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_sub_overflow(value, digit, &value))
			return false;
	}
	if (!negative && value == INT64_MIN)
		return false;
	*ret_value = negative ? value : -value;
	return true;
}

static int lanes_log(struct stele__lanes *lanes, const struct stele_event *event)
{
	struct stele__lane *lane = stele__keymap_get(&lanes->lanes, event->goroutine);
	struct stele__label *name = lanes_label(lanes, event->name);
	int64_t value;

	if (!name)
		return -ENOMEM;
	if (name->counter && lanes_number(event->text, &value))
		return lanes->draw->counter(lanes, name, value, event->time);
	return lane ? lanes->draw->instant(lanes, lane, name, event->text, event->time) : 0;
}

static int lanes_heap(struct stele__lanes *lanes, unsigned family, int64_t time)
{
	return lanes->draw->counter(lanes, lanes->heap_names[family],
				    (int64_t)stele__heapcounter_bytes(&lanes->heap, family), time);
}

static int lanes_memory(struct stele__lanes *lanes, const struct stele_reader *reader,
			const struct stele_event *event)
{
	unsigned family;
	int r = stele__heapcounter_event(&lanes->heap, reader, event, &family);

	return r <= 0 ? r : lanes_heap(lanes, family, event->time);
}

int stele__lanes_event(struct stele__lanes *lanes, const struct stele_reader *reader,
		       const struct stele_event *event)
{
	struct stele__label *name;

	if (!lanes->started)
		lanes->synced = event->time;
	lanes->started = true;
	lanes->last = event->time;
	switch (event->kind) {
	case STELE_EVENT_SYNC:
		lanes->synced = event->time;
		if (lanes->draw->heap) {
			int r = lanes_memory(lanes, reader, event);

			if (r < 0)
				return r;
		}
		return lanes_sync(lanes, reader);
	case STELE_EVENT_EXPERIMENTAL:
		return lanes->draw->heap ? lanes_memory(lanes, reader, event) : 0;
	case STELE_EVENT_TRANSITION:
		return lanes_transition(lanes, reader, event);
	case STELE_EVENT_REGION_BEGIN:
	case STELE_EVENT_REGION_END:
		return lanes_region(lanes, event);
	case STELE_EVENT_TASK_BEGIN:
	case STELE_EVENT_TASK_END:
		return lanes_task(lanes, event);
	case STELE_EVENT_LOG:
		return lanes_log(lanes, event);
	case STELE_EVENT_METRIC:
		name = lanes_label(lanes, event->name);
		return name ? lanes->draw->counter(lanes, name, (int64_t)event->value[0],
						   event->time)
			    : -ENOMEM;
	default:
		return 0;
	}
}

int stele__lanes_finish(struct stele__lanes *lanes)
{
	struct stele__lane *lane;
	struct stele__task *task;
	size_t at = 0;
	int r = 0;

	while (r == 0 && (lane = stele__keymap_each(&lanes->lanes, &at))) {
		r = lanes_slice(lanes, lane, lanes->last);
		if (r == 0)
			r = lanes_flush(lanes, lane);
		for (; lane->depth && r == 0; lane->depth--)
			r = lanes->draw->region(lanes, lane, lanes->states[0], lanes->last, false);
	}
	at = 0;
	while (r == 0 && (task = stele__keymap_each(&lanes->tasks, &at)))
		r = lanes->draw->task(lanes, task, lanes->last, false);
	for (unsigned i = 0; r == 0 && i < STELE__MEMORY_FAMILIES; i++)
		if (lanes->draw->heap && lanes->heap.family[i].most)
			r = lanes_heap(lanes, i, lanes->last);
	return r;
}
