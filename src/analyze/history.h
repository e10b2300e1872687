/* SPDX-License-Identifier: MIT */
/* The last states of goroutines, also of some that are gone: what they did while others waited. */
#ifndef STELE_ANALYZE_HISTORY_H
#define STELE_ANALYZE_HISTORY_H

#include "analyze/locks.h"

#define STELE__HISTORY_SPANS 256u /* of one goroutine */
#define STELE__HISTORY_GONE  4096u

/* A goroutine in one state. */
struct stele__span {
	int64_t begin, end;
	uint8_t state;
	bool open;				 /* it had not ended with the trace */
	const struct stele__name *reason, *call; /* of a wait; of a system call; NULL: none */
	uint32_t stack;
	const struct stele__object *object; /* that it waited for; NULL: unknown */
	uint64_t holder;		    /* that had it when it began to wait */
	/* Who ended the wait; NULL: unknown. */
	const struct stele__name *waker;
	uint64_t waker_goroutine;
	uint32_t waker_stack;
};

struct stele__history {
	uint64_t goroutine;
	struct stele__span *spans; /* by their number modulo max */
	uint32_t max;		   /* a power of two */
	uint64_t count;
	struct stele__history *next; /* gone later */
};

struct stele__histories {
	struct stele__keymap by_goroutine; /* owned */
	struct stele__history *gone, **gone_end;
	uint32_t gone_count;
};

void stele__histories_init(struct stele__histories *histories);
void stele__histories_done(struct stele__histories *histories);

/* 0 or -ENOMEM. */
int stele__history_add(struct stele__histories *histories, uint64_t goroutine,
		       const struct stele__span *span);
/* The goroutine is gone: what it did is kept until many others are gone, too. */
void stele__history_end(struct stele__histories *histories, uint64_t goroutine);

/* 0 or negative, which ends the telling. */
typedef int stele__span_fn(void *arg, const struct stele__span *span);

/* What it did from begin to end, clipped to that, as far as it is known: from *ret_from on, which
 * is `end` if it is not known at all. */
int stele__history_tell(const struct stele__histories *histories, uint64_t goroutine, int64_t begin,
			int64_t end, stele__span_fn *told, void *arg, int64_t *ret_from);

#endif
