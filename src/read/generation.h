/* SPDX-License-Identifier: MIT */
/*
 * One generation in memory: where its batches lie, its clock, tables, CPU samples and
 * experimental batches. Loading looks into everything but the timed events, which streams decode
 * when their turn comes.
 */
#ifndef STELE_READ_GENERATION_H
#define STELE_READ_GENERATION_H

#include "read/notes.h"
#include "read/table.h"
#include "read/ticks.h"
#include "read/window.h"
#include "read/world.h"

struct stele__batch {
	uint64_t offset; /* of the payload */
	uint64_t time;	 /* ticks */
	uint32_t bytes;
	uint32_t next; /* of the same thread: index + 1, 0: none */
};

/* The event batches of one thread, in file order. */
struct stele__chain {
	uint32_t thread;      /* index in the world */
	uint32_t first, last; /* batch index + 1 */
};

struct stele__sample {
	int64_t time; /* ticks while loading, then ns */
	uint64_t thread, proc, goroutine;
	uint64_t stack;	 /* id while loading, then index */
	uint64_t offset; /* of the sample; keeps equal times in file order */
};

struct stele__experiment {
	uint64_t thread, time, offset;
	uint32_t bytes;
	uint8_t number;
};

struct stele__generation {
	uint64_t number; /* 0: no batch yet */
	bool initial;	 /* the first of the trace */
	bool damaged;	 /* `damage` says how; reading ends with this generation */
	bool deferred;	 /* the damage is behind the generation, which is complete */
	bool open_ended; /* the input ended, and nothing says that the generation was complete */
	bool soft;	 /* the damage is one that Go's reader takes for the end */
	struct stele_diag damage;

	bool has_frequency, has_snapshot;
	uint64_t frequency;
	double ns_per_tick;
	uint64_t time_min; /* smallest time of a batch, ticks */
	uint64_t snapshot_time, monotonic_ns, wall_s, wall_ns;

	struct stele__batch *batches;
	uint32_t batch_count, batch_capacity;
	struct stele__chain *chains; /* in the order of first appearance */
	uint32_t chain_count, chain_capacity;
	struct stele__sample *samples; /* by time */
	uint32_t sample_count, sample_capacity;
	uint32_t sample_next; /* the first that was not delivered */
	struct stele__experiment *experiments;
	uint32_t experiment_count, experiment_capacity;
	struct stele__table table;
	struct stele_heap_info heap;
};

/* What loading works on; all belongs to the reader. */
struct stele__loader {
	struct stele__window *window;
	struct stele__world *world;
	struct stele__notes *notes;
	unsigned version;
	bool whole;	   /* nothing of a damaged generation is wanted */
	uint64_t at;	   /* offset of the next batch */
	uint64_t previous; /* number of the generation before, 0: none */
};

int stele__generation_init(struct stele__generation *generation);
void stele__generation_done(struct stele__generation *generation);

/* Forgets everything but the heap's layout. */
void stele__generation_clear(struct stele__generation *generation, struct stele__world *world);

/*
 * Loads the next generation into a cleared one. 1: there is one, perhaps damaged; 0: the trace
 * ends here. Damage without any batch gives 1 too.
 */
int stele__generation_load(struct stele__generation *generation, struct stele__loader *loader);

#endif
