/* SPDX-License-Identifier: MIT */
#include "read/table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "read/vector.h"

int stele__fault_set(struct stele__fault *fault, int code, uint64_t at, const char *format, ...)
{
	va_list args;

	fault->code = code;
	fault->at = at;
	fault->soft = false;
	va_start(args, format);
	vsnprintf(fault->text, sizeof(fault->text), format, args);
	va_end(args);
	return code;
}

int stele__fault_cursor(struct stele__fault *fault, const struct stele_cursor *cursor,
			const char *what)
{
	uint64_t at = stele__cursor_offset(cursor);
	int r;

	if (cursor->error == STELE_E_CORRUPT)
		return stele__fault_set(fault, STELE_E_CORRUPT, at,
					"%s is a number of more than 64 bits", what);
	r = stele__fault_set(fault, STELE_E_CORRUPT, at, "the batch ends within %s", what);
	fault->soft = stele__cursor_left(cursor) == 0;
	return r;
}

/* What stands at index 0 of each array. */
static int table_put_zero(struct stele__table *table)
{
	int r = stele__vector_reserve(&table->strings, &table->string_capacity, 1,
				      sizeof(*table->strings));

	if (r >= 0)
		r = stele__vector_reserve(&table->stacks, &table->stack_capacity, 1,
					  sizeof(*table->stacks));
	if (r >= 0)
		r = stele__vector_reserve(&table->frames, &table->frame_capacity, 1,
					  sizeof(*table->frames));
	if (r < 0)
		return r;
	table->strings[0] = (struct stele__table_string){0};
	table->stacks[0] = (struct stele__table_stack){0};
	table->frames[0] = (struct stele__table_frame){0};
	table->string_count = table->stack_count = table->frame_count = 1;
	return 0;
}

int stele__table_init(struct stele__table *table)
{
	memset(table, 0, sizeof(*table));
	stele__idmap_init(&table->string_ids);
	stele__idmap_init(&table->stack_ids);
	stele__idmap_init(&table->frame_pcs);
	stele__idmap_init(&table->type_ids);
	return table_put_zero(table);
}

void stele__table_done(struct stele__table *table)
{
	stele__idmap_done(&table->string_ids);
	stele__idmap_done(&table->stack_ids);
	stele__idmap_done(&table->frame_pcs);
	stele__idmap_done(&table->type_ids);
	free(table->strings);
	free(table->stacks);
	free(table->frames);
	free(table->frame_refs);
	free(table->types);
	memset(table, 0, sizeof(*table));
}

void stele__table_clear(struct stele__table *table, struct stele__kept *kept)
{
	for (uint32_t i = 1; i < table->string_count && table->kept_count; i++) {
		if (!table->strings[i].kept)
			continue;
		stele__kept_release(kept, table->strings[i].kept);
		table->kept_count--;
	}
	stele__idmap_clear(&table->string_ids);
	stele__idmap_clear(&table->stack_ids);
	stele__idmap_clear(&table->frame_pcs);
	stele__idmap_clear(&table->type_ids);
	table->string_count = table->stack_count = table->frame_count = 1;
	table->frame_ref_count = table->type_count = 0;
	table->kept_count = 0;
	table->lenient = false;
}

static int table_add_string(struct stele__table *table, uint64_t id, uint64_t offset,
			    uint32_t bytes)
{
	int r = stele__vector_reserve(&table->strings, &table->string_capacity,
				      (uint64_t)table->string_count + 1, sizeof(*table->strings));

	if (r >= 0)
		r = stele__idmap_put(&table->string_ids, id, table->string_count);
	if (r < 0)
		return r;
	table->strings[table->string_count++] =
		(struct stele__table_string){.offset = offset, .bytes = bytes};
	return 0;
}

