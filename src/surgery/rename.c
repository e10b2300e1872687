/* SPDX-License-Identifier: MIT */
/*
 * A generation's batches lie together in the file, its tables anywhere among them. So each is gone
 * through twice: first for its strings and modules, then to copy it. New strings get ids behind
 * those that are there, and a batch of their own at the generation's end.
 */
#include "surgery/rename.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "format/encode.h"
#include "surgery/batches.h"

#define PC_MADE_UP  (1ull << 52) /* from here on: frames that share a pc with another */
#define INLINED_MAX 16

struct rename_string {
	uint64_t id;
	struct stele_string text;
};

/* New strings: an open hash table of their numbers, by text. */
struct rename_added {
	struct stele_string *texts; /* copies of our own */
	uint32_t count, capacity;
	uint32_t *cells; /* number + 1; 0: free */
	uint32_t mask;
};

struct rename_job {
	const struct stele_renamer *renamer;
	struct stele_rename_stats *stats;
	struct stele_cursor at;		  /* the next generation */
	struct stele__batches generation; /* the present one; new strings come before its mark */
	unsigned version;
	struct rename_string *strings;
	size_t string_count, string_capacity;
	uint64_t string_max;
	struct rename_added added;
	uint64_t pc_next;
	uint8_t *buffer; /* STELE_BATCH_BUFFER_BYTES */
	int error;
};

static int rename_put(struct rename_job *j, const void *data, size_t bytes)
{
	if (!j->error && bytes)
		j->error = j->renamer->write(j->renamer->arg, data, bytes);
	return j->error;
}

static void rename_flush(struct rename_job *j, struct stele_batch *b)
{
	bool empty = stele__batch_is_empty(b);
	size_t bytes = stele__batch_end(b);

	if (!empty)
		rename_put(j, b->data, bytes);
}

/* Strings ------------------------------------------------------------------------------------ */

static int strings_add(struct rename_job *j, uint64_t id, const uint8_t *data, size_t bytes)
{
	if (j->string_count == j->string_capacity) {
		size_t capacity = j->string_capacity ? j->string_capacity * 2 : 1024;
		void *grown = realloc(j->strings, capacity * sizeof(*j->strings));

		if (!grown)
			return -ENOMEM;
		j->strings = grown;
		j->string_capacity = capacity;
	}
	j->strings[j->string_count++] = (struct rename_string){id, {(const char *)data, bytes}};
	if (id > j->string_max)
		j->string_max = id;
	return 0;
}

