/* SPDX-License-Identifier: MIT */
/* The arena's making and checking. Ring and slot lists: pool.c; strings and stacks: dictionary.c.
 */
#include "arena/arena.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "fingerprint.h"
#include "sys/clock.h"
#include "sys/sys.h"

#define PAGE_BYTES 4096u

static uint64_t align_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) & ~(unit - 1);
}

static uint32_t power_of_two_below(uint64_t value)
{
	uint32_t power = 1;

	while ((uint64_t)power * 2 <= value)
		power *= 2;
	return power;
}

static uint32_t clamp_u32(uint64_t value, uint32_t low, uint32_t high)
{
	return value < low ? low : value > high ? high : (uint32_t)value;
}

/* A ring may take an eighth of the arena: two busy threads must not starve the others. */
static uint32_t arena_ring_class_max(uint64_t bytes)
{
	uint32_t class = 0;

	while (class + 1 < STELE_RING_CLASSES &&
	       (uint64_t)STELE_RING_BYTES_MIN << 2 * (class + 1) <= bytes / 8)
		class ++;
	return class;
}

/* Shares chosen so that the fixed parts are about 5 % and the dictionary a quarter. */
static void arena_lay_out(struct stele_arena *a, const struct stele_arena_options *options)
{
	a->bytes = options->bytes & ~(uint64_t)(PAGE_BYTES - 1);
	a->slot_max =
		options->slot_max ? options->slot_max : clamp_u32(a->bytes / 16384, 64, 65536);
	a->ring_max = a->slot_max * 2;
	a->table_length = power_of_two_below(clamp_u32(a->bytes / 256, 4096, 1u << 24));
	a->ring_class_max = arena_ring_class_max(a->bytes);
	a->slots = align_up(sizeof(*a), PAGE_BYTES);
	a->rings =
		align_up(a->slots + (uint64_t)a->slot_max * sizeof(struct stele_slot), PAGE_BYTES);
	a->table =
		align_up(a->rings + (uint64_t)a->ring_max * sizeof(struct stele_ring), PAGE_BYTES);
	a->heap = align_up(a->table + (uint64_t)a->table_length * sizeof(uint32_t), PAGE_BYTES);
	a->heap_bytes = align_up(a->bytes / 4, PAGE_BYTES);
	a->data = a->heap + a->heap_bytes;
	a->data_bump = a->data;
	a->heap_bump = sizeof(struct stele_entry); /* id 0 is "none" */
}

static void arena_configure(struct stele_arena *a, const struct stele_arena_options *options)
{
	a->version = STELE_ARENA_VERSION;
	a->recording = 1;
	a->header_bytes = sizeof(*a);
	memcpy(a->fingerprint, STELE_ARENA_FINGERPRINT, STELE_FINGERPRINT_BYTES);
	a->clock = options->clock;
	a->reentry = options->reentry;
	a->on_full = options->on_full;
	a->events = options->events;
	a->stack_frames_max = options->stack_frames_max;
	a->cpu_hz = options->cpu_hz;
	a->heap_sample_bytes = options->heap_sample_bytes;
	a->supervisor = options->supervisor;
	a->board = options->board;
}

static void arena_intern_full(struct stele_arena *a)
{
	static const char text[] = "dictionary full";
	uint32_t id = stele__dictionary_intern(a, STELE_ENTRY_STRING, 0, 0, sizeof(text) - 1, text,
					       sizeof(text) - 1, NULL, 0);

	STELE_ASSERT(id == STELE_ENTRY_FULL);
	(void)id;
}

uint32_t stele__arena_clock(void)
{
	if (!stele__clock_counter_usable())
		return STELE_CLOCK_MONOTONIC;
#if defined(__aarch64__)
	return STELE_CLOCK_CNTVCT;
#else
	return STELE_CLOCK_TSC;
#endif
}

int stele__arena_create(int fd, const struct stele_arena_options *options,
			struct stele_arena **ret_arena)
{
	struct stele_arena plan = {0};
	struct stele_arena *a;
	int error = 0;

