/* SPDX-License-Identifier: MIT */
/*
 * What takes longer than somebody wants to know of: options.watch. Told of once each, when it has
 * ended; of a wait while it lasts, since it may be for ever.
 */
#include <string.h>
#include <sys/syscall.h>

#include "drain/machine.h"
#include "drain/syscall.h"

#define WATCH_NAME_BYTES 256

/* False: it is within its limit, or not watched. */
static bool watch_is_long(const struct stele_drain *d, enum stele_watch_kind kind, uint64_t begin,
			  uint64_t time, uint64_t *ret_ns)
{
	const struct stele_watch *watch = &d->options.watch;

	if (!watch->seen || !watch->limit_ns[kind] || time <= begin)
		return false;
	*ret_ns = (time - begin) << STELE_WIRE_SHIFT;
	return *ret_ns > watch->limit_ns[kind];
}

static void watch_tell(const struct stele_drain *d, enum stele_watch_kind kind,
		       const struct stele_drain_thread *t, const char *name, uint64_t ns)
{
	const struct stele_watch_sight sight = {kind, name ? name : "", t->tid, ns};

	d->options.watch.seen(d->options.watch.arg, &sight);
}

void stele__watch_region(struct stele_drain *d, const struct stele_drain_thread *t,
			 const struct stele_region *region, uint64_t time)
{
	char name[WATCH_NAME_BYTES] = "";
	const char *text;
	uint32_t bytes = 0;
	uint64_t ns;

	if (!watch_is_long(d, STELE_WATCH_REGION, region->begin, time, &ns))
		return;
	text = stele__entry_string(d, region->name, &bytes);
	if (text)
		memcpy(name, text, bytes < sizeof(name) ? bytes : sizeof(name) - 1);
	watch_tell(d, STELE_WATCH_REGION, t, name, ns);
}

/* The calls whose purpose is to wait for whatever comes. */
static const uint16_t watch_waiting_calls[] = {
#ifdef SYS_poll
	SYS_poll,   SYS_select,	  SYS_epoll_wait,      SYS_pause,
#endif
	SYS_ppoll,  SYS_pselect6, SYS_epoll_pwait,     SYS_epoll_pwait2,
	SYS_accept, SYS_accept4,  SYS_rt_sigtimedwait,
};

/* Of these nobody is in the way: for a time that was chosen, for the end of somebody. */
static const uint16_t watch_idle_calls[] = {SYS_nanosleep, SYS_clock_nanosleep, SYS_wait4,
					    SYS_waitid};

/* call: its number + 1. */
static bool watch_is_among(uint16_t call, const uint16_t *calls, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (calls[i] + 1 == call)
			return true;
	return false;
}

#define WATCH_IS_AMONG(call, calls) watch_is_among(call, calls, STELE_ARRAY_LENGTH(calls))

static bool watch_is_idle(const struct stele_drain_interval *interval)
{
	if (interval->syscall)
		return WATCH_IS_AMONG(interval->wait, watch_idle_calls);
	return interval->wait == STELE_WAIT_CODE_SLEEP || interval->wait == STELE_WAIT_CODE_JOIN;
}

static bool watch_is_lock(const struct stele_drain_interval *wait)
{
	return wait->wait == STELE_WAIT_CODE_MUTEX || wait->wait == STELE_WAIT_CODE_RWLOCK;
}

static bool watch_is_call(const struct stele_drain_interval *interval)
{
	return interval->syscall && !WATCH_IS_AMONG(interval->wait, watch_waiting_calls);
}

static enum stele_watch_kind watch_kind(const struct stele_drain_interval *interval)
{
	if (watch_is_call(interval))
		return STELE_WATCH_SYSCALL;
	return !interval->syscall && watch_is_lock(interval) ? STELE_WATCH_LOCK
							     : STELE_WATCH_BLOCKED;
}

static const char *watch_name(const struct stele_drain_interval *interval)
{
	if (interval->syscall)
		return stele__syscall_name(interval->wait);
	return interval->wait < STELE__WAIT_COUNT ? stele__wait_texts[interval->wait] : "";
}

void stele__watch_interval(struct stele_drain *d, const struct stele_drain_thread *t,
			   struct stele_drain_interval *interval, uint64_t time)
{
	enum stele_watch_kind kind = watch_kind(interval);
	uint64_t ns;

	if (interval->watched || watch_is_idle(interval))
		return;
	/* A lock's wait is a wait, too. */
	if (!watch_is_long(d, kind, interval->begin, time, &ns)) {
		kind = STELE_WATCH_BLOCKED;
		if (watch_is_call(interval) || !watch_is_long(d, kind, interval->begin, time, &ns))
			return;
	}
	interval->watched = true;
	watch_tell(d, kind, t, watch_name(interval), ns);
}

void stele__watch_tick(struct stele_drain *d)
{
	const struct stele_watch *watch = &d->options.watch;
	uint64_t now;

	if (!watch->seen ||
	    !(watch->limit_ns[STELE_WATCH_LOCK] || watch->limit_ns[STELE_WATCH_BLOCKED]))
		return;
	now = stele__timeline_wire(&d->timeline, d->pair.ticks);
	for (uint32_t i = 0; i < d->thread_count; i++) {
		struct stele_drain_thread *t = d->threads[i];

		if (t->depth && !watch_is_call(&t->intervals[t->depth - 1]))
			stele__watch_interval(d, t, &t->intervals[t->depth - 1], now);
	}
}
