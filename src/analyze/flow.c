/* SPDX-License-Identifier: MIT */
/* The states of goroutines: how long each was in which, why, and where it came into it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/model.h"
#include "analyze/origin.h"
#include "analyze/why.h"

struct stele__flow *stele__flow_find(const struct stele_analysis *a, uint64_t id)
{
	return stele__keymap_get(&a->goroutines, id);
}

struct stele__flow *stele__flow_of_thread(const struct stele_analysis *a, uint64_t thread)
{
	const struct stele__tag *tag = stele__keymap_get(&a->threads, thread);

	return tag ? stele__flow_find(a, tag->goroutine) : NULL;
}

const struct stele__name *stele__flow_entry(const struct stele_analysis *a,
					    const struct stele__flow *go)
{
	if (go->entry)
		return go->entry;
	return go->times.thread == a->trust.recording.pid ? a->main : a->empty;
}

const struct stele__name *stele__flow_label(const struct stele_analysis *a,
					    const struct stele__flow *go)
{
	return go->name && go->name->text.bytes ? go->name : stele__flow_entry(a, go);
}

void stele__flow_free(struct stele__flow *go)
{
	free(go->latency);
	free(go->regions);
	free(go);
}

static int flow_new(struct stele_analysis *a, uint64_t id, int64_t time,
		    struct stele__flow **ret_go)
{
	const struct stele__tag *tag = stele__keymap_get(&a->tags, id);
	struct stele__flow *go = calloc(1, sizeof(*go));
	int r = go ? stele__keymap_add(&a->goroutines, id, go) : -ENOMEM;

	if (r < 0) {
		free(go);
		return r;
	}
	go->id = id;
	go->fd = STELE_NO_ID;
	go->since = time;
	go->times = (struct stele_times){.goroutine = id,
					 .thread = tag ? tag->thread : STELE_NO_ID,
					 .members = 1,
					 .first = time};
	go->name = tag ? tag->name : NULL;
	a->trust.goroutines++;
	*ret_go = go;
	return stele__why_appear(a, go, time);
}

/* The tag is of this thread from now on. */
static int flow_thread(struct stele_analysis *a, struct stele__tag *tag, uint64_t thread)
{
	struct stele__tag *before = stele__keymap_get(&a->threads, thread);

	if (before == tag)
		return 0;
	stele__keymap_drop(&a->threads, tag->thread, tag);
	if (before)
		stele__keymap_drop(&a->threads, thread, before);
	return stele__keymap_add(&a->threads, thread, tag);
}

int stele__flow_tag(struct stele_analysis *a, const struct stele_data_item *item)
{
	uint64_t id = item->value[2];
	struct stele__tag *tag = stele__keymap_get(&a->tags, id);
	const struct stele__name *name = stele__name_intern(a, item->text[0]);
	struct stele__flow *go = stele__flow_find(a, id);
	int r;

	if (!name)
		return -ENOMEM;
	if (!tag) {
		tag = calloc(1, sizeof(*tag));
		r = tag ? stele__keymap_add(&a->tags, id, tag) : -ENOMEM;
		if (r < 0) {
			free(tag);
			return r;
		}
	}
	r = flow_thread(a, tag, item->value[0]);
	if (r < 0)
		return r;
	*tag = (struct stele__tag){id, item->value[0], name};
	if (go) {
		go->name = name;
		go->times.thread = tag->thread;
	}
	return 0;
}

static void flow_share(struct stele__flow *go, int64_t ns, uint64_t count)
{
	const struct stele_share wait = {.reason = go->reason->text, .count = count, .ns = ns};

	stele__times_add_share(&go->times, &wait);
}

static void flow_add(struct stele__flow *go, struct stele_site *site, int64_t ns)
{
	stele_spread_add(&site->spread, ns);
	if (go->ran)
		return;
	site->early_count++;
	stele__ns_add(&site->early_ns, ns);
}

/* Of so many waits, if it waits. */
static void flow_spend(struct stele__flow *go, int64_t ns, uint64_t waits)
{
	switch (go->state) {
	case STELE_STATE_RUNNING:
		stele__ns_add(&go->times.running, ns);
		break;
	case STELE_STATE_RUNNABLE:
		stele__ns_add(&go->times.ready, ns);
		break;
	case STELE_STATE_WAITING:
		stele__ns_add(&go->times.waiting, ns);
		flow_share(go, ns, waits);
		break;
	case STELE_STATE_SYSCALL:
		stele__ns_add(&go->times.syscall, ns);
		break;
	default:
		stele__ns_add(&go->times.unknown, ns);
	}
}

/* It is ready no more: it runs, or it is gone. */
static int flow_latency(struct stele__flow *go, int64_t ns)
{
	if (go->latency_count < STELE__LATENCIES) {
		go->latencies[go->latency_count++] = ns;
		return 0;
	}
	if (!go->latency)
		go->latency = calloc(1, sizeof(*go->latency));
	if (!go->latency)
		return -ENOMEM;
	stele_spread_add(go->latency, ns);
	return 0;
}

