/* SPDX-License-Identifier: MIT */
/*
 * A frame without a name is "module+0xOFFSET" with the module's path as its file (docs/format.md);
 * one whose name came from a symbol table has that file, too, and no line. Both have an address in
 * the file. Each module is given to the symbolizer as if it were mapped at a place of its own, so
 * that the many maps of a trace with exec and dlopen need not be told apart.
 */
#include "supervise/afterwards.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACE_BYTES (1ull << 40)
#define MODULES_MAX 65536

struct afterwards_module {
	struct stele_module module; /* as it was mapped last */
	char *path;
	uint64_t unnamed;
	bool found; /* some name was: the file, or its debugging information, is there */
};

struct stele_afterwards {
	struct stele_symbols *symbols;
	struct stele_symbolizer symbolizer;
	struct afterwards_module *modules;
	size_t count, capacity;
};

struct stele_afterwards *stele__afterwards_new(const struct stele_binary_places *places)
{
	struct stele_afterwards *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->symbols = stele__symbols_new();
	if (!a->symbols) {
		free(a);
		return NULL;
	}
	stele__symbols_set_places(a->symbols, places);
	a->symbolizer = stele__symbols_symbolizer(a->symbols);
	return a;
}

static uint64_t place_of(size_t index)
{
	return (index + 1) * PLACE_BYTES;
}

static bool module_is(const struct afterwards_module *m, const struct stele_module *module)
{
	return m->module.build_id_bytes == module->build_id_bytes &&
	       memcmp(m->module.build_id, module->build_id, module->build_id_bytes) == 0 &&
	       strlen(m->path) == module->path_bytes &&
	       memcmp(m->path, module + 1, module->path_bytes) == 0;
}

/* Tells the symbolizer of a module at its place. */
static bool module_announce(struct stele_afterwards *a, size_t index)
{
	struct afterwards_module *m = &a->modules[index];
	struct stele_module *entry = malloc(sizeof(*entry) + m->module.path_bytes);

	if (!entry)
		return false;
	*entry = m->module;
	entry->start = entry->bias = place_of(index);
	entry->end = entry->start + PLACE_BYTES;
	memcpy(entry + 1, m->path, m->module.path_bytes);
	a->symbolizer.module(a->symbolizer.arg, 0, true, entry);
	free(entry);
	return true;
}

bool stele__afterwards_add(struct stele_afterwards *a, const struct stele_module *module)
{
	if (module->path_bytes == 0 || module->path_bytes > PATH_MAX ||
	    module->build_id_bytes > sizeof(module->build_id) || a->count >= MODULES_MAX)
		return true; /* of no use, and no harm */
	for (size_t i = 0; i < a->count; i++) {
		if (!module_is(&a->modules[i], module))
			continue;
		a->modules[i].module = *module;
		return true;
	}
	if (a->count == a->capacity) {
		size_t capacity = a->capacity ? a->capacity * 2 : 64;
		void *grown = realloc(a->modules, capacity * sizeof(*a->modules));

		if (!grown)
			return false;
		a->modules = grown;
		a->capacity = capacity;
	}
	a->modules[a->count] = (struct afterwards_module){
		.module = *module, .path = strndup((const char *)(module + 1), module->path_bytes)};
	return a->modules[a->count].path && module_announce(a, a->count++);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* "module+0xOFFSET" taken apart; false: it is a name. */
static bool offset_parse(const struct stele_afterwards_frame *frame, size_t *ret_name_bytes,
			 uint64_t *ret_offset)
{
	uint64_t offset = 0;
	size_t at = frame->function_bytes, digits = 0;

	for (; at > 0 && digits <= 16; at--, digits++) {
		char c = frame->function[at - 1];
		unsigned digit;

		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (unsigned)(c - 'a' + 10);
		else
			break;
		offset |= (uint64_t)digit << (4 * digits);
	}
	if (digits == 0 || digits > 16 || at < 4 || memcmp(frame->function + at - 3, "+0x", 3) != 0)
		return false;
	*ret_name_bytes = at - 3;
	*ret_offset = offset;
	return true;
}

/* The newest module that the frame can be of; NULL: none. */
static struct afterwards_module *module_of(struct stele_afterwards *a,
					   const struct stele_afterwards_frame *frame,
					   uint64_t *ret_address)
{
	size_t name_bytes = 0;
	bool offset = offset_parse(frame, &name_bytes, ret_address);

	if (!offset && (frame->line || !frame->file_bytes || !frame->pc))
		return NULL;
	for (size_t i = a->count; i-- > 0;) {
		struct afterwards_module *m = &a->modules[i];
		const char *base = base_name(m->path);

		if (frame->file_bytes && (strlen(m->path) != frame->file_bytes ||
					  memcmp(m->path, frame->file, frame->file_bytes) != 0))
			continue;
		if (offset && strlen(base) == name_bytes &&
		    memcmp(base, frame->function, name_bytes) == 0)
			return m;
		if (!offset && frame->pc >= m->module.start && frame->pc < m->module.end) {
			*ret_address = frame->pc - m->module.bias;
			return m;
		}
	}
	return NULL;
}

/* Do the new names say more than the old ones? */
static bool is_better(const struct stele_afterwards_frame *old, const struct stele_frame *new_)
{
	return new_->function && (new_->line || strlen(new_->function) != old->function_bytes ||
				  memcmp(new_->function, old->function, old->function_bytes) != 0);
}

size_t stele__afterwards_rename(struct stele_afterwards *a,
				const struct stele_afterwards_frame *frame,
				struct stele_frame *ret_frames, size_t max)
{
	uint64_t address;
	struct afterwards_module *m = module_of(a, frame, &address);
	size_t count;

	if (!m || address >= PLACE_BYTES)
		return 0;
	count = a->symbolizer.resolve(a->symbolizer.arg, 0,
				      place_of((size_t)(m - a->modules)) + address, ret_frames,
				      max);
	m->found |= count && ret_frames[0].function;
	if (count && is_better(frame, &ret_frames[0]))
		return count;
	m->unnamed++;
	return 0;
}

size_t stele__afterwards_count(const struct stele_afterwards *a)
{
	return a->count;
}

struct stele_afterwards_module stele__afterwards_module(const struct stele_afterwards *a,
							size_t index)
{
	const struct afterwards_module *m = &a->modules[index];

	return (struct stele_afterwards_module){m->path, m->unnamed, m->found};
}

void stele__afterwards_free(struct stele_afterwards *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->count; i++)
		free(a->modules[i].path);
	free(a->modules);
	stele__symbols_free(a->symbols);
	free(a);
}
