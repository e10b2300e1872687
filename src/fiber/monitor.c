/* SPDX-License-Identifier: MIT */
/*
 * A thread of its own, without a worker: wakes those that sleep, and gives away the workers of
 * threads whose calls last. While fibers run it looks after 20 us, and more and more seldom, up to
 * 10 ms, if it finds nothing; while none do it sleeps until it is kicked or somebody's sleep ends.
 */
#include <errno.h>

#include "fiber/lock.h"
#include "fiber/scheduler.h"
#include "sys/sys.h"

#define LOOK_NS_MIN   20000u
#define LOOK_NS_MAX   10000000u
#define LOOKS_IN_VAIN 50u
#define TICK_NS	      100000000u
#define FOREVER_NS    (3600ull * 1000000000)

static struct {
	uint32_t lock;		      /* of the sleepers */
	struct stele_fiber *sleepers; /* a pairing heap, the earliest on top */
	uint32_t count;		      /* of sleepers; read without the lock */
	pthread_t thread;
	uint32_t kicks; /* futex */
	uint32_t asleep;
	bool started, stopping;
} monitor;

/* Sleepers ------------------------------------------------------------------------------------ */

/* `below` is the first of those below it, `sibling` the next one on the same level. */
static struct stele_fiber *heap_meld(struct stele_fiber *a, struct stele_fiber *b)
{
	if (!a || !b)
		return a ? a : b;
	if (b->wake_ns < a->wake_ns) {
		struct stele_fiber *t = a;

		a = b;
		b = t;
	}
	b->sibling = a->below;
	a->below = b;
	return a;
}

/* Pairs from left to right, then all from right to left. */
static struct stele_fiber *heap_without_top(struct stele_fiber *top)
{
	struct stele_fiber *at = top->below, *pairs = NULL, *rest = NULL;

	while (at) {
		struct stele_fiber *a = at, *b = at->sibling;

		at = b ? b->sibling : NULL;
		a->sibling = NULL;
		if (b)
			b->sibling = NULL;
		a = heap_meld(a, b);
		a->sibling = pairs;
		pairs = a;
	}
	while (pairs) {
		struct stele_fiber *next = pairs->sibling;

		pairs->sibling = NULL;
		rest = heap_meld(rest, pairs);
		pairs = next;
	}
	return rest;
}

static void sleeper_appear(struct stele_fiber *f, void *arg)
{
	bool first;

	(void)arg;
	f->below = f->sibling = NULL;
	stele__lock(&monitor.lock);
	stele__add_relaxed(&monitor.count, 1);
	monitor.sleepers = heap_meld(monitor.sleepers, f);
	first = monitor.sleepers == f;
	stele__unlock(&monitor.lock);
	if (first)
		stele__monitor_kick();
}

STELE_EXPORT void stele_fiber_sleep(uint64_t ns)
{
	uint64_t now = stele__sys_monotonic_ns();

	stele_fiber_self()->wake_ns = ns < UINT64_MAX - now ? now + ns : UINT64_MAX;
	stele__fiber_wait(STELE_WAIT_SLEEP, NULL, sleeper_appear, NULL);
}

bool stele__monitor_has_sleepers(void)
{
	return stele__load_acquire(&monitor.count) != 0;
}

/* When the next one wakes; 0: nobody sleeps. */
static uint64_t wake_due(uint64_t now)
{
	uint64_t next;

	for (;;) {
		struct stele_fiber *f;

		stele__lock(&monitor.lock);
		f = monitor.sleepers;
		next = f ? f->wake_ns : 0;
		if (!f || next > now)
			f = NULL;
		else
			monitor.sleepers = heap_without_top(f);
		stele__unlock(&monitor.lock);
		if (!f)
			return next;
		stele__sched_ready(f);
		/* Only now: all workers idle and nobody asleep would be a deadlock. */
		stele__add_acq_rel(&monitor.count, -1u);
	}
}

/* Calls ---------------------------------------------------------------------------------------- */

/* A call that lasts since the last look at least, while there is something to do. */
static bool retake(struct stele__worker *w)
{
	uint32_t status = stele__load_acquire(&w->status);
	bool lasts =
		status % STELE__WORKER_STATES == STELE__WORKER_CALLING && status == w->seen_status;

	w->seen_status = status;
	if (!lasts || !stele__sched_has_work() ||
	    !__atomic_compare_exchange_n(&w->status, &status, STELE__WORKER_RUNNING, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	stele_sched_retake(&w->trace);
	stele__sched_hand_over(w);
	return true;
}

static bool retake_all(void)
{
	bool any = false;

	for (uint32_t i = 0; i < stele__sched.worker_count; i++)
		any |= retake(&stele__sched.workers[i]);
	return any;
}

/* The thread ----------------------------------------------------------------------------------- */

void stele__monitor_kick(void)
{
	stele__add_acq_rel(&monitor.kicks, 1);
	if (__atomic_load_n(&monitor.asleep, __ATOMIC_SEQ_CST))
		stele__sys_futex_wake(&monitor.kicks, 1);
}

static void monitor_sleep(uint32_t seen, uint64_t ns)
{
	__atomic_store_n(&monitor.asleep, 1, __ATOMIC_SEQ_CST);
	stele__sys_futex_wait(&monitor.kicks, seen, ns);
	stele__store_relaxed(&monitor.asleep, 0);
}

static bool all_are_idle(void)
{
	return __atomic_load_n(&stele__sched.idle_count, __ATOMIC_SEQ_CST) ==
	       stele__sched.worker_count;
}

static void *monitor_main(void *arg)
{
	uint64_t look_ns = LOOK_NS_MIN, wait_ns;
	unsigned in_vain = 0;

	(void)arg;
	stele_sched_worker();
	while (!stele__load_acquire(&monitor.stopping)) {
		uint32_t seen = stele__load_acquire(&monitor.kicks);
		uint64_t now = stele__sys_monotonic_ns(), next = wake_due(now);
		bool idle = all_are_idle();

		stele__store_relaxed(&stele__sched.now, (uint32_t)(now / TICK_NS));
		if (retake_all() || idle) {
			in_vain = 0;
			look_ns = LOOK_NS_MIN;
		} else if (++in_vain > LOOKS_IN_VAIN && look_ns < LOOK_NS_MAX) {
			look_ns *= 2;
		}
		wait_ns = idle ? FOREVER_NS : look_ns;
		if (next && next - now < wait_ns)
			wait_ns = next > now ? next - now : 1;
		monitor_sleep(seen, wait_ns);
	}
	return NULL;
}

int stele__monitor_start(void)
{
	int error;

	monitor.stopping = false;
	error = pthread_create(&monitor.thread, NULL, monitor_main, NULL);
	monitor.started = !error;
	return -error;
}

void stele__monitor_stop(void)
{
	if (!monitor.started)
		return;
	stele__store_release(&monitor.stopping, true);
	stele__monitor_kick();
	pthread_join(monitor.thread, NULL);
	monitor.started = false;
}
