/* SPDX-License-Identifier: MIT */
/* The rules for what has a begin and an end and nobody annotated: collection, stops, sweeps. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "read/order.h"

/* Go has some twenty kinds of stops; more open ones on a goroutine than this is an attack. */
#define RANGE_STOPS_MAX 1024

static struct stele_event *range_emit(struct stele__order *order, const struct stele__turn *turn,
				      enum stele_event_kind kind, enum stele_resource_kind resource,
				      uint64_t id, struct stele_string name)
{
	struct stele_event *event = stele__order_emit(order, turn, kind);

	event->resource = (uint8_t)resource;
	event->resource_id = id;
	event->name = name;
	return event;
}

static int range_gc(struct stele__order *order, const struct stele__turn *turn,
		    enum stele_event_kind kind, uint32_t stack)
{
	struct stele_event *event =
		range_emit(order, turn, kind, STELE_RESOURCE_NONE, STELE_NONE_ID,
			   STELE__TEXT("GC concurrent mark phase"));

	event->stack = stack;
	order->gc_seq = turn->event->value[0];
	order->gc_state = kind == STELE_EVENT_RANGE_END ? STELE__GC_IDLE : STELE__GC_RUNNING;
	stele__frontier_wake(&order->frontier, STELE__WAIT_GC, 0);
	return 1;
}

STELE__RULE(gc_active)
{
	uint64_t n = turn->event->value[0];
	int r;

	if (order->generation->initial) {
		if (order->gc_state != STELE__GC_UNDETERMINED)
			return stele__order_fail(order, turn,
						 "not the first event of the collector in the "
						 "trace");
		return range_gc(order, turn, STELE_EVENT_RANGE_ACTIVE, 0);
	}
	if (n != order->gc_seq + 1)
		return stele__order_wait(order, STELE__WAIT_GC, 0);
	if (order->gc_state != STELE__GC_RUNNING)
		return stele__order_fail(order, turn, "no collection is running");
	r = stele__order_need(order, turn, STELE__NEED_USER);
	return r < 0 ? r : range_gc(order, turn, STELE_EVENT_RANGE_ACTIVE, 0);
}

STELE__RULE(gc_begin)
{
	uint64_t n = turn->event->value[0];
	uint32_t stack;
	int r = 0;

	if (order->gc_state != STELE__GC_UNDETERMINED) {
		if (n != order->gc_seq + 1)
			return stele__order_wait(order, STELE__WAIT_GC, 0);
		if (order->gc_state == STELE__GC_RUNNING)
			return stele__order_fail(order, turn, "a collection is running already");
		r = stele__order_need(order, turn, STELE__NEED_USER);
	}
	if (r >= 0)
		r = stele__order_stack(order, turn, turn->event->value[1], &stack);
	return r < 0 ? r : range_gc(order, turn, STELE_EVENT_RANGE_BEGIN, stack);
}

STELE__RULE(gc_end)
{
	int r;

	if (turn->event->value[0] != order->gc_seq + 1)
		return stele__order_wait(order, STELE__WAIT_GC, 0);
	if (order->gc_state != STELE__GC_RUNNING)
		return stele__order_fail(order, turn, "no collection is running");
	r = stele__order_need(order, turn, STELE__NEED_USER);
	return r < 0 ? r : range_gc(order, turn, STELE_EVENT_RANGE_END, 0);
}

/* The thread's goroutine, which must be known. */
static int range_goroutine(struct stele__order *order, const struct stele__turn *turn,
			   struct stele__goroutine **ret_go)
{
	int r = stele__order_need(order, turn, STELE__NEED_USER);

	if (r < 0)
		return r;
	*ret_go = stele__order_goroutine(order, turn);
	if (!*ret_go)
		return stele__order_fail(order, turn, "goroutine %" PRIu64 " is unknown",
					 stele__order_thread(order, turn)->goroutine);
	return 0;
}

static struct stele_string range_stop_name(struct stele__order *order, uint32_t text)
{
	struct stele_string kind = stele__kept_text(&order->world.kept, text);
	int n = snprintf(order->range_name, sizeof(order->range_name), "stop-the-world (");

	memcpy(order->range_name + n, kind.data, kind.bytes);
	order->range_name[(size_t)n + kind.bytes] = ')';
	order->due = INT64_MIN; /* another one would overwrite it */
	return (struct stele_string){order->range_name, (size_t)n + kind.bytes + 1};
}

/* The list of open stops is in the order of their begins, the oldest first. */
STELE__RULE(stw_begin)
{
	uint64_t kind = turn->event->value[0];
	struct stele__world *world = &order->world;
	struct stele__goroutine *go;
	struct stele_event *event;
	uint32_t text, stack, last = 0, count = 0, added = 0;
	int r = range_goroutine(order, turn, &go);

	if (r < 0)
		return r;
	for (uint32_t i = go->stops; i; i = world->opens[i - 1].next) {
		if (world->opens[i - 1].id == kind)
			return stele__order_fail(order, turn,
						 "a stop of this kind is open on goroutine "
						 "%" PRIu64 " already",
						 go->id);
		last = i;
		if (++count == RANGE_STOPS_MAX)
			return stele__order_fail_code(order, turn, STELE_E_LIMIT);
	}
	r = stele__order_keep(order, turn, kind, &text);
	if (r >= 0)
		r = stele__order_stack(order, turn, turn->event->value[1], &stack);
	if (r < 0)
		return r;
	r = stele__world_push_open(world, &added, kind, text);
	if (r < 0)
		return stele__order_fail_code(order, turn, r);
	if (last)
		world->opens[last - 1].next = added;
	else
		go->stops = added;
	event = range_emit(order, turn, STELE_EVENT_RANGE_BEGIN, STELE_RESOURCE_GOROUTINE, go->id,
			   range_stop_name(order, text));
	event->stack = stack;
	return 1;
}

