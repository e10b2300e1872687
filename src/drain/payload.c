/* SPDX-License-Identifier: MIT */
/*
 * Records that change no scheduling state: annotations, memory, modules, names. Annotations need a
 * running goroutine, memory events only a thread.
 */
#include <errno.h>
#include <stdlib.h>

#include "drain/machine.h"

#define PAGE_SHIFT_WIRE 12

static uint8_t *payload_arg(uint8_t *p, uint64_t value)
{
	return stele__varint_put(p, value);
}

/* Runs the goroutine around an annotation. False: it has none, and none could be made. */
static bool payload_enter(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time)
{
	if (STELE_UNLIKELY(!stele__context_is_running(d, t)))
		stele__context_run(d, t, time);
	return t->go != NULL;
}

/*
 * Another thread may have ended the task, and its stream may have been read first. Then the time of
 * the end tells, until the beginning was seen. Nobody begins the task again.
 */
#define TASK_SEEN ((void *)1)

static bool payload_task_ended(struct stele_drain *d, uint64_t task, uint64_t time, bool *ret_later)
{
	uintptr_t ended = (uintptr_t)stele__lookup_get(&d->retired, task, STELE_RETIRED_TASK);

	*ret_later = ended > time;
	if (*ret_later)
		stele__lookup_put(&d->retired, task, STELE_RETIRED_TASK, TASK_SEEN);
	return ended && !*ret_later;
}

static void payload_task_begin(struct stele_drain *d, struct stele_drain_thread *t,
			       const struct stele_record *r, uint64_t time)
{
	uint64_t task = r->a;
	bool later = false;
	uint8_t *p;

	if (task == 0 || task == UINT64_MAX || stele__lookup_get(&d->tasks, task, 0) ||
	    payload_task_ended(d, task, time, &later) || d->tasks.count >= STELE_GO_COUNT_MAX ||
	    (!later && stele__lookup_put(&d->tasks, task, 0, STELE_TASK_BEGUN(time)))) {
		d->stats.unexplained++;
		return;
	}
	p = stele__lane_begin(d, &t->lane, STELE_EV_USER_TASK_BEGIN, time);
	p = payload_arg(payload_arg(p, task), r->b == UINT64_MAX ? 0 : r->b);
	p = payload_arg(p, stele__intern_string(d, (uint32_t)r->c));
	stele__lane_end(&t->lane, payload_arg(p, stele__intern_stack(d, (uint32_t)(r->c >> 32))));
}

static void payload_task_end(struct stele_drain *d, struct stele_drain_thread *t,
			     const struct stele_record *r, uint64_t time)
{
	void *ended = stele__lookup_get(&d->retired, r->a, STELE_RETIRED_TASK);
	uintptr_t began = (uintptr_t)stele__lookup_remove(&d->tasks, r->a, 0);
	bool begun = began || ended == TASK_SEEN;
	uint8_t *p;

	if (r->a == 0 || r->a == UINT64_MAX) {
		d->stats.unexplained++;
		return;
	}
	/* Of two threads' events of one time readers may take the end first. */
	if (began && time < began)
		time = began;
	ended = begun ? TASK_SEEN : (void *)(uintptr_t)time;
	if (stele__lookup_put(&d->retired, r->a, STELE_RETIRED_TASK, ended))
		return;
	p = payload_arg(stele__lane_begin(d, &t->lane, STELE_EV_USER_TASK_END, time), r->a);
	stele__lane_end(&t->lane, payload_arg(p, stele__intern_stack(d, (uint32_t)r->c)));
}

static void payload_region(struct stele_drain *d, struct stele_drain_thread *t, uint8_t type,
			   const struct stele_region *region, uint64_t time)
{
	uint8_t *p = stele__lane_begin(d, &t->lane, type, time);

	p = payload_arg(payload_arg(p, region->task), stele__intern_string(d, region->name));
	stele__lane_end(&t->lane, payload_arg(p, stele__intern_stack(d, region->stack)));
}

static void payload_region_begin(struct stele_drain *d, struct stele_drain_thread *t,
				 const struct stele_region *region, uint64_t time)
{
	struct stele_drain_go *go = t->go;

	if (go->region_count >= STELE_REGIONS_MAX ||
	    (go->region_count == go->region_max &&
	     !stele__vector_grow(d, &go->regions, go->region_count, &go->region_max,
				 sizeof(*go->regions)))) {
		d->stats.unexplained++;
		return;
	}
	go->regions[go->region_count] = *region;
	go->regions[go->region_count++].begin = time;
	payload_region(d, t, STELE_EV_USER_REGION_BEGIN, region, time);
}

