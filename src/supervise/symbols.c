/* SPDX-License-Identifier: MIT */
#include "supervise/symbols.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervise/binary.h"
#include "supervise/elffile.h"
#include "supervise/sharedmemory.h"
#include "sys/sys.h"

#define SYMBOLS_FRAMES_MAX 16
#define SYMBOLS_MAPS_MAX   65536
#define SYMBOLS_CACHE_MAX  (1u << 18) /* addresses; then the cache is emptied */

/* Where a binary was mapped, from an epoch on. Never removed: later ones at the same addresses
 * have later epochs. */
struct symbols_map {
	uint64_t start, end, bias;
	uint32_t epoch;
	uint32_t gone; /* the first epoch in which it is not there any more */
	struct stele_binary *binary;
	uint64_t nameless;
};

/* What is known of one address: frames[count] follows. */
struct symbols_entry {
	struct symbols_entry *next; /* in its bucket */
	struct stele_binary *binary;
	uint64_t address;
	uint32_t count;
	struct stele_frame frames[];
};

#define SYMBOLS_BUCKETS 8192

typedef char *symbols_demangle_fn(const char *mangled, char *buffer, size_t *length, int *status);

struct stele_symbols {
	struct stele_binary_places places;
	struct symbols_map *maps;
	size_t map_count, map_capacity;
	struct stele_binary **binaries; /* owned; maps point to them */
	size_t binary_count, binary_capacity;
	struct symbols_entry *buckets[SYMBOLS_BUCKETS];
	size_t entry_count;
	symbols_demangle_fn *demangle;
	char *variable; /* the last one's name */
	struct stele_sharedmemory shared;
	struct stele_symbols_stats stats;
};

/* C++'s runtime is taken if it is there: a traced C++ program has brought it to this machine. */
static symbols_demangle_fn *symbols_find_demangler(void)
{
	void *library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_LOCAL);
	symbols_demangle_fn *function = NULL;

	if (library)
		*(void **)&function = dlsym(library, "__cxa_demangle");
	return function;
}

struct stele_symbols *stele__symbols_new(void)
{
	return calloc(1, sizeof(struct stele_symbols));
}

void stele__symbols_set_process(struct stele_symbols *symbols, int pid)
{
	symbols->places.pid = pid;
}

void stele__symbols_set_places(struct stele_symbols *symbols,
			       const struct stele_binary_places *places)
{
	symbols->places = *places;
}

/* Makes room for one more of an array of pointers or maps. */
static bool symbols_grow(void **items, size_t *capacity, size_t count, size_t item_bytes)
{
	size_t wanted = *capacity ? *capacity * 2 : 64;
	void *grown;

	if (count < *capacity)
		return true;
	grown = wanted <= SYMBOLS_MAPS_MAX ? realloc(*items, wanted * item_bytes) : NULL;
	if (!grown)
		return false;
	*items = grown;
	*capacity = wanted;
	return true;
}

/* The binary of a module entry: one for all the times and processes it was loaded. */
static struct stele_binary *symbols_binary(struct stele_symbols *symbols,
					   const struct stele_module *module)
{
	const char *path = (const char *)(module + 1);
	struct stele_binary *binary;

	for (size_t i = symbols->binary_count; i-- > 0;)
		if (stele__binary_is(symbols->binaries[i], module, path))
			return symbols->binaries[i];
	if (!symbols_grow((void **)&symbols->binaries, &symbols->binary_capacity,
			  symbols->binary_count, sizeof(*symbols->binaries)))
		return NULL;
	binary = stele__binary_open(&symbols->places, module, path);
	if (binary)
		symbols->binaries[symbols->binary_count++] = binary;
	return binary;
}

void stele__symbols_prepare(struct stele_symbols *symbols, const char *path)
{
	struct {
		struct stele_module module;
		char path[PATH_MAX];
	} entry = {0};
	int fd = realpath(path, entry.path) ? open(entry.path, O_RDONLY | O_CLOEXEC) : -1;
	struct stele_binary *binary;
	struct stele_elffile elf;

	if (fd < 0)
		return;
	if (stele__elffile_read(fd, &elf) == 0) {
		entry.module.build_id_bytes = elf.build_id_bytes;
		memcpy(entry.module.build_id, elf.build_id, elf.build_id_bytes);
		entry.module.path_bytes = (uint32_t)strlen(entry.path);
		binary = symbols_binary(symbols, &entry.module);
		if (binary)
			stele__binary_prepare(binary);
	}
	close(fd);
}

