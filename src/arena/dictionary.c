/* SPDX-License-Identifier: MIT */
/*
 * The dictionary: strings, stacks and modules, each stored once. An open-addressing table of
 * entry ids over a heap that only grows.
 *
 * An entry is written completely, then published by a CAS on its table slot. Interrupted anywhere,
 * an insertion leaves at worst some unused heap. Nobody waits for anybody.
 */
#include <errno.h>
#include <string.h>

#include "arena/arena.h"
#include "sys/sys.h"

#define PROBES_MAX	 128
#define POPULATE_BYTES	 (64u << 10)
#define MODULE_BYTES_MAX (sizeof(struct stele_module) + 4096)

/* What an entry shall hold. */
struct dictionary_key {
	const void *part1, *part2;
	size_t bytes1, bytes2;
	uint32_t hash, epoch, length;
	uint16_t kind, flags;
};

#define HASH_MULTIPLIER 0x9e3779b97f4a7c15ull

static uint64_t hash_word(uint64_t hash, const char *at, size_t bytes)
{
	uint64_t word = 0;

	memcpy(&word, at, bytes);
	hash = (hash ^ word) * HASH_MULTIPLIER;
	return hash ^ hash >> 29;
}

/* Four lanes, so that no multiplication waits for the one before: a stack is hashed at each event.
 */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t bytes)
{
	uint64_t lanes[4] = {hash, hash + 1, hash + 2, hash + 3};
	const char *at = data;

	for (; bytes >= 32; at += 32, bytes -= 32)
		for (unsigned i = 0; i < 4; i++)
			lanes[i] = hash_word(lanes[i], at + i * 8, 8);
	for (unsigned i = 0; bytes >= 8; i++, at += 8, bytes -= 8)
		lanes[i] = hash_word(lanes[i], at, 8);
	if (bytes)
		lanes[3] = hash_word(lanes[3], at, bytes);
	for (unsigned i = 1; i < 4; i++)
		lanes[0] = hash_word(lanes[0], (const char *)&lanes[i], 8);
	return lanes[0];
}

static uint32_t key_hash(const struct dictionary_key *key)
{
	uint64_t hash = (uint64_t)key->epoch << 32 | (uint64_t)key->kind << 16 | key->flags;

	hash = hash_bytes(hash ^ (uint64_t)key->length << 40, key->part1, key->bytes1);
	if (key->bytes2)
		hash = hash_bytes(hash, key->part2, key->bytes2);
	return (uint32_t)(hash >> 32);
}

static bool entry_equals(const struct stele_entry *e, const struct dictionary_key *key)
{
	const char *payload = (const char *)(e + 1);

	return e->hash == key->hash && e->kind == key->kind && e->flags == key->flags &&
	       e->length == key->length && e->epoch == key->epoch &&
	       memcmp(payload, key->part1, key->bytes1) == 0 &&
	       (key->bytes2 == 0 || memcmp(payload + key->bytes1, key->part2, key->bytes2) == 0);
}

/* Makes heap bytes [0, end) present. Several may do it at once: it is idempotent. */
static bool heap_populate(struct stele_arena *a, uint64_t end)
{
	for (;;) {
		uint64_t from = stele__load_acquire(&a->heap_populated);
		uint64_t to = (end | (POPULATE_BYTES - 1)) + 1;

		if (end <= from)
			return true;
		if (to > a->heap_bytes)
			to = a->heap_bytes;
		if (stele__sys_populate((char *)a + a->heap + from, to - from) < 0)
			return false;
		stele__cas_u64(&a->heap_populated, from, to);
	}
}

/* Id of fresh heap space; 0: none left. */
static uint32_t heap_reserve(struct stele_arena *a, size_t payload_bytes)
{
	uint64_t bytes = (sizeof(struct stele_entry) + payload_bytes + 15) & ~15ull;
	uint64_t at;

	do {
		at = stele__load_relaxed(&a->heap_bump);
		if (at > a->heap_bytes || bytes > a->heap_bytes - at)
			return 0;
	} while (!stele__cas_u64(&a->heap_bump, at, at + bytes));
	return heap_populate(a, at + bytes) ? (uint32_t)(at / 16) : 0;
}

