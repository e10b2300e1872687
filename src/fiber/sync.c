/* SPDX-License-Identifier: MIT */
/* stele/fiber.h: mutexes, conditions and groups. Those who wait are under their locks. */
#include "fiber/lock.h"
#include "fiber/scheduler.h"

STELE_EXPORT void stele_mutex_lock(struct stele_mutex *m)
{
	stele__lock(&m->lock);
	if (!m->held) {
		m->held = true;
		stele__unlock(&m->lock);
		return;
	}
	stele__fiber_wait_in(&m->waiters, &m->lock, STELE_WAIT_MUTEX, m);
}

STELE_EXPORT bool stele_mutex_trylock(struct stele_mutex *m)
{
	bool got;

	stele__lock(&m->lock);
	got = !m->held;
	m->held = true;
	stele__unlock(&m->lock);
	return got;
}

STELE_EXPORT void stele_mutex_unlock(struct stele_mutex *m)
{
	struct stele_fiber *f;

	stele__lock(&m->lock);
	f = stele__waiters_take(&m->waiters);
	m->held = f != NULL; /* it is that one's now */
	stele__unlock(&m->lock);
	if (f)
		stele__sched_ready(f);
}

STELE_EXPORT void stele_condition_wait(struct stele_condition *c, struct stele_mutex *m)
{
	stele__lock(&c->lock);
	stele_mutex_unlock(m); /* who signals now waits for c->lock, until this fiber has left */
	stele__fiber_wait_in(&c->waiters, &c->lock, STELE_WAIT_CONDITION, c);
	stele_mutex_lock(m);
}

STELE_EXPORT void stele_condition_signal(struct stele_condition *c)
{
	struct stele_fiber *f;

	stele__lock(&c->lock);
	f = stele__waiters_take(&c->waiters);
	stele__unlock(&c->lock);
	if (f)
		stele__sched_ready(f);
}

STELE_EXPORT void stele_condition_broadcast(struct stele_condition *c)
{
	struct stele_waiters all;

	stele__lock(&c->lock);
	all = c->waiters;
	c->waiters = (struct stele_waiters){0};
	stele__unlock(&c->lock);
	stele__waiters_ready(all);
}

STELE_EXPORT void stele_wait_group_add(struct stele_wait_group *g, int64_t count)
{
	struct stele_waiters all = {0};

	stele__lock(&g->lock);
	g->count += count;
	if (g->count <= 0) {
		all = g->waiters;
		g->waiters = (struct stele_waiters){0};
	}
	stele__unlock(&g->lock);
	stele__waiters_ready(all);
}

STELE_EXPORT void stele_wait_group_done(struct stele_wait_group *g)
{
	stele_wait_group_add(g, -1);
}

STELE_EXPORT void stele_wait_group_wait(struct stele_wait_group *g)
{
	stele__lock(&g->lock);
	if (g->count <= 0) {
		stele__unlock(&g->lock);
		return;
	}
	stele__fiber_wait_in(&g->waiters, &g->lock, STELE_WAIT_CONDITION, g);
}
