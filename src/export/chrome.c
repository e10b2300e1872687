/* SPDX-License-Identifier: MIT */
/* Chrome's trace events: an array in JSON, for chrome://tracing, Perfetto, speedscope. */
#include <inttypes.h>

#include "export/export.h"
#include "export/lanes.h"
#include "export/textsink.h"

#define CHROME_PID 1 /* of programs whose own is unknown */

struct chrome {
	struct stele__lanes lanes;
	struct stele__textsink t;
	bool comma;
};

static struct chrome *chrome_of(struct stele__lanes *lanes)
{
	return lanes->arg;
}

/* Threads of C programs have their ids; goroutines count from a number that no thread has. */
static uint64_t chrome_tid(const struct stele__lane *lane)
{
	return lane->thread != STELE_NO_ID ? lane->thread : (UINT64_C(1) << 32) + lane->goroutine;
}

/* Opens an event: {"ph": "X", "pid": 1, "tid": 2, "ts": 3.004 */
static void chrome_begin(struct chrome *c, char phase, uint64_t tid, int64_t time)
{
	stele__text_format(&c->t,
			   "%s\n{\"ph\": \"%c\", \"pid\": %" PRIu64 ", \"tid\": %" PRIu64
			   ", \"ts\": %" PRId64 ".%03d",
			   c->comma ? "," : "", phase, c->lanes.pid ? c->lanes.pid : CHROME_PID,
			   tid, time / 1000, (int)(time % 1000));
	c->comma = true;
}

static void chrome_name(struct chrome *c, const char *category, struct stele_string name)
{
	stele__text_format(&c->t, ", \"cat\": \"%s\", \"name\": ", category);
	stele__text_json(&c->t, name);
}

static int chrome_end(struct chrome *c)
{
	stele__text_bytes(&c->t, "}", 1);
	return c->t.error;
}

static int chrome_meta(struct chrome *c, const char *what, uint64_t tid, struct stele_string name)
{
	chrome_begin(c, 'M', tid, 0);
	stele__text_format(&c->t, ", \"name\": \"%s\", \"args\": {\"name\": ", what);
	stele__text_json(&c->t, name);
	stele__text_bytes(&c->t, "}", 1);
	return chrome_end(c);
}

static int chrome_process(struct stele__lanes *lanes)
{
	return chrome_meta(chrome_of(lanes), "process_name", 0, lanes->program->text);
}

static int chrome_lane(struct chrome *c, struct stele__lane *lane)
{
	if (lane->mark || !lane->name)
		return c->t.error;
	lane->mark = 1;
	return chrome_meta(c, "thread_name", chrome_tid(lane), lane->name->text);
}

static int chrome_slice(struct stele__lanes *lanes, struct stele__lane *lane,
			const struct stele__slice *slice)
{
	struct chrome *c = chrome_of(lanes);
	int64_t ns = slice->end - slice->begin;

	chrome_lane(c, lane);
	chrome_begin(c, 'X', chrome_tid(lane), slice->begin);
	stele__text_format(&c->t, ", \"dur\": %" PRId64 ".%03d", ns / 1000, (int)(ns % 1000));
	chrome_name(c, slice->state, slice->name->text);
	return chrome_end(c);
}

/* An arrow from the slice around the one end to the slice around the other. */
static int chrome_wake(struct stele__lanes *lanes, struct stele__lane *by, struct stele__lane *lane,
		       int64_t time, uint64_t number)
{
	static const struct stele_string name = {"wakes", 5};
	struct chrome *c = chrome_of(lanes);

	chrome_begin(c, 's', chrome_tid(by), time);
	stele__text_format(&c->t, ", \"id\": %" PRIu64, number);
	chrome_name(c, "wake", name);
	chrome_end(c);
	chrome_begin(c, 'f', chrome_tid(lane), time);
	stele__text_format(&c->t, ", \"bp\": \"e\", \"id\": %" PRIu64, number);
	chrome_name(c, "wake", name);
	return chrome_end(c);
}

/* Regions overlap the slices of their thread: events of their own, tied by an id. */
static int chrome_region(struct stele__lanes *lanes, struct stele__lane *lane,
			 struct stele__label *name, int64_t time, bool begin)
{
	struct chrome *c = chrome_of(lanes);

	chrome_begin(c, begin ? 'b' : 'e', chrome_tid(lane), time);
	stele__text_format(&c->t, ", \"id\": \"r%" PRIu64 "\"", lane->serial);
	chrome_name(c, "region", name->text);
	return chrome_end(c);
}

static int chrome_task(struct stele__lanes *lanes, const struct stele__task *task, int64_t time,
		       bool begin)
{
	struct chrome *c = chrome_of(lanes);

	chrome_begin(c, begin ? 'b' : 'e', 0, time);
	stele__text_format(&c->t, ", \"id\": \"t%" PRIu64 "\"", task->serial);
	chrome_name(c, "task", task->name->text);
	return chrome_end(c);
}

static int chrome_instant(struct stele__lanes *lanes, struct stele__lane *lane,
			  struct stele__label *name, struct stele_string text, int64_t time)
{
	struct chrome *c = chrome_of(lanes);

	chrome_begin(c, 'i', chrome_tid(lane), time);
	stele__text_format(&c->t, ", \"s\": \"t\"");
	chrome_name(c, "log", name->text);
	stele__text_format(&c->t, ", \"args\": {\"text\": ");
	stele__text_json(&c->t, text);
	stele__text_bytes(&c->t, "}", 1);
	return chrome_end(c);
}

static int chrome_counter(struct stele__lanes *lanes, struct stele__label *name, int64_t value,
			  int64_t time)
{
	struct chrome *c = chrome_of(lanes);

	chrome_begin(c, 'C', 0, time);
	chrome_name(c, "counter", name->text);
	stele__text_format(&c->t, ", \"args\": {\"value\": %" PRId64 "}", value);
	return chrome_end(c);
}

static const struct stele__draw chrome_draw = {
	.heap = true,
	.process = chrome_process,
	.slice = chrome_slice,
	.wake = chrome_wake,
	.region = chrome_region,
	.task = chrome_task,
	.instant = chrome_instant,
	.counter = chrome_counter,
};

static int chrome_start(struct stele__export *e)
{
	struct chrome *c = e->state;
	int r = stele__lanes_init(&c->lanes, &chrome_draw, c);

	c->t.e = e;
	c->lanes.min_ns = e->min_ns;
	stele__text_bytes(&c->t, "[", 1);
	return r < 0 ? r : c->t.error;
}

static int chrome_take(struct stele__export *e, const struct stele_reader *reader,
		       const struct stele_event *event)
{
	struct chrome *c = e->state;

	return stele__lanes_event(&c->lanes, reader, event);
}

static int chrome_finish(struct stele__export *e)
{
	struct chrome *c = e->state;
	int r = stele__lanes_finish(&c->lanes);

	stele__text_bytes(&c->t, "\n]\n", 3);
	return r < 0 ? r : c->t.error;
}

static void chrome_free(struct stele__export *e)
{
	struct chrome *c = e->state;

	stele__lanes_done(&c->lanes);
}

const struct stele__format stele__format_chrome = {
	.name = "chrome",
	.summary = "JSON trace events, for chrome://tracing, speedscope and others",
	.state_bytes = sizeof(struct chrome),
	.each_bytes = 128,
	.max_bytes = UINT64_C(512) << 20,
	.start = chrome_start,
	.event = chrome_take,
	.finish = chrome_finish,
	.free = chrome_free,
};
