/* SPDX-License-Identifier: MIT */
/* The rules for tasks, regions, logs, labels, heap metrics and the allocation experiment. */
#include <inttypes.h>
#include <string.h>

#include "read/order.h"

STELE__RULE(heap_metric)
{
	struct stele_event *event;
	int r = stele__order_need(order, turn, STELE__NEED_PROC);

	if (r < 0)
		return r;
	event = stele__order_emit(order, turn, STELE_EVENT_METRIC);
	event->name = turn->event->type == STELE_EV_HEAP_ALLOC
			      ? STELE__TEXT("/memory/classes/heap/objects:bytes")
			      : STELE__TEXT("/gc/heap/goal:bytes");
	event->value_count = 1;
	return 1;
}

STELE__RULE(label)
{
	struct stele_event *event = turn->event;
	int r = stele__order_need(order, turn, STELE__NEED_USER);

	if (r >= 0)
		r = stele__order_string(order, turn, event->value[0], &event->name);
	if (r < 0)
		return r;
	stele__order_emit(order, turn, STELE_EVENT_LABEL);
	event->resource = STELE_RESOURCE_GOROUTINE;
	event->resource_id = event->goroutine;
	return 1;
}

/* As stele__order_emit(), of an event that has a task. */
static struct stele_event *annotation_emit(struct stele__order *order,
					   const struct stele__turn *turn,
					   enum stele_event_kind kind, uint64_t task)
{
	struct stele_event *event = stele__order_emit(order, turn, kind);

	event->task = task;
	turn->stream->annotated = true;
	return event;
}

STELE__RULE(task_begin)
{
	const uint64_t *args = turn->event->value;
	struct stele_event *event;
	uint32_t name = 0, stack;
	int r;

	if (stele__world_find_task(&order->world, args[0]) != STELE__NOTHING)
		return stele__order_fail(order, turn, "task %" PRIu64 " has begun already",
					 args[0]);
	r = stele__order_keep(order, turn, args[2], &name);
	if (r >= 0)
		r = stele__order_need(order, turn, STELE__NEED_USER);
	if (r >= 0)
		r = stele__order_stack(order, turn, args[3], &stack);
	if (r < 0)
		return r;
	r = stele__world_add_task(&order->world, args[0], args[1] ? args[1] : STELE_NONE_ID, name);
	if (r < 0)
		return stele__order_fail_code(order, turn, r);
	event = annotation_emit(order, turn, STELE_EVENT_TASK_BEGIN, args[0]);
	event->parent_task = args[1] ? args[1] : STELE_NONE_ID;
	event->name = stele__kept_text(&order->world.kept, name);
	event->stack = stack;
	return 1;
}

STELE__RULE(task_end)
{
	const uint64_t *args = turn->event->value;
	uint32_t index = stele__world_find_task(&order->world, args[0]);
	struct stele_event *event;
	uint32_t stack;
	int r = stele__order_need(order, turn, STELE__NEED_USER);

	if (r >= 0)
		r = stele__order_stack(order, turn, args[1], &stack);
	if (r < 0)
		return r;
	event = annotation_emit(order, turn, STELE_EVENT_TASK_END, args[0]);
	event->name = STELE__TEXT("");
	event->stack = stack;
	if (index == STELE__NOTHING)
		return 1; /* it began before the trace */
	event->parent_task = order->world.tasks[index].parent;
	order->parting_text = order->world.tasks[index].name;
	stele__kept_hold(&order->world.kept, order->parting_text);
	order->due = INT64_MIN;
	event->name = stele__kept_text(&order->world.kept, order->parting_text);
	stele__world_drop_task(&order->world, index);
	return 1;
}

static int annotation_region(struct stele__order *order, const struct stele__turn *turn,
			     struct stele__goroutine **ret_go, uint32_t *ret_name,
			     uint32_t *ret_stack)
{
	int r = stele__order_need(order, turn, STELE__NEED_USER);

	if (r >= 0)
		r = stele__order_keep(order, turn, turn->event->value[1], ret_name);
	if (r >= 0)
		r = stele__order_stack(order, turn, turn->event->value[2], ret_stack);
	if (r < 0)
		return r;
	*ret_go = stele__order_goroutine(order, turn);
	if (!*ret_go)
		return stele__order_fail(order, turn, "goroutine %" PRIu64 " is unknown",
					 stele__order_thread(order, turn)->goroutine);
	return 0;
}

static int annotation_emit_region(struct stele__order *order, const struct stele__turn *turn,
				  enum stele_event_kind kind, uint32_t name, uint32_t stack)
{
	struct stele_event *event = annotation_emit(order, turn, kind, turn->event->value[0]);

	event->name = stele__kept_text(&order->world.kept, name);
	event->stack = stack;
	return 1;
}

STELE__RULE(region_begin)
{
	struct stele__goroutine *go;
	uint32_t name = 0, stack;
	int r = annotation_region(order, turn, &go, &name, &stack);

	if (r < 0)
		return r;
	r = stele__world_push_open(&order->world, &go->regions, turn->event->value[0], name);
	if (r < 0)
		return stele__order_fail_code(order, turn, r);
	return annotation_emit_region(order, turn, STELE_EVENT_REGION_BEGIN, name, stack);
}

STELE__RULE(region_end)
{
	struct stele__goroutine *go;
	uint32_t name = 0, stack;
	int r = annotation_region(order, turn, &go, &name, &stack);

	if (r < 0)
		return r;
	if (go->regions) { /* else it began before the trace */
		const struct stele__open *open = &order->world.opens[go->regions - 1];

		if (open->id != turn->event->value[0] ||
		    !stele__kept_equal(&order->world.kept, open->text, name))
			return stele__order_fail(order, turn,
						 "the innermost region of goroutine %" PRIu64
						 " is another one, of task %" PRIu64,
						 go->id, open->id);
		stele__world_drop_open(&order->world, &go->regions);
	}
	return annotation_emit_region(order, turn, STELE_EVENT_REGION_END, name, stack);
}

STELE__RULE(log)
{
	struct stele_event *event = turn->event;
	const uint64_t *args = event->value;
	uint32_t stack;
	int r = stele__order_need(order, turn, STELE__NEED_USER);

	if (r >= 0)
		r = stele__order_string(order, turn, args[1], &event->name);
	if (r >= 0)
		r = stele__order_string(order, turn, args[2], &event->text);
	if (r >= 0)
		r = stele__order_stack(order, turn, args[3], &stack);
	if (r < 0)
		return r;
	annotation_emit(order, turn, STELE_EVENT_LOG, args[0]);
	event->stack = stack;
	return 1;
}

/* Its name and number of values are those of its type: they are there. */
STELE__RULE(experimental)
{
	int r = stele__order_need(order, turn, 0);

	if (r < 0)
		return r;
	stele__order_emit(order, turn, STELE_EVENT_EXPERIMENTAL);
	return 1;
}
