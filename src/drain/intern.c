/* SPDX-License-Identifier: MIT */
/*
 * The tables of the present generation: which strings, stacks and types its events use. Wire ids
 * count from 1 in each generation, in order of first use, so that they are short.
 *
 * A dictionary entry is marked in an array by its id; texts and types of our own carry their mark
 * themselves. A mark is valid if it names the present generation.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drain/machine.h"
#include "drain/syscall.h"

#define MARK_STACK (1u << 31)
#define MARKS_MIN  4096u
#define VECTOR_MIN 16u

int stele__tables_init(struct stele_drain_tables *tables)
{
	tables->batch = malloc(STELE_BATCH_BUFFER_BYTES);
	tables->pc_next = 1ull << 52; /* no architecture of ours has code there */
	return tables->batch ? stele__decimals_init(&tables->decimals) : -ENOMEM;
}

void stele__tables_done(struct stele_drain_tables *tables)
{
	free(tables->marks);
	free(tables->strings);
	free(tables->stacks);
	free(tables->types);
	stele__lookup_done(&tables->texts, free);
	stele__lookup_done(&tables->symbols, free);
	stele__lookup_done(&tables->pcs, NULL);
	stele__lookup_done(&tables->entries, free);
	stele__lookup_done(&tables->calls, free);
	stele__lookup_done(&tables->sites, free);
	for (uint32_t i = 0; i < tables->module_count; i++)
		free(tables->modules[i]);
	free(tables->modules);
	free(tables->batch);
	stele__decimals_done(&tables->decimals);
}

bool stele__vector_grow(struct stele_drain *d, void *vector, uint32_t count, uint32_t *max,
			size_t element_bytes)
{
	uint32_t bigger = *max ? *max * 2 : VECTOR_MIN;
	void *data, *old;

	if (count < *max)
		return true;
	memcpy(&old, vector, sizeof(old));
	data = bigger > *max ? realloc(old, bigger * element_bytes) : NULL;
	if (!data) {
		d->error = d->error ? d->error : -ENOMEM;
		return false;
	}
	memcpy(vector, &data, sizeof(data));
	*max = bigger;
	return true;
}

/* The mark of a dictionary id that exists; NULL: no memory. */
static struct stele_mark *intern_mark(struct stele_drain *d, uint32_t entry)
{
	struct stele_drain_tables *tables = &d->tables;
	uint64_t count = tables->mark_count ? tables->mark_count : MARKS_MIN;
	struct stele_mark *marks;

	if (STELE_LIKELY(entry < tables->mark_count))
		return &tables->marks[entry];
	while (count <= entry)
		count *= 2;
	marks = count <= UINT32_MAX ? realloc(tables->marks, count * sizeof(*marks)) : NULL;
	if (!marks) {
		d->error = d->error ? d->error : -ENOMEM;
		return NULL;
	}
	memset(marks + tables->mark_count, 0, (count - tables->mark_count) * sizeof(*marks));
	tables->marks = marks;
	tables->mark_count = (uint32_t)count;
	return &marks[entry];
}

static uint32_t intern_add_string(struct stele_drain *d, uint32_t entry,
				  struct stele_drain_text *text)
{
	struct stele_drain_tables *tables = &d->tables;

	if (!stele__vector_grow(d, &tables->strings, tables->string_count, &tables->string_max,
				sizeof(*tables->strings)))
		return 0;
	tables->strings[tables->string_count++] =
		(struct stele_string_use){entry, ++tables->string_ids, text};
	return tables->string_ids;
}

static uint32_t intern_add_stack(struct stele_drain *d, const struct stele_stack_use *use)
{
	struct stele_drain_tables *tables = &d->tables;

	if (!stele__vector_grow(d, &tables->stacks, tables->stack_count, &tables->stack_max,
				sizeof(*tables->stacks)))
		return 0;
	tables->stacks[tables->stack_count++] = *use;
	return tables->stack_count;
}

