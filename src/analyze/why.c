/* SPDX-License-Identifier: MIT */
#include "analyze/why.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/receipt.h"

#define WHY_DEPTH_MAX 4

struct stele__why {
	struct stele_why_query query;
	const struct stele__name *region;
	struct stele__histories histories;
	struct stele__keymap open;   /* by goroutine: its newest receipt, owned; others follow */
	struct stele__receipt all;   /* of all instances, open ones too */
	struct stele__receipt *kept; /* the slowest, in no order */
	uint32_t kept_count;
	struct stele_why answer;
	struct stele_why_instance *slowest;
};

static void receipts_free(struct stele__receipt *receipt)
{
	struct stele__receipt *next;

	for (; receipt; receipt = next) {
		next = receipt->next;
		stele__receipt_done(receipt);
		free(receipt);
	}
}

struct stele__why *stele__why_new(struct stele_analysis *a, const struct stele_why_query *query)
{
	struct stele__why *why = calloc(1, sizeof(*why));

	if (!why)
		return NULL;
	why->query = *query;
	why->region = stele__name_intern(a, query->region);
	why->kept = calloc(query->slowest + 1, sizeof(*why->kept));
	stele__histories_init(&why->histories);
	stele__keymap_init(&why->open);
	why->all = (struct stele__receipt){
		.collective = true, .instance = {.goroutine = STELE_NO_ID, .thread = STELE_NO_ID}};
	if (why->region && why->kept)
		return why;
	stele__why_free(why);
	return NULL;
}

void stele__why_free(struct stele__why *why)
{
	struct stele__receipt *receipt;
	size_t at = 0;

	if (!why)
		return;
	while ((receipt = stele__keymap_each(&why->open, &at)))
		receipts_free(receipt);
	stele__keymap_done(&why->open);
	for (uint32_t i = 0; i < why->kept_count; i++)
		stele__receipt_done(&why->kept[i]);
	stele__receipt_done(&why->all);
	stele__histories_done(&why->histories);
	free(why->kept);
	free(why->slowest);
	free(why);
}

STELE_EXPORT int stele_analysis_ask_why(struct stele_analysis *analysis,
					const struct stele_why_query *query)
{
	analysis->why = stele__why_new(analysis, query);
	return analysis->why ? 0 : -ENOMEM;
}

/* ---- what a span was, with what others did meanwhile ---- */

struct why_walk {
	const struct stele_analysis *a;
	struct stele__receipt *receipt;
	uint32_t parent;
	unsigned depth;
	const struct stele__span *span; /* of a lock that is being told */
};

/* What the goroutine is in, up to `end`. */
static struct stele__span span_of(const struct stele__flow *go, int64_t end)
{
	return (struct stele__span){
		.begin = go->since,
		.end = end,
		.state = go->state,
		.reason = go->reason,
		.call = go->file   ? go->file->name
			: go->call ? go->call->name
				   : NULL,
		.stack = go->site ? go->site->alike : 0,
		.object = go->object,
		.holder = go->object ? go->holder : STELE_NO_ID,
		.waker_goroutine = STELE_NO_ID,
	};
}

static int walk_span(void *arg, const struct stele__span *span);

/* It was longer ago than is kept. */
static int walk_forgotten(const struct why_walk *below, int64_t ns)
{
	const struct stele_why_row row = {.kind = STELE_WHY_REST,
					  .who_thread = STELE_NO_ID,
					  .who_goroutine = STELE_NO_ID,
					  .ns = ns};
	uint32_t at;

	return ns > 0 ? stele__receipt_add(below->receipt, below->parent, &row, &at) : 0;
}

/* What this goroutine did from begin to end, below the row `parent`. */
static int walk_meanwhile(const struct why_walk *walk, uint32_t parent, uint64_t goroutine,
			  int64_t begin, int64_t end)
{
	struct why_walk below = {walk->a, walk->receipt, parent, walk->depth + 1, NULL};
	const struct stele__flow *go;
	struct stele__span now;
	int64_t from;
	int r;

	if (goroutine == STELE_NO_ID || below.depth > WHY_DEPTH_MAX)
		return 0;
	r = stele__history_tell(&walk->a->why->histories, goroutine, begin, end, walk_span, &below,
				&from);
	go = stele__flow_find(walk->a, goroutine);
	if (r == 0 && go && go->since < end) {
		now = span_of(go, end);
		now.open = true;
		if (now.begin < begin)
			now.begin = begin;
		if (now.begin < from)
			from = now.begin;
		r = walk_span(&below, &now);
	}
	return r < 0 ? r : walk_forgotten(&below, from - begin);
}