/* Where there is no memory for it, its addresses stay without names. */
static void symbols_load(struct stele_symbols *symbols, uint32_t epoch,
			 const struct stele_module *module)
{
	struct symbols_map map = {
		module->start, module->end, module->bias, epoch, UINT32_MAX, NULL, 0};

	if (!symbols_grow((void **)&symbols->maps, &symbols->map_capacity, symbols->map_count,
			  sizeof(map)))
		return;
	map.binary = symbols_binary(symbols, module);
	if (map.binary)
		symbols->maps[symbols->map_count++] = map;
}

static void symbols_unload(struct stele_symbols *symbols, uint32_t epoch,
			   const struct stele_module *module)
{
	for (size_t i = symbols->map_count; i-- > 0;) {
		struct symbols_map *map = &symbols->maps[i];

		if (map->start == module->start && map->gone == UINT32_MAX && map->epoch < epoch) {
			map->gone = epoch;
			return;
		}
	}
}

static void symbols_module(void *arg, uint32_t epoch, bool loaded,
			   const struct stele_module *module)
{
	struct stele_symbols *symbols = arg;

	if (module->path_bytes > PATH_MAX || module->end <= module->start)
		return;
	if (loaded)
		symbols_load(symbols, epoch, module);
	else
		symbols_unload(symbols, epoch, module);
}

/* The newest map that was there in the epoch; one that is entered late counts from the start. */
static struct symbols_map *symbols_map_find(struct stele_symbols *symbols, uint32_t epoch,
					    uint64_t pc)
{
	struct symbols_map *later = NULL;

	for (size_t i = symbols->map_count; i-- > 0;) {
		struct symbols_map *map = &symbols->maps[i];

		if (pc < map->start || pc >= map->end || epoch >= map->gone)
			continue;
		if (map->epoch <= epoch)
			return map;
		later = map;
	}
	return later;
}

/* The name to show, in memory of its own; NULL: no memory. */
static char *symbols_name(struct stele_symbols *symbols, const char *mangled, const char *plain)
{
	if (mangled[0] == '_' && mangled[1] == 'Z') {
		int status = -1;
		char *name;

		if (!symbols->demangle)
			symbols->demangle = symbols_find_demangler();
		name = symbols->demangle ? symbols->demangle(mangled, NULL, NULL, &status) : NULL;
		if (name && status == 0)
			return name;
	}
	return strdup(plain);
}

static char *symbols_function(struct stele_symbols *symbols, const struct stele_place *place)
{
	if (!place->function)
		return NULL;
	return symbols_name(symbols, place->linkage ? place->linkage : place->function,
			    place->function);
}

static struct symbols_entry *symbols_look_up(struct stele_symbols *symbols, struct symbols_map *map,
					     uint64_t address)
{
	struct stele_place places[SYMBOLS_FRAMES_MAX];
	size_t count = stele__binary_find(map->binary, address, places, SYMBOLS_FRAMES_MAX);
	struct symbols_entry *entry;

	if (count && !places[0].function)
		count = 0; /* a line without a function */
	map->nameless += count == 0;
	entry = malloc(sizeof(*entry) + count * sizeof(entry->frames[0]));
	if (!entry)
		return NULL;
	*entry = (struct symbols_entry){NULL, map->binary, address, (uint32_t)count};
	for (size_t i = 0; i < count; i++)
		entry->frames[i] = (struct stele_frame){
			.function = symbols_function(symbols, &places[i]),
			.file = places[i].file,
			.line = places[i].line > 0 ? (uint32_t)places[i].line : 0};
	return entry;
}

static void symbols_forget(struct stele_symbols *symbols)
{
	for (size_t b = 0; b < SYMBOLS_BUCKETS; b++) {
		for (struct symbols_entry *entry = symbols->buckets[b], *next; entry;
		     entry = next) {
			next = entry->next;
			for (uint32_t i = 0; i < entry->count; i++)
				free((char *)entry->frames[i].function);
			free(entry);
		}
		symbols->buckets[b] = NULL;
	}
	symbols->entry_count = 0;
}