const char *stele__entry_string(struct stele_drain *d, uint32_t entry, uint32_t *ret_bytes)
{
	const struct stele_entry *e = stele__dictionary_get(d->arena, entry);
	uint32_t bytes;

	if (!e || e->kind != STELE_ENTRY_STRING)
		return NULL;
	/* Loaded once and checked again: the entry was valid, but may be being overwritten. */
	bytes = stele__load_relaxed(&e->length);
	*ret_bytes = bytes <= STELE_STRING_BYTES_MAX ? bytes : 0;
	return (const char *)(e + 1);
}

uint32_t stele__intern_string(struct stele_drain *d, uint32_t entry)
{
	struct stele_mark *mark;
	uint32_t bytes;

	if (STELE_LIKELY(entry < d->tables.mark_count)) {
		mark = &d->tables.marks[entry];
		if (mark->generation == d->generation)
			return mark->wire & MARK_STACK ? 0 : mark->wire;
	}
	if (!stele__entry_string(d, entry, &bytes))
		return 0;
	mark = intern_mark(d, entry);
	if (!mark)
		return 0;
	mark->wire = intern_add_string(d, entry, NULL);
	mark->generation = d->generation;
	return mark->wire;
}

static void intern_count_stack(struct stele_drain *d, const struct stele_entry *e)
{
	d->stats.stacks++;
	d->stats.stacks_truncated += (e->flags & STELE_STACK_TRUNCATED) != 0;
	d->stats.stacks_broken += (e->flags & STELE_STACK_BROKEN) != 0;
}

uint32_t stele__intern_stack(struct stele_drain *d, uint32_t entry)
{
	const struct stele_entry *e;
	struct stele_mark *mark;
	uint32_t wire;

	if (!entry)
		return 0;
	if (STELE_LIKELY(entry < d->tables.mark_count)) {
		mark = &d->tables.marks[entry];
		if (mark->generation == d->generation)
			return mark->wire & MARK_STACK ? mark->wire & ~MARK_STACK : 0;
	}
	e = stele__dictionary_get(d->arena, entry);
	if (!e || e->kind != STELE_ENTRY_STACK)
		return 0;
	mark = intern_mark(d, entry);
	wire = mark ? intern_add_stack(d, &(struct stele_stack_use){.entry = entry}) : 0;
	if (!wire)
		return 0;
	if (!mark->generation)
		intern_count_stack(d, e);
	*mark = (struct stele_mark){d->generation, wire | MARK_STACK};
	return wire;
}

/* A stack that is none of the dictionary's, known by a and b. */
static uint32_t intern_made_up(struct stele_drain *d, struct stele_lookup *known, uint64_t a,
			       uint64_t b, const struct stele_stack_use *use)
{
	struct stele_entry_mark *mark = stele__lookup_get(known, a, b);

	if (!mark) {
		mark = calloc(1, sizeof(*mark));
		if (!mark || stele__lookup_put(known, a, b, mark)) {
			free(mark);
			return 0;
		}
	}
	if (mark->generation != d->generation) {
		mark->wire = intern_add_stack(d, use);
		mark->generation = d->generation;
	}
	return mark->wire;
}

uint32_t stele__intern_entry(struct stele_drain *d, uint64_t pc)
{
	uint32_t epoch = stele__load_relaxed(&d->arena->module_epoch);
	const struct stele_stack_use use = {.epoch = epoch, .entry_pc = pc};

	return pc ? intern_made_up(d, &d->tables.entries, pc, epoch, &use) : 0;
}

uint32_t stele__intern_call(struct stele_drain *d, uint32_t entry, uint16_t call)
{
	const struct stele_stack_use use = {.entry = entry, .call = call};
	const struct stele_entry *e = entry ? stele__dictionary_get(d->arena, entry) : NULL;

	if (!stele__syscall_name(call))
		return stele__intern_stack(d, entry);
	if (!e || e->kind != STELE_ENTRY_STACK)
		return 0;
	if (!stele__lookup_get(&d->tables.calls, entry, call))
		intern_count_stack(d, e);
	return intern_made_up(d, &d->tables.calls, entry, call, &use);
}

