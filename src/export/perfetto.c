/* SPDX-License-Identifier: MIT */
/*
 * Perfetto's trace packets: a track for each lane, a track below it for its regions, a track for
 * each task and counter. Names are interned: written with the packet that uses them first.
 */
#include <stdio.h>
#include <string.h>

#include "export/export.h"
#include "export/lanes.h"
#include "export/proto.h"

/* Field numbers of Perfetto's protos. */
enum perfetto_field {
	TRACE_PACKET = 1,
	PACKET_TIMESTAMP = 8,
	PACKET_SEQUENCE = 10,
	PACKET_EVENT = 11,
	PACKET_INTERNED = 12,
	PACKET_FLAGS = 13,
	PACKET_TRACK = 60,
	EVENT_CATEGORY_IID = 3,
	EVENT_ANNOTATION = 4,
	EVENT_TYPE = 9,
	EVENT_NAME_IID = 10,
	EVENT_TRACK = 11,
	EVENT_COUNTER = 30,
	EVENT_FLOW = 47,
	EVENT_FLOW_END = 48,
	INTERNED_CATEGORIES = 1,
	INTERNED_NAMES = 2,
	INTERNED_IID = 1,
	INTERNED_NAME = 2,
	ANNOTATION_TEXT = 6,
	ANNOTATION_NAME = 10,
	TRACK_UUID = 1,
	TRACK_NAME = 2,
	TRACK_PROCESS = 3,
	TRACK_THREAD = 4,
	TRACK_PARENT = 5,
	TRACK_COUNTER = 8,
	PROCESS_PID = 1,
	PROCESS_NAME = 6,
	THREAD_PID = 1,
	THREAD_TID = 2,
	THREAD_NAME = 5,
};

enum { EVENT_BEGIN = 1, EVENT_END = 2, EVENT_INSTANT = 3, EVENT_COUNT = 4 };
enum { FLAG_CLEARED = 1, FLAG_NEEDS = 2 };
enum { CATEGORY_STATE = 1, CATEGORY_REGION, CATEGORY_TASK, CATEGORY_LOG, CATEGORY_WAKE };
#define CATEGORY_END (CATEGORY_WAKE + 1)

#define PERFETTO_PROCESS 1		     /* the process's track; all others are above */
#define PERFETTO_OTHER	 (UINT64_C(1) << 62) /* tracks of other processes, with their ids */
#define PERFETTO_PID	 1		     /* of programs whose own is unknown */

/* Marks of lanes and labels: what has been written of them. */
enum { MARK_LANE = 1, MARK_REGIONS = 2, MARK_NAME = 1, MARK_COUNTER = 2 };

/* Tracks get numbers from their kinds and serials. */
enum { TRACK_OF_LANE, TRACK_OF_REGIONS, TRACK_OF_TASK, TRACK_OF_COUNTER };

struct perfetto {
	struct stele__lanes lanes;
	struct stele__proto p;
	struct stele__export *e;
	bool started;
};

static uint64_t perfetto_track(unsigned kind, uint64_t serial)
{
	return serial << 2 | kind;
}

static struct perfetto *perfetto_of(struct stele__lanes *lanes)
{
	return lanes->arg;
}

static uint64_t perfetto_pid(uint64_t pid)
{
	return pid ? pid : PERFETTO_PID;
}

static size_t perfetto_begin(struct perfetto *f)
{
	size_t packet;

	f->p.used = 0;
	packet = stele__proto_open(&f->p, TRACE_PACKET);
	stele__proto_u64(&f->p, PACKET_SEQUENCE, 1);
	return packet;
}

static int perfetto_end(struct perfetto *f, size_t packet)
{
	stele__proto_close(&f->p, packet);
	if (f->p.error)
		return f->p.error;
	return f->e->write(f->e->arg, f->p.data, f->p.used);
}

static void perfetto_intern(struct perfetto *f, unsigned table, uint64_t id,
			    struct stele_string text)
{
	size_t interned = stele__proto_open(&f->p, PACKET_INTERNED);
	size_t entry = stele__proto_open(&f->p, table);

