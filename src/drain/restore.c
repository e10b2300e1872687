/* SPDX-License-Identifier: MIT */
/*
 * Going on from what carry.c wrote. The bytes come from a file: nothing in them is believed that
 * could lead outside of the arena or of an array, and what does not fit together is refused.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drain/carry.h"
#include "drain/machine.h"
#include "format/entry.h"
#include "format/own.h"

#define STATS_WORDS (sizeof(struct stele_drain_stats) / sizeof(uint64_t))
#define VALUES_MAX  (STATS_WORDS > 32 ? STATS_WORDS : 32)

_Static_assert(sizeof(struct stele_drain_stats) % sizeof(uint64_t) == 0, "carried as words");

struct carry_record {
	uint64_t kind;
	uint64_t v[VALUES_MAX]; /* absent ones are 0 */
	size_t count;
};

/* The records of a trace ----------------------------------------------------------------------- */

/* The next batch, with its payload. False: the end, or nothing that makes sense. */
static bool carry_next_batch(struct stele_cursor *c, unsigned version,
			     struct stele_wire_entry *ret_entry)
{
	if (stele__entry_next(c, version, ret_entry) != 1)
		return false;
	if (ret_entry->type == STELE_EV_EVENT_BATCH)
		return stele__cursor_bytes(c, ret_entry->args[3]) != NULL;
	return ret_entry->type == STELE_EV_EXPERIMENTAL_BATCH ||
	       ret_entry->type == STELE_EV_END_OF_GENERATION;
}

/* Own data of ours in this batch? Then `ret_items` stands at its first item. */
static bool carry_open(const struct stele_wire_entry *batch, struct stele_cursor *ret_items)
{
	if (batch->type != STELE_EV_EXPERIMENTAL_BATCH ||
	    batch->args[0] != STELE_EXPERIMENT_ALLOCFREE)
		return false;
	*ret_items = stele__cursor(batch->data, batch->data_bytes);
	return stele__cursor_u8(ret_items) == STELE_PAYLOAD_STELE &&
	       stele__cursor_varint(ret_items) == STELE_OWN_VERSION && !ret_items->error;
}

/* The next record of a batch. False: there is none. */
static bool carry_next(struct stele_cursor *items, struct carry_record *ret_record)
{
	while (stele__cursor_left(items)) {
		uint64_t tag = stele__cursor_varint(items);
		uint64_t bytes = stele__cursor_varint(items);
		const uint8_t *data = stele__cursor_bytes(items, bytes);
		struct stele_cursor body;

		if (!data)
			return false;
		if (tag != STELE_OWN_CARRY)
			continue;
		body = stele__cursor(data, (size_t)bytes);
		*ret_record = (struct carry_record){.kind = stele__cursor_varint(&body)};
		while (stele__cursor_left(&body) && ret_record->count < VALUES_MAX)
			ret_record->v[ret_record->count++] = stele__cursor_varint(&body);
		return !body.error;
	}
	return false;
}

static bool carry_ends(const struct stele_wire_entry *batch)
{
	struct carry_record record;
	struct stele_cursor items;

	if (!carry_open(batch, &items))
		return false;
	while (carry_next(&items, &record))
		if (record.kind == STELE_CARRY_END)
			return true;
	return false;
}

int stele__carry_find(const void *trace, size_t bytes, struct stele_carry *ret_carry)
{
	struct stele_carry carry = {.trace = trace};
	struct stele_cursor c = stele__cursor(trace, bytes);
	struct stele_wire_entry batch;
	int version = bytes < STELE_HEADER_BYTES ? -1 : stele__header_get(trace);
	bool ended = false;

	*ret_carry = carry;
	if (version < 0)
		return STELE_E_UNSUPPORTED;
	carry.version = (unsigned)version;
	stele__cursor_bytes(&c, STELE_HEADER_BYTES);
	while (carry_next_batch(&c, carry.version, &batch)) {
		/* With its last byte a generation of header 26 is whole. */
		bool end = carry.version < 26 ? carry_ends(&batch)
					      : ended && batch.type == STELE_EV_END_OF_GENERATION;

		ended = carry_ends(&batch);
		if (!end)
			continue;
		carry.begin = carry.bytes;
		carry.bytes = stele__cursor_offset(&c);
	}
	*ret_carry = carry;
	return 0;
}