/* Why it waits, or what it calls. */
static struct stele_string span_name(const struct why_walk *walk, const struct stele__span *span)
{
	if (span->state != STELE_STATE_SYSCALL)
		return span->reason->text;
	return span->call ? span->call->text : walk->a->empty->text;
}

static int walk_hold(void *arg, const struct stele__hold *hold)
{
	const struct why_walk *walk = arg;
	const struct stele__span *span = walk->span;
	const struct stele__release *release = hold->release;
	const struct stele__flow *go = release || hold->thread == STELE_NO_ID
					       ? NULL
					       : stele__flow_of_thread(walk->a, hold->thread);
	struct stele_why_row row = {
		.kind = span->state == STELE_STATE_SYSCALL ? STELE_WHY_CALL : STELE_WHY_WAIT,
		.name = span_name(walk, span),
		.stack = span->stack,
		.lock = stele__locks_class(span->object),
		.who_thread = hold->thread,
		.who_goroutine = release ? release->goroutine
				 : go	 ? go->id
					 : STELE_NO_ID,
		.ns = hold->end - hold->begin,
	};
	uint32_t at;
	int r;

	if (span->object->is_lock)
		row.kind = hold->free ? STELE_WHY_HANDOVER : STELE_WHY_LOCK;
	if (release) {
		row.who = release->name->text;
		row.taken = release->taken;
		row.released = release->stack;
	} else if (go) {
		row.who = stele__flow_label(walk->a, go)->text;
	}
	r = stele__receipt_add(walk->receipt, walk->parent, &row, &at);
	if (r < 0)
		return r;
	return walk_meanwhile(walk, at, row.who_goroutine, hold->begin, hold->end);
}

static int walk_wait(const struct why_walk *walk, const struct stele__span *span)
{
	const struct stele_why_row row = {
		.kind = STELE_WHY_WAIT,
		.name = span->reason->text,
		.stack = span->stack,
		.who = span->waker ? span->waker->text : walk->a->empty->text,
		.who_thread = STELE_NO_ID,
		.who_goroutine = span->waker_goroutine,
		.released = span->waker_stack,
		.ns = span->end - span->begin,
	};
	uint32_t at;
	int r = stele__receipt_add(walk->receipt, walk->parent, &row, &at);

	if (r < 0 || !span->waker)
		return r;
	return walk_meanwhile(walk, at, span->waker_goroutine, span->begin, span->end);
}

/* A wait for it; or a call that was ended by a signal. */
static int walk_object(const struct why_walk *walk, const struct stele__span *span)
{
	struct why_walk holders = *walk;

	holders.span = span;
	return stele__locks_holders(span->object, span->begin, span->end, span->holder, span->open,
				    walk_hold, &holders);
}

static int walk_span(void *arg, const struct stele__span *span)
{
	static const uint8_t kinds[STELE__STATE_COUNT] = {
		[STELE_STATE_UNDETERMINED] = STELE_WHY_UNKNOWN,
		[STELE_STATE_RUNNABLE] = STELE_WHY_READY,
		[STELE_STATE_RUNNING] = STELE_WHY_RUNNING,
		[STELE_STATE_SYSCALL] = STELE_WHY_CALL,
	};
	struct why_walk *walk = arg;
	struct stele_why_row row = {
		.kind = kinds[span->state],
		.who_thread = STELE_NO_ID,
		.who_goroutine = STELE_NO_ID,
		.ns = span->end - span->begin,
	};
	uint32_t at;

	if (row.ns <= 0)
		return 0;
	if (span->object)
		return walk_object(walk, span);
	if (span->state == STELE_STATE_WAITING)
		return walk_wait(walk, span);
	if (span->state == STELE_STATE_SYSCALL) {
		row.name = span_name(walk, span);
		row.stack = span->stack;
	}
	return stele__receipt_add(walk->receipt, walk->parent, &row, &at);
}

/* Into the receipt, and into that of all. */
static int why_account(const struct stele_analysis *a, struct stele__receipt *receipt,
		       const struct stele__span *span)
{
	struct stele__receipt *receipts[] = {receipt, &a->why->all};
	struct stele__span part = *span;
	int r = 0;

	if (part.begin < receipt->since)
		part.begin = receipt->since;
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(receipts) && r == 0; i++) {
		struct why_walk walk = {.a = a, .receipt = receipts[i]};

		r = walk_span(&walk, &part);
	}
	receipt->since = span->end;
	return r;
}

/* ---- instances ---- */

/* Of goroutines, as long as they live? */
static bool why_is_whole(const struct stele__why *why)
{
	return why->query.of == STELE_WHY_GOROUTINE || why->query.of == STELE_WHY_THREAD;
}

static struct stele__receipt *why_open(const struct stele_analysis *a, const struct stele__flow *go)
{
	return stele__keymap_get(&a->why->open, go->id);
}