	stele__proto_u64(&f->p, INTERNED_IID, id);
	stele__proto_text(&f->p, INTERNED_NAME, text);
	stele__proto_close(&f->p, entry);
	stele__proto_close(&f->p, interned);
}

/* ---- tracks ---- */

static int perfetto_process_track(struct perfetto *f, uint64_t uuid, uint64_t pid,
				  struct stele_string name)
{
	size_t packet = perfetto_begin(f), track = stele__proto_open(&f->p, PACKET_TRACK), process;

	stele__proto_u64(&f->p, TRACK_UUID, uuid);
	process = stele__proto_open(&f->p, TRACK_PROCESS);
	stele__proto_u64(&f->p, PROCESS_PID, perfetto_pid(pid));
	stele__proto_text(&f->p, PROCESS_NAME, name);
	stele__proto_close(&f->p, process);
	stele__proto_close(&f->p, track);
	return perfetto_end(f, packet);
}

static int perfetto_process(struct stele__lanes *lanes)
{
	static const struct stele_string unknown = {"go program", 10};
	struct perfetto *f = perfetto_of(lanes);

	f->started = true;
	return perfetto_process_track(f, PERFETTO_PROCESS, lanes->pid,
				      lanes->program ? lanes->program->text : unknown);
}

static int perfetto_lane(struct perfetto *f, struct stele__lane *lane)
{
	struct stele_string name = {"", 0};
	uint64_t pid = stele__lanes_pid(&f->lanes, lane);
	size_t packet, track, thread;
	char text[256];
	int r = 0;

	if (lane->mark & MARK_LANE)
		return 0;
	lane->mark |= MARK_LANE;
	if (lane->name)
		name = lane->name->text;
	/* Another process, after its first thread. */
	if (pid != f->lanes.pid && lane->thread == pid)
		r = perfetto_process_track(f, PERFETTO_OTHER | pid, pid, name);
	if (r < 0)
		return r;
	packet = perfetto_begin(f);
	track = stele__proto_open(&f->p, PACKET_TRACK);
	stele__proto_u64(&f->p, TRACK_UUID, perfetto_track(TRACK_OF_LANE, lane->serial));
	if (lane->thread != STELE_NO_ID) {
		thread = stele__proto_open(&f->p, TRACK_THREAD);
		stele__proto_u64(&f->p, THREAD_PID, perfetto_pid(pid));
		stele__proto_u64(&f->p, THREAD_TID, lane->thread & INT32_MAX);
		stele__proto_text(&f->p, THREAD_NAME, name);
		stele__proto_close(&f->p, thread);
	} else {
		int length = snprintf(text, sizeof(text), "g%llu %.*s",
				      (unsigned long long)lane->goroutine,
				      (int)(name.bytes < 200 ? name.bytes : 200), name.data);

		stele__proto_u64(&f->p, TRACK_PARENT, PERFETTO_PROCESS);
		stele__proto_text(&f->p, TRACK_NAME, (struct stele_string){text, (size_t)length});
	}
	stele__proto_close(&f->p, track);
	return perfetto_end(f, packet);
}

/* A track of its own below another one. */
static int perfetto_child(struct perfetto *f, uint64_t uuid, uint64_t parent,
			  struct stele_string name, bool counter)
{
	size_t packet = perfetto_begin(f), track = stele__proto_open(&f->p, PACKET_TRACK);

	stele__proto_u64(&f->p, TRACK_UUID, uuid);
	stele__proto_u64(&f->p, TRACK_PARENT, parent);
	stele__proto_text(&f->p, TRACK_NAME, name);
	if (counter)
		stele__proto_close(&f->p, stele__proto_open(&f->p, TRACK_COUNTER));
	stele__proto_close(&f->p, track);
	return perfetto_end(f, packet);
}

/* ---- events ---- */

struct perfetto_event {
	unsigned type, category; /* category 0: none */
	uint64_t track;
	int64_t time;
	struct stele__label *name; /* NULL: none */
	struct stele_string text;  /* an annotation; data NULL: none */
	int64_t value;		   /* of a counter */
	uint64_t flow;		   /* an arrow begins here, or (slices) ends; 0: none does */
};

