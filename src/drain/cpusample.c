/* SPDX-License-Identifier: MIT */
/* CPU samples: batches of their own, of no thread, in no order. */
#include <errno.h>
#include <stdlib.h>

#include "drain/machine.h"

/* A batch with room for one more. NULL: no memory. */
static struct stele_batch *samples_batch(struct stele_drain *d)
{
	struct stele_batch *b = &d->samples;
	void *data;

	if (!b->data) {
		data = malloc(STELE_BATCH_BUFFER_BYTES);
		if (!data) {
			d->error = d->error ? d->error : -ENOMEM;
			return NULL;
		}
		*b = stele__batch(data, STELE_BATCH_BUFFER_BYTES);
	}
	if (stele__batch_is_open(b) && stele__batch_room(b) < STELE_EVENT_BYTES_MAX)
		stele__cpu_samples_write(d);
	if (!stele__batch_is_open(b))
		stele__batch_begin(b, d->generation, STELE_NONE_ID, d->floor);
	return b;
}

void stele__cpu_sample(struct stele_drain *d, const struct stele_drain_thread *t, uint32_t entry,
		       uint64_t time)
{
	uint64_t p = t->proc ? t->proc->id : STELE_NONE_ID;
	uint64_t g = t->go ? t->go->id : STELE_NONE_ID;
	uint32_t stack = stele__intern_stack(d, entry);
	struct stele_batch *b = stack ? samples_batch(d) : NULL;

	if (!b)
		return;
	d->stats.events++;
	stele__batch_cpu_sample(b, time, t->tid, p, g, stack);
}

void stele__cpu_samples_write(struct stele_drain *d)
{
	stele__outlet_batch(&d->outlet, &d->samples);
}