/* The newest receipt of the goroutine is this one now; NULL: it has none. */
static int why_set_open(struct stele_analysis *a, uint64_t goroutine, struct stele__receipt *before,
			struct stele__receipt *now)
{
	if (before)
		stele__keymap_drop(&a->why->open, goroutine, before);
	return now ? stele__keymap_add(&a->why->open, goroutine, now) : 0;
}

static int why_begin(struct stele_analysis *a, const struct stele__flow *go, uint32_t region,
		     const struct stele__name *name, int64_t time)
{
	struct stele__receipt *receipt = calloc(1, sizeof(*receipt));
	int r;

	if (!receipt)
		return -ENOMEM;
	receipt->instance = (struct stele_why_instance){
		.goroutine = go->id, .thread = go->times.thread, .name = name->text, .begin = time};
	receipt->since = time;
	receipt->region = region;
	receipt->next = why_open(a, go);
	r = why_set_open(a, go->id, receipt->next, receipt);
	if (r < 0)
		free(receipt);
	return r;
}

/* Keeps it if it is one of the slowest. Takes what it owns. */
static void why_keep(struct stele__why *why, struct stele__receipt *receipt)
{
	uint32_t least = 0;

	if (why->kept_count < why->query.slowest) {
		why->kept[why->kept_count++] = *receipt;
		return;
	}
	for (uint32_t i = 1; i < why->kept_count; i++)
		if (why->kept[i].instance.ns < why->kept[least].instance.ns)
			least = i;
	if (!why->kept_count || why->kept[least].instance.ns >= receipt->instance.ns) {
		stele__receipt_done(receipt);
		return;
	}
	stele__receipt_done(&why->kept[least]);
	why->kept[least] = *receipt;
}

/* It is none of the goroutine's open ones any more. 0 or -ENOMEM. */
static int why_unlink(struct stele_analysis *a, const struct stele__flow *go,
		      const struct stele__receipt *receipt)
{
	struct stele__receipt *before = why_open(a, go);

	if (before == receipt)
		return why_set_open(a, go->id, before, before->next);
	while (before->next != receipt)
		before = before->next;
	before->next = receipt->next;
	return 0;
}

/* One of the goroutine's is over. */
static int why_end(struct stele_analysis *a, const struct stele__flow *go,
		   struct stele__receipt *receipt, int64_t time, bool open)
{
	struct stele__why *why = a->why;
	int r = why_unlink(a, go, receipt);

	receipt->next = NULL;
	receipt->instance.ns = time - receipt->instance.begin;
	receipt->instance.open = open;
	receipt->instance.thread = go->times.thread;
	if (why_is_whole(why))
		receipt->instance.name = stele__flow_label(a, go)->text;
	why->answer.count++;
	stele__ns_add(&why->all.instance.ns, receipt->instance.ns);
	why_keep(why, receipt);
	free(receipt);
	return r;
}

int stele__why_appear(struct stele_analysis *a, const struct stele__flow *go, int64_t time)
{
	const struct stele_why_query *query = a->why ? &a->why->query : NULL;

	if (!query || !why_is_whole(a->why) ||
	    query->id != (query->of == STELE_WHY_THREAD ? go->times.thread : go->id))
		return 0;
	return why_begin(a, go, 0, a->empty, time);
}

static int span_waker(struct stele_analysis *a, const struct stele_reader *reader,
		      const struct stele_event *event, struct stele__span *span)
{
	const struct stele__flow *waker = stele__flow_find(a, event->goroutine);

	if (span->state != STELE_STATE_WAITING || !waker || waker->id == event->resource_id)
		return 0;
	span->waker = stele__flow_label(a, waker);
	span->waker_goroutine = waker->id;
	return stele__stack_find(a, reader, event->stack, &span->waker_stack);
}

int stele__why_leave(struct stele_analysis *a, const struct stele_reader *reader,
		     const struct stele__flow *go, int64_t time, const struct stele_event *event)
{
	struct stele__span span;
	int r = 0;

	if (!a->why)
		return 0;
	span = span_of(go, time);
	span.open = !event;
	if (event && !span.object)
		span.object = stele__signalled_ended(a, go, time);
	if (event)
		r = span_waker(a, reader, event, &span);
	for (struct stele__receipt *receipt = why_open(a, go); receipt && r == 0;
	     receipt = receipt->next)
		r = why_account(a, receipt, &span);
	return r < 0 ? r : stele__history_add(&a->why->histories, go->id, &span);
}

int stele__why_gone(struct stele_analysis *a, const struct stele__flow *go, int64_t time,
		    bool ended)
{
	int r = 0;

	if (!a->why)
		return 0;
	/* A region that a goroutine leaves open does not end with it. */
	while (r == 0 && why_open(a, go))
		r = why_end(a, go, why_open(a, go), time, !ended || !why_is_whole(a->why));
	stele__history_end(&a->why->histories, go->id);
	return r;
}