/* What they say -------------------------------------------------------------------------------- */

struct restore {
	struct stele_drain *d;
	struct stele_drain_thread *thread; /* whose parts follow */
	struct stele_drain_go *go;
};

static int restore_drain(struct restore *r, const uint64_t *v)
{
	struct stele_drain *d = r->d;

	if (v[0] < 2 || v[0] >= UINT32_MAX)
		return STELE_E_CORRUPT;
	d->generation = (uint32_t)v[0];
	d->floor = v[1];
	d->start = d->pair = (struct stele_clock_pair){v[2], v[3], v[4]};
	d->go_private = v[5];
	d->tables.type_next = d->tables.types_carried = v[6];
	d->own.pid = v[7];
	d->own.program = (uint32_t)v[8];
	d->own.image = false;
	d->asked_ns = v[9];
	return 0;
}

static int restore_clock(struct restore *r, const uint64_t *v)
{
	struct stele_timeline *l = &r->d->timeline;

	if (!v[5])
		return STELE_E_CORRUPT;
	l->exact = r->d->arena->clock == STELE_CLOCK_MONOTONIC;
	l->first = (struct stele_clock_pair){v[0], v[1], v[2]};
	l->before = l->now = (struct stele_timeline_piece){v[3], v[4], v[5]};
	l->measured_ns = v[6];
	l->interval_ns = v[7];
	return 0;
}

static int restore_stats(struct restore *r, const struct carry_record *record)
{
	if (record->count != STATS_WORDS)
		return STELE_E_CORRUPT;
	memcpy(&r->d->stats, record->v, sizeof(r->d->stats));
	r->d->own.told = r->d->stats;
	r->d->events_at_start = r->d->stats.events;
	return 0;
}

static int restore_type(struct restore *r, const uint64_t *v)
{
	struct stele_drain_type *type = calloc(1, sizeof(*type));

	if (!type)
		return -ENOMEM;
	*type = (struct stele_drain_type){.size = v[0], .stack = (uint32_t)v[1], .address = v[2]};
	if (stele__lookup_get(&r->d->tables.sites, v[0], type->stack) ||
	    stele__lookup_put(&r->d->tables.sites, v[0], type->stack, type)) {
		free(type);
		return STELE_E_CORRUPT;
	}
	return 0;
}

static int restore_go(struct restore *r, const uint64_t *v)
{
	if (v[2] != STELE_GO_RUNNABLE && v[2] != STELE_GO_RUNNING && v[2] != STELE_GO_SYSCALL &&
	    v[2] != STELE_GO_WAITING)
		return STELE_E_CORRUPT;
	r->go = stele__go_new(r->d, v[0], (unsigned)v[2]);
	if (!r->go)
		return STELE_E_CORRUPT;
	r->go->generation = r->d->generation - 1;
	r->go->epoch = v[1];
	r->go->bridge = v[3] != 0;
	return 0;
}

static int restore_region(struct restore *r, const uint64_t *v)
{
	struct stele_drain_go *go = r->go;

	if (!go || go->region_count >= STELE_REGIONS_MAX)
		return STELE_E_CORRUPT;
	if (go->region_count == go->region_max &&
	    !stele__vector_grow(r->d, &go->regions, go->region_count, &go->region_max,
				sizeof(*go->regions)))
		return -ENOMEM;
	go->regions[go->region_count++] =
		(struct stele_region){v[0], (uint32_t)v[1], (uint32_t)v[2]};
	return 0;
}

