/* SPDX-License-Identifier: MIT */
#include "read/details.h"

#include <stdlib.h>

#include "format/own.h"
#include "read/vector.h"

#define DETAIL_FIELDS_MAX 7 /* what the head has room for */

struct stele__details *stele__details_new(void)
{
	struct stele__details *details = calloc(1, sizeof(*details));

	if (details)
		details->last = INT64_MIN;
	return details;
}

void stele__details_free(struct stele__details *details)
{
	if (!details)
		return;
	free(details->next);
	free(details->streams);
	free(details->left);
	free(details->texts);
	free(details);
}

static uint32_t detail_stack(const struct stele__generation *g, uint64_t id)
{
	return id ? stele__idmap_get(&g->table.stack_ids, id) : 0;
}

static struct stele_string detail_name(const struct stele__generation *g,
				       const struct stele__window *window, uint64_t id)
{
	uint32_t index = id ? stele__idmap_get(&g->table.string_ids, id) : 0;

	return stele__table_text(&g->table, window, index);
}

/* False: of a kind that this reader does not know. */
static bool detail_fill(const struct stele__generation *g, const struct stele__window *window,
			unsigned kind, const uint64_t *field, struct stele_detail *detail)
{
	detail->kind = (uint8_t)kind;
	detail->result = 0;
	detail->inner = 0;
	detail->goroutine = STELE_NO_ID;
	detail->name = (struct stele_string){"", 0};
	detail->object = field[0];
	detail->holder = STELE_NO_ID;
	detail->stack = detail->taken_stack = 0;
	switch (kind) {
	case STELE_OWN_DETAIL_WAIT:
		if (field[1])
			detail->holder = field[1];
		return true;
	case STELE_OWN_DETAIL_RELEASE:
		detail->stack = detail_stack(g, field[1]);
		detail->taken_stack = detail_stack(g, field[2]);
		return true;
	case STELE_OWN_DETAIL_CALL:
		return true;
	case STELE_OWN_DETAIL_RESULT:
		detail->object = 0;
		detail->result = stele__zigzag_back(field[0]);
		return true;
	case STELE_OWN_DETAIL_ORDER:
		detail->inner = field[1];
		detail->taken_stack = detail_stack(g, field[2]);
		detail->stack = detail_stack(g, field[3]);
		return true;
	case STELE_OWN_DETAIL_STACK:
		detail->result = (int64_t)field[1];
		return true;
	case STELE_OWN_DETAIL_FILE:
		detail->name = detail_name(g, window, field[1]);
		return true;
	case STELE_OWN_DETAIL_STANDING:
		detail->goroutine = field[0];
		detail->result = stele__ticks_ns(field[1], g->ns_per_tick);
		detail->name = detail_name(g, window, field[2]);
		detail->stack = detail_stack(g, field[3]);
		detail->object = field[4];
		if (field[5])
			detail->holder = field[5];
		return true;
	default:
		return false;
	}
}

/* Moves to the thread's next batch. */
static bool detail_turn(const struct stele__details *details, struct stele__detail_stream *s,
			const struct stele__generation *g, const struct stele__window *window)
{
	const struct stele__experiment *e;

	if (!s->experiment)
		return false;
	e = &g->experiments[s->experiment - 1];
	s->experiment = details->next[s->experiment - 1];
	s->at = stele__cursor(stele__window_at(window, e->offset) + 1, e->bytes - 1);
	s->ticks = e->time;
	s->first.thread = e->thread;
	return true;
}

/* The stream's next detail becomes its first. False: there is none. A broken batch ends there. */
static bool detail_advance(const struct stele__details *details, struct stele__detail_stream *s,
			   const struct stele__generation *g, const struct stele__window *window)
{
	for (;;) {
		uint64_t field[DETAIL_FIELDS_MAX] = {0};
		unsigned head;

		if (!stele__cursor_left(&s->at) || s->at.error) {
			if (!detail_turn(details, s, g, window))
				return false;
			continue;
		}
		head = stele__cursor_u8(&s->at);
		s->ticks += stele__cursor_varint(&s->at);
		for (unsigned i = 0; i < (head & 7); i++)
			field[i] = stele__cursor_varint(&s->at);
		if (s->at.error || !detail_fill(g, window, head >> 3, field, &s->first))
			continue;
		s->first.time = stele__ticks_ns(s->ticks, g->ns_per_tick);
		return true;
	}
}

static bool detail_before(const struct stele__detail_stream *a,
			  const struct stele__detail_stream *b)
{
	return a->first.time != b->first.time ? a->first.time < b->first.time
					      : a->first.thread < b->first.thread;
}

/* Puts the stream at `at` where it belongs among those below it. */
static void details_sink(struct stele__details *details, uint32_t at)
{
	struct stele__detail_stream *s = details->streams, moving = s[at];

	for (;;) {
		uint32_t child = at * 2 + 1;

		if (child >= details->stream_count)
			break;
		if (child + 1 < details->stream_count && detail_before(&s[child + 1], &s[child]))
			child++;
		if (!detail_before(&s[child], &moving))
			break;
		s[at] = s[child];
		at = child;
	}
	s[at] = moving;
}

