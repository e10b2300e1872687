/* SPDX-License-Identifier: MIT */
#include "read/order.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Blocks between two looks at what can be given back: some 2 MiB. */
#define ORDER_RELEASE_REFILLS 4096

/* By number on the wire: of all timed events but those that order_rule() calls by name. */
static const stele__rule_fn order_rules[256] = {
	[STELE_EV_PROCS_CHANGE] = stele__rule_procs_change,
	[STELE_EV_PROC_START] = stele__rule_proc_start,
	[STELE_EV_PROC_STOP] = stele__rule_proc_stop,
	[STELE_EV_PROC_STEAL] = stele__rule_proc_steal,
	[STELE_EV_PROC_STATUS] = stele__rule_proc_status,
	[STELE_EV_GO_CREATE] = stele__rule_go_create,
	[STELE_EV_GO_CREATE_SYSCALL] = stele__rule_go_create_syscall,
	[STELE_EV_GO_DESTROY_SYSCALL] = stele__rule_go_destroy_syscall,
	[STELE_EV_GO_SYSCALL_BEGIN] = stele__rule_go_syscall_begin,
	[STELE_EV_GO_SYSCALL_END] = stele__rule_go_syscall_end,
	[STELE_EV_GO_SYSCALL_END_BLOCKED] = stele__rule_go_syscall_end_blocked,
	[STELE_EV_GO_STATUS] = stele__rule_go_status,
	[STELE_EV_STW_BEGIN] = stele__rule_stw_begin,
	[STELE_EV_STW_END] = stele__rule_stw_end,
	[STELE_EV_GC_ACTIVE] = stele__rule_gc_active,
	[STELE_EV_GC_BEGIN] = stele__rule_gc_begin,
	[STELE_EV_GC_END] = stele__rule_gc_end,
	[STELE_EV_GC_SWEEP_ACTIVE] = stele__rule_sweep_active,
	[STELE_EV_GC_SWEEP_BEGIN] = stele__rule_sweep_begin,
	[STELE_EV_GC_SWEEP_END] = stele__rule_sweep_end,
	[STELE_EV_GC_MARK_ASSIST_ACTIVE] = stele__rule_assist_active,
	[STELE_EV_GC_MARK_ASSIST_BEGIN] = stele__rule_assist_begin,
	[STELE_EV_GC_MARK_ASSIST_END] = stele__rule_assist_end,
	[STELE_EV_HEAP_ALLOC] = stele__rule_heap_metric,
	[STELE_EV_HEAP_GOAL] = stele__rule_heap_metric,
	[STELE_EV_GO_LABEL] = stele__rule_label,
	[STELE_EV_USER_TASK_BEGIN] = stele__rule_task_begin,
	[STELE_EV_USER_TASK_END] = stele__rule_task_end,
	[STELE_EV_USER_REGION_BEGIN] = stele__rule_region_begin,
	[STELE_EV_USER_REGION_END] = stele__rule_region_end,
	[STELE_EV_USER_LOG] = stele__rule_log,
	[STELE_EV_GO_CREATE_BLOCKED] = stele__rule_go_create,
	[STELE_EV_GO_STATUS_STACK] = stele__rule_go_status,
	[STELE_EV_SPAN] = stele__rule_experimental,
	[STELE_EV_SPAN_ALLOC] = stele__rule_experimental,
	[STELE_EV_SPAN_FREE] = stele__rule_experimental,
	[STELE_EV_HEAP_OBJECT] = stele__rule_experimental,
	[STELE_EV_HEAP_OBJECT_ALLOC] = stele__rule_experimental,
	[STELE_EV_HEAP_OBJECT_FREE] = stele__rule_experimental,
	[STELE_EV_GOROUTINE_STACK] = stele__rule_experimental,
	[STELE_EV_GOROUTINE_STACK_ALLOC] = stele__rule_experimental,
	[STELE_EV_GOROUTINE_STACK_FREE] = stele__rule_experimental,
};

