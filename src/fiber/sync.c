/* SPDX-License-Identifier: MIT */
/* stele/fiber.h: mutexes, conditions and groups. Their lists of waiters are under their locks. */
#include "fiber/lock.h"
#include "fiber/scheduler.h"

static void waiter_add(struct stele_fiber **first, struct stele_fiber **last, struct stele_fiber *f)
{
	f->next = NULL;
	if (*last)
		(*last)->next = f;
	else
		*first = f;
	*last = f;
}

static struct stele_fiber *waiter_take(struct stele_fiber **first, struct stele_fiber **last)
{
	struct stele_fiber *f = *first;

	if (!f)
		return NULL;
	*first = f->next;
	if (!*first)
		*last = NULL;
	f->next = NULL;
	return f;
}

/* `next` is a ready fiber's own as soon as it is ready. */
static void waiters_ready(struct stele_fiber *first)
{
	while (first) {
		struct stele_fiber *next = first->next;

		first->next = NULL;
		stele__sched_ready(first);
		first = next;
	}
}

/* Who waits has left its stack: whoever gets the lock may wake it. */
static void after_unlock(struct stele_fiber *f, void *arg)
{
	(void)f;
	stele__unlock(arg);
}

STELE_EXPORT void stele_mutex_lock(struct stele_mutex *m)
{
	stele__lock(&m->lock);
	if (!m->held) {
		m->held = true;
		stele__unlock(&m->lock);
		return;
	}
	waiter_add(&m->first, &m->last, stele_fiber_self());
	stele__fiber_wait(STELE_WAIT_MUTEX, m, after_unlock, &m->lock);
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
	f = waiter_take(&m->first, &m->last);
	m->held = f != NULL; /* it is that one's now */
	stele__unlock(&m->lock);
	if (f)
		stele__sched_ready(f);
}

STELE_EXPORT void stele_condition_wait(struct stele_condition *c, struct stele_mutex *m)
{
	stele__lock(&c->lock);
	waiter_add(&c->first, &c->last, stele_fiber_self());
	stele_mutex_unlock(m); /* who signals now waits for c->lock, until this fiber has left */
	stele__fiber_wait(STELE_WAIT_CONDITION, c, after_unlock, &c->lock);
	stele_mutex_lock(m);
}

STELE_EXPORT void stele_condition_signal(struct stele_condition *c)
{
	struct stele_fiber *f;

	stele__lock(&c->lock);
	f = waiter_take(&c->first, &c->last);
	stele__unlock(&c->lock);
	if (f)
		stele__sched_ready(f);
}

STELE_EXPORT void stele_condition_broadcast(struct stele_condition *c)
{
	struct stele_fiber *first;

	stele__lock(&c->lock);
	first = c->first;
	c->first = c->last = NULL;
	stele__unlock(&c->lock);
	waiters_ready(first);
}

STELE_EXPORT void stele_wait_group_add(struct stele_wait_group *g, int64_t count)
{
	struct stele_fiber *first = NULL;

	stele__lock(&g->lock);
	g->count += count;
	if (g->count <= 0) {
		first = g->first;
		g->first = g->last = NULL;
	}
	stele__unlock(&g->lock);
	waiters_ready(first);
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
	waiter_add(&g->first, &g->last, stele_fiber_self());
	stele__fiber_wait(STELE_WAIT_CONDITION, g, after_unlock, &g->lock);
}
