/* SPDX-License-Identifier: MIT */
#include "export/timechart.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHIFT_FIRST 10
#define STEPS_FIRST 8
#define TEXT_MAX    120

static struct stele__timechart *timechart_of(struct stele__lanes *lanes)
{
	return lanes->arg;
}

/* Lanes --------------------------------------------------------------------------------------- */

/* Nothing needs it any more. */
static void lane_release(struct stele__timechart *t, struct stele__timechart_lane *lane)
{
	if (!lane->ended || lane->items || lane->steps)
		return;
	stele__keymap_drop(&t->by_serial, lane->serial, lane);
	free(lane);
}

/* NULL: no memory. */
static struct stele__timechart_lane *timechart_lane(struct stele__timechart *t,
						    const struct stele__lane *from)
{
	struct stele__timechart_lane *lane = stele__keymap_get(&t->by_serial, from->serial);

	if (!lane) {
		lane = calloc(1, sizeof(*lane));
		if (!lane || stele__keymap_add(&t->by_serial, from->serial, lane) < 0) {
			free(lane);
			return NULL;
		}
		lane->serial = from->serial;
		lane->goroutine = from->goroutine;
		lane->first = from->since;
		t->lane_count++;
	}
	lane->thread = from->thread;
	lane->name = from->name ? from->name : lane->name;
	return lane;
}

static int timechart_end(struct stele__lanes *lanes, struct stele__lane *from)
{
	struct stele__timechart_lane *lane =
		stele__keymap_get(&timechart_of(lanes)->by_serial, from->serial);

	if (lane) {
		lane->ended = true;
		lane_release(timechart_of(lanes), lane);
	}
	return 0;
}

static int lane_by_busy(const void *left, const void *right)
{
	const struct stele__timechart_lane *a = *(struct stele__timechart_lane *const *)left;
	const struct stele__timechart_lane *b = *(struct stele__timechart_lane *const *)right;

	return (a->busy < b->busy) - (a->busy > b->busy);
}

/* Half of those with steps lose them, the least busy. */
static int timechart_drop(struct stele__timechart *t)
{
	struct stele__timechart_lane **list =
		calloc(t->with_steps, sizeof(struct stele__timechart_lane *));
	struct stele__timechart_lane *lane;
	uint32_t count = 0;
	size_t at = 0;

	if (!list)
		return -ENOMEM;
	while ((lane = stele__keymap_each(&t->by_serial, &at)))
		if (lane->steps)
			list[count++] = lane;
	qsort(list, count, sizeof(*list), lane_by_busy);
	for (uint32_t i = count / 2; i < count; i++) {
		free(list[i]->steps);
		list[i]->steps = NULL;
		list[i]->count = list[i]->max = 0;
		list[i]->dropped = true;
		t->with_steps--;
		lane_release(t, list[i]);
	}
	free(list);
	return 0;
}

/* Steps --------------------------------------------------------------------------------------- */

static void step_add(struct stele__timechart_step *to, const struct stele__timechart_step *from)
{
	for (unsigned i = 0; i < STELE__TIMECHART_STATES; i++)
		to->ns[i] += from->ns[i];
}

/* Of `count` steps from step `from` on, two become one each. */
static void steps_halve(struct stele__timechart_step *steps, uint32_t from, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct stele__timechart_step step = steps[i];
		uint32_t to = ((from + i) >> 1) - (from >> 1);

		if (i && ((from + i) & 1))
			step_add(&steps[to], &step);
		else
			steps[to] = step;
	}
}

static void timechart_widen(struct stele__timechart *t)
{
	struct stele__timechart_lane *lane;
	size_t at = 0;

	while ((lane = stele__keymap_each(&t->by_serial, &at)))
		if (lane->count) {
			uint32_t end = lane->from + lane->count;

			steps_halve(lane->steps, lane->from, lane->count);
			lane->from >>= 1;
			lane->count = ((end + 1) >> 1) - lane->from;
		}
	steps_halve(t->all, 0, STELE__TIMECHART_STEPS);
	memset(t->all + STELE__TIMECHART_STEPS / 2, 0, sizeof(t->all) / 2);
	t->shift++;
}