static struct symbols_entry **symbols_bucket(struct stele_symbols *symbols,
					     const struct stele_binary *binary, uint64_t address)
{
	uint64_t hash = (address ^ (uintptr_t)binary >> 4) * 0x9e3779b97f4a7c15ull;

	return &symbols->buckets[hash >> 32 & (SYMBOLS_BUCKETS - 1)];
}

static const struct symbols_entry *symbols_entry_of(struct stele_symbols *symbols,
						    struct symbols_map *map, uint64_t address)
{
	struct symbols_entry **bucket = symbols_bucket(symbols, map->binary, address);
	struct symbols_entry *entry;
	uint64_t begin;

	for (entry = *bucket; entry; entry = entry->next)
		if (entry->address == address && entry->binary == map->binary)
			return entry;
	if (symbols->entry_count >= SYMBOLS_CACHE_MAX)
		symbols_forget(symbols);
	begin = stele__sys_monotonic_ns();
	entry = symbols_look_up(symbols, map, address);
	symbols->stats.spent_ns += stele__sys_monotonic_ns() - begin;
	symbols->stats.addresses++;
	if (entry) {
		entry->next = *bucket;
		*bucket = entry;
		symbols->entry_count++;
	}
	return entry;
}

static size_t symbols_resolve(void *arg, uint32_t epoch, uint64_t pc, struct stele_frame *frames,
			      size_t max)
{
	struct stele_symbols *symbols = arg;
	struct symbols_map *map = symbols_map_find(symbols, epoch, pc);
	const struct symbols_entry *entry;
	size_t count;

	if (!map)
		return 0;
	entry = symbols_entry_of(symbols, map, pc - map->bias);
	if (!entry)
		return 0;
	count = entry->count < max ? entry->count : max;
	memcpy(frames, entry->frames, count * sizeof(frames[0]));
	return count;
}

/* "name", or "name+0x10" of what lies within it. */
static const char *symbols_variable(void *arg, uint32_t epoch, uint64_t address)
{
	struct stele_symbols *symbols = arg;
	const struct symbols_map *map = symbols_map_find(symbols, epoch, address);
	const char *name;
	uint64_t begin;
	char *plain;

	if (!map)
		return NULL;
	address -= map->bias;
	name = stele__binary_variable(map->binary, address, &begin);
	if (!name)
		return NULL;
	free(symbols->variable);
	symbols->variable = plain = symbols_name(symbols, name, name);
	if (!plain || address == begin)
		return plain;
	if (asprintf(&symbols->variable, "%s+0x%llx", plain,
		     (unsigned long long)(address - begin)) < 0)
		symbols->variable = NULL;
	free(plain);
	return symbols->variable;
}

static const char *symbols_shared(void *arg, uint32_t pid, uint32_t images, uint64_t address,
				  uint64_t *ret_offset)
{
	struct stele_symbols *symbols = arg;

	return stele__sharedmemory_find(&symbols->shared, pid, images, address, ret_offset);
}

struct stele_symbolizer stele__symbols_symbolizer(struct stele_symbols *symbols)
{
	return (struct stele_symbolizer){symbols_resolve, symbols_module, symbols_variable,
					 symbols_shared, symbols};
}

void stele__symbols_stats(const struct stele_symbols *symbols,
			  struct stele_symbols_stats *ret_stats)
{
	struct stele_symbols_stats stats = symbols->stats;

	for (size_t i = 0; i < symbols->map_count; i++) {
		const struct symbols_map *map = &symbols->maps[i];

		if (map->nameless > stats.worst_count) {
			const char *path = stele__binary_path(map->binary);
			const char *slash = strrchr(path, '/');

			stats.worst = slash ? slash + 1 : path;
			stats.worst_count = map->nameless;
		}
	}
	*ret_stats = stats;
}

void stele__symbols_free(struct stele_symbols *symbols)
{
	if (!symbols)
		return;
	symbols_forget(symbols);
	for (size_t i = 0; i < symbols->binary_count; i++)
		stele__binary_free(symbols->binaries[i]);
	free(symbols->binaries);
	stele__sharedmemory_done(&symbols->shared);
	free(symbols->variable);
	free(symbols->maps);
	free(symbols);
}
