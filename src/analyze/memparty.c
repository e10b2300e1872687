/* SPDX-License-Identifier: MIT */
/*
 * Who allocates and who frees: threads by name, and the regions and tasks that they are in. An
 * event belongs to the goroutine that runs on its thread, by the name that it is known by then.
 */
#include <errno.h>
#include <stdlib.h>

#include "analyze/memsum.h"

/* The party of this name, or, without one, of this goroutine; NULL: no memory. */
static struct stele__party *party_find(struct stele__memory *m, enum stele_memory_who who,
				       const struct stele__name *name, uint64_t goroutine)
{
	uint64_t key =
		stele__keymap_mix(stele__keymap_mix((uint64_t)who + 1, (uintptr_t)name), goroutine);
	struct stele__party *party;
	size_t at = 0;

	while ((party = stele__keymap_next(&m->parties, key, &at)))
		if (party->who == who && party->p.name.data == name->text.data &&
		    party->goroutine == goroutine)
			return party;
	party = calloc(1, sizeof(*party));
	if (!party || stele__keymap_add(&m->parties, key, party) < 0) {
		free(party);
		return NULL;
	}
	party->who = who;
	party->p.name = name->text;
	party->goroutine = goroutine;
	return party;
}

/* NULL: it has none yet. */
static const struct stele__name *party_name(const struct stele__flow *go)
{
	if (go && go->name && go->name->text.bytes)
		return go->name;
	return go ? go->entry : NULL;
}

static struct stele__party *party_thread(struct stele_analysis *a, const struct stele__flow *go)
{
	const struct stele__name *name = party_name(go);

	return party_find(a->memory, STELE_WHO_THREAD, name ? name : a->empty,
			  name || !go ? STELE_NO_ID : go->id);
}

const struct stele__actor *stele__actor(struct stele_analysis *a, const struct stele_event *event)
{
	struct stele__memory *m = a->memory;
	const struct stele__flow *go = stele__flow_find(a, event->goroutine);
	const struct stele__region *region =
		go && go->region_count ? &go->regions[go->region_count - 1] : NULL;
	const struct stele__scope *task =
		region && region->task ? stele__keymap_get(&a->tasks, region->task) : NULL;
	struct stele__party *thread = party_thread(a, go);
	uint64_t key =
		stele__keymap_mix(stele__keymap_mix(stele__keymap_mix(1, (uintptr_t)thread),
						    (uintptr_t)(region ? region->name : NULL)),
				  (uintptr_t)(task ? task->name : NULL));
	/* Names are few: two threes of one key are not seen in practice. */
	struct stele__actor *actor = stele__keymap_get(&m->actors, key);

	if (STELE_LIKELY(actor) || !thread)
		return thread ? actor : NULL;
	actor = calloc(1, sizeof(*actor));
	if (!actor || stele__keymap_add(&m->actors, key, actor) < 0) {
		free(actor);
		return NULL;
	}
	actor->parties[STELE_WHO_THREAD] = thread;
	if (region)
		actor->parties[STELE_WHO_REGION] =
			party_find(m, STELE_WHO_REGION, region->name, STELE_NO_ID);
	if (task)
		actor->parties[STELE_WHO_TASK] =
			party_find(m, STELE_WHO_TASK, task->name, STELE_NO_ID);
	return (region && !actor->parties[STELE_WHO_REGION]) ||
			       (task && !actor->parties[STELE_WHO_TASK])
		       ? NULL
		       : actor;
}

void stele__actor_ends(struct stele_analysis *a, uint64_t goroutine)
{
	uint64_t key = stele__keymap_mix(
		stele__keymap_mix((uint64_t)STELE_WHO_THREAD + 1, (uintptr_t)a->empty), goroutine);
	struct stele__party *party;
	size_t at = 0;

	while ((party = stele__keymap_next(&a->memory->parties, key, &at)))
		if (party->who == STELE_WHO_THREAD && party->goroutine == goroutine)
			party->name = party_name(stele__flow_find(a, goroutine));
}

