/* SPDX-License-Identifier: MIT */
/*
 * What Go's format has no place for, in batches of the allocation experiment with a payload kind of
 * our own, which readers of Go traces carry past:
 *
 *   payload := 0x53 version:u ( tag:u length:u bytes[length] )*
 *
 * A reader skips tags that it does not know. docs/design/drain.md lists them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drain/machine.h"
#include "format/own.h"

#define OWN_OBJECTS_MAX (1u << 20) /* those behind it are told each time */

int stele__own_init(struct stele_own *own)
{
	own->data = malloc(STELE_BATCH_BUFFER_BYTES);
	if (!own->data)
		return -ENOMEM;
	own->batch = stele__batch(own->data, STELE_BATCH_BUFFER_BYTES);
	own->image = true;
	return 0;
}

void stele__own_done(struct stele_own *own)
{
	stele__lookup_done(&own->counters, NULL);
	stele__lookup_done(&own->objects, NULL);
	stele__lookup_done(&own->objects_again, NULL);
	stele__lookup_done(&own->files, NULL);
	free(own->data);
}

void stele__own_begin(struct stele_own_record *r)
{
	r->at = r->data;
}

void stele__own_value(struct stele_own_record *r, uint64_t value)
{
	if ((size_t)(r->data + sizeof(r->data) - r->at) >= STELE_VARINT_BYTES_MAX)
		r->at = stele__varint_put(r->at, value);
}

void stele__own_text(struct stele_own_record *r, const void *data, size_t bytes)
{
	size_t room = (size_t)(r->data + sizeof(r->data) - r->at);

	if (room < STELE_VARINT_BYTES_MAX)
		return;
	if (bytes > room - STELE_VARINT_BYTES_MAX)
		bytes = room - STELE_VARINT_BYTES_MAX;
	stele__own_value(r, bytes);
	if (bytes)
		memcpy(r->at, data, bytes);
	r->at += bytes;
}

static void own_string(struct stele_drain *d, struct stele_own_record *r, uint32_t entry)
{
	uint32_t bytes = 0;
	const char *data = stele__entry_string(d, entry, &bytes);

	stele__own_text(r, data, data ? bytes : 0);
}

void stele__own_end(struct stele_drain *d, unsigned tag, const struct stele_own_record *r)
{
	struct stele_batch *b = &d->own.batch;
	size_t bytes = (size_t)(r->at - r->data);

	if (stele__batch_is_open(b) && stele__batch_room(b) < bytes + 2 * STELE_VARINT_BYTES_MAX)
		stele__outlet_batch(&d->outlet, b);
	if (!stele__batch_is_open(b)) {
		stele__batch_begin_experimental(b, STELE_EXPERIMENT_ALLOCFREE, d->generation,
						STELE_NONE_ID, d->floor);
		stele__batch_varint(b, STELE_PAYLOAD_STELE);
		stele__batch_varint(b, STELE_OWN_VERSION);
	}
	stele__batch_varint(b, tag);
	stele__batch_varint(b, bytes);
	stele__batch_bytes(b, r->data, bytes);
}

void stele__own_thread(struct stele_drain *d, struct stele_drain_thread *t)
{
	struct stele_own_record r;

	stele__own_begin(&r);
	stele__own_value(&r, t->tid);
	stele__own_value(&r, t->slot_index);
	stele__own_value(&r, t->goroutine);
	own_string(d, &r, t->name);
	stele__own_end(d, STELE_OWN_THREAD, &r);
	t->announce = false;
}

void stele__own_loss(struct stele_drain *d, const struct stele_drain_thread *t, unsigned cause,
		     unsigned class, uint64_t count)
{
	struct stele_own_record r;

	stele__own_begin(&r);
	stele__own_value(&r, t->tid);
	stele__own_value(&r, cause);
	stele__own_value(&r, class);
	stele__own_value(&r, count);
	stele__own_end(d, STELE_OWN_LOSS, &r);
}

