/* SPDX-License-Identifier: MIT */
/*
 * Memory of the traced program: what is alive of each family, and what was. Owned by the analysis;
 * what its functions give lives until its end.
 */
#ifndef STELE_ANALYZE_MEMSUM_H
#define STELE_ANALYZE_MEMSUM_H

#include "analyze/curve.h"
#include "analyze/livemap.h"
#include "analyze/model.h"
#include "analyze/pairs.h"
#include "analyze/spantree.h"

/* Numbers of the events on the wire: docs/format.md */
enum {
	MEMORY_SPAN = 128,
	MEMORY_SPAN_ALLOC,
	MEMORY_SPAN_FREE,
	MEMORY_OBJECT,
	MEMORY_OBJECT_ALLOC,
	MEMORY_OBJECT_FREE,
	MEMORY_STACK,
	MEMORY_STACK_ALLOC,
	MEMORY_STACK_FREE,
};

struct stele__place { /* a site, while it is counted */
	struct stele_memory_site s;
	uint64_t least, greatest; /* bytes of one object */
	uint64_t peak;		  /* number of the peak that s.at_peak is of */
};

struct stele__party {
	struct stele_memory_party p; /* first: the public face */
	enum stele_memory_who who;
	uint64_t goroutine;		/* whose name is not known yet; STELE_NO_ID: it has one */
	const struct stele__name *name; /* that it had when it ended; NULL */
};

/* Who allocates: what it counts for. */
struct stele__actor {
	struct stele__party *parties[STELE__WHO_KINDS]; /* NULL: in no region, for no task */
};

/* What threads of one name freed of one place. */
struct stele__freer {
	struct stele__place *place;
	struct stele__party *from; /* who had allocated it; NULL: it existed before */
	struct stele__party *party;
	uint64_t count;
};

/* Objects of one place, size and actor. */
struct stele__lot {
	struct stele__place *place;
	const struct stele__actor *actor; /* NULL: they existed before */
	uint64_t bytes;			  /* of one */
	uint64_t account;		  /* how many bytes one stands for */
};

struct stele__span_kind {
	struct stele_memory_kind k;
	uint64_t key;
};

struct stele__stack_owner {
	uint64_t goroutine;
	const struct stele__name *entry; /* NULL: unknown so far */
	uint64_t stacks, high_bytes, moved;
	uint64_t used_bytes; /* 0: unknown */
	uint64_t live_bytes;
};

struct stele__heap_stack {
	uint64_t address, bytes;
	int64_t since;
	struct stele__stack_owner *owner;   /* NULL: unknown */
	struct stele__allocator *allocator; /* who has it as `stack` */
};

/* What a thread did last. */
struct stele__allocator {
	uint64_t object;		 /* it allocated; STELE_NO_ID: none, or it is freed */
	struct stele__heap_stack *stack; /* it allocated, and whose is not known yet */
	struct stele__freer *freer;	 /* it freed for last; NULL: nothing so far */
	uint64_t goroutine;		 /* which ran on it then */
	const struct stele__name *entry; /* of that goroutine, as far as it was known then */
};