static uint32_t entry_write(struct stele_arena *a, const struct dictionary_key *key)
{
	uint32_t id = heap_reserve(a, key->bytes1 + key->bytes2);
	struct stele_entry *e;

	if (!id)
		return 0;
	e = stele__arena_entry(a, id);
	*e = (struct stele_entry){.hash = key->hash,
				  .kind = key->kind,
				  .flags = key->flags,
				  .length = key->length,
				  .epoch = key->epoch};
	memcpy(e + 1, key->part1, key->bytes1);
	if (key->bytes2)
		memcpy((char *)(e + 1) + key->bytes1, key->part2, key->bytes2);
	return id;
}

static uint32_t dictionary_refuse(struct stele_arena *a)
{
	stele__add_relaxed(&a->dictionary_full, 1);
	return STELE_ENTRY_FULL;
}

static uint32_t dictionary_find_or_add(struct stele_arena *a, const struct dictionary_key *key)
{
	uint32_t *table = (uint32_t *)(void *)((char *)a + a->table);
	uint32_t mask = a->table_length - 1;
	uint32_t fresh = 0;

	for (uint32_t probe = 0; probe < PROBES_MAX; probe++) {
		uint32_t *cell = &table[(key->hash + probe) & mask];
		uint32_t id = stele__load_acquire(cell); /* pairs with the CAS below */

		if (!id) {
			if (!fresh)
				fresh = entry_write(a, key);
			if (!fresh)
				return dictionary_refuse(a);
			STELE_POINT("dictionary.written");
			if (stele__cas_u32(cell, 0, fresh))
				return fresh;
			id = stele__load_acquire(cell);
		}
		if (entry_equals(stele__arena_entry(a, id), key))
			return id;
	}
	return dictionary_refuse(a);
}

uint32_t stele__dictionary_intern(struct stele_arena *arena, enum stele_entry_kind kind,
				  uint16_t flags, uint32_t epoch, uint32_t length,
				  const void *part1, size_t bytes1, const void *part2,
				  size_t bytes2)
{
	struct dictionary_key key = {.part1 = part1,
				     .bytes1 = bytes1,
				     .part2 = part2,
				     .bytes2 = bytes2,
				     .epoch = epoch,
				     .length = length,
				     .kind = (uint16_t)kind,
				     .flags = flags};

	key.hash = key_hash(&key);
	return dictionary_find_or_add(arena, &key);
}

uint32_t stele__dictionary_string(struct stele_arena *arena, const char *text)
{
	size_t bytes = strnlen(text, STELE_STRING_MAX);

	return stele__dictionary_intern(arena, STELE_ENTRY_STRING, 0, 0, (uint32_t)bytes, text,
					bytes, NULL, 0);
}

static uint64_t entry_payload_bytes(const struct stele_entry *e)
{
	switch (e->kind) {
	case STELE_ENTRY_STRING:
		return e->length <= STELE_STRING_MAX ? e->length : UINT64_MAX;
	case STELE_ENTRY_STACK:
		return e->length <= 128 ? e->length * 8ull : UINT64_MAX;
	case STELE_ENTRY_MODULE:
		return e->length >= sizeof(struct stele_module) && e->length <= MODULE_BYTES_MAX
			       ? e->length
			       : UINT64_MAX;
	default:
		return UINT64_MAX;
	}
}

/* The table first: what it names then is in the heap, whole. */
int stele__dictionary_copy(struct stele_arena *to, struct stele_arena *from)
{
	uint64_t bytes;

	if (to->table_length != from->table_length || to->heap_bytes != from->heap_bytes)
		return -EINVAL;
	memcpy((char *)to + to->table, (char *)from + from->table,
	       (size_t)to->table_length * sizeof(uint32_t));
	bytes = stele__load_acquire(&from->heap_bump);
	if (bytes > to->heap_bytes || !heap_populate(to, bytes))
		return -ENOMEM;
	memcpy((char *)to + to->heap, (char *)from + from->heap, bytes);
	to->heap_bump = bytes;
	to->module_epoch = stele__load_relaxed(&from->module_epoch);
	return 0;
}

const struct stele_entry *stele__dictionary_get(struct stele_arena *arena, uint32_t id)
{
	uint64_t used = stele__load_acquire(&arena->heap_bump);
	uint64_t at = (uint64_t)id * 16;
	const struct stele_entry *e;

	if (used > arena->heap_bytes)
		used = arena->heap_bytes;
	if (id == STELE_ENTRY_NONE || at + sizeof(*e) > used)
		return NULL;
	e = stele__arena_entry(arena, id);
	return entry_payload_bytes(e) <= used - at - sizeof(*e) ? e : NULL;
}
