/* SPDX-License-Identifier: MIT */
/* The histogram: durations below 16 ns one by one, above that eight steps an octave, up to 2^44 ns.
 */
#include "analyze/sum.h"
#include "base/compiler.h"
#include "stele/analyze.h"

#define SPREAD_STEP_BITS 3
#define SPREAD_EXACT	 16 /* durations below have a bucket each */
#define SPREAD_MIN_BITS	 4

static unsigned spread_bucket(int64_t ns)
{
	uint64_t v = ns < 0 ? 0 : (uint64_t)ns;
	unsigned octave, index;

	if (v < SPREAD_EXACT)
		return (unsigned)v;
	octave = 63 - (unsigned)__builtin_clzll(v);
	index = SPREAD_EXACT + ((octave - SPREAD_MIN_BITS) << SPREAD_STEP_BITS) +
		((unsigned)(v >> (octave - SPREAD_STEP_BITS)) & ((1u << SPREAD_STEP_BITS) - 1));
	return index < STELE_SPREAD_BUCKETS ? index : STELE_SPREAD_BUCKETS - 1;
}

/* The middle of a bucket. */
static int64_t spread_value(unsigned index)
{
	unsigned octave, step;

	if (index < SPREAD_EXACT)
		return (int64_t)index;
	octave = SPREAD_MIN_BITS + ((index - SPREAD_EXACT) >> SPREAD_STEP_BITS);
	step = (index - SPREAD_EXACT) & ((1u << SPREAD_STEP_BITS) - 1);
	return ((INT64_C(17) + 2 * (int64_t)step) << octave) >> (SPREAD_STEP_BITS + 1);
}

STELE_EXPORT void stele_spread_add(struct stele_spread *spread, int64_t ns)
{
	uint32_t *bucket = &spread->bucket[spread_bucket(ns)];

	spread->count++;
	stele__ns_add(&spread->total, ns);
	if (ns > spread->max)
		spread->max = ns;
	*bucket += *bucket < UINT32_MAX;
}

void stele__spread_merge(struct stele_spread *spread, const struct stele_spread *from)
{
	spread->count += from->count;
	stele__ns_add(&spread->total, from->total);
	if (from->max > spread->max)
		spread->max = from->max;
	for (unsigned i = 0; i < STELE_SPREAD_BUCKETS; i++)
		if (__builtin_add_overflow(spread->bucket[i], from->bucket[i], &spread->bucket[i]))
			spread->bucket[i] = UINT32_MAX;
}

STELE_EXPORT int64_t stele_spread_quantile(const struct stele_spread *spread, unsigned percent)
{
	uint64_t sum = 0, seen = 0, rank;

	for (unsigned i = 0; i < STELE_SPREAD_BUCKETS; i++)
		sum += spread->bucket[i];
	if (!sum)
		return 0;
	rank = sum / 100 * percent + (sum % 100 * percent + 99) / 100;
	if (rank >= sum)
		return spread->max;
	for (unsigned i = 0; i < STELE_SPREAD_BUCKETS; i++) {
		seen += spread->bucket[i];
		if (seen >= rank) {
			int64_t value = spread_value(i);

			return value < spread->max ? value : spread->max;
		}
	}
	return spread->max;
}