struct stele__memory {
	bool go;	/* slots, headers and the tiny allocator are Go's */
	bool each_tiny; /* objects that share a slot are all told */
	struct stele_heap_info layout;
	struct stele__pairs pairs[STELE__MEMORY_FAMILIES];
	struct stele__curve curves[STELE__MEMORY_FAMILIES];
	uint64_t peaks; /* so often have there been more bytes of objects than ever before */
	uint64_t headers, shared,
		gone; /* objects: frees of slots, allocs in one, lost with a span */
	struct stele__livemap objects;
	uint64_t homeless; /* of them */
	struct stele__spantree spans;
	struct stele__keymap kinds;
	struct stele__keymap stacks; /* by address: struct stele__heap_stack, owned */
	struct stele__keymap span_seen, stack_seen; /* addresses that ever were one */
	struct stele__keymap owners, entries;	    /* by goroutine; by name */
	struct stele__keymap allocators;	    /* by thread, owned */
	struct stele__keymap places;		    /* by identity, owned */
	struct stele__keymap lot_ids;		    /* place and bytes -> lot + 1 */
	struct stele__keymap types;	      /* type and bytes -> lot + 1, of this generation */
	struct stele__keymap actors, parties; /* owned */
	struct stele__keymap freers;	      /* by place and parties, owned */
	struct stele_memory_size sizes[STELE_SIZES_MAX];
	struct stele__lot *lots;
	uint32_t lot_count, lot_max;
	struct stele_memory face;
	/* Made by finish(). */
	struct stele_memory_map map;
	struct stele_memory_cell *cells; /* of the map */
	struct stele_memory_party *party_lists[STELE__WHO_KINDS];
	size_t party_counts[STELE__WHO_KINDS];
	size_t size_count;
	struct stele_memory_site *sites;
	struct stele_memory_kind *kind_list;
	struct stele_memory_stack *stack_list;
	struct stele_memory_owner *owner_list;
	struct stele_broken
		broken[STELE__MEMORY_FAMILIES * STELE__BROKEN_CAUSES * STELE__BROKEN_KINDS];
	size_t site_count, kind_count, stack_count, owner_count, broken_count;
};

void stele__memory_gain(struct stele_memory_sum *sum, uint64_t bytes, int64_t time, bool existed);
void stele__memory_drop(struct stele_memory_sum *sum, uint64_t bytes);

/* The address has been heard of; 0 or -ENOMEM. */
int stele__memory_note(struct stele__keymap *seen, uint64_t address);

/* NULL: no memory. */
struct stele__allocator *stele__allocator(struct stele__memory *m, uint64_t thread);

/*
 * The lot of an object of the type with this id; `bytes`: its room, 0: the type says; actor: NULL
 * if it existed before.
 */
int stele__lot_find(struct stele_analysis *a, const struct stele_reader *reader, uint64_t type,
		    uint64_t bytes, const struct stele__actor *actor, uint32_t *ret_lot);

/* Who the event is by; NULL: no memory. */
const struct stele__actor *stele__actor(struct stele_analysis *a, const struct stele_event *event);
void stele__actor_gains(const struct stele__lot *lot);
void stele__actor_loses(const struct stele__lot *lot);
/* The event frees an object of the lot; 0 or -ENOMEM. */
int stele__actor_frees(struct stele_analysis *a, struct stele__allocator *allocator,
		       const struct stele__lot *lot, const struct stele_event *event);
/* The goroutine ends, by the name that it has now. */
void stele__actor_ends(struct stele_analysis *a, uint64_t goroutine);
/* Who freed what, in the sites; and tables of parties. 0 or -ENOMEM. */
int stele__parties_finish(struct stele_analysis *a);
void stele__parties_free(struct stele__memory *m);

/* The size class of objects with so many bytes. */
struct stele_memory_size *stele__size_class(struct stele__memory *m, uint64_t bytes);
void stele__sizes_finish(struct stele__memory *m);

/* 0 or -ENOMEM. */
int stele__map_finish(struct stele__memory *m);

/* 0, -ENOMEM or STELE_E_LIMIT. */
int stele__span_event(struct stele_analysis *a, const struct stele_event *event);
int stele__object_event(struct stele_analysis *a, const struct stele_reader *reader,
			const struct stele_event *event);
int stele__stack_event(struct stele_analysis *a, const struct stele_event *event);

/* A span with these bounds was freed, or allocated. */
void stele__objects_leave(struct stele__memory *m, uint64_t begin, uint64_t end, bool for_good);
void stele__objects_return(struct stele__memory *m, uint64_t begin, uint64_t end);

/* At the end: what the pairs say is not alive goes, then the tables are made. */
void stele__spans_settle(struct stele__memory *m);
void stele__objects_settle(struct stele__memory *m);
int stele__stacks_settle(struct stele_analysis *a);
int stele__kinds_finish(struct stele__memory *m);
void stele__broken_find(struct stele__memory *m, const struct stele_trust *trust, unsigned version);

void stele__spans_free(struct stele__memory *m);
void stele__stacks_free(struct stele__memory *m);

#endif
