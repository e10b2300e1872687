/* SPDX-License-Identifier: MIT */
/*
 * Writing the tables at the end of a generation: stacks (which use strings), types (which use
 * symbols), then strings.
 */
#include <string.h>

#include "drain/machine.h"
#include "drain/syscall.h"

#define TYPE_NAME_MAX 256
#define PC_OF_CALLS   (1ull << 51) /* no architecture of ours has code there */

static struct stele_batch tabulate_begin(struct stele_drain *d, uint64_t time)
{
	struct stele_batch b = stele__batch(d->tables.batch, STELE_BATCH_BUFFER_BYTES);

	stele__batch_begin(&b, d->generation, STELE_NONE_ID, time);
	return b;
}

static uint32_t tabulate_symbol(struct stele_drain *d, uint64_t pc, uint32_t epoch, uint32_t first,
				struct stele_wire_frame *frames, uint32_t max)
{
	const struct stele_drain_symbol *symbol = stele__symbol(d, pc, epoch);
	uint32_t count = 0;

	for (uint32_t i = first; symbol && i < symbol->count && count < max; i++) {
		const struct stele_drain_frame *frame = &symbol->frames[i];

		frames[count++] = (struct stele_wire_frame){
			.pc = frame->pc,
			.func = stele__intern_text(d, frame->function),
			.file = stele__intern_text(d, frame->file),
			.line = frame->line,
		};
	}
	return count;
}

/* The function where a thread begins: the outermost of what is inlined at its first byte. */
static uint32_t tabulate_entry(struct stele_drain *d, const struct stele_stack_use *use,
			       struct stele_wire_frame *frames)
{
	const struct stele_drain_symbol *symbol = stele__symbol(d, use->entry_pc, use->epoch);

	return symbol ? tabulate_symbol(d, use->entry_pc, use->epoch, symbol->count - 1, frames, 1)
		      : 0;
}

/* The call itself: code of the kernel, whose addresses nobody knows. */
static uint32_t tabulate_call(struct stele_drain *d, uint16_t call, struct stele_wire_frame *frame)
{
	const char *name = stele__syscall_name(call);

	*frame = (struct stele_wire_frame){
		.pc = PC_OF_CALLS + call,
		.func = stele__intern_text(d, stele__text(d, name, strlen(name))),
	};
	return 1;
}

static uint32_t tabulate_frames(struct stele_drain *d, const struct stele_stack_use *use,
				struct stele_wire_frame *frames)
{
	const struct stele_entry *e;
	uint32_t count = 0, length;

	if (!use->entry)
		return tabulate_entry(d, use, frames);
	e = stele__dictionary_get(d->arena, use->entry);
	if (!e || e->kind != STELE_ENTRY_STACK)
		return 0;
	length = stele__load_relaxed(&e->length);
	if (use->call)
		count = tabulate_call(d, use->call, frames);
	for (uint32_t i = 0; i < length && i < STELE_STACK_FRAMES_MAX; i++) {
		uint64_t pc = stele__load_relaxed((const uint64_t *)(const void *)(e + 1) + i);

		count += tabulate_symbol(d, pc, e->epoch, 0, frames + count,
					 STELE_STACK_FRAMES_MAX - count);
	}
	return count;
}

static void tabulate_stacks(struct stele_drain *d, uint64_t time)
{
	struct stele_batch b = tabulate_begin(d, time);

	for (uint32_t i = 0; i < d->tables.stack_count; i++) {
		struct stele_wire_frame frames[STELE_STACK_FRAMES_MAX];
		uint32_t count = tabulate_frames(d, &d->tables.stacks[i], frames);

		if (!count) /* a stack with nothing in it */
			frames[count++] = (struct stele_wire_frame){0};
		if (stele__batch_stack(&b, i + 1, frames, count) == 0)
			continue;
		stele__outlet_batch(&d->outlet, &b);
		b = tabulate_begin(d, time);
		stele__batch_stack(&b, i + 1, frames, count);
	}
	if (!stele__batch_is_empty(&b))
		stele__outlet_batch(&d->outlet, &b);
}

