/* SPDX-License-Identifier: MIT */
/* Writing what another drain needs to go on. restore.c reads it: they change together. */
#include "drain/carry.h"

#include "drain/machine.h"
#include "format/own.h"

static void carry_put(struct stele_drain *d, enum stele_carry_kind kind, const uint64_t *values,
		      size_t count)
{
	struct stele_own_record r;

	stele__own_begin(&r);
	stele__own_value(&r, kind);
	for (size_t i = 0; i < count; i++)
		stele__own_value(&r, values[i]);
	stele__own_end(d, STELE_OWN_CARRY, &r);
}

#define CARRY(d, kind, ...)                                                                        \
	carry_put(d, kind, (const uint64_t[]){__VA_ARGS__},                                        \
		  sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* Of the generation that comes. */
static void carry_drain(struct stele_drain *d, uint64_t floor)
{
	CARRY(d, STELE_CARRY_DRAIN, d->generation + 1, floor, d->cut_pair.ticks,
	      d->cut_pair.monotonic_ns, d->cut_pair.realtime_ns, d->go_private, d->tables.type_next,
	      d->own.pid, d->own.program, d->asked_ns);
	CARRY(d, STELE_CARRY_CLOCK, d->timeline.first.ticks, d->timeline.first.monotonic_ns,
	      d->timeline.first.realtime_ns, d->timeline.now.ticks, d->timeline.now.ns,
	      d->timeline.now.rate, d->timeline.measured_ns, d->timeline.interval_ns);
	carry_put(d, STELE_CARRY_STATS, (const uint64_t *)(const void *)&d->stats,
		  sizeof(d->stats) / sizeof(uint64_t));
}

static void carry_tables(struct stele_drain *d)
{
	struct stele_drain_tables *tables = &d->tables;

	for (uint32_t i = 0; i < tables->module_count; i++)
		CARRY(d, STELE_CARRY_MODULE, tables->modules[i]->entry,
		      tables->modules[i]->epoch_last);
	if (tables->type_next == tables->types_carried)
		return;
	for (size_t i = 0; tables->sites.cells && i <= tables->sites.mask; i++) {
		const struct stele_drain_type *type = tables->sites.cells[i].value;

		if (type && type->address > tables->types_carried)
			CARRY(d, STELE_CARRY_TYPE, type->size, type->stack, type->address);
	}
	tables->types_carried = tables->type_next;
}

static void carry_sets(struct stele_drain *d)
{
	for (size_t i = 0; d->tasks.cells && i <= d->tasks.mask; i++)
		if (d->tasks.cells[i].value)
			CARRY(d, STELE_CARRY_TASK, d->tasks.cells[i].a);
	for (size_t i = 0; d->memory_live.cells && i <= d->memory_live.mask; i++)
		if (d->memory_live.cells[i].value)
			CARRY(d, STELE_CARRY_MEMORY, d->memory_live.cells[i].a,
			      d->memory_live.cells[i].b);
}

static void carry_gos(struct stele_drain *d)
{
	for (const struct stele_drain_go *go = d->go_list; go; go = go->next) {
		CARRY(d, STELE_CARRY_GO, go->id, go->epoch, go->state, go->bridge);
		for (uint32_t i = 0; i < go->region_count; i++)
			CARRY(d, STELE_CARRY_REGION, go->regions[i].task, go->regions[i].name,
			      go->regions[i].stack);
	}
}

static void carry_proc(struct stele_drain *d, const struct stele_drain_proc *proc)
{
	if (proc->state != STELE_PROC_BAD || proc->epoch)
		CARRY(d, STELE_CARRY_PROC, proc->id, proc->epoch, proc->state);
}

static void carry_procs(struct stele_drain *d)
{
	const struct stele_lookup *procs = &d->runtime_procs;

	for (uint32_t i = 0; i < d->slot_max; i++)
		carry_proc(d, &d->procs[i]);
	for (size_t i = 0; procs->cells && i <= procs->mask; i++)
		if (procs->cells[i].value)
			carry_proc(d, procs->cells[i].value);
}

static uint32_t carry_ring_index(const struct stele_drain *d, const struct stele_drain_ring *ring)
{
	return (uint32_t)(ring - d->rings);
}

static void carry_thread_parts(struct stele_drain *d, const struct stele_drain_thread *t)
{
	for (const struct stele_drain_ring *ring = t->rings; ring; ring = ring->following)
		CARRY(d, STELE_CARRY_RING, carry_ring_index(d, ring), ring->next);
	for (uint32_t i = 0; i < t->depth; i++) {
		const struct stele_drain_interval *open = &t->intervals[i];

		CARRY(d, STELE_CARRY_INTERVAL, open->token, open->g, open->frame, open->stack,
		      open->wait, open->syscall);
	}
	for (uint32_t i = 0; i < t->late_count; i++)
		CARRY(d, STELE_CARRY_LATE, carry_ring_index(d, t->late[i].ring),
		      t->late[i].position);
	for (unsigned i = 0; i < STELE__LOSS_COUNT; i++)
		for (unsigned j = 0; j < STELE__CLASS_COUNT; j++)
			if (t->dropped[i][j])
				CARRY(d, STELE_CARRY_LOSS, i, j, t->dropped[i][j]);
}

static void carry_thread(struct stele_drain *d, const struct stele_drain_thread *t)
{
	uint64_t flags = (t->begun ? STELE_CARRY_BEGUN : 0) | (t->ended ? STELE_CARRY_ENDED : 0) |
			 (t->gone ? STELE_CARRY_GONE : 0) | (t->lasted ? STELE_CARRY_LASTED : 0) |
			 (t->go ? STELE_CARRY_HAS_GO : 0) | (t->proc ? STELE_CARRY_HAS_PROC : 0);

	CARRY(d, STELE_CARRY_THREAD, t->slot_index, t->incarnation, t->tid, t->birth, t->goroutine,
	      flags, t->go ? t->go->id : 0, t->proc ? t->proc->id : 0, t->sequence, t->name,
	      t->lane.last, t->waited_count, t->waited_ns);
	carry_thread_parts(d, t);
}

void stele__carry_write(struct stele_drain *d, uint64_t floor)
{
	carry_drain(d, floor);
	carry_tables(d);
	carry_sets(d);
	carry_gos(d);
	carry_procs(d);
	for (uint32_t i = 0; i < d->thread_count; i++)
		carry_thread(d, d->threads[i]);
	for (uint32_t i = 0; i < d->thread_count; i++)
		if (d->threads[i]->predecessor)
			CARRY(d, STELE_CARRY_ORDER, d->threads[i]->slot_index,
			      d->threads[i]->predecessor->slot_index);
	for (const struct stele_drain_thread *t = d->departed; t; t = t->departed_next)
		CARRY(d, STELE_CARRY_DEPARTED, t->slot_index, t->incarnation);
	carry_put(d, STELE_CARRY_END, NULL, 0);
	stele__outlet_batch(&d->outlet, &d->own.batch);
}
