/* SPDX-License-Identifier: MIT */
/*
 * The end of a generation: the states of everything alive that it did not mention, so that an
 * excerpt may begin with any generation; its tables; its clock.
 */
#include "drain/machine.h"

#define WIRE_PAGE_BYTES 4096u

static void cut_statuses(struct stele_drain *d, uint64_t time)
{
	for (uint32_t i = 0; i < d->thread_count; i++) {
		struct stele_drain_thread *t = d->threads[i];

		if (t->go && t->go->state != STELE_GO_RUNNING && t->go->state != STELE_GO_SYSCALL) {
			if (t->proc)
				stele__proc_mention(d, &t->lane, t->proc, time);
		} else {
			stele__context_mention(d, t, time);
		}
	}
	for (struct stele_drain_go *go = d->go_list; go; go = go->next)
		if (go->state == STELE_GO_WAITING || go->state == STELE_GO_RUNNABLE)
			stele__go_mention(d, &d->nobody, go, time);
}

static void cut_flush(struct stele_drain *d)
{
	for (uint32_t i = 0; i < d->thread_count; i++) {
		stele__lane_flush(d, &d->threads[i]->lane);
		stele__lane_flush(d, &d->threads[i]->details);
	}
	stele__lane_flush(d, &d->nobody);
	stele__cpu_samples_write(d);
}

static struct stele_wire_clock cut_snapshot(const struct stele_drain *d)
{
	return (struct stele_wire_clock){
		.time = d->floor,
		.mono_ns = d->start.monotonic_ns,
		.wall_s = d->start.realtime_ns / 1000000000u,
		.wall_ns = d->start.realtime_ns % 1000000000u,
	};
}

static void cut_clock(struct stele_drain *d)
{
	struct stele_batch b = stele__batch(d->tables.batch, STELE_BATCH_BUFFER_BYTES);
	struct stele_wire_clock snapshot = cut_snapshot(d);

	stele__batch_begin(&b, d->generation, STELE_NONE_ID, d->floor);
	stele__batch_clock(&b, STELE_WIRE_FREQUENCY, d->options.version >= 25 ? &snapshot : NULL);
	stele__outlet_batch(&d->outlet, &b);
}

/* How to read the ids of memory events: they are addresses, those of spans in pages. */
static void cut_memory_info(struct stele_drain *d)
{
	struct stele_batch b = stele__batch(d->tables.batch, STELE_BATCH_BUFFER_BYTES);

	stele__batch_begin_experimental(&b, STELE_EXPERIMENT_ALLOCFREE, d->generation,
					STELE_NONE_ID, d->floor);
	stele__batch_varint(&b, STELE_PAYLOAD_INFO);
	stele__batch_varint(&b, 0);
	stele__batch_varint(&b, WIRE_PAGE_BYTES);
	stele__batch_varint(&b, 1);
	stele__batch_varint(&b, 1);
	stele__outlet_batch(&d->outlet, &b);
}

/* A generation with which a trace may begin says at once who is there. */
static void cut_again(struct stele_drain *d)
{
	cut_statuses(d, d->floor);
	stele__own_again(d);
}

void stele__generation_end(struct stele_drain *d, uint64_t time, const struct stele_ending *ending)
{
	if (time < d->floor)
		time = d->floor;
	d->stats.generations++;
	cut_statuses(d, time);
	cut_flush(d);
	cut_clock(d);
	if (d->generation == 1 || d->options.excerpts)
		cut_memory_info(d);
	stele__census_losses(d);
	/* In this order: what has no name is known only then, and the last words are the last
	 * bytes. */
	stele__tables_write(d, time);
	stele__own_write(d, ending);
	if (d->options.keep && !ending)
		stele__carry_write(d, time);
	if (d->options.version >= 26)
		stele__outlet_write(&d->outlet, &(uint8_t){STELE_EV_END_OF_GENERATION}, 1);
	stele__outlet_flush(&d->outlet);
	if (!d->outlet.error) {
		d->outlet.valid = d->outlet.written;
		if (d->options.sink.whole)
			d->options.sink.whole(d->options.sink.arg, d->generation,
					      d->pair.monotonic_ns);
	}
	stele__lookup_done(&d->retired, NULL);
	d->generation++;
	d->floor = time;
	d->start = d->cut_pair;
	if (d->options.excerpts && !ending)
		cut_again(d);
	d->events_at_start = d->stats.events;
	/* The last generation carries nothing: if it is not whole, all of it comes once more. */
	if (d->options.keep && !ending)
		stele__take_release(d);
}