/* By the number that the trace has for it. */
static struct stele_drain_proc *restore_find_proc(struct stele_drain *d, uint64_t id)
{
	if (id >= STELE_PROC_ID_BASE)
		return stele__proc_find(d, id - STELE_PROC_ID_BASE);
	return id < d->slot_max ? &d->procs[id] : NULL;
}

static int restore_proc(struct restore *r, const uint64_t *v)
{
	struct stele_drain_proc *proc = restore_find_proc(r->d, v[0]);

	if (!proc || v[2] > STELE_PROC_SYSCALL_ABANDONED)
		return STELE_E_CORRUPT;
	proc->epoch = v[1];
	proc->state = (uint8_t)v[2];
	proc->generation = r->d->generation - 1;
	return 0;
}

static int restore_thread_has(struct restore *r, struct stele_drain_thread *t, const uint64_t *v)
{
	if (v[5] & STELE_CARRY_HAS_GO) {
		struct stele_drain_go *go = stele__go_find(r->d, v[6]);

		if (!go || go->owner)
			return STELE_E_CORRUPT;
		stele__go_bind(t, go);
	}
	if (v[5] & STELE_CARRY_HAS_PROC) {
		t->proc = restore_find_proc(r->d, v[7]);
		if (!t->proc || t->proc->owner)
			return STELE_E_CORRUPT;
		t->proc->owner = t;
	}
	return 0;
}

static int restore_thread(struct restore *r, const uint64_t *v)
{
	struct stele_drain *d = r->d;
	struct stele_drain_thread *t;

	if (v[0] >= d->slot_max || d->by_slot[v[0]] ||
	    stele__load_relaxed(&d->slots[v[0]].incarnation) != v[1])
		return STELE_E_CORRUPT;
	t = stele__thread_new(d, (uint32_t)v[0]);
	if (!t)
		return -ENOMEM;
	r->thread = t;
	t->tid = (uint32_t)v[2];
	t->lane.m = t->tid;
	t->lane.last = v[10];
	t->birth = v[3];
	t->goroutine = v[4];
	t->begun = v[5] & STELE_CARRY_BEGUN;
	t->ended = v[5] & STELE_CARRY_ENDED;
	t->gone = v[5] & STELE_CARRY_GONE;
	t->lasted = v[5] & STELE_CARRY_LASTED;
	t->sequence = (uint32_t)v[8];
	t->name = (uint32_t)v[9];
	t->waited_count = v[11];
	t->waited_ns = v[12];
	t->fresh = false;
	return restore_thread_has(r, t, v);
}

static int restore_ring(struct restore *r, const uint64_t *v)
{
	if (!r->thread || v[0] >= r->d->ring_max ||
	    !stele__census_attach(r->d, r->thread, (uint32_t)v[0]))
		return STELE_E_CORRUPT;
	r->d->rings[v[0]].next = v[1];
	return 0;
}

static int restore_interval(struct restore *r, const uint64_t *v)
{
	struct stele_drain_thread *t = r->thread;

	if (!t || t->depth >= STELE_INTERVALS_MAX ||
	    v[4] >= (v[5] ? UINT16_MAX + 1 : STELE__WAIT_COUNT))
		return STELE_E_CORRUPT;
	t->intervals[t->depth++] = (struct stele_drain_interval){
		.token = v[0],
		.g = v[1],
		.frame = v[2],
		.stack = (uint32_t)v[3],
		.wait = (uint16_t)v[4],
		.syscall = v[5] != 0,
	};
	return stele__offcpu_restore(t, v[0]);
}

static int restore_late(struct restore *r, const uint64_t *v)
{
	struct stele_drain_thread *t = r->thread;

	if (!t || v[0] >= r->d->ring_max || r->d->rings[v[0]].thread != t)
		return STELE_E_CORRUPT;
	if (t->late_count == t->late_max &&
	    !stele__vector_grow(r->d, &t->late, t->late_count, &t->late_max, sizeof(*t->late)))
		return -ENOMEM;
	t->late[t->late_count++] = (struct stele_late){&r->d->rings[v[0]], v[1]};
	return 0;
}

