/* SPDX-License-Identifier: MIT */
/*
 * A timeline for the page of a report:
 *
 *   begin_ns, end_ns, step_ns
 *   all     [[running, ready, in calls], …] hundredths of a thread, a step each
 *   lanes   [{id, name, thread, begin_ns, end_ns, busy_ns, from, steps}], the busiest, in the order
 *           in which they came into being. steps: three digits of base 64 a step from `from` on,
 *           running, ready, in calls; 63: all the time
 *   lanes_total
 *   names   of what follows
 *   window  {begin_ns, end_ns, items: [kind, lane, begin, duration, name, detail, …]}: times count
 *           from its beginning; kind and detail as in enum stele__timechart_kind: a slice's state,
 *           a region's depth, the lane that is woken, an instant's text among the names
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "export/timechart.h"

#define NAME_MAX_BYTES 120

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void json_text(struct stele__textsink *t, struct stele_string text)
{
	if (text.bytes > NAME_MAX_BYTES)
		text.bytes = NAME_MAX_BYTES;
	stele__text_json(t, text);
}

/* Any time at all shows. A step is 1 << shift ns, and at least 1024. */
static char json_digit(uint64_t ns, unsigned shift)
{
	uint64_t part = ((ns >> (shift - 10)) * 63 + 1023) >> 10;

	return digits[part > 63 ? 63 : part ? part : ns ? 1 : 0];
}

static void json_steps(struct stele__textsink *t, const struct stele__timechart_step *steps,
		       uint32_t count, unsigned shift)
{
	char text[3 * 64];
	size_t used = 0;

	for (uint32_t i = 0; steps && i < count; i++) {
		for (unsigned state = 0; state < STELE__TIMECHART_STATES; state++)
			text[used++] = json_digit(steps[i].ns[state], shift);
		if (used == sizeof(text)) {
			stele__text_bytes(t, text, used);
			used = 0;
		}
	}
	stele__text_bytes(t, text, used);
}

static void json_all(struct stele__textsink *t, const struct stele__timechart *chart)
{
	uint64_t last = (uint64_t)(chart->lanes.last - chart->begin) >> chart->shift;

	stele__text_format(t, ", \"all\": [");
	for (uint64_t i = 0; i <= last && i < STELE__TIMECHART_STEPS; i++) {
		const uint64_t *ns = chart->all[i].ns;
		double part = 100.0 / (double)(UINT64_C(1) << chart->shift);

		stele__text_format(t, "%s[%.0f,%.0f,%.0f]", i ? "," : "", (double)ns[0] * part,
				   (double)ns[1] * part, (double)ns[2] * part);
	}
	stele__text_format(t, "]");
}

static void json_lane(struct stele__textsink *t, const struct stele__timechart_lane *lane,
		      unsigned shift)
{
	const struct stele__label *name = lane->name;

	stele__text_format(t, "\n{\"id\": %" PRIu64 ", \"thread\": %s, \"name\": ",
			   lane->thread != STELE_NO_ID ? lane->thread : lane->goroutine,
			   lane->thread != STELE_NO_ID ? "true" : "false");
	json_text(t, name ? name->text : (struct stele_string){"?", 1});
	stele__text_format(t,
			   ", \"begin_ns\": %" PRId64 ", \"end_ns\": %" PRId64
			   ", \"busy_ns\": %" PRId64 ", \"from\": %" PRIu32 ", \"steps\": \"",
			   lane->first, lane->last, lane->busy, lane->from);
	json_steps(t, lane->steps, lane->count, shift);
	stele__text_format(t, "\"}");
}

static int lane_by_busy(const void *left, const void *right)
{
	const struct stele__timechart_lane *a = *(struct stele__timechart_lane *const *)left;
	const struct stele__timechart_lane *b = *(struct stele__timechart_lane *const *)right;
	int r = (a->busy < b->busy) - (a->busy > b->busy);

	return r ? r : (a->serial > b->serial) - (a->serial < b->serial);
}

static int lane_by_serial(const void *left, const void *right)
{
	const struct stele__timechart_lane *a = *(struct stele__timechart_lane *const *)left;
	const struct stele__timechart_lane *b = *(struct stele__timechart_lane *const *)right;

	return (a->serial > b->serial) - (a->serial < b->serial);
}