int stele__why_region_begin(struct stele_analysis *a, const struct stele__flow *go,
			    const struct stele__region *region)
{
	const struct stele_why_query *query = a->why ? &a->why->query : NULL;
	bool wanted = false;

	if (query && query->of == STELE_WHY_REGION)
		wanted = region->name == a->why->region;
	else if (query && query->of == STELE_WHY_TASK)
		wanted = region->task == query->id && !why_open(a, go);
	return wanted ? why_begin(a, go, (uint32_t)(region - go->regions), region->name,
				  region->begin)
		      : 0;
}

int stele__why_region_end(struct stele_analysis *a, const struct stele__flow *go, uint32_t at,
			  int64_t time)
{
	struct stele__receipt *receipt;
	struct stele__span span;
	int r = 0;

	if (!a->why || why_is_whole(a->why) || a->why->query.of == STELE_WHY_REQUEST)
		return 0;
	span = span_of(go, time);
	while (r == 0 && (receipt = why_open(a, go)) && receipt->region >= at) {
		r = why_account(a, receipt, &span);
		if (r == 0)
			r = why_end(a, go, receipt, time, false);
	}
	return r;
}

/* ---- requests ---- */

static bool text_holds(struct stele_string text, struct stele_string part)
{
	return !part.bytes || memmem(text.data, text.bytes, part.data, part.bytes) != NULL;
}

/* Between two ends: "10.0.0.1:80 - 10.0.0.2", "unix:/run/x". */
static bool file_is_connection(struct stele_string file)
{
	return stele__text_begins(file, "unix:") ||
	       (!stele__text_begins(file, "/") &&
		text_holds(file, (struct stele_string){" - ", 3}));
}

/* The goroutine's open one of this descriptor; NULL: none. */
static struct stele__receipt *request_open(const struct stele_analysis *a,
					   const struct stele__flow *go, uint64_t fd)
{
	struct stele__receipt *receipt = why_open(a, go);

	while (receipt && receipt->fd != fd)
		receipt = receipt->next;
	return receipt;
}

int stele__why_called(struct stele_analysis *a, const struct stele__flow *go, int64_t time)
{
	const struct stele__called *called = &go->called;
	struct stele_string call = called->call->text, file = called->file->text;
	struct stele__receipt *open;
	int r = 0;

	if (!a->why || a->why->query.of != STELE_WHY_REQUEST || called->result <= 0 ||
	    called->client || !file_is_connection(file) || !text_holds(file, a->why->region->text))
		return 0;
	open = request_open(a, go, called->fd);
	if (open && open->instance.begin < called->since) { /* of a connection before this one */
		r = why_end(a, go, open, time, true);
		open = NULL;
	}
	if (r == 0 && !open &&
	    (stele__text_begins(call, "read") || stele__text_begins(call, "recv"))) {
		r = why_begin(a, go, 0, called->file, time);
		if (r == 0)
			why_open(a, go)->fd = called->fd;
	} else if (r == 0 && open &&
		   (stele__text_begins(call, "write") || stele__text_begins(call, "send"))) {
		r = why_end(a, go, open, time, false);
	}
	return r;
}

/* ---- the answer ---- */

static int instance_compare(const void *left, const void *right)
{
	const struct stele_why_instance *a = left, *b = right;

	if (a->ns != b->ns)
		return a->ns < b->ns ? 1 : -1;
	if (a->begin != b->begin)
		return a->begin < b->begin ? -1 : 1;
	return (a->goroutine > b->goroutine) - (a->goroutine < b->goroutine);
}

int stele__why_finish(struct stele_analysis *a)
{
	struct stele__why *why = a->why;
	int r;

	if (!why)
		return 0;
	why->slowest = calloc((size_t)why->kept_count + 1, sizeof(*why->slowest));
	r = why->slowest ? stele__receipt_order(&why->all) : -ENOMEM;
	for (uint32_t i = 0; i < why->kept_count && r == 0; i++) {
		r = stele__receipt_order(&why->kept[i]);
		why->slowest[i] = why->kept[i].instance;
	}
	if (r < 0)
		return r;
	qsort(why->slowest, why->kept_count, sizeof(*why->slowest), instance_compare);
	why->answer.query = why->query;
	why->answer.query.region = why->region->text;
	why->answer.all = why->all.instance;
	why->answer.slowest = why->slowest;
	why->answer.slowest_count = why->kept_count;
	return 0;
}

STELE_EXPORT const struct stele_why *stele_analysis_why(const struct stele_analysis *analysis)
{
	return analysis->why ? &analysis->why->answer : NULL;
}