void stele__own_module(struct stele_drain *d, uint32_t entry, bool unloaded)
{
	const struct stele_entry *e = stele__dictionary_get(d->arena, entry);
	struct stele_module m;
	struct stele_own_record r;

	if (!e)
		return;
	memcpy(&m, e + 1, sizeof(m));
	if (m.build_id_bytes > sizeof(m.build_id))
		m.build_id_bytes = 0;
	if (m.path_bytes > e->length - sizeof(m))
		m.path_bytes = 0;
	stele__own_begin(&r);
	stele__own_value(&r, unloaded);
	stele__own_value(&r, e->epoch);
	stele__own_value(&r, m.start);
	stele__own_value(&r, m.end);
	stele__own_value(&r, m.bias);
	stele__own_text(&r, m.build_id, m.build_id_bytes);
	stele__own_text(&r, (const struct stele_module *)(const void *)(e + 1) + 1, m.path_bytes);
	stele__own_end(d, STELE_OWN_MODULE, &r);
}

void stele__own_counter(struct stele_drain *d, uint32_t name)
{
	struct stele_own_record r;

	if (stele__lookup_get(&d->own.counters, name, 0) ||
	    stele__lookup_put(&d->own.counters, name, 0, d))
		return;
	stele__own_begin(&r);
	own_string(d, &r, name);
	stele__own_end(d, STELE_OWN_COUNTER, &r);
}

/* As it was called, or the file of what was executed in its place. */
static void own_program_name(struct stele_drain *d, struct stele_own_record *r, uint32_t images)
{
	const struct stele_entry *e = stele__dictionary_get(d->arena, d->own.program);
	const struct stele_module *m = e ? (const void *)(e + 1) : NULL;
	uint32_t bytes;

	if (d->options.program && images <= 1) {
		stele__own_text(r, d->options.program, strlen(d->options.program));
	} else if (e && e->kind == STELE_ENTRY_MODULE && e->length >= sizeof(*m)) {
		bytes = stele__load_relaxed(&m->path_bytes);
		stele__own_text(r, m + 1, bytes <= e->length - sizeof(*m) ? bytes : 0);
	} else {
		stele__own_text(r, "", 0);
	}
}

static void own_drain_text(struct stele_own_record *r, const struct stele_drain_text *text)
{
	stele__own_text(r, text ? text->data : "", text ? text->bytes : 0);
}

/* In place of the pc at which an object was made. */
#define OWN_MADE_UNKNOWN 1

/* Has it been told of? Then *made_at is what was said; from now on it has been. */
static bool own_object_told(struct stele_drain *d, uint64_t object, uint64_t *made_at)
{
	struct stele_own *own = &d->own;
	uintptr_t before = *made_at ? 0 : (uintptr_t)stele__lookup_get(&own->objects, object, 0);
	uintptr_t now = *made_at ? *made_at : OWN_MADE_UNKNOWN;

	if (before) {
		*made_at = before == OWN_MADE_UNKNOWN ? 0 : before;
		if (!d->options.excerpts || stele__lookup_get(&own->objects_again, object, 0))
			return true;
	} else if (own->objects.count < OWN_OBJECTS_MAX &&
		   stele__lookup_put(&own->objects, object, 0, (void *)now)) {
		return true; /* no memory */
	}
	if (d->options.excerpts)
		stele__lookup_put(&own->objects_again, object, 0, d);
	return false;
}

static uint32_t own_pid(const struct stele_drain *d)
{
	return (uint32_t)(d->own.pid ? d->own.pid : d->arena->pid);
}