void stele__actor_gains(const struct stele__lot *lot)
{
	for (unsigned i = 0; lot->actor && i < STELE__WHO_KINDS; i++)
		if (lot->actor->parties[i])
			stele__memory_gain(&lot->actor->parties[i]->p.sum, lot->account, 0, false);
}

void stele__actor_loses(const struct stele__lot *lot)
{
	for (unsigned i = 0; lot->actor && i < STELE__WHO_KINDS; i++)
		if (lot->actor->parties[i])
			stele__memory_drop(&lot->actor->parties[i]->p.sum, lot->account);
}

/* NULL: no memory. */
static struct stele__freer *freer_find(struct stele__keymap *freers, struct stele__place *place,
				       struct stele__party *from, struct stele__party *party)
{
	uint64_t key = stele__keymap_mix(
		stele__keymap_mix(stele__keymap_mix(1, (uintptr_t)place), (uintptr_t)from),
		(uintptr_t)party);
	struct stele__freer *freer;
	size_t at = 0;

	while ((freer = stele__keymap_next(freers, key, &at)))
		if (freer->place == place && freer->from == from && freer->party == party)
			return freer;
	freer = calloc(1, sizeof(*freer));
	if (!freer || stele__keymap_add(freers, key, freer) < 0) {
		free(freer);
		return NULL;
	}
	*freer = (struct stele__freer){.place = place, .from = from, .party = party};
	return freer;
}

int stele__actor_frees(struct stele_analysis *a, struct stele__allocator *allocator,
		       const struct stele__lot *lot, const struct stele_event *event)
{
	struct stele__party *party = party_thread(a, stele__flow_find(a, event->goroutine));
	struct stele__party *from = lot->actor ? lot->actor->parties[STELE_WHO_THREAD] : NULL;
	struct stele__freer *freer = allocator->freer;

	if (!party)
		return -ENOMEM;
	if (!freer || freer->place != lot->place || freer->party != party || freer->from != from)
		freer = freer_find(&a->memory->freers, lot->place, from, party);
	if (!freer)
		return -ENOMEM;
	allocator->freer = freer;
	freer->count++;
	return 0;
}

/* Results -------------------------------------------------------------------------------------- */

static int party_compare(const void *left, const void *right)
{
	const struct stele_memory_party *a = left, *b = right;
	uint64_t la = a->sum.allocated_bytes, lb = b->sum.allocated_bytes;
	int r = (la < lb) - (la > lb);

	if (!r)
		r = (a->freed_of_others < b->freed_of_others) -
		    (a->freed_of_others > b->freed_of_others);
	return r ? r : stele__text_compare(a->name, b->name);
}

/* Keeps the greatest, in order. */
static void site_add_freer(struct stele_memory_site *site, struct stele_memory_freer freer)
{
	unsigned i = site->freed_by_count;

	while (i && (site->freed_by[i - 1].count < freer.count ||
		     (site->freed_by[i - 1].count == freer.count &&
		      stele__text_compare(freer.name, site->freed_by[i - 1].name) < 0))) {
		i--;
		if (i + 1 < STELE_FREERS_MAX)
			site->freed_by[i + 1] = site->freed_by[i];
	}
	if (i == STELE_FREERS_MAX)
		return;
	site->freed_by[i] = freer;
	site->freed_by_count += site->freed_by_count < STELE_FREERS_MAX;
}

/* Of a goroutine that had no name: the one whose name it got later; NULL: no memory. */
static struct stele__party *party_resolve(struct stele_analysis *a, struct stele__party *party)
{
	const struct stele__name *name = party->name;

	if (party->goroutine == STELE_NO_ID)
		return party;
	if (!name)
		name = party_name(stele__flow_find(a, party->goroutine));
	return party_find(a->memory, STELE_WHO_THREAD, name ? name : a->empty, STELE_NO_ID);
}