/* Accounts for the time since the last transition. open: the trace ends, not the state. */
static void flow_leave(struct stele__flow *go, int64_t time, bool open)
{
	int64_t ns = time - go->since;
	struct stele__site *sites[] = {go->site, go->call, go->file};

	flow_spend(go, ns, 1);
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(sites); i++)
		if (sites[i] && open)
			stele__site_add_open(sites[i], ns, go->before);
		else if (sites[i])
			flow_add(go, &sites[i]->s, ns);
	go->site = go->call = go->file = NULL;
	go->since = time;
	go->before = 0;
}

/* Another state follows. */
static int flow_next(struct stele_analysis *a, const struct stele_reader *reader,
		     struct stele__flow *go, const struct stele_event *event)
{
	int64_t time = event->time;
	int r = go->state == STELE_STATE_RUNNABLE ? flow_latency(go, time - go->since) : 0;

	if (r == 0 && go->object)
		r = stele__locks_woken(a, reader, go, event);
	go->called.call = NULL;
	if (r == 0)
		r = stele__files_called(a, go, event);
	if (r == 0)
		r = stele__why_leave(a, reader, go, time, event);
	if (r == 0 && go->called.call)
		r = stele__why_called(a, go, time);
	if (go->times.thread != STELE_NO_ID) /* what a fiber was in matters only if it is alive */
		stele__blocked_note(go, time);
	if (r == 0 && go->object)
		r = stele__locks_waited(a, go, time, false);
	flow_leave(go, time, false);
	return r;
}

static int flow_call(struct stele_analysis *a, struct stele__flow *go, uint32_t stack)
{
	const struct stele__stack *s = stack ? a->stacks.all[stack] : NULL;
	const struct stele__name *name = a->empty;

	if (s)
		name = stele__name_intern(a, stele__call_name(s->frames, s->count));
	go->call = name ? stele__site_find(a, STELE_SITES_CALL, name, 0) : NULL;
	return go->call ? 0 : -ENOMEM;
}

/* What it waits for, or the descriptor, as if it were told of the event. */
static int flow_resume(struct stele_analysis *a, const struct stele_reader *reader,
		       struct stele__flow *go, const struct stele_event *event,
		       const struct stele__underway *underway)
{
	struct stele_detail detail = {.time = event->time,
				      .thread = event->thread,
				      .object = underway->object,
				      .holder = underway->holder};
	const struct stele__stack *s = underway->stack ? a->stacks.all[underway->stack] : NULL;

	if (s && !go->entry)
		go->entry = stele__name_intern(a, stele__origin(s->frames, s->count));
	if (!underway->object)
		return 0;
	if (event->to == STELE_STATE_WAITING) {
		detail.kind = STELE_DETAIL_WAIT;
		return stele__locks_detail(a, reader, &detail);
	}
	detail.kind = STELE_DETAIL_CALL;
	detail.object--;
	return stele__files_detail(a, &detail);
}

static int flow_enter(struct stele_analysis *a, const struct stele_reader *reader,
		      struct stele__flow *go, const struct stele_event *event, uint32_t stack)
{
	static const enum stele_site_kind kinds[STELE__STATE_COUNT] = {
		[STELE_STATE_RUNNABLE] = STELE_SITES_READY,
		[STELE_STATE_WAITING] = STELE_SITES_WAIT,
		[STELE_STATE_SYSCALL] = STELE_SITES_SYSCALL,
	};
	bool waits = event->to == STELE_STATE_WAITING;
	int r;

	go->state = event->to;
	go->ran |= event->to == STELE_STATE_RUNNING;
	go->reason = waits ? stele__name_intern(a, event->name) : a->empty;
	if (!go->reason)
		return -ENOMEM;
	if (event->to != STELE_STATE_RUNNABLE && !waits && event->to != STELE_STATE_SYSCALL)
		return 0;
	if (waits) {
		r = stele__locks_wait(a, go, event);
		if (r < 0)
			return r;
	}
	go->times.waits += waits;
	go->times.syscalls += event->to == STELE_STATE_SYSCALL;
	r = stack ? 0 : stele__stack_exact(a, reader, event->stack, &stack);
	if (r < 0)
		return r;
	/* The kernel tells that a thread waits, not where. */
	if (!stack && event->from == STELE_STATE_RUNNING && event->to != STELE_STATE_RUNNABLE &&
	    !stele__text_is(event->name, "kernel"))
		a->trust.stackless++;
	go->site = stele__site_find(a, kinds[event->to], go->reason, stack);
	if (event->to == STELE_STATE_SYSCALL)
		stele__files_call(a, go, event);
	if (go->site && event->to == STELE_STATE_SYSCALL)
		return flow_call(a, go, stack);
	return go->site ? 0 : -ENOMEM;
}

/* The first state that it is seen in, of which more may have been told. */
static int flow_appear(struct stele_analysis *a, const struct stele_reader *reader,
		       struct stele__flow *go, const struct stele_event *event)
{
	const struct stele__underway *underway = stele__underway_of(a, go);
	bool waits = event->to == STELE_STATE_WAITING;
	struct stele_event told = *event;
	int r = 0;