/* Other processes may see it, too. */
static void own_shared(struct stele_drain *d, uint64_t object)
{
	const struct stele_symbolizer *symbolizer = &d->options.symbolizer;
	const char *memory = NULL;
	struct stele_own_record r;
	uint64_t offset;

	if (symbolizer->shared && object < STELE_OWN_SIGNALS)
		memory =
			symbolizer->shared(symbolizer->arg, own_pid(d),
					   stele__load_relaxed(&d->arena->images), object, &offset);
	if (!memory)
		return;
	stele__own_begin(&r);
	stele__own_value(&r, object);
	stele__own_value(&r, offset);
	stele__own_text(&r, memory, strlen(memory));
	stele__own_end(d, STELE_OWN_SHARED, &r);
}

void stele__own_object(struct stele_drain *d, uint64_t object, uint64_t made_at)
{
	uint32_t epoch = stele__load_relaxed(&d->arena->module_epoch);
	const struct stele_symbolizer *symbolizer = &d->options.symbolizer;
	const struct stele_drain_symbol *maker = NULL;
	const char *name = NULL;
	struct stele_own_record r;

	if (own_object_told(d, object, &made_at))
		return;
	own_shared(d, object);
	if (symbolizer->variable)
		name = symbolizer->variable(symbolizer->arg, epoch, object);
	if (made_at)
		maker = stele__symbol(d, made_at, epoch);
	if (!name && !maker)
		return;
	stele__own_begin(&r);
	stele__own_value(&r, object);
	stele__own_value(&r, maker ? maker->frames[0].line : 0);
	stele__own_text(&r, name ? name : "", name ? strlen(name) : 0);
	own_drain_text(&r, maker ? maker->frames[0].function : NULL);
	own_drain_text(&r, maker ? maker->frames[0].file : NULL);
	stele__own_end(d, STELE_OWN_OBJECT, &r);
}

static void own_program(struct stele_drain *d)
{
	uint32_t images = stele__load_relaxed(&d->arena->images);
	struct stele_own_record r;

	stele__own_begin(&r);
	stele__own_value(&r, own_pid(d));
	stele__own_value(&r, images);
	own_program_name(d, &r, images);
	stele__own_end(d, STELE_OWN_PROGRAM, &r);
	d->own.image = false;
}

static void own_clock(struct stele_drain *d)
{
	struct stele_own_record r;

	stele__own_begin(&r);
	stele__own_value(&r, stele__timeline_wire(&d->timeline, d->start.ticks));
	stele__own_value(&r, d->start.monotonic_ns);
	stele__own_value(&r, d->start.realtime_ns / 1000000000u);
	stele__own_value(&r, d->start.realtime_ns % 1000000000u);
	stele__own_end(d, STELE_OWN_CLOCK, &r);
}

static void own_total(struct stele_drain *d, enum stele_own_total what, uint64_t value,
		      uint64_t *told)
{
	struct stele_own_record r;

	if (value == *told)
		return;
	*told = value;
	stele__own_begin(&r);
	stele__own_value(&r, what);
	stele__own_value(&r, value);
	stele__own_end(d, STELE_OWN_TOTAL, &r);
}

static void own_totals(struct stele_drain *d)
{
	const struct stele_drain_stats *s = &d->stats;
	struct stele_drain_stats *told = &d->own.told;
	uint64_t cut;

	own_total(d, STELE_OWN_NO_SLOT, s->no_slot, &told->no_slot);
	own_total(d, STELE_OWN_DICTIONARY_FULL, s->dictionary_full, &told->dictionary_full);
	own_total(d, STELE_OWN_BRIDGED, s->bridged, &told->bridged);
	own_total(d, STELE_OWN_LATE, s->late, &told->late);
	own_total(d, STELE_OWN_LATE_DISCARDED, s->late_discarded, &told->late_discarded);
	own_total(d, STELE_OWN_ABANDONED, s->abandoned, &told->abandoned);
	own_total(d, STELE_OWN_UNEXPLAINED, s->unexplained, &told->unexplained);
	own_total(d, STELE_OWN_WAITED_COUNT, s->waited_count, &told->waited_count);
	own_total(d, STELE_OWN_WAITED_NS, s->waited_ns, &told->waited_ns);
	own_total(d, STELE_OWN_CHILDREN, s->children, &told->children);
	own_total(d, STELE_OWN_HEAP_SAMPLE, s->heap_sample_bytes, &told->heap_sample_bytes);
	own_total(d, STELE_OWN_STACKS, s->stacks, &told->stacks);
	/* Cut off for their depth or because the walk came to nothing: one figure. */
	cut = s->stacks_truncated + s->stacks_broken;
	own_total(d, STELE_OWN_STACKS_CUT, cut, &told->stacks_truncated);
	own_total(d, STELE_OWN_FRAMES, s->frames, &told->frames);
	own_total(d, STELE_OWN_SWITCHES, s->switches, &told->switches);
	own_total(d, STELE_OWN_SWITCHES_LOST, s->switches_lost, &told->switches_lost);
	own_total(d, STELE_OWN_FRAMES_UNNAMED, s->frames_unsymbolized, &told->frames_unsymbolized);
}