static int strings_compare(const void *a, const void *b)
{
	const struct rename_string *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static struct stele_string strings_find(const struct rename_job *j, uint64_t id)
{
	size_t low = 0, high = j->string_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (j->strings[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < j->string_count && j->strings[low].id == id)
		return j->strings[low].text;
	return (struct stele_string){"", 0};
}

static uint32_t added_hash(const char *text, size_t bytes)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3ull;
	return (uint32_t)(hash >> 32 ^ hash);
}

static int added_grow(struct rename_added *a)
{
	uint32_t capacity = a->capacity ? a->capacity * 2 : 256;
	struct stele_string *texts = realloc(a->texts, capacity * sizeof(*texts));
	uint32_t *cells = calloc(capacity * 2, sizeof(*cells));

	if (texts)
		a->texts = texts;
	if (!texts || !cells) {
		free(cells);
		return -ENOMEM;
	}
	free(a->cells);
	a->cells = cells;
	a->capacity = capacity;
	a->mask = capacity * 2 - 1;
	for (uint32_t i = 0; i < a->count; i++) {
		uint32_t at = added_hash(texts[i].data, texts[i].bytes) & a->mask;

		while (cells[at])
			at = (at + 1) & a->mask;
		cells[at] = i + 1;
	}
	return 0;
}

/* The id of a new string; 0 with j->error set: no memory. */
static uint64_t added_intern(struct rename_job *j, const char *text)
{
	size_t bytes = strnlen(text, STELE_STRING_BYTES_MAX);
	struct rename_added *a = &j->added;
	uint32_t at;
	char *copy;

	if (!bytes)
		return 0;
	if (a->count == a->capacity && added_grow(a) < 0) {
		j->error = -ENOMEM;
		return 0;
	}
	for (at = added_hash(text, bytes) & a->mask; a->cells[at]; at = (at + 1) & a->mask) {
		const struct stele_string *known = &a->texts[a->cells[at] - 1];

		if (known->bytes == bytes && memcmp(known->data, text, bytes) == 0)
			return j->string_max + a->cells[at];
	}
	copy = malloc(bytes);
	if (!copy) {
		j->error = -ENOMEM;
		return 0;
	}
	memcpy(copy, text, bytes);
	a->texts[a->count++] = (struct stele_string){copy, bytes};
	a->cells[at] = a->count;
	return j->string_max + a->count;
}

static void added_clear(struct rename_added *a)
{
	for (uint32_t i = 0; i < a->count; i++)
		free((char *)a->texts[i].data);
	free(a->texts);
	free(a->cells);
	*a = (struct rename_added){0};
}

static void added_write(struct rename_job *j)
{
	struct stele_batch b = stele__batch(j->buffer, STELE_BATCH_BUFFER_BYTES);

	stele__batch_begin(&b, j->generation.number, STELE_NO_ID, j->generation.time);
	for (uint32_t i = 0; i < j->added.count; i++) {
		const struct stele_string *text = &j->added.texts[i];
		uint64_t id = j->string_max + 1 + i;

		if (stele__batch_string(&b, id, text->data, text->bytes) == 0)
			continue;
		rename_flush(j, &b);
		stele__batch_begin(&b, j->generation.number, STELE_NO_ID, j->generation.time);
		stele__batch_string(&b, id, text->data, text->bytes);
	}
	rename_flush(j, &b);
}

/* First pass --------------------------------------------------------------------------------- */

static void modules_tell(struct rename_job *j, const struct stele_wire_entry *e)
{
	struct stele_experiment_batch batch = {(uint8_t)e->args[0], e->args[2], 0, e->data,
					       e->data_bytes};
	struct stele_data_item item;
	size_t at = 0;

	if (e->data_bytes == 0 || e->data[0] != 0x53)
		return;
	while (stele_data_next(&batch, &at, &item) > 0)
		if (item.tag == STELE_DATA_MODULE && item.value_count >= 5 && item.text_count >= 2)
			j->renamer->module(j->renamer->arg, &item);
}

static int generation_entry(void *arg, const struct stele_wire_entry *e)
{
	struct rename_job *j = arg;

	if (e->type == STELE_EV_EXPERIMENTAL_BATCH)
		modules_tell(j, e);
	return e->type == STELE_EV_STRING ? strings_add(j, e->args[0], e->data, e->data_bytes) : 0;
}

/* The generation at j->at. 1: there is one; 0: none; else the defect. */
static int generation_read(struct rename_job *j)
{
	int got;

	j->string_count = 0;
	j->string_max = 0;
	got = stele__batches_read(j->at, j->version, generation_entry, j, &j->generation);
	if (got > 0 && j->string_count)
		qsort(j->strings, j->string_count, sizeof(*j->strings), strings_compare);
	return got;
}

/* Second pass -------------------------------------------------------------------------------- */

/* One old frame becomes one or more; returns how many. */
static size_t frame_write(struct rename_job *j, const struct stele_wire_frame *old,
			  struct stele_wire_frame *frames, size_t max)
{
	struct stele_old_frame asked = {old->pc < PC_MADE_UP ? old->pc : 0, old->line,
					strings_find(j, old->func), strings_find(j, old->file)};
	struct stele_new_frame names[INLINED_MAX];
	size_t count = asked.function.bytes && asked.pc
			       ? j->renamer->rename(j->renamer->arg, &asked, names, INLINED_MAX)
			       : 0;

	j->stats->frames++;
	frames[0] = *old;
	if (!count)
		return 1;
	j->stats->renamed++;
	if (count > max)
		count = max;
	for (size_t i = 0; i < count; i++)
		frames[i] = (struct stele_wire_frame){
			.pc = i ? j->pc_next++ : old->pc,
			.func = added_intern(j, names[i].function ? names[i].function : "?"),
			.file = added_intern(j, names[i].file ? names[i].file : ""),
			.line = names[i].line};
	return count;
}

static void stack_write(struct rename_job *j, struct stele_batch *b,
			const struct stele_wire_entry *e)
{
	struct stele_cursor c = stele__cursor(e->frames, e->frames_bytes);
	struct stele_wire_frame frames[STELE_STACK_FRAMES_MAX];
	size_t count = 0;

	for (uint64_t i = 0; i < e->args[1] && count < STELE_STACK_FRAMES_MAX; i++) {
		struct stele_wire_frame old = stele__entry_frame(&c);

		count += frame_write(j, &old, frames + count, STELE_STACK_FRAMES_MAX - count);
	}
	if (stele__batch_stack(b, e->args[0], frames, count) == 0)
		return;
	rename_flush(j, b);
	stele__batch_begin(b, j->generation.number, STELE_NO_ID, j->generation.time);
	stele__batch_stack(b, e->args[0], frames, count);
}

/* The entries behind a batch of stacks up to `end`. */
static void stacks_write(struct rename_job *j, struct stele_cursor c)
{
	struct stele_batch b = stele__batch(j->buffer, STELE_BATCH_BUFFER_BYTES);
	struct stele_wire_entry e;

	stele__batch_begin(&b, j->generation.number, STELE_NO_ID, j->generation.time);
	while (stele__entry_next(&c, j->version, &e) > 0)
		if (e.type == STELE_EV_STACK)
			stack_write(j, &b, &e);
	rename_flush(j, &b);
}

static bool type_take(struct stele_cursor *c, uint64_t fields[4], struct stele_string *name)
{
	uint64_t bytes;

	for (unsigned i = 0; i < 4; i++)
		fields[i] = stele__cursor_varint(c);
	bytes = stele__cursor_varint(c);
	name->data = (const char *)stele__cursor_bytes(c, bytes);
	name->bytes = (size_t)bytes;
	return name->data != NULL;
}

static void types_begin(struct rename_job *j, struct stele_batch *b)
{
	stele__batch_begin_experimental(b, 1, j->generation.number, STELE_NO_ID,
					j->generation.time);
	stele__batch_varint(b, 0);
}

/* Allocation sites are named by their innermost function. */
static void types_write(struct rename_job *j, const struct stele_wire_entry *e)
{
	struct stele_cursor c = stele__cursor(e->data + 1, e->data_bytes - 1);
	struct stele_batch b = stele__batch(j->buffer, STELE_BATCH_BUFFER_BYTES);
	struct stele_old_frame asked = {0};
	struct stele_new_frame names[INLINED_MAX];
	uint64_t fields[4];

	types_begin(j, &b);
	while (stele__cursor_left(&c) && type_take(&c, fields, &asked.function)) {
		struct stele_string name = asked.function;

		asked.file = (struct stele_string){"", 0};
		if (j->renamer->rename(j->renamer->arg, &asked, names, INLINED_MAX))
			name = (struct stele_string){names[0].function,
						     strnlen(names[0].function, 1024)};
		if (stele__batch_room(&b) < name.bytes + 5 * STELE_VARINT_BYTES_MAX) {
			rename_flush(j, &b);
			types_begin(j, &b);
		}
		for (unsigned i = 0; i < 4; i++)
			stele__batch_varint(&b, fields[i]);
		stele__batch_varint(&b, name.bytes);
		stele__batch_bytes(&b, name.data, name.bytes);
	}
	rename_flush(j, &b);
}

/* The batch that begins with entry e and ends at `end`, copied or written anew. */
static void batch_write(void *arg, const struct stele_wire_entry *e, const uint8_t *end)
{
	struct rename_job *j = arg;
	const uint8_t *payload = e->bytes + e->size;

	if (e->type == STELE_EV_EVENT_BATCH && payload < end && *payload == STELE_EV_STACKS)
		stacks_write(j, stele__cursor(payload, (size_t)(end - payload)));
	else if (e->type == STELE_EV_EXPERIMENTAL_BATCH && e->args[0] == 1 && e->data_bytes &&
		 e->data[0] == 0)
		types_write(j, e);
	else
		rename_put(j, e->bytes, (size_t)(end - e->bytes));
}

static void generation_write(struct rename_job *j)
{
	const struct stele__batches *g = &j->generation;

	stele__batches_tell(g, j->version, batch_write, j);
	added_write(j);
	added_clear(&j->added);
	rename_put(j, g->mark, (size_t)(g->end - g->mark));
	j->stats->generations++;
}

static int rename_all(struct rename_job *j)
{
	int got;

	while ((got = generation_read(j)) > 0) {
		generation_write(j);
		if (j->error)
			return j->error;
		j->at.at = j->generation.end;
	}
	if (got < 0) /* what is whole of a damaged generation goes as it is */
		rename_put(j, j->at.at, (size_t)(j->generation.end - j->at.at));
	return j->error ? j->error : got;
}

int stele__rename(const void *data, size_t bytes, const struct stele_renamer *renamer,
		  struct stele_rename_stats *ret_stats)
{
	struct rename_job j = {.renamer = renamer,
			       .stats = ret_stats,
			       .at = stele__cursor(data, bytes),
			       .pc_next = PC_MADE_UP + (1ull << 40)};
	int version = bytes >= STELE_HEADER_BYTES ? stele__header_get(data) : STELE_E_NOT_TRACE;

	*ret_stats = (struct stele_rename_stats){0};
	if (version < 0)
		return version;
	j.version = (unsigned)version;
	j.buffer = malloc(STELE_BATCH_BUFFER_BYTES);
	if (!j.buffer)
		return -ENOMEM;
	rename_put(&j, data, STELE_HEADER_BYTES);
	j.at.at += STELE_HEADER_BYTES;
	j.error = rename_all(&j);
	ret_stats->offset = (uint64_t)(j.generation.end ? j.generation.end - (const uint8_t *)data
							: STELE_HEADER_BYTES);
	added_clear(&j.added);
	free(j.strings);
	free(j.buffer);
	return j.error;
}
