/* SPDX-License-Identifier: MIT */
/*
 * Why pairs are broken. What an event shows by itself (a header, a slot that several share, two
 * threads' events in the wrong order) is known by then. For the rest there are counts: how many
 * events of each kind the recorder skipped or lost. They explain no more than they count; what is
 * left was there before the trace, or is an error of the program.
 */
#include "analyze/memsum.h"

#define REENTRY_CAUSE 3 /* of losses: counted as skipped, too */
#define MEMORY_CLASS  2
#define GO_COMPLETE   25 /* header of the first version that skips nothing; 1.24 has no own */

struct broken_budget {
	uint64_t exists, alloc, free; /* skipped, by family */
	uint64_t *lost;		      /* of all families */
	bool uncounted;		      /* Go's writer skips spans and stacks, and counts nothing */
};

static void broken_add(struct stele__memory *m, unsigned family, unsigned kind, unsigned cause,
		       uint64_t count, bool inferred, const struct stele_stray *sample)
{
	if (!count)
		return;
	m->broken[m->broken_count] = (struct stele_broken){
		.family = (uint8_t)family,
		.kind = (uint8_t)kind,
		.cause = (uint8_t)cause,
		.inferred = inferred,
		.count = count,
	};
	if (sample)
		m->broken[m->broken_count].sample = *sample;
	m->broken_count++;
}

static uint64_t broken_take(uint64_t *left, uint64_t *budget)
{
	uint64_t count = *left < *budget ? *left : *budget;

	*left -= count;
	*budget -= count;
	return count;
}

/*
 * Frees of what was not alive. That it cannot have been there before the trace (`since`) is better
 * explained by a skipped event than that it can.
 */
static void broken_strays(struct stele__memory *m, unsigned family, struct broken_budget *budget,
			  bool complete)
{
	const struct stele__pairs *pairs = &m->pairs[family];
	uint64_t since = pairs->stray[1], before = pairs->stray[0], skipped, lost;
	unsigned rest = family == STELE_MEMORY_OBJECTS && complete ? STELE_BROKEN_DOUBLE_FREE
								   : STELE_BROKEN_UNKNOWN;

	skipped = broken_take(&since, &budget->alloc);
	skipped += broken_take(&before, &budget->alloc);
	skipped += broken_take(&before, &budget->exists);
	broken_add(m, family, STELE_BROKEN_FREE, STELE_BROKEN_SKIPPED, skipped, false, NULL);
	if (budget->uncounted) {
		broken_add(m, family, STELE_BROKEN_FREE, STELE_BROKEN_SKIPPED, since, true, NULL);
		since = 0;
	}
	lost = broken_take(&since, budget->lost);
	lost += broken_take(&before, budget->lost);
	broken_add(m, family, STELE_BROKEN_FREE, STELE_BROKEN_LOST, lost, true, NULL);
	broken_add(m, family, STELE_BROKEN_FREE, STELE_BROKEN_EXISTED, before, true,
		   &pairs->sample[0]);
	broken_add(m, family, STELE_BROKEN_FREE, rest, since, rest == STELE_BROKEN_UNKNOWN,
		   &pairs->sample[1]);
}

/* Allocs of what was alive: the free in between is missing. */
static void broken_again(struct stele__memory *m, unsigned family, struct broken_budget *budget)
{
	uint64_t left = m->pairs[family].again;

	broken_add(m, family, STELE_BROKEN_ALLOC, STELE_BROKEN_SKIPPED,
		   broken_take(&left, &budget->free), false, NULL);
	if (budget->uncounted) {
		broken_add(m, family, STELE_BROKEN_ALLOC, STELE_BROKEN_SKIPPED, left, true, NULL);
		left = 0;
	}
	broken_add(m, family, STELE_BROKEN_ALLOC, STELE_BROKEN_LOST,
		   broken_take(&left, budget->lost), true, NULL);
	broken_add(m, family, STELE_BROKEN_ALLOC, STELE_BROKEN_UNKNOWN, left, true, NULL);
}

static void broken_family(struct stele__memory *m, unsigned family, struct broken_budget *budget,
			  bool complete)
{
	const struct stele__pairs *pairs = &m->pairs[family];

	if (family == STELE_MEMORY_OBJECTS) {
		broken_add(m, family, STELE_BROKEN_FREE, STELE_BROKEN_HEADER, m->headers, false,
			   NULL);
		broken_add(m, family, STELE_BROKEN_ALLOC, STELE_BROKEN_TINY, m->shared, false,
			   NULL);
		broken_add(m, family, STELE_BROKEN_UNENDING, STELE_BROKEN_SPAN, m->gone, false,
			   NULL);
	}
	broken_add(m, family, STELE_BROKEN_ALLOC, STELE_BROKEN_INVERTED, pairs->inverted, false,
		   NULL);
	broken_again(m, family, budget);
	broken_strays(m, family, budget, complete);
	broken_add(m, family, STELE_BROKEN_EXISTS, STELE_BROKEN_UNKNOWN, pairs->retold, true, NULL);
	m->face.unseen_skips[family] = budget->exists + budget->alloc + budget->free;
}

static uint64_t broken_lost(const struct stele_recording *recording)
{
	uint64_t lost = 0;

	for (unsigned cause = 0; cause < STELE_LOSS_CAUSE_MAX; cause++)
		if (cause != REENTRY_CAUSE)
			lost += recording->lost[cause][MEMORY_CLASS];
	return lost;
}

void stele__broken_find(struct stele__memory *m, const struct stele_trust *trust, unsigned version)
{
	const struct stele_recording *recording = &trust->recording;
	uint64_t lost = broken_lost(recording);
	bool complete = recording->present && !lost && !recording->interrupted;

	for (unsigned family = 0; family < STELE__MEMORY_FAMILIES; family++) {
		const uint64_t *skipped = &recording->skipped[3 * family];
		struct broken_budget budget = {
			.exists = skipped[0],
			.alloc = skipped[1],
			.free = skipped[2],
			.lost = &lost,
			.uncounted =
				m->go && version < GO_COMPLETE && family != STELE_MEMORY_OBJECTS,
		};

		broken_family(m, family, &budget, complete);
	}
}