static bool experiment_is_details(const struct stele__experiment *e,
				  const struct stele__window *window)
{
	return e->bytes && *stele__window_at(window, e->offset) == STELE_PAYLOAD_DETAILS;
}

/* Finds the batches of each thread, in the order of the file: heads of the chains first. */
static int details_chain(struct stele__details *details, const struct stele__generation *g,
			 const struct stele__window *window, struct stele__idmap *last)
{
	int r = stele__vector_reserve(&details->next, &details->next_capacity, g->experiment_count,
				      sizeof(*details->next));

	details->stream_count = 0;
	for (uint32_t i = 0; i < g->experiment_count && r >= 0; i++) {
		const struct stele__experiment *e = &g->experiments[i];
		uint32_t before;

		details->next[i] = 0;
		if (!experiment_is_details(e, window))
			continue;
		before = stele__idmap_get(last, e->thread);
		r = stele__idmap_put(last, e->thread, i + 1);
		if (before) {
			details->next[before - 1] = i + 1;
			continue;
		}
		if (r >= 0)
			r = stele__vector_reserve(&details->streams, &details->stream_capacity,
						  (uint64_t)details->stream_count + 1,
						  sizeof(*details->streams));
		if (r >= 0)
			details->streams[details->stream_count++] =
				(struct stele__detail_stream){.experiment = i + 1};
	}
	return r;
}

static int details_begin(struct stele__details *details, const struct stele__generation *g,
			 const struct stele__window *window)
{
	struct stele__idmap last;
	uint32_t kept = 0;
	int r;

	stele__idmap_init(&last);
	r = details_chain(details, g, window, &last);
	stele__idmap_done(&last);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < details->stream_count; i++)
		if (detail_advance(details, &details->streams[i], g, window))
			details->streams[kept++] = details->streams[i];
	details->stream_count = kept;
	for (uint32_t i = kept / 2; i > 0; i--)
		details_sink(details, i - 1);
	details->ready = details->consumed = true;
	return 0;
}

/* The earliest one, which must be there. */
static struct stele_detail details_take(struct stele__details *details,
					const struct stele__generation *g,
					const struct stele__window *window)
{
	struct stele__detail_stream *s = &details->streams[0];
	struct stele_detail taken = s->first;

	if (taken.time < details->last)
		taken.time = details->last;
	details->last = taken.time;
	if (!detail_advance(details, s, g, window))
		*s = details->streams[--details->stream_count];
	if (details->stream_count)
		details_sink(details, 0);
	return taken;
}

/* Its name is at details->texts + result, until all are there. */
static int left_name(struct stele__details *details, struct stele_detail *detail)
{
	size_t bytes = detail->name.bytes;
	int r;

	if (!bytes)
		return 0;
	r = stele__vector_reserve(&details->texts, &details->text_capacity,
				  (uint64_t)details->text_bytes + bytes, 1);
	if (r < 0)
		return r;
	memcpy(details->texts + details->text_bytes, detail->name.data, bytes);
	detail->result = details->text_bytes;
	details->text_bytes += (uint32_t)bytes;
	return 0;
}

static void left_point(struct stele__details *details)
{
	for (uint32_t i = details->left_at; i < details->left_count; i++)
		if (details->left[i].name.bytes)
			details->left[i].name.data = details->texts + details->left[i].result;
}

int stele__details_leave(struct stele__details *details, const struct stele__generation *g,
			 const struct stele__window *window)
{
	int r = 0;

	if (details->consumed && !details->ready)
		r = details_begin(details, g, window); /* no event was in it */
	if (details->left_at == details->left_count)
		details->left_at = details->left_count = details->text_bytes = 0;
	while (r >= 0 && details->ready && details->stream_count) {
		r = stele__vector_reserve(&details->left, &details->left_capacity,
					  (uint64_t)details->left_count + 1,
					  sizeof(*details->left));
		if (r < 0)
			break;
		details->left[details->left_count] = details_take(details, g, window);
		r = left_name(details, &details->left[details->left_count]);
		if (r < 0)
			break;
		details->left[details->left_count].stack = 0;
		details->left[details->left_count++].taken_stack = 0;
	}
	left_point(details);
	details->ready = false;
	return r;
}

int stele__details_next(struct stele__details *details, const struct stele__generation *g,
			const struct stele__window *window, int64_t until,
			struct stele_detail *ret_detail)
{
	int r;

	if (details->left_at < details->left_count) {
		if (details->left[details->left_at].time > until)
			return 0;
		*ret_detail = details->left[details->left_at++];
		return 1;
	}
	if (!details->ready) {
		r = details_begin(details, g, window);
		if (r < 0)
			return r;
	}
	if (!details->stream_count || details->streams[0].first.time > until)
		return 0;
	*ret_detail = details_take(details, g, window);
	return 1;
}