/*
 * A reader demands that the innermost region ends. If another is ended, the ends of those inside it
 * were lost; if none matches, the beginning was.
 */
static void payload_region_end(struct stele_drain *d, struct stele_drain_thread *t,
			       const struct stele_region *region, uint64_t time)
{
	struct stele_drain_go *go = t->go;
	uint32_t at = go->region_count;

	while (at && (go->regions[at - 1].task != region->task ||
		      go->regions[at - 1].name != region->name))
		at--;
	if (!at && go->region_count)
		return;
	for (; go->region_count > at && at; go->region_count--, d->stats.bridged++)
		payload_region(d, t, STELE_EV_USER_REGION_END, &go->regions[go->region_count - 1],
			       time);
	if (at)
		stele__watch_region(d, t, &go->regions[--go->region_count], time);
	payload_region(d, t, STELE_EV_USER_REGION_END, region, time);
}

static void payload_log(struct stele_drain *d, struct stele_drain_thread *t, uint64_t task,
			uint32_t key, uint32_t value, uint32_t stack, uint64_t time)
{
	uint8_t *p = stele__lane_begin(d, &t->lane, STELE_EV_USER_LOG, time);

	p = payload_arg(payload_arg(payload_arg(p, task), key), value);
	stele__lane_end(&t->lane, payload_arg(p, stack));
}

/* A log of the decimal value: what Go's viewers can show. Own data says which keys are counters. */
static void payload_counter(struct stele_drain *d, struct stele_drain_thread *t,
			    const struct stele_record *r, uint64_t time)
{
	stele__own_counter(d, (uint32_t)r->a);
	payload_log(d, t, 0, stele__intern_string(d, (uint32_t)r->a),
		    stele__intern_decimal(d, (int64_t)r->b), 0, time);
}

static void payload_user(struct stele_drain *d, struct stele_drain_thread *t, unsigned kind,
			 const struct stele_record *r, uint64_t time)
{
	struct stele_region region = {r->a, (uint32_t)r->c, (uint32_t)(r->c >> 32)};

	if (!payload_enter(d, t, time))
		return;
	switch (kind) {
	case STELE_KIND_TASK_BEGIN:
		payload_task_begin(d, t, r, time);
		break;
	case STELE_KIND_TASK_END:
		payload_task_end(d, t, r, time);
		break;
	case STELE_KIND_REGION_BEGIN:
		payload_region_begin(d, t, &region, time);
		break;
	case STELE_KIND_REGION_END:
		payload_region_end(d, t, &region, time);
		break;
	case STELE_KIND_LOG:
		payload_log(d, t, r->a, stele__intern_string(d, (uint32_t)r->b),
			    stele__intern_string(d, (uint32_t)(r->b >> 32)),
			    stele__intern_stack(d, (uint32_t)r->c), time);
		break;
	case STELE_KIND_COUNTER:
		payload_counter(d, t, r, time);
		break;
	case STELE_KIND_LABEL: {
		uint8_t *p = stele__lane_begin(d, &t->lane, STELE_EV_GO_LABEL, time);

		stele__lane_end(&t->lane, payload_arg(p, stele__intern_string(d, (uint32_t)r->a)));
		break;
	}
	}
	stele__context_settle(d, t, time);
}

static uint64_t payload_order(uint64_t bytes)
{
	return bytes ? 65 - (uint64_t)__builtin_clzll(bytes) - ((bytes & (bytes - 1)) == 0) : 0;
}

STELE_INLINE void payload_memory(struct stele_drain *d, struct stele_drain_thread *t, uint8_t type,
				 uint64_t time, uint64_t id, unsigned args, uint64_t second,
				 uint64_t third)
{
	uint8_t *p = payload_arg(stele__lane_begin(d, &t->lane, type, time), id);

	if (args > 1)
		p = payload_arg(p, second);
	if (args > 2)
		p = payload_arg(p, third);
	stele__lane_end(&t->lane, p);
}

/* Spans and stacks that are alive: few, and to be ended when an exec takes them away. */
static void payload_track(struct stele_drain *d, uint64_t id, uint8_t free_type, bool is_free)
{
	if (is_free)
		stele__lookup_remove(&d->memory_live, id, free_type);
	else if (d->memory_live.count < STELE_GO_COUNT_MAX &&
		 stele__lookup_put(&d->memory_live, id, free_type, d))
		d->error = d->error ? d->error : -ENOMEM;
}

/* A new program image has replaced the one in which they were. */
static void payload_image(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time)
{
	const struct stele_lookup *live = &d->memory_live;

	for (size_t i = 0; live->cells && i <= live->mask; i++)
		if (live->cells[i].value)
			payload_memory(d, t, (uint8_t)live->cells[i].b, time, live->cells[i].a, 1,
				       0, 0);
	stele__lookup_done(&d->memory_live, NULL);
}

