/* SPDX-License-Identifier: MIT */
/*
 * Memory orders under names. Every non-relaxed use says at the call which access it pairs with.
 *
 * Two families:
 *  - stele__load, store, add, exchange, cas: between threads or processes.
 *  - stele__local_*: between a thread and the handlers that interrupt *that same thread*.
 *    On x86-64 a cmpxchg without lock prefix: one instruction cannot be interrupted half-way.
 *    A *failing* cmpxchg writes the old value back, so nobody but the owning thread may ever
 *    write a word that is updated by stele__local_cas.
 *
 * No stand-alone fences: ThreadSanitizer does not understand them.
 */
#ifndef STELE_BASE_ATOMIC_H
#define STELE_BASE_ATOMIC_H

#include "base/compiler.h"

#define stele__load_relaxed(p)	   __atomic_load_n((p), __ATOMIC_RELAXED)
#define stele__load_acquire(p)	   __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define stele__store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define stele__store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define stele__add_relaxed(p, v)   __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define stele__add_acq_rel(p, v)   __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)

#define stele__exchange_acq_rel(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)

STELE_INLINE bool stele__cas_u32(uint32_t *p, uint32_t old, uint32_t new_)
{
	return __atomic_compare_exchange_n(p, &old, new_, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

STELE_INLINE bool stele__cas_u64(uint64_t *p, uint64_t old, uint64_t new_)
{
	return __atomic_compare_exchange_n(p, &old, new_, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

#if defined(__x86_64__) && !defined(STELE_TSAN)

STELE_INLINE bool stele__local_cas(uint64_t *p, uint64_t old, uint64_t new_)
{
	bool done;

	__asm__ volatile("cmpxchgq %3, %1"
			 : "=@ccz"(done), "+m"(*p), "+a"(old)
			 : "r"(new_)
			 : "memory");
	return done;
}

STELE_INLINE void stele__local_add(uint64_t *p, uint64_t v)
{
	__asm__ volatile("addq %1, %0" : "+m"(*p) : "er"(v) : "memory", "cc");
}

#else

STELE_INLINE bool stele__local_cas(uint64_t *p, uint64_t old, uint64_t new_)
{
	return __atomic_compare_exchange_n(p, &old, new_, false, __ATOMIC_RELAXED,
					   __ATOMIC_RELAXED);
}

STELE_INLINE void stele__local_add(uint64_t *p, uint64_t v)
{
	__atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}

#endif

STELE_INLINE void stele__pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