/* Makes room for step `last`; steps are given in order of time. */
static int lane_reserve(struct stele__timechart *t, struct stele__timechart_lane *lane,
			uint32_t first, uint32_t last)
{
	struct stele__timechart_step *steps;
	uint32_t need, max = lane->max ? lane->max : STEPS_FIRST;

	if (!lane->steps && t->with_steps >= STELE__TIMECHART_LANES) {
		int r = timechart_drop(t);

		if (r < 0)
			return r;
	}
	if (!lane->count)
		lane->from = first;
	need = last + 1 - lane->from;
	while (max < need)
		max *= 2;
	if (!lane->steps || max > lane->max) {
		steps = realloc(lane->steps, max * sizeof(*steps));
		if (!steps)
			return -ENOMEM;
		t->with_steps += lane->steps == NULL;
		lane->steps = steps;
		lane->max = max;
	}
	if (need > lane->count) {
		memset(lane->steps + lane->count, 0, (need - lane->count) * sizeof(*lane->steps));
		lane->count = need;
	}
	return 0;
}

/* The lane was in the state from `begin` to `end`. */
static int timechart_spend(struct stele__timechart *t, struct stele__timechart_lane *lane,
			   unsigned state, int64_t begin, int64_t end)
{
	uint64_t from = (uint64_t)(begin - t->begin), to = (uint64_t)(end - t->begin);
	int r = 0;

	if (begin < t->begin || begin >= end)
		return 0;
	if (state != STELE__TIMECHART_READY)
		lane->busy += end - begin;
	while ((to - 1) >> t->shift >= STELE__TIMECHART_STEPS)
		timechart_widen(t);
	if (!lane->dropped)
		r = lane_reserve(t, lane, (uint32_t)(from >> t->shift),
				 (uint32_t)((to - 1) >> t->shift));
	while (r == 0 && from < to) {
		uint64_t step = from >> t->shift, next = (step + 1) << t->shift;
		uint64_t ns = (next < to ? next : to) - from;

		t->all[step].ns[state] += ns;
		if (lane->steps)
			lane->steps[step - lane->from].ns[state] += ns;
		from += ns;
	}
	return r;
}

/* The window ---------------------------------------------------------------------------------- */

static void item_forget(struct stele__timechart *t, struct stele__timechart_item *item)
{
	struct stele__timechart_lane *lanes[] = {item->lane, item->other};

	for (unsigned i = 0; i < STELE_ARRAY_LENGTH(lanes); i++)
		if (lanes[i] && --lanes[i]->items == 0)
			lane_release(t, lanes[i]);
	free(item->text);
}

/* Items come in order of their ends. */
static void timechart_item(struct stele__timechart *t, const struct stele__timechart_item *item)
{
	struct stele__timechart_item *place = &t->items[t->item_count % STELE__TIMECHART_ITEMS];

	/* What it names first: it may be named by the one that goes alone. */
	item->lane->items++;
	if (item->other)
		item->other->items++;
	if (t->item_count++ >= STELE__TIMECHART_ITEMS) {
		t->window = place->end;
		item_forget(t, place);
	}
	*place = *item;
}

/* What lanes draw ------------------------------------------------------------------------------ */

static int timechart_process(struct stele__lanes *lanes)
{
	(void)lanes;
	return 0;
}

static int timechart_slice(struct stele__lanes *lanes, struct stele__lane *from,
			   const struct stele__slice *slice)
{
	static const uint8_t states[STELE__STATE_COUNT] = {
		[STELE_STATE_UNDETERMINED] = STELE__TIMECHART_UNKNOWN,
		[STELE_STATE_NOT_EXIST] = STELE__TIMECHART_UNKNOWN,
		[STELE_STATE_RUNNING] = STELE__TIMECHART_RUNNING,
		[STELE_STATE_RUNNABLE] = STELE__TIMECHART_READY,
		[STELE_STATE_WAITING] = STELE__TIMECHART_WAITING,
		[STELE_STATE_SYSCALL] = STELE__TIMECHART_SYSCALL,
		[STELE_STATE_IDLE] = STELE__TIMECHART_UNKNOWN,
	};
	struct stele__timechart *t = timechart_of(lanes);
	struct stele__timechart_lane *lane = timechart_lane(t, from);
	uint8_t state = states[from->state];
	int r;

	if (!lane)
		return -ENOMEM;
	if (slice->begin < lane->first)
		lane->first = slice->begin;
	lane->last = slice->end;
	if (state < STELE__TIMECHART_STATES) {
		r = timechart_spend(t, lane, state, slice->begin, slice->end);
		if (r < 0)
			return r;
	}
	timechart_item(t, &(struct stele__timechart_item){.kind = STELE__TIMECHART_SLICE,
							  .detail = state,
							  .lane = lane,
							  .name = slice->name,
							  .begin = slice->begin,
							  .end = slice->end});
	return 0;
}

