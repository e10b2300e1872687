/* SPDX-License-Identifier: MIT */
#include "analyze/pairs.h"

#include <errno.h>
#include <stdlib.h>

#define RECENT_BITS 14

enum pairs_suspicion {
	SUSPECT_AGAIN, /* allocated while alive: the free in between may come yet */
	SUSPECT_EARLY, /* freed just before: that may have been this one's free */
};

struct pairs_suspect {
	uint64_t key, thread;
	int64_t time;
	enum pairs_suspicion what;
	bool since; /* EARLY: which kind of stray it was counted as */
};

struct stele__pairs_recent {
	uint64_t key, thread;
	int64_t time;
	uint32_t place;
	bool used, stray, since;
};

void stele__pairs_init(struct stele__pairs *pairs)
{
	*pairs = (struct stele__pairs){0};
	stele__keymap_init(&pairs->suspects);
}

void stele__pairs_done(struct stele__pairs *pairs)
{
	stele__keymap_free(&pairs->suspects);
	free(pairs->recent);
}

static struct stele__pairs_recent *pairs_recent(struct stele__pairs *pairs, uint64_t key)
{
	uint64_t hash = key * UINT64_C(0x9e3779b97f4a7c15);

	if (!pairs->recent)
		pairs->recent = calloc((size_t)1 << RECENT_BITS, sizeof(*pairs->recent));
	return pairs->recent ? &pairs->recent[hash >> (64 - RECENT_BITS)] : NULL;
}

static bool pairs_close(const struct stele__pairs *pairs, uint64_t thread, int64_t time,
			const struct stele_event *event)
{
	return thread != event->thread && event->time - time <= pairs->window;
}

void stele__pairs_forget(struct stele__pairs *pairs, uint64_t key)
{
	struct pairs_suspect *suspect = stele__keymap_get(&pairs->suspects, key);

	if (STELE_LIKELY(!suspect))
		return;
	stele__keymap_drop(&pairs->suspects, key, suspect);
	free(suspect);
}

static int pairs_suspect(struct stele__pairs *pairs, const struct pairs_suspect *what)
{
	struct pairs_suspect *suspect = stele__keymap_get(&pairs->suspects, what->key);
	int r = 0;

	if (!suspect) {
		suspect = malloc(sizeof(*suspect));
		r = suspect ? stele__keymap_add(&pairs->suspects, what->key, suspect) : -ENOMEM;
	}
	if (r < 0)
		free(suspect);
	else
		*suspect = *what;
	return r;
}

int stele__pairs_alloc(struct stele__pairs *pairs, uint64_t key, bool alive,
		       const struct stele_event *event)
{
	struct pairs_suspect what = {key, event->thread, event->time, SUSPECT_AGAIN, false};
	const struct pairs_suspect *known;
	const struct stele__pairs_recent *recent;

	if (!alive) {
		recent = pairs->recent ? pairs_recent(pairs, key) : NULL;
		if (!recent || !recent->stray || recent->key != key ||
		    !pairs_close(pairs, recent->thread, recent->time, event))
			return 0;
		what.what = SUSPECT_EARLY;
		what.since = recent->since;
		return pairs_suspect(pairs, &what);
	}
	known = stele__keymap_get(&pairs->suspects, key);
	if (known && known->what == SUSPECT_EARLY) {
		pairs->stray[known->since]--;
		pairs->inverted++;
		stele__pairs_forget(pairs, key);
		return 0;
	}
	pairs->again++;
	return pairs_suspect(pairs, &what);
}

int stele__pairs_free(struct stele__pairs *pairs, uint64_t key, uint32_t place,
		      const struct stele_event *event, bool *ret_keep)
{
	const struct pairs_suspect *known = stele__keymap_get(&pairs->suspects, key);
	struct stele__pairs_recent *recent = pairs_recent(pairs, key);

	if (!recent)
		return -ENOMEM;
	*ret_keep = known && known->what == SUSPECT_AGAIN &&
		    pairs_close(pairs, known->thread, known->time, event);
	if (*ret_keep) {
		pairs->again--;
		pairs->inverted++;
	} else {
		*recent = (struct stele__pairs_recent){key, event->thread, event->time, place,
						       .used = true};
	}
	stele__pairs_forget(pairs, key);
	return 0;
}

int stele__pairs_stray(struct stele__pairs *pairs, uint64_t key, bool since,
		       const struct stele_event *event)
{
	struct stele__pairs_recent *recent = pairs_recent(pairs, key);
	struct stele__pairs_recent before = {.thread = STELE_NO_ID};

	if (!recent)
		return -ENOMEM;
	if (recent->used && recent->key == key)
		before = *recent;
	if (!pairs->stray[since]++)
		pairs->sample[since] = (struct stele_stray){.address = key,
							    .thread = event->thread,
							    .time = event->time,
							    .before_thread = before.thread,
							    .before_time = before.time,
							    .place = before.place};
	*recent = (struct stele__pairs_recent){.key = key,
					       .thread = event->thread,
					       .time = event->time,
					       .place = before.place,
					       .used = true,
					       .stray = true,
					       .since = since};
	return 0;
}

bool stele__pairs_settle(struct stele__pairs *pairs, size_t *at, uint64_t *ret_key)
{
	const struct pairs_suspect *suspect;

	while ((suspect = stele__keymap_each(&pairs->suspects, at)))
		if (suspect->what == SUSPECT_EARLY) {
			pairs->stray[suspect->since]--;
			pairs->inverted++;
			*ret_key = suspect->key;
			return true;
		}
	return false;
}