	if (options->bytes < STELE_ARENA_BYTES_MIN)
		return STELE_E_LIMIT;
	arena_lay_out(&plan, options);
	arena_configure(&plan, options);
	if (!stele__arena_is_valid(&plan, plan.bytes))
		return STELE_E_LIMIT;
	error = stele__sys_truncate(fd, plan.bytes);
	if (error < 0)
		return error;
	stele__sys_seal_size(fd); /* an ordinary file has no seals: then its owner keeps it whole */
	a = stele__sys_map_shared(fd, plan.bytes, &error);
	if (!a)
		return error;
	error = stele__sys_populate(a, plan.heap + PAGE_BYTES);
	if (error < 0) {
		stele__sys_unmap(a, plan.bytes);
		return error;
	}
	memcpy(a, &plan, sizeof(plan));
	arena_intern_full(a);
	stele__store_release(&a->magic, STELE_ARENA_MAGIC);
	*ret_arena = a;
	return 0;
}

bool stele__arena_is_valid(const struct stele_arena *a, uint64_t bytes)
{
	return a->bytes == bytes && a->header_bytes == sizeof(*a) && a->slot_max >= 1 &&
	       a->slot_max <= 65536 && a->ring_max >= a->slot_max && a->ring_max <= 1u << 20 &&
	       a->table_length >= 1024 && a->table_length <= 1u << 24 &&
	       (a->table_length & (a->table_length - 1)) == 0 &&
	       a->ring_class_max < STELE_RING_CLASSES && a->slots >= sizeof(*a) &&
	       a->rings >= a->slots + (uint64_t)a->slot_max * sizeof(struct stele_slot) &&
	       a->table >= a->rings + (uint64_t)a->ring_max * sizeof(struct stele_ring) &&
	       a->heap >= a->table + (uint64_t)a->table_length * sizeof(uint32_t) &&
	       a->heap_bytes >= PAGE_BYTES && a->heap_bytes <= UINT32_MAX * 16ull &&
	       a->data >= a->heap && a->data - a->heap >= a->heap_bytes &&
	       a->data + 16 * STELE_RING_BYTES_MIN <= a->bytes &&
	       (a->slots | a->rings | a->table | a->heap | a->data) % PAGE_BYTES == 0;
}

static int arena_map(int fd, void *(*map)(int fd, uint64_t bytes, int *ret_error),
		     struct stele_arena **ret_arena)
{
	int64_t bytes = stele__sys_size(fd);
	struct stele_arena *a;
	int error = 0;

	if (bytes < 0)
		return (int)bytes;
	if ((uint64_t)bytes < sizeof(*a))
		return STELE_E_CORRUPT;
	a = map(fd, (uint64_t)bytes, &error);
	if (!a)
		return error;
	if (stele__load_acquire(&a->magic) != STELE_ARENA_MAGIC)
		error = STELE_E_CORRUPT;
	else if (a->version != STELE_ARENA_VERSION ||
		 memcmp(a->fingerprint, STELE_ARENA_FINGERPRINT, STELE_FINGERPRINT_BYTES) != 0)
		error = STELE_E_MISMATCH;
	else if (!stele__arena_is_valid(a, (uint64_t)bytes))
		error = STELE_E_CORRUPT;
	if (error < 0) {
		stele__sys_unmap(a, (uint64_t)bytes);
		return error;
	}
	*ret_arena = a;
	return 0;
}

int stele__arena_map(int fd, struct stele_arena **ret_arena)
{
	return arena_map(fd, stele__sys_map_shared, ret_arena);
}

int stele__arena_map_copy(int fd, struct stele_arena **ret_arena)
{
	return arena_map(fd, stele__sys_map_copy, ret_arena);
}

void stele__arena_unmap(struct stele_arena *arena)
{
	if (arena)
		stele__sys_unmap(arena, arena->bytes);
}
