/* SPDX-License-Identifier: MIT */
/*
 * The functions behind the interposed ones: those of the next module in the search order, which is
 * another preload's or libc's. Found all at start; one that is called before that is found then.
 */
#ifndef STELE_PRELOAD_RESOLVE_H
#define STELE_PRELOAD_RESOLVE_H

#include "base/atomic.h"

enum stele_real {
#define CALL(type, name, params, args, number, fd)	  STELE_REAL_##name,
#define PLAIN(type, name, params, args, number, argument) STELE_REAL_##name,
#define WAIT(type, name, params, args, why, object)	  STELE_REAL_##name,
#include "preload/calls.def"
#undef CALL
#undef PLAIN
#undef WAIT
#define REAL(name, version, missing) STELE_REAL_##name,
#define OTHER(name, missing)	     STELE_REAL_##name,
#include "preload/reals.def"
#undef REAL
#undef OTHER
#define ALLOC(name, params, args, bytes, missing) STELE_REAL_##name,
#define FREE(name, params, args, missing)	  STELE_REAL_##name,
#define OTHER(name, missing)			  STELE_REAL_##name,
#include "preload/heap.def"
#undef ALLOC
#undef FREE
#undef OTHER
	STELE__REAL_COUNT
};

extern void *stele__reals[STELE__REAL_COUNT] STELE_HIDDEN;

/* Finds one. A function that this libc does not have becomes one that says ENOSYS. Never NULL. */
void *stele__resolve(enum stele_real which) STELE_COLD;

/* The same for a function that is not libc's: as code at `caller` would find it. */
void *stele__resolve_for(enum stele_real which, const void *caller);

/* Finds all, so that none is left to a signal handler. */
void stele__resolve_all(void);

/* A variable of libc by its name; NULL: this libc has none. */
const void *stele__resolve_data(const char *name);

/* Is it libc's own, and not another preload's? */
bool stele__resolve_is_libc(enum stele_real which);

STELE_INLINE void *stele__real(enum stele_real which)
{
	void *found = stele__load_relaxed(&stele__reals[which]);

	return STELE_LIKELY(found) ? found : stele__resolve(which);
}

/* The real function of this name, with its type. */
#define STELE_REAL(name) ((__typeof__(&name))stele__real(STELE_REAL_##name))

/* The dynamic linker's _dl_find_object (glibc 2.35); NULL: it has none. */
typedef int stele__find_object_fn(void *pc, void *ret_object);
stele__find_object_fn *stele__resolve_find_object(void);

#endif