	if (!underway || (!waits && event->to != STELE_STATE_SYSCALL))
		return flow_enter(a, reader, go, event, 0);
	told.name = underway->reason->text;
	go->before = underway->ago;
	r = flow_resume(a, reader, go, event, underway);
	if (r == 0)
		r = flow_enter(a, reader, go, &told, underway->stack);
	stele__underway_drop(a, go->id);
	return r;
}

/* The function that a goroutine was created with; else the outermost one it is seen in. */
static int flow_entry(struct stele_analysis *a, const struct stele_reader *reader,
		      struct stele__flow *go, const struct stele_event *event)
{
	bool created = event->from == STELE_STATE_NOT_EXIST;
	bool own = event->goroutine == event->resource_id;
	const struct stele__stack *s;
	uint32_t stack;
	int r;

	if (go->entry || (!event->transition_stack && !(own && event->stack)))
		return 0;
	r = stele__stack_find(a, reader,
			      event->transition_stack ? event->transition_stack : event->stack,
			      &stack);
	if (r < 0 || !stack)
		return r;
	s = a->stacks.all[stack];
	go->entry = stele__name_intern(a, created ? s->frames[0].function
						  : stele__origin(s->frames, s->count));
	return go->entry ? 0 : -ENOMEM;
}

static void flow_untag(struct stele_analysis *a, uint64_t id)
{
	struct stele__tag *tag = stele__keymap_get(&a->tags, id);

	if (!tag)
		return;
	stele__keymap_drop(&a->tags, id, tag);
	stele__keymap_drop(&a->threads, tag->thread, tag);
	free(tag);
}

static int flow_end(struct stele_analysis *a, struct stele__flow *go,
		    const struct stele_event *event)
{
	int r = stele__memory_ended(a, event);

	if (r == 0)
		r = stele__blocked_gone(a, go, event->time);
	go->times.ended = true;
	go->times.last = event->time;
	if (r == 0)
		r = stele__scope_leave(a, go, event->time);
	if (r == 0)
		r = stele__why_gone(a, go, event->time, true);
	if (r == 0)
		r = stele__times_account(a, go);
	stele__keymap_drop(&a->goroutines, go->id, go);
	flow_untag(a, go->id);
	stele__flow_free(go);
	return r;
}

/*
 * In Go a status says in which state it was when the generation began. Stele tells of who is there
 * when it begins, and later of threads that appear without having been created by one that it
 * knows. Sites know nothing of that time: Go's profiles begin with the status.
 */
static void flow_was(struct stele_analysis *a, struct stele__flow *go)
{
	go->times.first = a->synced;
	flow_spend(go, go->since - a->synced, 0);
}

int stele__flow_transition(struct stele_analysis *a, const struct stele_reader *reader,
			   const struct stele_event *event)
{
	struct stele__flow *go = stele__flow_find(a, event->resource_id);
	bool known = go != NULL;
	int r = 0;

	if (event->resource != STELE_RESOURCE_GOROUTINE)
		return 0;
	if (!go && event->to == STELE_STATE_NOT_EXIST)
		return 0;
	if (!go && event->from == STELE_STATE_NOT_EXIST)
		r = stele__memory_created(a, event);
	if (r < 0)
		return r;
	if (!go)
		r = flow_new(a, event->resource_id, event->time, &go);
	else if (go->state == event->to)
		return flow_entry(a, reader, go, event);
	else
		r = flow_next(a, reader, go, event);
	if (r < 0)
		return r;
	if (event->to == STELE_STATE_NOT_EXIST)
		return flow_end(a, go, event);
	r = known ? flow_enter(a, reader, go, event, 0) : flow_appear(a, reader, go, event);
	if (r == 0 && !known && event->from == STELE_STATE_UNDETERMINED &&
	    !a->trust.recording.present)
		flow_was(a, go);
	return r < 0 ? r : flow_entry(a, reader, go, event);
}

int stele__flow_finish(struct stele_analysis *a, int64_t time)
{
	struct stele__flow *go;
	size_t at = 0;
	int r = 0;

	while (r == 0 && (go = stele__keymap_each(&a->goroutines, &at)))
		r = stele__files_called(a, go, NULL);
	if (r == 0)
		r = stele__blocked_finish(a, time);
	at = 0;
	while (r == 0 && (go = stele__keymap_each(&a->goroutines, &at))) {
		r = stele__why_leave(a, NULL, go, time, NULL);
		if (r == 0)
			r = stele__why_gone(a, go, time, false);
		if (r == 0 && go->object)
			r = stele__locks_waited(a, go, time, true);
		if (r < 0)
			break;
		flow_leave(go, time, true);
		go->times.last = time;
		r = stele__scope_leave(a, go, time);
		if (r == 0)
			r = stele__times_account(a, go);
	}
	return r;
}

STELE_EXPORT bool stele_reason_is_sync(struct stele_string reason)
{
	return reason.bytes && (memmem(reason.data, reason.bytes, "chan", 4) ||
				memmem(reason.data, reason.bytes, "sync", 4) ||
				memmem(reason.data, reason.bytes, "select", 6));
}
