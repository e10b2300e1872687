/* SPDX-License-Identifier: MIT */
/*
 * Do allocations and frees of one family (spans, objects, stacks) come in pairs? Whoever keeps what
 * is alive asks here at each event; what does not fit is counted by what it looks like, and
 * broken.c finds causes for the counts.
 *
 * Threads' clocks may have run ahead of each other (Go's writer forces them on within a batch): a
 * free may be told behind the next alloc of its address, or before its own. Both are recognised as
 * long as the two are by different threads and close.
 *
 * Keys are addresses, made comparable: of one slot there is one.
 */
#ifndef STELE_ANALYZE_PAIRS_H
#define STELE_ANALYZE_PAIRS_H

#include "analyze/keymap.h"
#include "stele/analyze.h"

struct stele__pairs_recent;

struct stele__pairs {
	/* Frees of what is not alive: [1] it must have been allocated since the trace began. */
	uint64_t stray[2];
	uint64_t again;	 /* allocs of what is alive */
	uint64_t retold; /* "exists" of what is alive */
	uint64_t inverted;
	int64_t window;		      /* ns by which threads' clocks may run ahead */
	struct stele_stray sample[2]; /* the first of the strays */
	/* Keys alive of which the next event shows more: struct pairs_suspect, owned. */
	struct stele__keymap suspects;
	struct stele__pairs_recent *recent; /* the latest frees, by hash of their keys */
};

void stele__pairs_init(struct stele__pairs *pairs);
void stele__pairs_done(struct stele__pairs *pairs);

/* An alloc, and whether the key is alive already; 0 or -ENOMEM. */
int stele__pairs_alloc(struct stele__pairs *pairs, uint64_t key, bool alive,
		       const struct stele_event *event);

/*
 * A free of something alive, which was allocated at `place` (of the caller). *ret_keep: it is that
 * of an earlier one, what is alive stays so. 0 or -ENOMEM.
 */
int stele__pairs_free(struct stele__pairs *pairs, uint64_t key, uint32_t place,
		      const struct stele_event *event, bool *ret_keep);

/* A free of what is not alive. since: it cannot have existed before the trace. 0 or -ENOMEM. */
int stele__pairs_stray(struct stele__pairs *pairs, uint64_t key, bool since,
		       const struct stele_event *event);

/* What is alive goes away without a free. */
void stele__pairs_forget(struct stele__pairs *pairs, uint64_t key);

/*
 * At the end: a key that seems alive and whose free was told before its alloc; *at is 0 at first.
 * False behind the last one.
 */
bool stele__pairs_settle(struct stele__pairs *pairs, size_t *at, uint64_t *ret_key);

#endif