static int json_lanes(struct stele__textsink *t, struct stele__timechart *chart, size_t top)
{
	struct stele__timechart_lane **list =
		calloc(chart->by_serial.used + 1, sizeof(struct stele__timechart_lane *));
	struct stele__timechart_lane *lane;
	size_t count = 0, at = 0;

	if (!list)
		return -ENOMEM;
	while ((lane = stele__keymap_each(&chart->by_serial, &at)))
		list[count++] = lane;
	qsort(list, count, sizeof(struct stele__timechart_lane *), lane_by_busy);
	if (count > top)
		count = top;
	qsort(list, count, sizeof(struct stele__timechart_lane *), lane_by_serial);
	stele__text_format(t, ", \"lanes_total\": %" PRIu64 ", \"lanes\": [", chart->lane_count);
	for (size_t i = 0; i < count; i++) {
		list[i]->shown = (uint32_t)i + 1;
		stele__text_format(t, "%s", i ? "," : "");
		json_lane(t, list[i], chart->shift);
	}
	stele__text_format(t, "]");
	free(list);
	return 0;
}

static struct stele__timechart_item *json_item_at(const struct stele__timechart *chart, uint64_t i)
{
	uint64_t count = chart->item_count;
	uint64_t first = count > STELE__TIMECHART_ITEMS ? count - STELE__TIMECHART_ITEMS : 0;

	return i < count - first ? &chart->items[(first + i) % STELE__TIMECHART_ITEMS] : NULL;
}

/* Of a lane that is shown, and waking one that is. */
static bool json_item_shown(const struct stele__timechart_item *item)
{
	return item->lane->shown && (!item->other || item->other->shown);
}

/* Numbered from 1 on, in the order in which items name them. */
static void json_names(struct stele__textsink *t, const struct stele__timechart *chart)
{
	struct stele__timechart_item *item;
	uint64_t count = 0;

	for (uint64_t i = 0; (item = json_item_at(chart, i)); i++) {
		struct stele__label *label = item->name;

		if (!json_item_shown(item))
			continue;
		if (label && !label->mark) {
			stele__text_format(t, "%s", count ? "," : "");
			json_text(t, label->text);
			label->mark = ++count;
		}
		if (item->text) {
			stele__text_format(t, "%s", count ? "," : "");
			json_text(t, (struct stele_string){item->text, strlen(item->text)});
			item->text_name = ++count;
		}
	}
}

static void json_items(struct stele__textsink *t, const struct stele__timechart *chart)
{
	const struct stele__timechart_item *item;
	const char *comma = "";

	for (uint64_t i = 0; (item = json_item_at(chart, i)); i++) {
		uint64_t name = item->name ? item->name->mark - 1 : 0, detail = item->detail;

		if (!json_item_shown(item))
			continue;
		if (item->text)
			detail = item->text_name - 1;
		if (item->other)
			detail = item->other->shown - 1;
		stele__text_format(
			t, "%s%u,%" PRIu32 ",%" PRId64 ",%" PRId64 ",%" PRIu64 ",%" PRIu64, comma,
			item->kind, item->lane->shown - 1, item->begin - chart->window,
			item->end - item->begin, name, detail);
		comma = ",";
	}
}

int stele__timechart_write(struct stele__timechart *chart, size_t top, struct stele__textsink *t)
{
	int r;

	stele__text_format(
		t, "{\"begin_ns\": %" PRId64 ", \"end_ns\": %" PRId64 ", \"step_ns\": %" PRIu64,
		chart->begin, chart->lanes.last, UINT64_C(1) << chart->shift);
	json_all(t, chart);
	r = json_lanes(t, chart, top);
	if (r < 0)
		return r;
	stele__text_format(t, ", \"names\": [");
	json_names(t, chart);
	stele__text_format(t,
			   "], \"window\": {\"begin_ns\": %" PRId64 ", \"end_ns\": %" PRId64
			   ", \"items\": [",
			   chart->window, chart->lanes.last);
	json_items(t, chart);
	stele__text_format(t, "]}}");
	return t->error;
}
