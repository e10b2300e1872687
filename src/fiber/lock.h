/* SPDX-License-Identifier: MIT */
/* A lock for short sections of ordinary threads: a word, and a futex where two want it. */
#ifndef STELE_FIBER_LOCK_H
#define STELE_FIBER_LOCK_H

#include "base/atomic.h"
#include "sys/sys.h"

enum { STELE__LOCK_FREE, STELE__LOCK_HELD, STELE__LOCK_WANTED };

STELE_INLINE void stele__lock(uint32_t *lock)
{
	uint32_t seen = STELE__LOCK_FREE;

	if (STELE_LIKELY(__atomic_compare_exchange_n(lock, &seen, STELE__LOCK_HELD, false,
						     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
		return;
	while (__atomic_exchange_n(lock, STELE__LOCK_WANTED, __ATOMIC_ACQUIRE) != STELE__LOCK_FREE)
		stele__sys_futex_wait(lock, STELE__LOCK_WANTED, 1000000000);
}

STELE_INLINE void stele__unlock(uint32_t *lock)
{
	if (__atomic_exchange_n(lock, STELE__LOCK_FREE, __ATOMIC_RELEASE) == STELE__LOCK_WANTED)
		stele__sys_futex_wake(lock, 1);
}

#endif
