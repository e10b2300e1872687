/* SPDX-License-Identifier: MIT */
/*
 * Slots and rings handed out and taken back: free lists with a tag against ABA, then never-used
 * space by bumping. Lock-free, by any process that maps the arena, at any instruction.
 *
 * A ring header and its records stay together for ever: a header that was handed out once keeps
 * its size class and its place in `data`.
 */
#include <string.h>

#include "arena/arena.h"
#include "sys/sys.h"

/* Where the `next_free` words of a list's members lie. */
struct pool_members {
	char *first_next;
	size_t stride;
};

static uint32_t *pool_next(const struct pool_members *m, uint32_t index)
{
	return (uint32_t *)(void *)(m->first_next + index * m->stride);
}

static struct pool_members pool_slots(struct stele_arena *a)
{
	return (struct pool_members){(char *)&stele__arena_slot(a, 0)->next_free,
				     sizeof(struct stele_slot)};
}

static struct pool_members pool_rings(struct stele_arena *a)
{
	return (struct pool_members){(char *)&stele__arena_ring(a, 0)->next_free,
				     sizeof(struct stele_ring)};
}

/* Index + 1 of a member taken off the list; 0: the list is empty. */
static uint32_t pool_pop(struct stele_free_list *list, const struct pool_members *m, uint32_t max)
{
	for (;;) {
		uint64_t head = stele__load_acquire(&list->head); /* pairs with push */
		uint32_t first = (uint32_t)head;
		uint32_t next;

		if (!first || first > max)
			return 0;
		/* May be stale when somebody else took it meanwhile: then the tag has moved. */
		next = stele__load_relaxed(pool_next(m, first - 1));
		if (stele__cas_u64(&list->head, head, ((head >> 32) + 1) << 32 | next))
			return first;
	}
}

static void pool_push(struct stele_free_list *list, const struct pool_members *m, uint32_t index)
{
	uint64_t head;

	do {
		head = stele__load_acquire(&list->head);
		stele__store_relaxed(pool_next(m, index), (uint32_t)head);
	} while (!stele__cas_u64(&list->head, head, ((head >> 32) + 1) << 32 | (index + 1)));
}

/* Index + 1 of a member never handed out before; 0: none left. */
static uint32_t pool_bump(uint32_t *bump, uint32_t max)
{
	for (;;) {
		uint32_t used = stele__load_relaxed(bump);

		if (used >= max)
			return 0;
		if (stele__cas_u32(bump, used, used + 1))
			return used + 1;
	}
}

struct stele_slot *stele__slot_take(struct stele_arena *a)
{
	struct pool_members members = pool_slots(a);
	uint32_t index = pool_pop(&a->free_slots, &members, a->slot_max);
	struct stele_slot *slot;
	uint32_t incarnation;

	if (!index)
		index = pool_bump(&a->slot_bump, a->slot_max);
	if (!index)
		return NULL;
	slot = stele__arena_slot(a, index - 1);
	incarnation = slot->incarnation + 1;
	memset(slot, 0, sizeof(*slot));
	slot->incarnation = incarnation;
	return slot;
}

bool stele__slot_is_left(struct stele_arena *a)
{
	return stele__load_relaxed(&a->slot_bump) < a->slot_max ||
	       (uint32_t)stele__load_relaxed(&a->free_slots.head);
}

void stele__slot_give(struct stele_arena *a, struct stele_slot *slot)
{
	struct pool_members members = pool_slots(a);

	stele__store_release(&slot->state, STELE_SLOT_FREE);
	pool_push(&a->free_slots, &members, stele__slot_index(a, slot));
}

static uint64_t ring_bytes(uint32_t size_class)
{
	return (uint64_t)STELE_RING_BYTES_MIN << 2 * size_class;
}

/*
 * What is kept for rings of the smallest size, an eighth: threads that grew while there was room
 * must not leave those that come later without any.
 */
static uint64_t pool_reserve(const struct stele_arena *a, uint32_t size_class)
{
	return size_class ? (a->bytes - a->data) / 8 : 0;
}

/* Offset of unused, populated data that leaves so much behind it; 0: none. */
static uint64_t pool_data(struct stele_arena *a, uint64_t bytes, uint64_t reserve)
{
	uint64_t at;

	do {
		at = stele__load_relaxed(&a->data_bump);
		if (at > a->bytes || bytes + reserve > a->bytes - at)
			return 0;
	} while (!stele__cas_u64(&a->data_bump, at, at + bytes));
	return stele__sys_populate((char *)a + at, bytes) < 0 ? 0 : at;
}

static struct stele_ring *ring_new(struct stele_arena *a, uint32_t size_class)
{
	uint64_t bytes = ring_bytes(size_class);
	uint64_t records = bytes / sizeof(struct stele_record);
	struct stele_ring *ring;
	uint32_t index;
	uint64_t at;

	if (stele__load_relaxed(&a->ring_bump) >= a->ring_max)
		return NULL;
	at = pool_data(a, bytes, pool_reserve(a, size_class));
	if (!at)
		return NULL;
	index = pool_bump(&a->ring_bump, a->ring_max);
	if (!index)
		return NULL;
	ring = stele__arena_ring(a, index - 1);
	ring->data_delta = (char *)a + at - (char *)ring;
	ring->mask = records - 1;
	ring->shift = (uint32_t)__builtin_ctzll(records);
	ring->limit[0] = ring->limit[1] = records / 2;
	ring->size_class = size_class;
	return ring;
}

struct stele_ring *stele__ring_take(struct stele_arena *a, uint32_t size_class)
{
	struct pool_members members = pool_rings(a);
	uint32_t index = pool_pop(&a->free_rings[size_class], &members, a->ring_max);
	struct stele_ring *ring = index ? stele__arena_ring(a, index - 1) : ring_new(a, size_class);

	if (ring && a->reentry != STELE_REENTRY_NEST)
		ring->tail_seen = STELE_TAIL_WATCHED;
	return ring;
}

bool stele__ring_is_left(struct stele_arena *a, uint32_t size_class)
{
	uint64_t at = stele__load_relaxed(&a->data_bump);
	uint64_t bytes = ring_bytes(size_class) + pool_reserve(a, size_class);

	return (uint32_t)stele__load_relaxed(&a->free_rings[size_class].head) ||
	       (stele__load_relaxed(&a->ring_bump) < a->ring_max && at <= a->bytes &&
		bytes <= a->bytes - at);
}

void stele__ring_give(struct stele_arena *a, struct stele_ring *ring)
{
	struct pool_members members = pool_rings(a);
	uint64_t used = stele__load_relaxed(&ring->head) & ~STELE_HEAD_CLOSED;
	uint64_t records = ring->mask + 1;

	/* Only what was ever reserved can be non-zero. */
	memset(stele__ring_record(ring, 0), 0,
	       (used < records ? used : records) * sizeof(struct stele_record));
	ring->head = 0;
	ring->tail_seen = 0;
	ring->tail = 0;
	ring->replaced = 0;
	ring->limit[0] = ring->limit[1] = records / 2;
	stele__store_release(&ring->state, STELE_RING_FREE);
	pool_push(&a->free_rings[ring->size_class], &members, stele__ring_index(a, ring));
}
