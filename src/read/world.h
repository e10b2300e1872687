/* SPDX-License-Identifier: MIT */
/*
 * What is alive in the trace: threads, goroutines, procs, with the state that the rules need.
 * Lives as long as the reader; only goroutines ever go away.
 *
 * Indices are stable; pointers into the arrays are not: adding an entity may move them.
 */
#ifndef STELE_READ_WORLD_H
#define STELE_READ_WORLD_H

#include "format/spec.h"
#include "read/idmap.h"
#include "read/kept.h"

#define STELE__NOTHING UINT32_MAX /* index of no thread, goroutine or proc */

/* An open region or stop-the-world range of a goroutine; the innermost first. */
struct stele__open {
	uint64_t id;   /* task of a region, string id of a range's kind */
	uint32_t text; /* kept */
	uint32_t next; /* index + 1, 0: none; links free ones too */
};

struct stele__goroutine {
	uint64_t id;
	uint64_t seq_generation, seq;
	uint32_t regions, stops; /* index + 1 of a struct stele__open */
	uint8_t status;		 /* enum stele_go_status */
	bool assisting;		 /* in a mark assist */
};

struct stele__proc {
	uint64_t id;
	uint64_t seq_generation, seq;
	uint32_t holder; /* a thread that held it last: a hint */
	uint8_t status;	 /* enum stele_proc_status */
	bool sweeping;
};

/*
 * A thread's goroutine is kept by id, not by index: another thread may destroy it, and a new
 * one of the same id takes its place.
 */
struct stele__thread {
	uint64_t id;
	uint64_t proc_id;	 /* STELE_NONE_ID: none */
	uint64_t goroutine;	 /* id, STELE_NONE_ID: none */
	uint32_t goroutine_hint; /* index where it was last */
	uint32_t proc;		 /* index, STELE__NOTHING: none */
	uint32_t stream;	 /* of the generation being loaded, index + 1 */
	bool known;		 /* has tried an event, or was named as being in a syscall */
};

struct stele__task {
	uint64_t id;
	uint64_t parent;
	uint32_t name;	    /* kept */
	uint32_t next_free; /* index + 1 */
};

struct stele__world {
	struct stele__idmap thread_ids, goroutine_ids, proc_ids, task_ids; /* index + 1 */
	struct stele__thread *threads; /* [0] is the one without id */
	uint32_t thread_count, thread_capacity;
	struct stele__goroutine *goroutines;
	uint32_t goroutine_count, goroutine_capacity;
	uint32_t goroutine_free; /* index + 1, linked by `regions` */
	struct stele__proc *procs;
	uint32_t proc_count, proc_capacity;
	struct stele__task *tasks;
	uint32_t task_count, task_capacity;
	uint32_t task_free; /* index + 1 */
	struct stele__open *opens;
	uint32_t open_count, open_capacity;
	uint32_t open_free; /* index + 1 */
	struct stele__kept kept;
};

int stele__world_init(struct stele__world *world);
void stele__world_done(struct stele__world *world);

/* Index of the thread, made if it is new. 0 or an error. */
int stele__world_thread(struct stele__world *world, uint64_t id, uint32_t *ret_index);

/* Index, or STELE__NOTHING. */
STELE_INLINE uint32_t stele__world_find_thread(const struct stele__world *world, uint64_t id)
{
	return stele__idmap_get(&world->thread_ids, id) - 1;
}

STELE_INLINE uint32_t stele__world_find_goroutine(const struct stele__world *world, uint64_t id)
{
	return stele__idmap_get(&world->goroutine_ids, id) - 1;
}

STELE_INLINE uint32_t stele__world_find_proc(const struct stele__world *world, uint64_t id)
{
	return stele__idmap_get(&world->proc_ids, id) - 1;
}

STELE_INLINE uint32_t stele__world_find_task(const struct stele__world *world, uint64_t id)
{
	return stele__idmap_get(&world->task_ids, id) - 1;
}

STELE_INLINE void stele__world_bind_proc(struct stele__world *world, struct stele__thread *thread,
					 uint32_t proc)
{
	thread->proc = proc;
	thread->proc_id = world->procs[proc].id;
}

STELE_INLINE void stele__world_unbind_proc(struct stele__thread *thread)
{
	thread->proc = STELE__NOTHING;
	thread->proc_id = STELE_NONE_ID;
}

/* The thread's goroutine, or STELE__NOTHING if it has none or that one is unknown. */
STELE_INLINE uint32_t stele__world_goroutine_of(const struct stele__world *world,
						struct stele__thread *thread)
{
	uint32_t hint = thread->goroutine_hint;

	if (thread->goroutine == STELE_NONE_ID)
		return STELE__NOTHING;
	if (STELE_LIKELY(hint < world->goroutine_count &&
			 world->goroutines[hint].id == thread->goroutine))
		return hint;
	thread->goroutine_hint = stele__world_find_goroutine(world, thread->goroutine);
	return thread->goroutine_hint;
}

/* The id must not exist. */
int stele__world_add_goroutine(struct stele__world *world, uint64_t id, uint32_t *ret_index);
int stele__world_add_proc(struct stele__world *world, uint64_t id, uint32_t *ret_index);
void stele__world_drop_goroutine(struct stele__world *world, uint32_t index);

/* Takes one reference to `name`. */
int stele__world_add_task(struct stele__world *world, uint64_t id, uint64_t parent, uint32_t name);
void stele__world_drop_task(struct stele__world *world, uint32_t index);

/* Pushes onto a list; takes one reference to `text`. */
int stele__world_push_open(struct stele__world *world, uint32_t *list, uint64_t id, uint32_t text);
/* Unlinks what *link names; the reference to its text is released. */
void stele__world_drop_open(struct stele__world *world, uint32_t *link);

#endif