static int restore_loss(struct restore *r, const uint64_t *v)
{
	if (!r->thread || v[0] >= STELE__LOSS_COUNT || v[1] >= STELE__CLASS_COUNT)
		return STELE_E_CORRUPT;
	r->thread->dropped[v[0]][v[1]] = v[2];
	return 0;
}

static int restore_order(struct restore *r, const uint64_t *v)
{
	struct stele_drain *d = r->d;

	if (v[0] >= d->slot_max || v[1] >= d->slot_max || !d->by_slot[v[0]] || !d->by_slot[v[1]])
		return STELE_E_CORRUPT;
	d->by_slot[v[0]]->predecessor = d->by_slot[v[1]];
	return 0;
}

/* Its rings were read to the end; the drain may have died before or while it gave them back. */
static int restore_departed(struct restore *r, const uint64_t *v)
{
	struct stele_drain *d = r->d;

	if (v[0] >= d->slot_max)
		return STELE_E_CORRUPT;
	if (stele__load_relaxed(&d->slots[v[0]].incarnation) == v[1] &&
	    stele__load_acquire(&d->slots[v[0]].state) != STELE_SLOT_FREE)
		stele__census_give(d, NULL, (uint32_t)v[0], (uint32_t)v[1]);
	return 0;
}

static int restore_record(struct restore *r, const struct carry_record *record)
{
	const uint64_t *v = record->v;

	switch (record->kind) {
	case STELE_CARRY_DRAIN:
		return restore_drain(r, v);
	case STELE_CARRY_CLOCK:
		return restore_clock(r, v);
	case STELE_CARRY_STATS:
		return restore_stats(r, record);
	case STELE_CARRY_MODULE:
		return stele__module_adopt(r->d, (uint32_t)v[0], (uint32_t)v[1]) ? 0
										 : STELE_E_CORRUPT;
	case STELE_CARRY_TYPE:
		return restore_type(r, v);
	case STELE_CARRY_TASK:
		return stele__lookup_put(&r->d->tasks, v[0], 0, STELE_TASK_BEGUN(0));
	case STELE_CARRY_MEMORY:
		return stele__lookup_put(&r->d->memory_live, v[0], v[1], r->d);
	case STELE_CARRY_GO:
		return restore_go(r, v);
	case STELE_CARRY_REGION:
		return restore_region(r, v);
	case STELE_CARRY_PROC:
		return restore_proc(r, v);
	case STELE_CARRY_THREAD:
		return restore_thread(r, v);
	case STELE_CARRY_RING:
		return restore_ring(r, v);
	case STELE_CARRY_INTERVAL:
		return restore_interval(r, v);
	case STELE_CARRY_LATE:
		return restore_late(r, v);
	case STELE_CARRY_LOSS:
		return restore_loss(r, v);
	case STELE_CARRY_ORDER:
		return restore_order(r, v);
	case STELE_CARRY_DEPARTED:
		return restore_departed(r, v);
	case STELE_CARRY_END:
		return 0;
	default:
		return STELE_E_CORRUPT;
	}
}

int stele__restore(struct stele_drain *d, const struct stele_carry *carry)
{
	struct restore r = {.d = d};
	struct stele_cursor c = stele__cursor(carry->trace, carry->bytes);
	struct stele_cursor items;
	struct stele_wire_entry batch;
	struct carry_record record;

	stele__cursor_bytes(&c, STELE_HEADER_BYTES);
	while (carry_next_batch(&c, carry->version, &batch)) {
		bool last = stele__cursor_offset(&c) > carry->begin;

		if (!carry_open(&batch, &items))
			continue;
		while (carry_next(&items, &record)) {
			int error = last || record.kind == STELE_CARRY_TYPE
					    ? restore_record(&r, &record)
					    : 0;

			if (error)
				return error;
		}
	}
	if (d->generation <= 1)
		return STELE_E_CORRUPT;
	d->outlet.written = d->outlet.valid = carry->bytes;
	stele__take_release(d);
	return 0;
}