static int parties_resolve_freers(struct stele_analysis *a, struct stele__keymap *resolved)
{
	const struct stele__freer *freer;
	size_t at = 0;

	while ((freer = stele__keymap_each(&a->memory->freers, &at))) {
		struct stele__party *party = party_resolve(a, freer->party);
		struct stele__party *from = freer->from ? party_resolve(a, freer->from) : party;
		struct stele__freer *sum =
			party && from ? freer_find(resolved, freer->place, NULL, party) : NULL;

		if (!sum)
			return -ENOMEM;
		sum->count += freer->count;
		if (from == party)
			continue;
		from->p.freed_by_others += freer->count;
		party->p.freed_of_others += freer->count;
	}
	return 0;
}

static void party_merge(struct stele_memory_sum *into, const struct stele_memory_sum *sum)
{
	into->allocated += sum->allocated;
	into->allocated_bytes += sum->allocated_bytes;
	into->freed += sum->freed;
	into->freed_bytes += sum->freed_bytes;
	into->live += sum->live;
	into->live_bytes += sum->live_bytes;
}

/* Those without a name become a part of others; the map may change while it grows. */
static int parties_merge(struct stele_analysis *a)
{
	struct stele__memory *m = a->memory;
	struct stele__party **all = calloc(m->parties.used + 1, sizeof(struct stele__party *));
	struct stele__party *party;
	size_t count = 0, at = 0;
	int r = all ? 0 : -ENOMEM;

	while (r == 0 && (party = stele__keymap_each(&m->parties, &at)))
		all[count++] = party;
	for (size_t i = 0; r == 0 && i < count; i++) {
		party = party_resolve(a, all[i]);
		if (!party)
			r = -ENOMEM;
		else if (party != all[i])
			party_merge(&party->p.sum, &all[i]->p.sum);
	}
	free(all);
	return r;
}

static int parties_list(struct stele__memory *m)
{
	const struct stele__party *party;
	size_t at = 0;

	for (unsigned who = 0; who < STELE__WHO_KINDS; who++) {
		m->party_lists[who] = calloc(m->parties.used + 1, sizeof(*m->party_lists[who]));
		if (!m->party_lists[who])
			return -ENOMEM;
	}
	while ((party = stele__keymap_each(&m->parties, &at)))
		if (party->goroutine == STELE_NO_ID)
			m->party_lists[party->who][m->party_counts[party->who]++] = party->p;
	for (unsigned who = 0; who < STELE__WHO_KINDS; who++)
		qsort(m->party_lists[who], m->party_counts[who], sizeof(*m->party_lists[who]),
		      party_compare);
	return 0;
}

int stele__parties_finish(struct stele_analysis *a)
{
	struct stele__keymap resolved;
	const struct stele__freer *freer;
	size_t at = 0;
	int r;

	stele__keymap_init(&resolved);
	r = parties_merge(a);
	if (r == 0)
		r = parties_resolve_freers(a, &resolved);
	while (r == 0 && (freer = stele__keymap_each(&resolved, &at)))
		site_add_freer(&freer->place->s,
			       (struct stele_memory_freer){freer->party->p.name, freer->count});
	stele__keymap_free(&resolved);
	return r < 0 ? r : parties_list(a->memory);
}

void stele__parties_free(struct stele__memory *m)
{
	stele__keymap_free(&m->actors);
	stele__keymap_free(&m->parties);
	stele__keymap_free(&m->freers);
	for (unsigned who = 0; who < STELE__WHO_KINDS; who++)
		free(m->party_lists[who]);
}

STELE_EXPORT const struct stele_memory_party *
stele_analysis_memory_parties(const struct stele_analysis *analysis, enum stele_memory_who who,
			      size_t *ret_count)
{
	*ret_count = analysis->memory->party_counts[who];
	return analysis->memory->party_lists[who];
}