int stele__table_add_strings(struct stele__table *table, const uint8_t *payload, uint32_t bytes,
			     uint64_t offset, struct stele__fault *fault)
{
	struct stele_cursor c = stele__cursor(payload, bytes);

	stele__cursor_u8(&c); /* the marker */
	while (stele__cursor_left(&c)) {
		size_t at = stele__cursor_offset(&c);
		uint8_t type = stele__cursor_u8(&c);
		uint64_t id, length, place;
		int r;

		if (type != STELE_EV_STRING)
			return stele__fault_set(
				fault, STELE_E_CORRUPT, at,
				"byte %u in a string batch, where a String (5) must "
				"begin",
				type);
		id = stele__cursor_varint(&c);
		if (c.error)
			return stele__fault_cursor(fault, &c, "a string's id");
		length = stele__cursor_varint(&c);
		if (c.error)
			return stele__fault_cursor(fault, &c, "a string's length");
		if (length > STELE_STRING_BYTES_MAX)
			return stele__fault_set(fault, STELE_E_CORRUPT, at,
						"string %" PRIu64 " is %" PRIu64
						" bytes long, more than %d",
						id, length, STELE_STRING_BYTES_MAX);
		place = offset + stele__cursor_offset(&c);
		if (!stele__cursor_bytes(&c, length))
			return stele__fault_set(fault, STELE_E_CORRUPT, at,
						"the batch ends within the %" PRIu64
						" bytes of string %" PRIu64,
						length, id);
		if (id == 0 || stele__idmap_get(&table->string_ids, id))
			return stele__fault_set(fault, STELE_E_CORRUPT, at,
						"string %" PRIu64 " is defined twice", id);
		r = table_add_string(table, id, place, (uint32_t)length);
		if (r < 0)
			return stele__fault_set(fault, r, at, "no memory for strings");
	}
	return 0;
}

/* The index of the frame with this pc; the first record of a pc in the generation counts. */
static int table_add_frame(struct stele__table *table, const uint64_t field[4], uint64_t at,
			   struct stele__fault *fault, uint32_t *ret_frame)
{
	uint32_t known = stele__idmap_get(&table->frame_pcs, field[0]);
	int r;

	if (known) {
		*ret_frame = known;
		return 0;
	}
	r = stele__vector_reserve(&table->frames, &table->frame_capacity,
				  (uint64_t)table->frame_count + 1, sizeof(*table->frames));
	if (r >= 0)
		r = stele__idmap_put(&table->frame_pcs, field[0], table->frame_count);
	if (r < 0)
		return stele__fault_set(fault, r, at, "no memory for frames");
	*ret_frame = table->frame_count;
	table->frames[table->frame_count++] = (struct stele__table_frame){
		.pc = field[0], .line = field[3], .function = field[1], .file = field[2]};
	return 0;
}

const struct stele__table_frame *stele__table_resolve(struct stele__table *table,
						      uint64_t *ret_missing)
{
	const struct stele__table_frame *first = NULL;

	for (uint32_t i = 1; i < table->frame_count; i++) {
		struct stele__table_frame *frame = &table->frames[i];
		uint64_t *ids[] = {&frame->function, &frame->file};

		for (int k = 0; k < 2; k++) {
			uint64_t id = *ids[k];

			*ids[k] = stele__table_string_index(table, id);
			if (id && !*ids[k] && !first) {
				first = frame;
				*ret_missing = id;
			}
		}
	}
	return first;
}

static int table_add_stack(struct stele__table *table, struct stele_cursor *c, uint64_t at,
			   uint32_t frame_count, struct stele__fault *fault)
{
	int r = stele__vector_reserve(&table->frame_refs, &table->frame_ref_capacity,
				      (uint64_t)table->frame_ref_count + frame_count,
				      sizeof(*table->frame_refs));

	if (r < 0)
		return stele__fault_set(fault, r, at, "no memory for stacks");
	for (uint32_t i = 0; i < frame_count; i++) {
		static const char *const what[4] = {"a frame's pc", "a frame's function",
						    "a frame's file", "a frame's line"};
		uint64_t field[4];
		size_t frame_at = stele__cursor_offset(c);

		for (int k = 0; k < 4; k++) {
			field[k] = stele__cursor_varint(c);
			if (!c->error)
				continue;
			r = stele__fault_cursor(fault, c, what[k]);
			fault->soft = false; /* Go's reader sees this one */
			return r;
		}
		r = table_add_frame(table, field, frame_at, fault,
				    &table->frame_refs[table->frame_ref_count + i]);
		if (r < 0)
			return r;
	}
	return 0;
}

int stele__table_add_stacks(struct stele__table *table, const uint8_t *payload, uint32_t bytes,
			    struct stele__fault *fault)
{
	struct stele_cursor c = stele__cursor(payload, bytes);