static uint64_t text_hash(const char *data, size_t bytes)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ (uint8_t)data[i]) * 0x100000001b3ull;
	return hash;
}

struct stele_drain_text *stele__text(struct stele_drain *d, const char *data, size_t bytes)
{
	struct stele_drain_text *text;
	uint64_t hash;

	if (bytes > STELE_STRING_BYTES_MAX) {
		data += bytes - STELE_STRING_BYTES_MAX;
		bytes = STELE_STRING_BYTES_MAX;
	}
	/* Different texts of one hash take the next free number. */
	for (hash = text_hash(data, bytes);; hash++) {
		text = stele__lookup_get(&d->tables.texts, hash, bytes);
		if (!text)
			break;
		if (memcmp(text->data, data, bytes) == 0)
			return text;
	}
	text = malloc(sizeof(*text) + bytes + 1);
	if (!text || stele__lookup_put(&d->tables.texts, hash, bytes, text)) {
		d->error = d->error ? d->error : -ENOMEM;
		free(text);
		return NULL;
	}
	text->generation = 0;
	text->bytes = (uint32_t)bytes;
	memcpy(text->data, data, bytes);
	text->data[bytes] = 0;
	return text;
}

uint32_t stele__intern_text(struct stele_drain *d, struct stele_drain_text *text)
{
	if (!text || !text->bytes)
		return 0;
	if (text->generation != d->generation) {
		text->wire = intern_add_string(d, 0, text);
		text->generation = d->generation;
	}
	return text->wire;
}

uint32_t stele__intern_wait(struct stele_drain *d, unsigned wait)
{
	struct stele_drain_text **text;

	if (wait >= STELE__WAIT_COUNT)
		wait = STELE_WAIT_CODE_UNSPECIFIED;
	text = &d->tables.waits[wait];
	if (STELE_UNLIKELY(!*text))
		*text = stele__text(d, stele__wait_texts[wait], strlen(stele__wait_texts[wait]));
	return stele__intern_text(d, *text);
}

/* The site in this generation's table; NULL: no memory. */
static struct stele_drain_type *intern_site(struct stele_drain *d, uint64_t size, uint32_t stack)
{
	struct stele_drain_tables *tables = &d->tables;
	struct stele_drain_type *type = stele__lookup_get(&tables->sites, size, stack);

	if (!type) {
		type = calloc(1, sizeof(*type));
		if (!type || stele__lookup_put(&tables->sites, size, stack, type)) {
			free(type);
			return NULL;
		}
		*type = (struct stele_drain_type){
			.size = size, .stack = stack, .address = ++tables->type_next};
	}
	if (type->generation == d->generation)
		return type;
	if (!stele__vector_grow(d, &tables->types, tables->type_count, &tables->type_max,
				sizeof(struct stele_drain_type *)))
		return NULL;
	tables->types[tables->type_count++] = type;
	type->wire_stack = stele__intern_stack(d, stack);
	type->generation = d->generation;
	type->wire = tables->type_count;
	return type;
}

/* Sites that were used a moment ago are found without a search; types live as long as the drain. */
uint32_t stele__intern_type(struct stele_drain *d, uint64_t size, uint32_t stack)
{
	struct stele_drain_type **recent =
		&d->tables.sites_recent[(size ^ stack * 0x9e3779b1u) % STELE_SITES_RECENT];
	struct stele_drain_type *type = *recent;

	if (STELE_LIKELY(type && type->size == size && type->stack == stack &&
			 type->generation == d->generation))
		return type->wire;
	type = intern_site(d, size, stack);
	if (!type)
		return 0;
	*recent = type;
	return type->wire;
}
