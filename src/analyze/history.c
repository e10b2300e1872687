/* SPDX-License-Identifier: MIT */
#include "analyze/history.h"

#include <errno.h>
#include <stdlib.h>

#define SPANS_MIN 4u

void stele__histories_init(struct stele__histories *histories)
{
	*histories = (struct stele__histories){.gone_end = &histories->gone};
	stele__keymap_init(&histories->by_goroutine);
}

void stele__histories_done(struct stele__histories *histories)
{
	struct stele__history *history;
	size_t at = 0;

	while ((history = stele__keymap_each(&histories->by_goroutine, &at)))
		free(history->spans);
	stele__keymap_free(&histories->by_goroutine);
}

static struct stele__history *history_of(struct stele__histories *histories, uint64_t goroutine)
{
	struct stele__history *history = stele__keymap_get(&histories->by_goroutine, goroutine);

	if (history)
		return history;
	history = calloc(1, sizeof(*history));
	if (!history || stele__keymap_add(&histories->by_goroutine, goroutine, history) < 0) {
		free(history);
		return NULL;
	}
	history->goroutine = goroutine;
	return history;
}

int stele__history_add(struct stele__histories *histories, uint64_t goroutine,
		       const struct stele__span *span)
{
	struct stele__history *history = history_of(histories, goroutine);

	if (!history)
		return -ENOMEM;
	if (history->count == history->max && history->max < STELE__HISTORY_SPANS) {
		uint32_t grown = history->max ? history->max * 2 : SPANS_MIN;
		struct stele__span *moved = realloc(history->spans, grown * sizeof(*moved));

		if (!moved)
			return -ENOMEM;
		history->spans = moved;
		history->max = grown;
	}
	history->spans[history->count++ & (history->max - 1)] = *span;
	return 0;
}

void stele__history_end(struct stele__histories *histories, uint64_t goroutine)
{
	struct stele__history *history = stele__keymap_get(&histories->by_goroutine, goroutine);
	struct stele__history *oldest;

	if (!history)
		return;
	*histories->gone_end = history;
	histories->gone_end = &history->next;
	if (histories->gone_count++ < STELE__HISTORY_GONE)
		return;
	oldest = histories->gone;
	histories->gone = oldest->next;
	histories->gone_count--;
	stele__keymap_drop(&histories->by_goroutine, oldest->goroutine, oldest);
	free(oldest->spans);
	free(oldest);
}

int stele__history_tell(const struct stele__histories *histories, uint64_t goroutine, int64_t begin,
			int64_t end, stele__span_fn *told, void *arg, int64_t *ret_from)
{
	const struct stele__history *history =
		stele__keymap_get(&histories->by_goroutine, goroutine);
	uint64_t at, oldest;
	int r = 0;

	*ret_from = end;
	if (!history)
		return 0;
	oldest = history->count > history->max ? history->count - history->max : 0;
	for (at = history->count; at > oldest; at--)
		if (history->spans[(at - 1) & (history->max - 1)].end <= begin)
			break;
	for (; at < history->count && r == 0; at++) {
		struct stele__span span = history->spans[at & (history->max - 1)];

		if (span.begin >= end)
			break;
		if (span.begin < begin)
			span.begin = begin;
		if (span.end > end)
			span.end = end;
		if (span.begin < *ret_from)
			*ret_from = span.begin;
		r = told(arg, &span);
	}
	return r;
}
