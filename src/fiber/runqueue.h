/* SPDX-License-Identifier: MIT */
/*
 * A worker's fibers that could run: a ring that its owner fills at the tail, and from whose head
 * everybody takes by CAS; and in front of it the one that runs next, because it was made ready last
 * and what it needs is in the cache.
 *
 * Invariant: 0 <= tail - head <= STELE__RUN_QUEUE. Only the owner writes tail.
 */
#ifndef STELE_FIBER_RUNQUEUE_H
#define STELE_FIBER_RUNQUEUE_H

#include "base/atomic.h"

#define STELE__RUN_QUEUE 256u

struct stele_fiber;

struct stele__run_queue {
	uint32_t head, tail;
	struct stele_fiber *next;
	struct stele_fiber *fibers[STELE__RUN_QUEUE];
};

/* Owner. False: it is full. */
STELE_INLINE bool stele__run_queue_put(struct stele__run_queue *q, struct stele_fiber *f)
{
	uint32_t head = stele__load_acquire(&q->head); /* pairs with the takers' CAS */
	uint32_t tail = q->tail;

	if (tail - head >= STELE__RUN_QUEUE)
		return false;
	stele__store_relaxed(&q->fibers[tail % STELE__RUN_QUEUE], f);
	/* Pairs with the takers' load. Sequentially consistent: who finds nothing here and goes to
	 * sleep is seen by who puts and then looks for sleepers. */
	__atomic_store_n(&q->tail, tail + 1, __ATOMIC_SEQ_CST);
	return true;
}

/* Owner. */
STELE_INLINE struct stele_fiber *stele__run_queue_take(struct stele__run_queue *q)
{
	struct stele_fiber *f = stele__load_relaxed(&q->next);
	uint32_t head;

	/* Others only take it away. */
	if (f && __atomic_compare_exchange_n(&q->next, &f, NULL, false, __ATOMIC_ACQ_REL,
					     __ATOMIC_RELAXED))
		return f;
	head = stele__load_acquire(&q->head);
	while (head != q->tail) {
		f = stele__load_relaxed(&q->fibers[head % STELE__RUN_QUEUE]);
		if (__atomic_compare_exchange_n(&q->head, &head, head + 1, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			return f;
	}
	return NULL;
}

/*
 * Owner of `to`, which is empty: takes half of another's, one to run and the others into `to`.
 * NULL: there was nothing.
 */
STELE_INLINE struct stele_fiber *stele__run_queue_steal(struct stele__run_queue *to,
							struct stele__run_queue *from)
{
	uint32_t head = stele__load_acquire(&from->head), n;

	do {
		n = stele__load_acquire(&from->tail) - head;
		n -= n / 2;
		if (n == 0)
			return NULL;
		if (n > STELE__RUN_QUEUE / 2) { /* head is an old one */
			head = stele__load_acquire(&from->head);
			continue;
		}
		for (uint32_t i = 0; i < n; i++)
			stele__store_relaxed(
				&to->fibers[(to->tail + i) % STELE__RUN_QUEUE],
				stele__load_relaxed(&from->fibers[(head + i) % STELE__RUN_QUEUE]));
	} while (n > STELE__RUN_QUEUE / 2 ||
		 !__atomic_compare_exchange_n(&from->head, &head, head + n, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	n--; /* the last of them is for the caller */
	__atomic_store_n(&to->tail, to->tail + n, __ATOMIC_SEQ_CST);
	return stele__load_relaxed(&to->fibers[to->tail % STELE__RUN_QUEUE]);
}

#endif