static int perfetto_event(struct perfetto *f, const struct perfetto_event *event)
{
	size_t packet = perfetto_begin(f), body, annotation;

	stele__proto_u64(&f->p, PACKET_TIMESTAMP, (uint64_t)event->time);
	stele__proto_u64(&f->p, PACKET_FLAGS, FLAG_NEEDS);
	if (event->name && !(event->name->mark & MARK_NAME)) {
		event->name->mark |= MARK_NAME;
		perfetto_intern(f, INTERNED_NAMES, event->name->id, event->name->text);
	}
	body = stele__proto_open(&f->p, PACKET_EVENT);
	stele__proto_u64(&f->p, EVENT_TYPE, event->type);
	stele__proto_u64(&f->p, EVENT_TRACK, event->track);
	if (event->category)
		stele__proto_u64(&f->p, EVENT_CATEGORY_IID, event->category);
	if (event->name)
		stele__proto_u64(&f->p, EVENT_NAME_IID, event->name->id);
	if (event->type == EVENT_COUNT)
		stele__proto_u64(&f->p, EVENT_COUNTER, (uint64_t)event->value);
	if (event->flow)
		stele__proto_fixed64(&f->p,
				     event->type == EVENT_BEGIN ? EVENT_FLOW_END : EVENT_FLOW,
				     event->flow);
	if (event->text.data) {
		annotation = stele__proto_open(&f->p, EVENT_ANNOTATION);
		stele__proto_text(&f->p, ANNOTATION_NAME, (struct stele_string){"text", 4});
		stele__proto_text(&f->p, ANNOTATION_TEXT, event->text);
		stele__proto_close(&f->p, annotation);
	}
	stele__proto_close(&f->p, body);
	return perfetto_end(f, packet);
}

static int perfetto_slice(struct stele__lanes *lanes, struct stele__lane *lane,
			  const struct stele__slice *slice)
{
	struct perfetto *f = perfetto_of(lanes);
	struct perfetto_event event = {
		EVENT_BEGIN,
		CATEGORY_STATE,
		perfetto_track(TRACK_OF_LANE, lane->serial),
		slice->begin,
		slice->name,
		{0},
		0,
		slice->woken,
	};
	int r = perfetto_lane(f, lane);

	if (r == 0)
		r = perfetto_event(f, &event);
	event.type = EVENT_END;
	event.flow = 0;
	event.category = 0;
	event.time = slice->end;
	event.name = NULL;
	return r == 0 ? perfetto_event(f, &event) : r;
}

static int perfetto_region(struct stele__lanes *lanes, struct stele__lane *lane,
			   struct stele__label *name, int64_t time, bool begin)
{
	struct perfetto *f = perfetto_of(lanes);
	uint64_t track = perfetto_track(TRACK_OF_REGIONS, lane->serial);
	struct perfetto_event event = {
		begin ? EVENT_BEGIN : EVENT_END,
		begin ? CATEGORY_REGION : 0,
		track,
		time,
		begin ? name : NULL,
		{0},
		0,
		0,
	};
	int r = perfetto_lane(f, lane);

	if (r == 0 && !(lane->mark & MARK_REGIONS)) {
		lane->mark |= MARK_REGIONS;
		r = perfetto_child(f, track, perfetto_track(TRACK_OF_LANE, lane->serial),
				   (struct stele_string){"regions", 7}, false);
	}
	return r == 0 ? perfetto_event(f, &event) : r;
}

static int perfetto_task(struct stele__lanes *lanes, const struct stele__task *task, int64_t time,
			 bool begin)
{
	struct perfetto *f = perfetto_of(lanes);
	uint64_t track = perfetto_track(TRACK_OF_TASK, task->serial);
	struct perfetto_event event = {
		begin ? EVENT_BEGIN : EVENT_END,
		begin ? CATEGORY_TASK : 0,
		track,
		time,
		begin ? task->name : NULL,
		{0},
		0,
		0,
	};
	int r = 0;

	if (begin)
		r = perfetto_child(f, track, PERFETTO_PROCESS, (struct stele_string){"tasks", 5},
				   false);
	return r == 0 ? perfetto_event(f, &event) : r;
}

