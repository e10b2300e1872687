/* SPDX-License-Identifier: MIT */
/*
 * Bytes on their way out: one lane of batches for each thread, and the buffer before the sink.
 *
 * A lane's buffer starts small (thousands of threads are idle) and doubles up to LANE_BYTES_MAX;
 * a full one is written out. Nothing here fails towards the caller: without memory a lane stays
 * small, and behind a sink that has failed everything is counted and dropped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drain/machine.h"

#define LANE_BYTES_MIN	 512u
#define LANE_BYTES_MAX	 (32u << 10)
#define OUTLET_BYTES_MAX (256u << 10)

int stele__outlet_init(struct stele_outlet *o, const struct stele_sink *sink)
{
	*o = (struct stele_outlet){.sink = *sink, .data = malloc(OUTLET_BYTES_MAX)};
	return o->data ? 0 : -ENOMEM;
}

static void outlet_send(struct stele_outlet *o, const void *data, size_t bytes)
{
	if (!o->error) {
		int error = o->sink.write(o->sink.arg, data, bytes);

		if (error >= 0) {
			o->written += bytes;
			return;
		}
		o->error = error;
	}
	o->lost += bytes;
}

void stele__outlet_flush(struct stele_outlet *o)
{
	if (o->used)
		outlet_send(o, o->data, o->used);
	o->used = 0;
}

void stele__outlet_write(struct stele_outlet *o, const void *data, size_t bytes)
{
	if (bytes > OUTLET_BYTES_MAX - o->used)
		stele__outlet_flush(o);
	if (bytes > OUTLET_BYTES_MAX) {
		outlet_send(o, data, bytes);
		return;
	}
	memcpy(o->data + o->used, data, bytes);
	o->used += bytes;
}

void stele__outlet_batch(struct stele_outlet *o, struct stele_batch *b)
{
	size_t bytes = stele__batch_end(b);

	if (bytes)
		stele__outlet_write(o, b->data, bytes);
}

int stele__lane_init(struct stele_lane *l, uint64_t m)
{
	void *data = malloc(LANE_BYTES_MIN);

	if (!data)
		return -ENOMEM;
	*l = (struct stele_lane){.batch = stele__batch(data, LANE_BYTES_MIN), .m = m};
	return 0;
}

void stele__lane_done(struct stele_lane *l)
{
	free(l->batch.data);
	l->batch.data = NULL;
}

static bool lane_grow(struct stele_lane *l)
{
	uint32_t bytes = l->batch.capacity * 2;
	void *data;

	if (bytes > LANE_BYTES_MAX)
		return false;
	data = realloc(l->batch.data, bytes);
	if (!data)
		return false;
	l->batch.data = data;
	l->batch.capacity = bytes;
	return true;
}

void stele__lane_room(struct stele_drain *d, struct stele_lane *l, uint64_t time)
{
	if (stele__batch_is_open(&l->batch)) {
		if (lane_grow(l))
			return;
		stele__lane_flush(d, l);
	}
	if (time < l->last)
		time = l->last;
	if (!l->details) {
		stele__batch_begin(&l->batch, d->generation, l->m, time);
		return;
	}
	stele__batch_begin_experimental(&l->batch, STELE_EXPERIMENT_ALLOCFREE, d->generation, l->m,
					time);
	stele__batch_varint(&l->batch, STELE_PAYLOAD_DETAILS);
}

void stele__lane_flush(struct stele_drain *d, struct stele_lane *l)
{
	if (!stele__batch_is_open(&l->batch))
		return;
	l->last = l->batch.time;
	d->stats.batches++;
	stele__outlet_batch(&d->outlet, &l->batch);
	/* Batch times of an ended batch say nothing about the next one. */
	l->batch.time = 0;
}