/* Ends the first; the last takes its place, as in Go's reader. */
STELE__RULE(stw_end)
{
	struct stele__world *world = &order->world;
	struct stele__goroutine *go;
	uint32_t *link, first, last;
	int r = range_goroutine(order, turn, &go);

	if (r < 0)
		return r;
	first = go->stops;
	if (!first)
		return stele__order_fail(order, turn, "no stop is open on goroutine %" PRIu64,
					 go->id);
	range_emit(order, turn, STELE_EVENT_RANGE_END, STELE_RESOURCE_GOROUTINE, go->id,
		   range_stop_name(order, world->opens[first - 1].text));
	stele__world_drop_open(world, &go->stops);
	link = &go->stops;
	while (*link && world->opens[*link - 1].next)
		link = &world->opens[*link - 1].next;
	last = *link;
	if (last && last != go->stops) {
		*link = 0;
		world->opens[last - 1].next = go->stops;
		go->stops = last;
	}
	return 1;
}

static int range_assist(struct stele__order *order, const struct stele__turn *turn,
			struct stele__goroutine *go, enum stele_event_kind kind, uint32_t stack)
{
	struct stele_event *event = range_emit(order, turn, kind, STELE_RESOURCE_GOROUTINE, go->id,
					       STELE__TEXT("GC mark assist"));

	event->stack = stack;
	go->assisting = kind != STELE_EVENT_RANGE_END;
	return 1;
}

STELE__RULE(assist_active)
{
	uint64_t id = turn->event->value[0];
	uint32_t index = stele__world_find_goroutine(&order->world, id);
	struct stele__goroutine *go;

	if (index == STELE__NOTHING)
		return stele__order_fail(order, turn, "goroutine %" PRIu64 " is unknown", id);
	go = &order->world.goroutines[index];
	if (go->assisting == order->generation->initial)
		return stele__order_fail(order, turn, "goroutine %" PRIu64 " is %s a mark assist",
					 id, go->assisting ? "already in" : "not in");
	return range_assist(order, turn, go, STELE_EVENT_RANGE_ACTIVE, 0);
}

STELE__RULE(assist_begin)
{
	struct stele__goroutine *go;
	uint32_t stack;
	int r = range_goroutine(order, turn, &go);

	if (r < 0)
		return r;
	if (go->assisting)
		return stele__order_fail(
			order, turn, "goroutine %" PRIu64 " is already in a mark assist", go->id);
	r = stele__order_stack(order, turn, turn->event->value[0], &stack);
	return r < 0 ? r : range_assist(order, turn, go, STELE_EVENT_RANGE_BEGIN, stack);
}

STELE__RULE(assist_end)
{
	struct stele__goroutine *go;
	int r = range_goroutine(order, turn, &go);

	if (r < 0)
		return r;
	if (!go->assisting)
		return stele__order_fail(order, turn,
					 "goroutine %" PRIu64 " is not in a mark assist", go->id);
	return range_assist(order, turn, go, STELE_EVENT_RANGE_END, 0);
}

static struct stele_event *range_sweep(struct stele__order *order, const struct stele__turn *turn,
				       struct stele__proc *proc, enum stele_event_kind kind)
{
	proc->sweeping = kind != STELE_EVENT_RANGE_END;
	return range_emit(order, turn, kind, STELE_RESOURCE_PROC, proc->id,
			  STELE__TEXT("GC incremental sweep"));
}

STELE__RULE(sweep_active)
{
	uint64_t id = turn->event->value[0];
	uint32_t index = stele__world_find_proc(&order->world, id);
	struct stele__proc *proc;

	if (index == STELE__NOTHING)
		return stele__order_fail(order, turn, "proc %" PRIu64 " is unknown", id);
	proc = &order->world.procs[index];
	if (proc->sweeping == order->generation->initial)
		return stele__order_fail(order, turn, "proc %" PRIu64 " is %s a sweep", id,
					 proc->sweeping ? "already in" : "not in");
	range_sweep(order, turn, proc, STELE_EVENT_RANGE_ACTIVE);
	return 1;
}

STELE__RULE(sweep_begin)
{
	struct stele__proc *proc;
	uint32_t stack;
	int r = stele__order_need(order, turn, STELE__NEED_PROC);

	if (r < 0)
		return r;
	proc = &order->world.procs[stele__order_thread(order, turn)->proc];
	if (proc->sweeping)
		return stele__order_fail(order, turn, "proc %" PRIu64 " is already in a sweep",
					 proc->id);
	r = stele__order_stack(order, turn, turn->event->value[0], &stack);
	if (r < 0)
		return r;
	range_sweep(order, turn, proc, STELE_EVENT_RANGE_BEGIN)->stack = stack;
	return 1;
}

STELE__RULE(sweep_end)
{
	struct stele_event *event;
	struct stele__proc *proc;
	int r = stele__order_need(order, turn, STELE__NEED_PROC);

	if (r < 0)
		return r;
	proc = &order->world.procs[stele__order_thread(order, turn)->proc];
	if (!proc->sweeping)
		return stele__order_fail(order, turn, "proc %" PRIu64 " is not in a sweep",
					 proc->id);
	event = range_sweep(order, turn, proc, STELE_EVENT_RANGE_END);
	event->value_count = 2;
	return 1;
}
