/* SPDX-License-Identifier: MIT */
#include "drain/timeline.h"

#define ONE		   (1ull << 32)
#define INTERVAL_NS_MIN	   1000000u
#define INTERVAL_NS_MAX	   1000000000u
#define CORRECTION_PERCENT 10

void stele__timeline_init(struct stele_timeline *l, bool exact, const struct stele_clock_pair *pair)
{
	*l = (struct stele_timeline){
		.first = *pair,
		.now = {pair->ticks, exact ? pair->ticks : pair->monotonic_ns, ONE},
		.measured_ns = pair->monotonic_ns,
		.interval_ns = INTERVAL_NS_MIN,
		.exact = exact,
	};
	l->before = l->now;
}

static uint64_t timeline_rate(const struct stele_clock_pair *from,
			      const struct stele_clock_pair *to)
{
	unsigned __int128 ns = to->monotonic_ns - from->monotonic_ns;
	unsigned __int128 rate = (ns << 32) / (to->ticks - from->ticks);

	return rate < 1 ? 1 : rate > (uint64_t)INT64_MAX ? (uint64_t)INT64_MAX : (uint64_t)rate;
}

/* The slope that makes up for an error of `error` ns within `span` ns, at most a tenth of it. */
static uint64_t timeline_correct(uint64_t rate, int64_t error, uint64_t span)
{
	int64_t most = (int64_t)(span / 100 * CORRECTION_PERCENT);
	__int128 change;

	error = error > most ? most : error < -most ? -most : error;
	change = (__int128)rate * error / (__int128)span;
	return (uint64_t)((__int128)rate + change) ? (uint64_t)((__int128)rate + change) : 1;
}

/* The first measurement decides the rate that was only assumed before. */
static void timeline_begin(struct stele_timeline *l, const struct stele_clock_pair *pair)
{
	l->now.rate = timeline_rate(&l->first, pair);
	l->before = l->now;
}

void stele__timeline_measure(struct stele_timeline *l, const struct stele_clock_pair *pair)
{
	uint64_t elapsed = pair->monotonic_ns - l->measured_ns;
	struct stele_timeline_piece next;

	if (l->exact || pair->ticks <= l->now.ticks || pair->monotonic_ns <= l->measured_ns)
		return;
	if (l->measured_ns == l->first.monotonic_ns && l->now.ticks == l->first.ticks) {
		timeline_begin(l, pair);
		l->measured_ns = pair->monotonic_ns;
		return;
	}
	if (elapsed < l->interval_ns)
		return;
	next.ticks = pair->ticks;
	next.ns = stele__timeline_ns(l, pair->ticks);
	next.rate = timeline_correct(timeline_rate(&l->first, pair),
				     (int64_t)(pair->monotonic_ns - next.ns), 2 * elapsed);
	l->before = l->now;
	l->now = next;
	l->measured_ns = pair->monotonic_ns;
	if (l->interval_ns < INTERVAL_NS_MAX)
		l->interval_ns *= 2;
}