void stele__own_again(struct stele_drain *d)
{
	d->own.image = true;
	for (uint32_t i = 0; i < d->thread_count; i++)
		d->threads[i]->announce |= d->threads[i]->begun;
	stele__lookup_done(&d->own.counters, NULL);
	stele__lookup_done(&d->own.objects_again, NULL);
	d->own.told = (struct stele_drain_stats){0};
	stele__detail_files_again(d);
	stele__detail_standing_again(d);
}

/* Those that are there. */
static void own_modules_again(struct stele_drain *d)
{
	for (uint32_t i = 0; i < d->tables.module_count; i++) {
		struct stele_drain_module *m = d->tables.modules[i];

		if (m->told != d->generation && m->epoch_last == UINT32_MAX)
			stele__own_module(d, m->entry, false);
	}
}

/* By the event that each would have become. */
static void own_skipped(struct stele_drain *d)
{
	for (unsigned kind = STELE_KIND_SPAN; kind <= STELE_KIND_STACK_FREE; kind++) {
		struct stele_own_record r;

		if (d->stats.skipped[kind] == d->own.told.skipped[kind])
			continue;
		d->own.told.skipped[kind] = d->stats.skipped[kind];
		stele__own_begin(&r);
		stele__own_value(&r, STELE_EV_SPAN + (kind - STELE_KIND_SPAN));
		stele__own_value(&r, d->stats.skipped[kind]);
		stele__own_end(d, STELE_OWN_SKIPPED, &r);
	}
}

/* The last words: how the process ended, and that nothing follows. */
static void own_ending(struct stele_drain *d, const struct stele_ending *ending)
{
	struct stele_own_record r;

	stele__own_begin(&r);
	stele__own_value(&r, (ending->known ? STELE_OWN_ENDING_KNOWN : 0) |
				     (ending->signal ? STELE_OWN_ENDING_SIGNAL : 0) |
				     (ending->interrupted ? STELE_OWN_ENDING_INTERRUPTED : 0) |
				     (ending->recovered ? STELE_OWN_ENDING_RECOVERED : 0));
	stele__own_value(&r, (uint64_t)(ending->signal ? ending->signal : ending->exit_status));
	stele__own_end(d, STELE_OWN_ENDING, &r);
	stele__own_begin(&r);
	stele__own_value(&r, d->stats.records);
	stele__own_value(&r, d->stats.events);
	stele__own_value(&r, d->generation);
	stele__own_end(d, STELE_OWN_END, &r);
}

void stele__own_write(struct stele_drain *d, const struct stele_ending *ending)
{
	if (d->own.image)
		own_program(d);
	for (uint32_t i = 0; i < d->thread_count; i++)
		if (d->threads[i]->announce)
			stele__own_thread(d, d->threads[i]);
	if (d->options.excerpts)
		own_modules_again(d);
	own_clock(d);
	own_totals(d);
	own_skipped(d);
	if (ending)
		own_ending(d, ending);
	stele__outlet_batch(&d->outlet, &d->own.batch);
}
