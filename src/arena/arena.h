/* SPDX-License-Identifier: MIT */
/*
 * Making, mapping and checking an arena, and the lock-free lists in it that both sides use.
 */
#ifndef STELE_ARENA_ARENA_H
#define STELE_ARENA_ARENA_H

#include "arena/layout.h"

struct stele_arena_options {
	uint64_t bytes;	   /* whole arena; at least STELE_ARENA_BYTES_MIN */
	uint32_t slot_max; /* 0: by size */
	uint32_t clock;	   /* enum stele_clock_kind */
	uint32_t reentry;
	uint32_t on_full;
	uint32_t events; /* enum stele_events */
	uint32_t stack_frames_max;
	uint32_t cpu_hz;
	uint64_t heap_sample_bytes; /* 0: every object is recorded */
	uint32_t supervisor, board; /* of struct stele_arena; 0: children are not followed */
};

#define STELE_ARENA_BYTES_MIN	  (1ull << 20)
#define STELE_ARENA_BYTES_DEFAULT (64ull << 20)

/* The best clock of this machine, an enum stele_clock_kind. */
uint32_t stele__arena_clock(void);

/*
 * Lays out an arena in fd (a memfd or a file, size set and sealed here) and maps it.
 * Failure: -errno, STELE_E_LIMIT for impossible sizes; nothing stays mapped.
 * Threads: one. Signals: safe. Owner: the caller, stele__arena_unmap.
 */
int stele__arena_create(int fd, const struct stele_arena_options *options,
			struct stele_arena **ret_arena);

/*
 * Maps an existing arena and checks that this very build can use it.
 * Failure: -errno, STELE_E_MISMATCH (another build), STELE_E_CORRUPT (not an arena, or sizes that
 * do not fit the file).
 */
int stele__arena_map(int fd, struct stele_arena **ret_arena);

/* The same for a file that may only be read: what is written to the mapping stays in this process.
 */
int stele__arena_map_copy(int fd, struct stele_arena **ret_arena);

void stele__arena_unmap(struct stele_arena *arena);

/* Are all offsets and sizes consistent and within `bytes`? For files and for assertions. */
bool stele__arena_is_valid(const struct stele_arena *arena, uint64_t bytes);

/*
 * Takes a ring of a size class: off the free list, or from unused data. Its records are zero,
 * tail and head 0, tail_seen 0 or STELE_TAIL_WATCHED, state FREE. NULL: none left, or no memory.
 * Threads: any process that maps the arena. Signals: safe, re-entrant at any instruction.
 */
struct stele_ring *stele__ring_take(struct stele_arena *arena, uint32_t size_class);

/* Would it find one now? */
bool stele__ring_is_left(struct stele_arena *arena, uint32_t size_class);

/* Gives a ring back; the records are zeroed here. The caller must be its only user. */
void stele__ring_give(struct stele_arena *arena, struct stele_ring *ring);

/* The same for slots. A taken slot is zero but for incarnation, which has grown. */
struct stele_slot *stele__slot_take(struct stele_arena *arena);

/* Would stele__slot_take find one now? */
bool stele__slot_is_left(struct stele_arena *arena);
void stele__slot_give(struct stele_arena *arena, struct stele_slot *slot);

/*
 * Wakes the drain if it sleeps. The sleeper announces itself before it looks at the bell a last
 * time, and the bell is struck before the announcement is looked at: one of both sees the other.
 * Threads: any. Signals: safe.
 */
void stele__bell_strike(struct stele_arena *arena);

/* The drain sleeps until the bell is struck, at most this long. */
void stele__bell_wait(struct stele_arena *arena, uint64_t timeout_ns);

STELE_INLINE uint32_t stele__ring_index(struct stele_arena *a, const struct stele_ring *r)
{
	return (uint32_t)(r - stele__arena_ring(a, 0));
}

STELE_INLINE uint32_t stele__slot_index(struct stele_arena *a, const struct stele_slot *s)
{
	return (uint32_t)(s - stele__arena_slot(a, 0));
}

/*
 * Interns an entry and returns its id: the id of an equal entry if there is one. An entry's
 * payload may be given in two parts (part 2 may be empty). Full: STELE_ENTRY_FULL, counted.
 * `length` is what struct stele_entry.length shall hold (bytes or frames).
 * Threads: any. Signals: safe, re-entrant at any instruction.
 */
uint32_t stele__dictionary_intern(struct stele_arena *arena, enum stele_entry_kind kind,
				  uint16_t flags, uint32_t epoch, uint32_t length,
				  const void *part1, size_t bytes1, const void *part2,
				  size_t bytes2);

/* The same for a string; of long ones the first STELE_STRING_MAX bytes. */
#define STELE_STRING_MAX 1024
uint32_t stele__dictionary_string(struct stele_arena *arena, const char *text);

/*
 * Makes `to`, which is new and of the same shape, hold what `from` holds, under the same ids;
 * others may be inserting into `from`. -EINVAL: another shape; -ENOMEM.
 */
int stele__dictionary_copy(struct stele_arena *to, struct stele_arena *from);

/*
 * The entry with this id, or NULL if there is none: ids come from records that a dying or hostile
 * process wrote, so the drain goes through this and never through stele__arena_entry.
 */
const struct stele_entry *stele__dictionary_get(struct stele_arena *arena, uint32_t id);

#endif
