/* SPDX-License-Identifier: MIT */
#include "drain/team.h"

#include "drain/machine.h"

/* The first position that somebody still needs. False: not all of them know the ring yet. */
static bool team_free_to(const struct stele_team *team, uint32_t index, uint64_t *ret_tail)
{
	*ret_tail = UINT64_MAX;
	for (size_t i = 0; i < team->count; i++) {
		const struct stele_drain_ring *ring = &team->drains[i]->rings[index];
		uint64_t tail;

		if (!ring->thread)
			return false;
		tail = stele__take_free_to(ring->thread, ring);
		if (tail < *ret_tail)
			*ret_tail = tail;
	}
	return true;
}

static void team_release_rings(struct stele_team *team)
{
	struct stele_drain *first = team->drains[0];
	uint32_t count = stele__load_acquire(&first->arena->ring_bump);

	for (uint32_t i = 0; i < count && i < first->ring_max; i++) {
		struct stele_drain_ring *ring = &first->rings[i];
		uint64_t tail;

		if (!team_free_to(team, i, &tail) || tail == ring->tail)
			continue;
		ring->tail = tail;
		stele__store_release(&ring->shared->tail,
				     tail); /* pairs with the writer's reload */
	}
	for (uint32_t i = 0; i < first->thread_count; i++)
		stele__take_wake(first, first->threads[i]);
}

/* NULL: it has not read to the thread's end yet. */
static struct stele_drain_thread *team_departed(const struct stele_drain *d,
						const struct stele_drain_thread *t)
{
	struct stele_drain_thread *own = d->by_slot[t->slot_index];

	return own && own->departed && own->incarnation == t->incarnation ? own : NULL;
}

static void team_release_thread(struct stele_team *team, struct stele_drain_thread *t)
{
	for (size_t i = 1; i < team->count; i++)
		if (!team_departed(team->drains[i], t))
			return;
	for (size_t i = 1; i < team->count; i++)
		stele__census_forget(team->drains[i], team_departed(team->drains[i], t), false);
	stele__census_forget(team->drains[0], t, true);
}

static void team_release(struct stele_team *team)
{
	struct stele_drain_thread *t, *next;

	if (team->count < 2)
		return;
	team_release_rings(team);
	for (t = team->drains[0]->departed; t; t = next) {
		next = t->departed_next;
		team_release_thread(team, t);
	}
}

int64_t stele__team_tick(struct stele_team *team)
{
	int64_t most = 0;

	for (size_t i = 0; i < team->count; i++) {
		int64_t taken = stele__drain_tick(team->drains[i]);

		if (most >= 0 && (taken < 0 || taken > most))
			most = taken;
	}
	team_release(team);
	return most;
}

int stele__team_finish(struct stele_team *team, const struct stele_ending *ending)
{
	int error = 0;

	for (size_t i = 0; i < team->count; i++) {
		int own = stele__drain_finish(team->drains[i], ending);

		error = error ? error : own;
	}
	team_release(team);
	return error;
}

void stele__team_free(struct stele_team *team)
{
	for (size_t i = 0; i < team->count; i++)
		stele__drain_free(team->drains[i]);
	team->count = 0;
}