int stele__order_init(struct stele__order *order)
{
	memset(order, 0, sizeof(*order));
	stele__frontier_init(&order->frontier);
	stele__blank_annotation(&order->sample);
	for (unsigned i = 0; i < STELE__RUN_EXTRA; i++) {
		stele__blank(&order->extra[i], 0, 0);
		stele__blank_annotation(&order->extra[i]);
	}
	return stele__world_init(&order->world);
}

void stele__order_done(struct stele__order *order)
{
	stele__frontier_done(&order->frontier);
	stele__world_done(&order->world);
}

static struct stele__place order_place(const struct stele__order *order,
				       const struct stele__stream *stream)
{
	return (struct stele__place){stele__stream_offset(stream, order->window),
				     order->generation->number,
				     order->world.threads[stream->thread].id};
}

int stele__order_fail(struct stele__order *order, const struct stele__turn *turn,
		      const char *format, ...)
{
	char text[sizeof(order->diag.text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return stele__diag_set(&order->diag, STELE_E_CORRUPT, order_place(order, turn->stream),
			       "%s: %s", stele__spec(turn->event->type)->name, text);
}

void stele__order_warn(struct stele__order *order, const struct stele__turn *turn,
		       const char *format, ...)
{
	char text[sizeof(order->diag.text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	order->notes->events += stele__order_run_count(order); /* they are delivered before */
	stele__notes_warn(order->notes, STELE_E_CORRUPT, order_place(order, turn->stream), "%s: %s",
			  stele__spec(turn->event->type)->name, text);
	order->notes->events -= stele__order_run_count(order);
}

int stele__order_fail_code(struct stele__order *order, const struct stele__turn *turn, int code)
{
	return stele__diag_set(&order->diag, code, order_place(order, turn->stream), "%s",
			       code == -ENOMEM
				       ? "no memory for what the trace keeps alive"
				       : "more is alive at once than this program can hold");
}

STELE_COLD int stele__order_unmet(struct stele__order *order, const struct stele__turn *turn,
				  unsigned need)
{
	const struct stele__thread *thread = stele__order_thread(order, turn);

	if (thread->id == STELE_NONE_ID)
		return stele__order_fail(order, turn, "expected a thread but didn't have one");
	if ((need & STELE__NEED_PROC) && thread->proc == STELE__NOTHING)
		return stele__order_fail(order, turn, "expected a proc but didn't have one");
	if ((need & STELE__NEED_GOROUTINE) && thread->goroutine == STELE_NONE_ID)
		return stele__order_fail(order, turn, "expected a goroutine but didn't have one");
	if ((need & STELE__NEED_NO_PROC) && thread->proc != STELE__NOTHING)
		return stele__order_fail(order, turn, "the thread holds proc %" PRIu64 " already",
					 thread->proc_id);
	return stele__order_fail(order, turn, "the thread runs goroutine %" PRIu64 " already",
				 thread->goroutine);
}

STELE_COLD int stele__order_missing(struct stele__order *order, const struct stele__turn *turn,
				    const char *what, uint64_t id, bool none_at_all)
{
	struct stele__generation *g = order->generation;

	if (!g->open_ended || !none_at_all)
		return stele__order_fail(
			order, turn, "%s %" PRIu64 " is not in the generation's table", what, id);
	stele__diag_set(&order->diag, STELE_E_TRUNCATED, order_place(order, turn->stream),
			"the input ends before the %ss of generation %" PRIu64, what, g->number);
	if (order->whole)
		return STELE_E_TRUNCATED;
	if (!g->damaged || g->deferred)
		g->damage = order->diag;
	g->damaged = true;
	g->deferred = false;
	g->table.lenient = true;
	return 0;
}

static int order_string_index(struct stele__order *order, const struct stele__turn *turn,
			      uint64_t id, uint32_t *ret_index)
{
	const struct stele__table *table = &order->generation->table;
	uint32_t index = id ? stele__table_string_index(table, id) : 0;
	int r = 0;

	if (STELE_UNLIKELY(id && !index && !table->lenient))
		r = stele__order_missing(order, turn, "string", id, table->string_count == 1);
	*ret_index = index;
	return r;
}

int stele__order_string(struct stele__order *order, const struct stele__turn *turn, uint64_t id,
			struct stele_string *ret_text)
{
	uint32_t index;
	int r = order_string_index(order, turn, id, &index);

	if (r < 0)
		return r;
	*ret_text = stele__table_text(&order->generation->table, order->window, index);
	return 0;
}

int stele__order_keep(struct stele__order *order, const struct stele__turn *turn, uint64_t id,
		      uint32_t *ret_kept)
{
	uint32_t index;
	int r = order_string_index(order, turn, id, &index);

	if (r < 0)
		return r;
	r = stele__table_keep(&order->generation->table, order->window, &order->world.kept, index,
			      ret_kept);
	return r < 0 ? stele__order_fail_code(order, turn, r) : 0;
}

static STELE_COLD int order_misread(struct stele__order *order, const struct stele__stream *stream,
				    const struct stele__fault *fault)
{
	if (order->generation->damaged && !order->generation->deferred)
		return 0; /* the thread ends here; what is wrong with the generation is known */
	return stele__diag_set(&order->diag, fault->code,
			       (struct stele__place){fault->at, order->generation->number,
						     order->world.threads[stream->thread].id},
			       "%s", fault->text);
}

/* Gives back what lies in front of all streams: also pages that two batches share. */
static void order_release(struct stele__order *order)
{
	const struct stele__frontier *frontier = &order->frontier;
	struct stele__window *window = order->window;
	uint64_t lowest = UINT64_MAX;

	for (uint32_t i = 0; i < frontier->stream_count; i++) {
		const struct stele__stream *stream = &frontier->streams[i];
		uint64_t offset;

		if (stream->decoder.at == stream->decoder.end && !stream->batch)
			continue;
		offset = stream->decoder.begin
				 ? window->base + (uint64_t)(stream->decoder.begin - window->data)
				 : 0;
		lowest = offset < lowest ? offset : lowest;
	}
	if (lowest == UINT64_MAX || lowest <= order->released)
		return;
	stele__window_release(window, order->released, lowest);
	order->released = lowest;
}

/* Goes on to the stream's next event. 1, 0 at its end, or a failure. */
static int order_refill(struct stele__order *order, struct stele__stream *stream)
{
	struct stele__fault fault;
	int r = stele__stream_refill(stream, order->generation, order->window, &fault);

	/* Of a cost that does not matter, however many streams there are. */
	if (STELE_UNLIKELY(++order->refills >
			   ORDER_RELEASE_REFILLS + order->frontier.stream_count)) {
		order->refills = 0;
		order_release(order);
	}
	return STELE_LIKELY(r >= 0) ? r : order_misread(order, stream, &fault);
}

int stele__order_begin(struct stele__order *order)
{
	const struct stele__generation *g = order->generation;
	struct stele__frontier *frontier = &order->frontier;
	int r = stele__frontier_begin(frontier, g->chain_count);

	stele__order_clear(order);
	order->refills = 0; /* no look at streams that were not started yet */
	order->failed = 0;
	order->due = INT64_MIN;
	if (r < 0)
		return stele__diag_set(&order->diag, r,
				       (struct stele__place){0, g->number, STELE_NONE_ID},
				       "no memory for a generation's threads");
	for (uint32_t i = 0; i < g->chain_count; i++) {
		struct stele__stream *stream = &frontier->streams[i];

		stele__stream_start(stream, &g->chains[i], stele__frontier_block(frontier, i),
				    frontier->block_size);
		r = order_refill(order, stream);
		if (r < 0)
			return r;
		if (r > 0)
			stele__frontier_add(frontier, i);
	}
	stele__frontier_pull(frontier);
	return 0;
}

/* A CPU sample is due as soon as all events that are left are later. */
static bool order_sample(struct stele__order *order)
{
	struct stele__generation *g = order->generation;
	const struct stele__sample *sample = &g->samples[g->sample_next];
	struct stele_event *event = &order->sample;

	if (g->sample_next == g->sample_count)
		return false;
	if (sample->time >= stele__frontier_time(&order->frontier) &&
	    stele__frontier_waiting(&order->frontier))
		return false;
	g->sample_next++;
	stele__blank(event, STELE_EV_CPU_SAMPLE, sample->time);
	event->kind = STELE_EVENT_STACK_SAMPLE;
	event->thread = sample->thread;
	event->proc = sample->proc;
	event->goroutine = sample->goroutine;
	event->stack = (uint32_t)sample->stack;
	return true;
}

/* Nobody can go on: names the earliest of those who wait. */
static STELE_COLD int order_stuck(struct stele__order *order)
{
	static const char *const what[] = {"nothing", "goroutine", "proc", "the garbage collector"};
	const struct stele__stream *stream =
		&order->frontier.streams[order->frontier.parked.entries[0].stream];
	const char *name = stele__spec(stream->event->type)->name;

	if (stream->wait == STELE__WAIT_GC)
		return stele__diag_set(&order->diag, STELE_E_CORRUPT, order_place(order, stream),
				       "no thread can go on; %s waits for %s, number %" PRIu64
				       " does not follow %" PRIu64,
				       name, what[stream->wait], stream->event->value[0],
				       order->gc_seq);
	return stele__diag_set(&order->diag, STELE_E_CORRUPT, order_place(order, stream),
			       "no thread can go on (%" PRIu32 " wait); %s waits for %s %" PRIu64
			       " to be in another state or at another number",
			       order->frontier.parked.count, name, what[stream->wait],
			       stream->wait_id);
}

/* What there is to do in front of a run, if anything. 1: the run is a CPU sample. */
static int order_between(struct stele__order *order)
{
	const struct stele__generation *g = order->generation;
	bool sampled;

	if (order->parting_text) {
		stele__kept_release(&order->world.kept, order->parting_text);
		order->parting_text = 0;
	}
	sampled = g->sample_next < g->sample_count && order_sample(order);
	if (sampled)
		stele__order_add(order, &order->sample);
	order->due = g->sample_next < g->sample_count ? g->samples[g->sample_next].time : INT64_MAX;
	return sampled;
}

/* The stream at the front has been decoded to the end of its block, and all of that delivered. */
static int order_go_on(struct stele__order *order)
{
	struct stele__stream *stream = stele__frontier_first(&order->frontier);
	int more;

	if (!stream || stream->event < stream->event_end)
		return 0;
	more = order_refill(order, stream);
	if (more > 0)
		stele__frontier_advance(&order->frontier, stream->event->time);
	else
		stele__frontier_pull(&order->frontier);
	return more < 0 ? more : 0;
}

/* The turn passes to the stream at the front. */
static struct stele__stream *order_turn(struct stele__order *order)
{
	struct stele__stream *stream = stele__frontier_first(&order->frontier);

	if (stream) {
		order->turn.stream = stream;
		order->turn.thread = stream->thread;
		order->world.threads[stream->thread].known = true;
	}
	return stream;
}

/*
 * The experiment's events change nobody's state, and come in masses where they come at all: the
 * context of one is that of all, until another kind of event or another thread's turn comes. The
 * stream stands in front of one, and its thread has an id.
 */
static void order_apply_experimental(struct stele__order *order, struct stele__stream *stream)
{
	const struct stele__thread *thread = &order->world.threads[stream->thread];
	uint64_t thread_id = thread->id, proc = thread->proc_id, goroutine = thread->goroutine;
	const struct stele__heap *ready = &order->frontier.ready;
	int64_t limit = ready->count ? ready->entries[0].time : INT64_MAX;
	const struct stele_event **run = order->run_at;
	const struct stele_event **run_end = order->run + STELE__RUN_MAX - STELE__RUN_SEEN_MAX;
	struct stele_event *event = stream->event, *end = stream->event_end;
	int64_t time = event->time, last = order->last_time;

	if (order->due < limit)
		limit = order->due;
	do {
		event->thread = thread_id;
		event->proc = proc;
		event->goroutine = goroutine;
		last = time > last ? time : last + 1;
		event->time = last;
		*run++ = event++;
		if (event == end || event->kind != STELE_EVENT_EXPERIMENTAL)
			break;
		time = event->time;
	} while (time < limit && run <= run_end);
	order->run_at = run;
	order->last_time = last;
	stream->event = event;
}

/*
 * The most frequent rules are called by name, for STELE_FLATTEN: to save and restore the registers
 * that a rule works with took a tenth of the time.
 */
STELE_INLINE int order_rule(struct stele__order *order)
{
	const struct stele__turn *turn = &order->turn;
	uint8_t type = turn->event->type;

	switch (type) {
	case STELE_EV_GO_START:
		return stele__rule_go_start(order, turn);
	case STELE_EV_GO_STOP:
	case STELE_EV_GO_BLOCK:
	case STELE_EV_GO_DESTROY:
		return stele__rule_go_leave(order, turn);
	case STELE_EV_GO_UNBLOCK:
		return stele__rule_go_unblock(order, turn);
	case STELE_EV_GO_SWITCH:
	case STELE_EV_GO_SWITCH_DESTROY:
		return stele__rule_go_switch(order, turn);
	default:
		return order_rules[type](order, turn);
	}
}

/* Applies the stream's next event, or a number of them; what the rule said. */
STELE_INLINE int order_apply_next(struct stele__order *order, struct stele__stream *stream)
{
	int r;

	order->turn.event = stream->event;
	if (stream->event->kind == STELE_EVENT_EXPERIMENTAL &&
	    STELE_LIKELY(order->world.threads[stream->thread].id != STELE_NONE_ID)) {
		order_apply_experimental(order, stream);
		return 1;
	}
	r = order_rule(order);
	if (STELE_LIKELY(r > 0)) {
		stele__order_add(order, order->turn.event); /* the last one that it is seen as */
		stream->event++;
	}
	return r;
}

/*
 * Applies events while they can happen and no block has come to its end. 0, or a failure behind
 * the events of the run.
 */
STELE_FLATTEN static int order_apply(struct stele__order *order)
{
	struct stele__frontier *frontier = &order->frontier;
	struct stele__stream *stream = order_turn(order);
	const struct stele_event **run_end = order->run + STELE__RUN_MAX - STELE__RUN_SEEN_MAX;
	int r;

	while (stream) {
		r = order_apply_next(order, stream);
		if (STELE_UNLIKELY(r < 0))
			return r;
		if (STELE_UNLIKELY(r == 0)) {
			r = stele__frontier_park(frontier, order->wait, order->wait_id);
			if (r < 0)
				return stele__order_fail_code(order, &order->turn, r);
			stream = order_turn(order);
			continue;
		}
		if (STELE_UNLIKELY(stream->event == stream->event_end))
			return 0;
		if (stele__frontier_advance(frontier, stream->event->time))
			stream = order_turn(order);
		if (STELE_UNLIKELY(frontier->front.time >= order->due || order->run_at > run_end))
			return 0;
	}
	return frontier->parked.count && order->run_at == order->run ? order_stuck(order) : 0;
}

int stele__order_run(struct stele__order *order)
{
	int r = order->failed;

	stele__order_clear(order);
	if (r >= 0)
		r = order_go_on(order);
	if (r >= 0 && !order_between(order))
		r = order_apply(order);
	if (order->run_at == order->run)
		return r;
	order->failed = r;
	return 1;
}