static int timechart_wake(struct stele__lanes *lanes, struct stele__lane *by,
			  struct stele__lane *woken, int64_t time, uint64_t number)
{
	struct stele__timechart *t = timechart_of(lanes);
	struct stele__timechart_lane *lane = timechart_lane(t, by);
	struct stele__timechart_lane *other = timechart_lane(t, woken);

	(void)number;
	if (!lane || !other)
		return -ENOMEM;
	timechart_item(t, &(struct stele__timechart_item){.kind = STELE__TIMECHART_WAKE,
							  .lane = lane,
							  .other = other,
							  .begin = time,
							  .end = time});
	return 0;
}

static int timechart_region(struct stele__lanes *lanes, struct stele__lane *from,
			    struct stele__label *name, int64_t time, bool begin)
{
	struct stele__timechart *t = timechart_of(lanes);
	struct stele__timechart_lane *lane = timechart_lane(t, from);

	if (!lane)
		return -ENOMEM;
	if (begin) {
		if (lane->depth < STELE__TIMECHART_NEST) {
			lane->regions[lane->depth].name = name;
			lane->regions[lane->depth].begin = time;
		}
		lane->depth++;
	} else if (lane->depth && --lane->depth < STELE__TIMECHART_NEST) {
		timechart_item(t, &(struct stele__timechart_item){
					  .kind = STELE__TIMECHART_REGION,
					  .detail = (uint8_t)lane->depth,
					  .lane = lane,
					  .name = lane->regions[lane->depth].name,
					  .begin = lane->regions[lane->depth].begin,
					  .end = time});
	}
	return 0;
}

static int timechart_task(struct stele__lanes *lanes, const struct stele__task *task, int64_t time,
			  bool begin)
{
	(void)lanes, (void)task, (void)time, (void)begin;
	return 0;
}

static int timechart_instant(struct stele__lanes *lanes, struct stele__lane *from,
			     struct stele__label *name, struct stele_string text, int64_t time)
{
	struct stele__timechart *t = timechart_of(lanes);
	struct stele__timechart_lane *lane = timechart_lane(t, from);
	char *copy = lane ? strndup(text.bytes ? text.data : "",
				    text.bytes < TEXT_MAX ? text.bytes : TEXT_MAX)
			  : NULL;

	if (!copy)
		return -ENOMEM;
	timechart_item(t, &(struct stele__timechart_item){.kind = STELE__TIMECHART_INSTANT,
							  .lane = lane,
							  .name = name,
							  .text = copy,
							  .begin = time,
							  .end = time});
	return 0;
}

static int timechart_counter(struct stele__lanes *lanes, struct stele__label *name, int64_t value,
			     int64_t time)
{
	(void)lanes, (void)name, (void)value, (void)time;
	return 0;
}

static const struct stele__draw timechart_draw = {
	.process = timechart_process,
	.slice = timechart_slice,
	.wake = timechart_wake,
	.region = timechart_region,
	.task = timechart_task,
	.instant = timechart_instant,
	.counter = timechart_counter,
	.end = timechart_end,
};

/* As a whole ---------------------------------------------------------------------------------- */

int stele__timechart_new(struct stele__timechart **ret_chart)
{
	struct stele__timechart *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->shift = SHIFT_FIRST;
	t->items = calloc(STELE__TIMECHART_ITEMS, sizeof(*t->items));
	stele__keymap_init(&t->by_serial);
	if (stele__lanes_init(&t->lanes, &timechart_draw, t) < 0 || !t->items) {
		stele__timechart_free(t);
		return -ENOMEM;
	}
	*ret_chart = t;
	return 0;
}

void stele__timechart_free(struct stele__timechart *t)
{
	struct stele__timechart_lane *lane;
	size_t at = 0;

	if (!t)
		return;
	for (uint64_t i = 0; i < t->item_count && i < STELE__TIMECHART_ITEMS; i++)
		free(t->items[i].text);
	while ((lane = stele__keymap_each(&t->by_serial, &at)))
		free(lane->steps);
	stele__keymap_free(&t->by_serial);
	stele__lanes_done(&t->lanes);
	free(t->items);
	free(t);
}

int stele__timechart_event(struct stele__timechart *t, const struct stele_reader *reader,
			   const struct stele_event *event)
{
	if (!t->started)
		t->begin = t->window = event->time;
	t->started = true;
	return stele__lanes_event(&t->lanes, reader, event);
}

int stele__timechart_finish(struct stele__timechart *t)
{
	return stele__lanes_finish(&t->lanes);
}