static int perfetto_instant(struct stele__lanes *lanes, struct stele__lane *lane,
			    struct stele__label *name, struct stele_string text, int64_t time)
{
	struct perfetto *f = perfetto_of(lanes);
	struct perfetto_event event = {
		EVENT_INSTANT,
		CATEGORY_LOG,
		perfetto_track(TRACK_OF_LANE, lane->serial),
		time,
		name,
		text,
		0,
		0,
	};
	int r = perfetto_lane(f, lane);

	return r == 0 ? perfetto_event(f, &event) : r;
}

/* An arrow from here to the slice that begins there. */
static int perfetto_wake(struct stele__lanes *lanes, struct stele__lane *by,
			 struct stele__lane *lane, int64_t time, uint64_t number)
{
	static const struct stele_string nobody = {"", 0};
	struct perfetto *f = perfetto_of(lanes);
	struct perfetto_event event = {
		EVENT_INSTANT,
		CATEGORY_WAKE,
		perfetto_track(TRACK_OF_LANE, by->serial),
		time,
		NULL,
		lane->name ? lane->name->text : nobody,
		0,
		number,
	};
	int r = perfetto_lane(f, by);

	return r == 0 ? perfetto_event(f, &event) : r;
}

static int perfetto_counter(struct stele__lanes *lanes, struct stele__label *name, int64_t value,
			    int64_t time)
{
	struct perfetto *f = perfetto_of(lanes);
	uint64_t track = perfetto_track(TRACK_OF_COUNTER, name->id);
	struct perfetto_event event = {EVENT_COUNT, 0, track, time, NULL, {0}, value, 0};
	int r = 0;

	if (!(name->mark & MARK_COUNTER)) {
		name->mark |= MARK_COUNTER;
		r = perfetto_child(f, track, PERFETTO_PROCESS, name->text, true);
	}
	return r == 0 ? perfetto_event(f, &event) : r;
}

/* ---- the format ---- */

static const struct stele__draw perfetto_draw = {
	.heap = true,
	.process = perfetto_process,
	.slice = perfetto_slice,
	.wake = perfetto_wake,
	.region = perfetto_region,
	.task = perfetto_task,
	.instant = perfetto_instant,
	.counter = perfetto_counter,
};

static int perfetto_start(struct stele__export *e)
{
	static const char *const categories[] = {"", "state", "region", "task", "log", "wake"};
	struct perfetto *f = e->state;
	size_t packet;
	int r = stele__lanes_init(&f->lanes, &perfetto_draw, f);

	if (r < 0)
		return r;
	f->e = e;
	f->lanes.min_ns = e->min_ns;
	/* Serial 0 would give a lane the process's number. */
	packet = perfetto_begin(f);
	stele__proto_u64(&f->p, PACKET_FLAGS, FLAG_CLEARED);
	for (unsigned i = CATEGORY_STATE; i < CATEGORY_END; i++)
		perfetto_intern(f, INTERNED_CATEGORIES, i,
				(struct stele_string){categories[i], strlen(categories[i])});
	return perfetto_end(f, packet);
}

static int perfetto_take(struct stele__export *e, const struct stele_reader *reader,
			 const struct stele_event *event)
{
	struct perfetto *f = e->state;
	int r = 0;

	/* The program's name comes with the first generation, if it comes at all. */
	if (!f->started && event->kind != STELE_EVENT_SYNC)
		r = perfetto_process(&f->lanes);
	return r < 0 ? r : stele__lanes_event(&f->lanes, reader, event);
}

static int perfetto_finish(struct stele__export *e)
{
	struct perfetto *f = e->state;

	return stele__lanes_finish(&f->lanes);
}

static void perfetto_free(struct stele__export *e)
{
	struct perfetto *f = e->state;

	stele__lanes_done(&f->lanes);
	stele__proto_done(&f->p);
}

const struct stele__format stele__format_perfetto = {
	.name = "perfetto",
	.summary = "for ui.perfetto.dev and trace_processor: states, wake-ups, regions, counters",
	.binary = true,
	.state_bytes = sizeof(struct perfetto),
	.each_bytes = 64,
	.start = perfetto_start,
	.event = perfetto_take,
	.finish = perfetto_finish,
	.free = perfetto_free,
};
