/* SPDX-License-Identifier: MIT */
#include "analyze/curve.h"

#define SHIFT_FIRST 0 /* 1 ns */
#define SHIFT_MAX   62

/* Two steps become one. */
static void curve_halve(struct stele__curve *curve)
{
	struct stele_curve *c = &curve->c;
	uint32_t half = (c->count + 1) / 2;

	for (uint32_t i = 0; i < half; i++) {
		uint64_t left = c->max[2 * i], right = 2 * i + 1 < c->count ? c->max[2 * i + 1] : 0;

		c->max[i] = left > right ? left : right;
	}
	c->count = half;
	curve->shift++;
	c->step_ns = (int64_t)1 << curve->shift;
}

/* The step of this time, with all before it filled by what the value was since. */
static uint32_t curve_reach(struct stele__curve *curve, int64_t time)
{
	struct stele_curve *c = &curve->c;
	uint64_t since, step;

	if (!c->count) {
		curve->shift = SHIFT_FIRST;
		*c = (struct stele_curve){.begin = time, .step_ns = 1 << SHIFT_FIRST, .count = 1};
		return 0;
	}
	since = time > c->begin ? (uint64_t)time - (uint64_t)c->begin : 0;
	while (since >> curve->shift >= STELE_CURVE_STEPS && curve->shift < SHIFT_MAX)
		curve_halve(curve);
	step = since >> curve->shift;
	if (step >= STELE_CURVE_STEPS)
		step = STELE_CURVE_STEPS - 1;
	while (c->count <= step)
		c->max[c->count++] = curve->now;
	return (uint32_t)step;
}

void stele__curve_set(struct stele__curve *curve, int64_t time, uint64_t value)
{
	uint32_t step = curve_reach(curve, time);

	curve->now = value;
	if (value > curve->c.max[step])
		curve->c.max[step] = value;
}

void stele__curve_end(struct stele__curve *curve, int64_t time)
{
	if (curve->c.count)
		curve_reach(curve, time);
}
