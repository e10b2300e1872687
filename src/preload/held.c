/* SPDX-License-Identifier: MIT */
/*
 * Looks into glibc's objects, whose fields its headers name and whose layout is its ABI. Whatever
 * is read there is a hint: a release is recorded in vain, or a wait stays without its holder.
 */
#include "preload/held.h"

#include "base/compiler.h"

#define READERS_WRITE_PHASE 1u
#define READERS_WRITER	    2u
#define READERS_WAITING	    4u
#define WRITERS_COUNT	    0x7fffffffu

STELE_TLS struct stele_held_locks stele__held;

/* Who has thousands of pairs has no order among them that could be told. */
void stele__held_order(const struct stele_held *outer, const void *lock, const void *taken_at,
		       uint64_t *seen, uint64_t pair)
{
	struct stele_held held = {stele__load_relaxed(&outer->lock),
				  stele__load_relaxed(&outer->taken_at)};

	if (!stele_locks_wanted())
		return;
	stele__store_relaxed(seen, pair);
	if (held.lock == lock || stele__load_relaxed(&stele__held.orders) >= STELE_ORDERS_MAX)
		return;
	stele__store_relaxed(&stele__held.orders, stele__held.orders + 1);
	stele__held_tell_maker(held.lock);
	stele__held_tell_maker(lock);
	stele_lock_order(held.lock, held.taken_at, lock, taken_at);
}

void stele__held_forget_orders(void)
{
	for (size_t i = 0; i < STELE_ORDERS_SEEN; i++)
		stele__store_relaxed(&stele__held.seen[i], 0);
	stele__store_relaxed(&stele__held.orders, 0);
}

const void *stele__held_pop_slow(const void *lock, uint32_t count)
{
	uint32_t kept = count < STELE_HELD_MAX ? count : STELE_HELD_MAX;
	struct stele_held *locks = stele__held.locks;
	const void *taken_at;

	for (uint32_t i = 1; i <= kept; i++) {
		if (stele__load_relaxed(&locks[(count - i) % STELE_HELD_MAX].lock) != lock)
			continue;
		taken_at = stele__load_relaxed(&locks[(count - i) % STELE_HELD_MAX].taken_at);
		for (; i > 1; i--) {
			struct stele_held *to = &locks[(count - i) % STELE_HELD_MAX];
			const struct stele_held *from = &locks[(count - i + 1) % STELE_HELD_MAX];

			stele__store_relaxed(&to->lock, stele__load_relaxed(&from->lock));
			stele__store_relaxed(&to->taken_at, stele__load_relaxed(&from->taken_at));
		}
		stele__store_release(&stele__held.count, count - 1); /* behind them, for handlers */
		return taken_at;
	}
	return NULL;
}

/* A writer that has its turn waits for the readers without being counted. */
bool stele__held_is_wanted_rwlock(const pthread_rwlock_t *lock)
{
	uint32_t readers = stele__load_relaxed(&lock->__data.__readers);

	return readers & READERS_WAITING ||
	       (readers & (READERS_WRITER | READERS_WRITE_PHASE)) == READERS_WRITER ||
	       stele__load_relaxed(&lock->__data.__writers) & WRITERS_COUNT;
}

bool stele__held_is_wanted_condition(const pthread_cond_t *condition)
{
	return stele__load_relaxed(&condition->__data.__wrefs) >> 3;
}

/* The value is in the lower half of its first word, the number of waiters in the upper. */
bool stele__held_is_wanted_semaphore(const sem_t *semaphore)
{
	return stele__load_relaxed((const uint64_t *)(const void *)semaphore) >> 32;
}

uint32_t stele__held_owner_mutex(const pthread_mutex_t *lock)
{
	int owner = stele__load_relaxed(&lock->__data.__owner);

	return owner > 0 ? (uint32_t)owner : 0;
}

uint32_t stele__held_owner_rwlock(const pthread_rwlock_t *lock)
{
	int owner = stele__load_relaxed(&lock->__data.__cur_writer);

	return owner > 0 ? (uint32_t)owner : 0;
}

/*
 * By the object's address: which code has made it, in one word so that no two objects mix. The word
 * holds 16 bits of the address that the index has not; objects 4 GiB apart may be taken for each
 * other.
 */
#define MAKERS 4096

static uint64_t makers[MAKERS];

static uint64_t *maker_of(const void *object, uint64_t *ret_tag)
{
	uint64_t address = (uint64_t)(uintptr_t)object >> 3;

	*ret_tag = (address / MAKERS) << 48;
	return &makers[address % MAKERS];
}

void stele__held_made(const void *object, const void *made_at)
{
	uint64_t tag, *maker = maker_of(object, &tag);

	stele__store_relaxed(maker, tag | ((uint64_t)(uintptr_t)made_at & ((1ull << 48) - 1)));
}

void stele__held_tell_maker(const void *object)
{
	uint64_t tag, *maker = maker_of(object, &tag);
	uint64_t word = stele__load_relaxed(maker);

	if (word && !((word ^ tag) >> 48) && stele_locks_wanted() && stele__cas_u64(maker, word, 0))
		stele_object_made(object, (const void *)(uintptr_t)(word & ((1ull << 48) - 1)));
}