static size_t tabulate_type_name(struct stele_drain *d, const struct stele_drain_type *type,
				 char *name)
{
	const struct stele_entry *e = stele__dictionary_get(d->arena, type->stack);
	const struct stele_drain_symbol *symbol = NULL;
	const struct stele_drain_text *text;

	if (e && e->kind == STELE_ENTRY_STACK && stele__load_relaxed(&e->length))
		symbol = stele__symbol(
			d, stele__load_relaxed((const uint64_t *)(const void *)(e + 1)), e->epoch);
	text = symbol ? symbol->frames[0].function : NULL;
	if (!text)
		return 0;
	memcpy(name, text->data, text->bytes < TYPE_NAME_MAX ? text->bytes : TYPE_NAME_MAX);
	return text->bytes < TYPE_NAME_MAX ? text->bytes : TYPE_NAME_MAX;
}

static struct stele_batch tabulate_types_begin(struct stele_drain *d, uint64_t time,
					       unsigned payload)
{
	struct stele_batch b = stele__batch(d->tables.batch, STELE_BATCH_BUFFER_BYTES);

	stele__batch_begin_experimental(&b, STELE_EXPERIMENT_ALLOCFREE, d->generation,
					STELE_NONE_ID, time);
	stele__batch_varint(&b, payload);
	return b;
}

static void tabulate_types(struct stele_drain *d, uint64_t time)
{
	struct stele_batch b = tabulate_types_begin(d, time, STELE_PAYLOAD_TYPES);

	for (uint32_t i = 0; i < d->tables.type_count; i++) {
		const struct stele_drain_type *type = d->tables.types[i];
		char name[TYPE_NAME_MAX];
		size_t bytes = tabulate_type_name(d, type, name);

		if (stele__batch_room(&b) < TYPE_NAME_MAX + 5 * STELE_VARINT_BYTES_MAX) {
			stele__outlet_batch(&d->outlet, &b);
			b = tabulate_types_begin(d, time, STELE_PAYLOAD_TYPES);
		}
		stele__batch_varint(&b, i + 1);
		stele__batch_varint(&b, type->address);
		stele__batch_varint(&b, type->size);
		stele__batch_varint(&b, 0);
		stele__batch_varint(&b, bytes);
		stele__batch_bytes(&b, name, bytes);
	}
	stele__outlet_batch(&d->outlet, &b);
}

/* What Go's table of types has no column for. */
static void tabulate_sites(struct stele_drain *d, uint64_t time)
{
	struct stele_batch b = tabulate_types_begin(d, time, STELE_PAYLOAD_SITES);

	for (uint32_t i = 0; i < d->tables.type_count; i++) {
		if (stele__batch_room(&b) < 2 * STELE_VARINT_BYTES_MAX) {
			stele__outlet_batch(&d->outlet, &b);
			b = tabulate_types_begin(d, time, STELE_PAYLOAD_SITES);
		}
		stele__batch_varint(&b, i + 1);
		stele__batch_varint(&b, d->tables.types[i]->wire_stack);
	}
	stele__outlet_batch(&d->outlet, &b);
}

static void tabulate_strings(struct stele_drain *d, uint64_t time)
{
	struct stele_batch b = tabulate_begin(d, time);

	for (uint32_t i = 0; i < d->tables.string_count; i++) {
		const struct stele_string_use *use = &d->tables.strings[i];
		uint32_t bytes = use->text ? use->text->bytes : 0;
		const char *data =
			use->text ? use->text->data : stele__entry_string(d, use->entry, &bytes);

		if (!data) /* overwritten since */
			data = "";
		if (stele__batch_string(&b, use->wire, data, bytes) == 0)
			continue;
		stele__outlet_batch(&d->outlet, &b);
		b = tabulate_begin(d, time);
		stele__batch_string(&b, use->wire, data, bytes);
	}
	if (!stele__batch_is_empty(&b))
		stele__outlet_batch(&d->outlet, &b);
}

void stele__tables_write(struct stele_drain *d, uint64_t time)
{
	tabulate_stacks(d, time);
	if (d->tables.type_count) {
		tabulate_types(d, time);
		tabulate_sites(d, time);
	}
	tabulate_strings(d, time);
	stele__decimals_write(d);
	d->tables.string_ids = d->tables.string_count = d->tables.stack_count =
		d->tables.type_count = 0;
}
