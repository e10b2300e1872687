/* SPDX-License-Identifier: MIT */
/*
 * Who had what others waited for. A lock's releases are told where somebody waits, so the time of
 * a wait is that of those who gave the lock up meanwhile, one after the other:
 *
 *   wait     |begin                                     end|
 *   lock        A       released |     B      released |    handed over
 */
#ifndef STELE_ANALYZE_LOCKS_H
#define STELE_ANALYZE_LOCKS_H

#include "analyze/model.h"

struct stele__release {
	int64_t time;
	int64_t since;			/* when it was taken, INT64_MIN: unknown */
	uint64_t thread;		/* STELE_NO_ID: a goroutine without one of its own */
	uint64_t goroutine;		/* STELE_NO_ID: unknown */
	const struct stele__name *name; /* of the thread; empty: unknown */
	uint32_t taken, stack;
};

struct stele__lock_class;

#define STELE__RELEASES_MAX 64u

/* One lock, condition, semaphore; or the signals to a thread or process. */
struct stele__object {
	uint64_t address;
	struct stele__lock_class *class; /* NULL: nobody waited for it yet */
	bool renamed;			 /* the class is that of what lay at this address before */
	const struct stele__name *name, *made_by, *made_file;
	uint64_t made_line;
	uint32_t node;	  /* of the graph of orders, while that is made */
	bool is_lock;	  /* given up by who has it; else who releases wakes others */
	bool is_barrier;  /* of several that do the last one does */
	uint64_t waiting; /* goroutines that do so now */
	uint64_t owner;	  /* thread that waited for it, and has it; STELE_NO_ID: unknown */
	int64_t owner_since;
	uint64_t owner_before; /* not counting those that got it in the same moment: see owner_of */
	struct stele__release *releases; /* the newest, by their number modulo release_max */
	uint32_t release_max;		 /* a power of two */
	uint64_t release_count;
};

/* A part of a wait. */
struct stele__hold {
	int64_t begin, end;
	const struct stele__release *release; /* who gave it up then; NULL: nobody that is known */
	uint64_t thread;		      /* STELE_NO_ID: unknown, or nobody had it */
	bool free;			      /* nobody had it: it was handed over */
};

/* 0 or negative, which ends the telling. */
typedef int stele__hold_fn(void *arg, const struct stele__hold *hold);

/*
 * Who had the object from begin to end, one after the other, all the time. holder: the thread that
 * had it at the beginning, STELE_NO_ID: unknown. open: nobody got it at the end.
 */
int stele__locks_holders(const struct stele__object *object, int64_t begin, int64_t end,
			 uint64_t holder, bool open, stele__hold_fn *told, void *arg);

/* Who has a lock that is being waited for since then, when `holder` had it; STELE_NO_ID: unknown.
 * At the end of a process, when its waits are told to end, those who got it by that do not count.
 */
uint64_t stele__locks_owner(const struct stele__object *object, int64_t since, int64_t now,
			    uint64_t holder);

/* NULL: nothing was told of it. */
struct stele__object *stele__locks_object_find(const struct stele_analysis *a, uint64_t address);

/* NULL: no memory. */
struct stele__object *stele__locks_object_at(struct stele_analysis *a, uint64_t address);

/* Gives it a class, if it has none: nobody has waited for it. 0 or -ENOMEM. */
int stele__locks_name(struct stele_analysis *a, struct stele__object *object);

/* The public face of a lock's class; NULL: nobody has waited for it. */
const struct stele_lock *stele__locks_class(const struct stele__object *object);

#endif
