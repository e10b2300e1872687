/* SPDX-License-Identifier: MIT */
#include "arena/arena.h"
#include "sys/sys.h"

void stele__bell_strike(struct stele_arena *arena)
{
	__atomic_fetch_add(&arena->bell, 1, __ATOMIC_SEQ_CST); /* pairs with stele__bell_wait */
	if (__atomic_load_n(&arena->asleep, __ATOMIC_SEQ_CST))
		stele__sys_futex_wake(&arena->bell, 1);
}

void stele__bell_wait(struct stele_arena *arena, uint64_t timeout_ns)
{
	uint32_t seen = __atomic_load_n(&arena->bell, __ATOMIC_SEQ_CST);

	__atomic_store_n(&arena->asleep, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&arena->bell, __ATOMIC_SEQ_CST) == seen)
		stele__sys_futex_wait(&arena->bell, seen, timeout_ns);
	__atomic_store_n(&arena->asleep, 0, __ATOMIC_SEQ_CST);
}