	stele__cursor_u8(&c); /* the marker */
	while (stele__cursor_left(&c)) {
		size_t at = stele__cursor_offset(&c);
		uint8_t type = stele__cursor_u8(&c);
		uint64_t id, count;
		int r;

		if (type != STELE_EV_STACK)
			return stele__fault_set(fault, STELE_E_CORRUPT, at,
						"byte %u in a stack batch, where a Stack (3) must "
						"begin",
						type);
		id = stele__cursor_varint(&c);
		if (c.error)
			return stele__fault_cursor(fault, &c, "a stack's id");
		count = stele__cursor_varint(&c);
		if (c.error)
			return stele__fault_cursor(fault, &c, "a stack's frame count");
		if (count > STELE_STACK_FRAMES_MAX)
			return stele__fault_set(fault, STELE_E_CORRUPT, at,
						"stack %" PRIu64 " has %" PRIu64
						" frames, more than %d",
						id, count, STELE_STACK_FRAMES_MAX);
		r = table_add_stack(table, &c, at, (uint32_t)count, fault);
		if (r < 0)
			return r;
		if (id == 0 || stele__idmap_get(&table->stack_ids, id))
			return stele__fault_set(fault, STELE_E_CORRUPT, at,
						"stack %" PRIu64 " is defined twice", id);
		r = stele__vector_reserve(&table->stacks, &table->stack_capacity,
					  (uint64_t)table->stack_count + 1, sizeof(*table->stacks));
		if (r >= 0)
			r = stele__idmap_put(&table->stack_ids, id, table->stack_count);
		if (r < 0)
			return stele__fault_set(fault, r, at, "no memory for stacks");
		table->stacks[table->stack_count++] = (struct stele__table_stack){
			.first = table->frame_ref_count, .frame_count = (uint32_t)count};
		table->frame_ref_count += (uint32_t)count;
	}
	return 0;
}

int stele__table_add_types(struct stele__table *table, const uint8_t *payload, uint32_t bytes,
			   uint64_t offset, struct stele__fault *fault)
{
	struct stele_cursor c = stele__cursor(payload, bytes);

	stele__cursor_u8(&c); /* the kind */
	while (stele__cursor_left(&c)) {
		size_t at = stele__cursor_offset(&c);
		struct stele__table_type type = {0};
		uint64_t id = stele__cursor_varint(&c), length;
		int r;

		type.address = stele__cursor_varint(&c);
		type.size = stele__cursor_varint(&c);
		type.pointer_bytes = stele__cursor_varint(&c);
		length = stele__cursor_varint(&c);
		if (c.error)
			return stele__fault_cursor(fault, &c, "a type");
		type.name_offset = offset + stele__cursor_offset(&c);
		if (length > STELE_STRING_BYTES_MAX || !stele__cursor_bytes(&c, length))
			return stele__fault_set(fault, STELE_E_CORRUPT, at,
						"the name of type %" PRIu64 " is %" PRIu64
						" bytes long, beyond the batch or %d",
						id, length, STELE_STRING_BYTES_MAX);
		type.name_bytes = (uint32_t)length;
		if (id == 0 || stele__idmap_get(&table->type_ids, id))
			return stele__fault_set(fault, STELE_E_CORRUPT, at,
						"type %" PRIu64 " is defined twice", id);
		r = stele__vector_reserve(&table->types, &table->type_capacity,
					  (uint64_t)table->type_count + 1, sizeof(*table->types));
		if (r >= 0)
			r = stele__idmap_put(&table->type_ids, id, table->type_count + 1);
		if (r < 0)
			return stele__fault_set(fault, r, at, "no memory for types");
		table->types[table->type_count++] = type;
	}
	return 0;
}

int stele__table_add_sites(struct stele__table *table, const uint8_t *payload, uint32_t bytes,
			   struct stele__fault *fault)
{
	struct stele_cursor c = stele__cursor(payload, bytes);

	stele__cursor_u8(&c); /* the kind */
	while (stele__cursor_left(&c)) {
		size_t at = stele__cursor_offset(&c);
		uint64_t id = stele__cursor_varint(&c), stack = stele__cursor_varint(&c);
		uint32_t index = stele__idmap_get(&table->type_ids, id);

		if (c.error)
			return stele__fault_cursor(fault, &c, "an allocation site");
		if (!index)
			return stele__fault_set(fault, STELE_E_CORRUPT, at,
						"a site of type %" PRIu64 ", which is unknown", id);
		table->types[index - 1].stack = stack;
	}
	return 0;
}

int stele__table_keep(struct stele__table *table, const struct stele__window *window,
		      struct stele__kept *kept, uint32_t index, uint32_t *ret_handle)
{
	struct stele__table_string *string = &table->strings[index];

	if (!string->kept && string->bytes) {
		struct stele_string text = stele__table_text(table, window, index);
		int r = stele__kept_add(kept, text.data, string->bytes, &string->kept);

		if (r < 0)
			return r;
		table->kept_count++;
	}
	*ret_handle = string->kept;
	return 0;
}