static void payload_span(struct stele_drain *d, struct stele_drain_thread *t, unsigned kind,
			 const struct stele_record *r, uint64_t time)
{
	uint64_t id = r->a >> PAGE_SHIFT_WIRE;
	uint64_t pages = (r->b >> PAGE_SHIFT_WIRE) + ((r->b & ((1u << PAGE_SHIFT_WIRE) - 1)) != 0);
	uint8_t type = (uint8_t)(STELE_EV_SPAN + (kind - STELE_KIND_SPAN));

	payload_track(d, id, STELE_EV_SPAN_FREE, kind == STELE_KIND_SPAN_FREE);
	payload_memory(d, t, type, time, id, kind == STELE_KIND_SPAN_FREE ? 1 : 3, pages,
		       (uint32_t)r->c);
}

STELE_INLINE void payload_object(struct stele_drain *d, struct stele_drain_thread *t, unsigned kind,
				 const struct stele_record *r, uint64_t time)
{
	uint8_t type = (uint8_t)(STELE_EV_HEAP_OBJECT + (kind - STELE_KIND_OBJECT));

	if (kind == STELE_KIND_OBJECT_FREE) {
		payload_memory(d, t, type, time, r->a, 1, 0, 0);
		return;
	}
	d->stats.object_bytes += r->b;
	payload_memory(d, t, type, time, r->a, 2, stele__intern_type(d, r->b, (uint32_t)r->c), 0);
}

static void payload_stack(struct stele_drain *d, struct stele_drain_thread *t, unsigned kind,
			  const struct stele_record *r, uint64_t time)
{
	uint8_t type = (uint8_t)(STELE_EV_GOROUTINE_STACK + (kind - STELE_KIND_STACK));

	payload_track(d, r->a, STELE_EV_GOROUTINE_STACK_FREE, kind == STELE_KIND_STACK_FREE);
	payload_memory(d, t, type, time, r->a, kind == STELE_KIND_STACK_FREE ? 1 : 2,
		       payload_order(r->b), 0);
}

void stele__payload_convert(struct stele_drain *d, struct stele_drain_thread *t,
			    const struct stele_record *r, uint64_t time)
{
	unsigned kind = stele__record_kind(r->header);

	if (STELE_LIKELY(kind >= STELE_KIND_OBJECT && kind <= STELE_KIND_OBJECT_FREE)) {
		payload_object(d, t, kind, r, time);
		return;
	}
	switch (kind) {
	case STELE_KIND_TASK_BEGIN ... STELE_KIND_COUNTER:
		payload_user(d, t, kind, r, time);
		break;
	case STELE_KIND_CPU_SAMPLE:
		stele__cpu_sample(d, t, (uint32_t)r->c, time);
		break;
	case STELE_KIND_SPAN ... STELE_KIND_SPAN_FREE:
		payload_span(d, t, kind, r, time);
		break;
	case STELE_KIND_STACK ... STELE_KIND_STACK_FREE:
		payload_stack(d, t, kind, r, time);
		break;
	case STELE_KIND_IMAGE_BEGIN:
		/* The first one replaces nothing: others may tell of theirs before it says so. */
		if (d->own.pid) {
			payload_image(d, t, time);
			stele__census_image(d, t);
		}
		d->own.image = true;
		d->own.program = 0;
		d->own.pid = r->a;
		break;
	case STELE_KIND_MODULE_LOAD:
		if (!d->own.program)
			d->own.program = (uint32_t)r->a;
		stele__module_loaded(d, (uint32_t)r->a);
		break;
	case STELE_KIND_MODULE_UNLOAD:
		stele__module_unloaded(d, (uint32_t)r->a);
		break;
	case STELE_KIND_THREAD_NAME:
		t->name = (uint32_t)r->a;
		t->announce = true;
		break;
	case STELE_KIND_RELEASE:
		stele__detail_release(d, t, r, time);
		break;
	case STELE_KIND_FILE:
		stele__detail_file(d, t, r, time);
		break;
	case STELE_KIND_STACK_USED:
		stele__detail_stack(d, t, r, time);
		break;
	case STELE_KIND_LOCK_ORDER:
		stele__detail_order(d, t, r, time);
		break;
	case STELE_KIND_OBJECT_MADE:
		stele__own_object(d, r->a, r->b);
		break;
	case STELE_KIND_BREAK:
		stele__lane_flush(d, &t->lane);
		break;
	default:
		d->stats.unexplained++;
		break;
	}
}
