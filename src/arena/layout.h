/* SPDX-License-Identifier: MIT */
/*
 * The shared mapping through which a traced process and its drain speak: the layout alone, no
 * policy. It holds offsets and never pointers, so it can be mapped anywhere, by any number of
 * processes, and read after all of them are dead.
 *
 *   0           struct stele_arena            control block
 *   slots       struct stele_slot[slot_max]   one for each live thread
 *   rings       struct stele_ring[ring_max]   ring headers: the truth about who owns what
 *   table       uint32_t[table_length]        dictionary: hash table of entry ids
 *   heap        struct stele_entry …          dictionary: entries, never moved, never reused
 *   data        struct stele_record …         the rings' records, up to `bytes`
 *
 * Everything from `slots` to the end of `table` is populated by the creator. Pages of `heap` and
 * `data` are populated (MADV_POPULATE_WRITE) by whoever hands them out, so that a lack of memory
 * is a counted loss and not a SIGBUS, and an arena costs what is used of it.
 *
 * Who writes what is said at each field: W: the writers (the traced threads); D: the drain;
 * C: the creator, before anybody else maps the arena. Details: docs/design/arena.md.
 */
#ifndef STELE_ARENA_LAYOUT_H
#define STELE_ARENA_LAYOUT_H

#include "base/atomic.h"
#include "base/compiler.h"

#define STELE_ARENA_MAGIC	0x414e455241454c53ull /* "SLEARENA", little-endian */
#define STELE_ARENA_VERSION	1
#define STELE_FINGERPRINT_BYTES 32

#define STELE_CHILDREN_MAX 4096 /* pids remembered, so that each child is counted once */

/* Records ---------------------------------------------------------------------------------- */

enum stele_kind {
#define X(name, class, flags, a, b, c) STELE_KIND_##name,
#include "arena/kinds.def"
#undef X
	STELE__KIND_COUNT
};

enum stele_class { STELE_CLASS_STATE, STELE_CLASS_USER, STELE_CLASS_MEMORY, STELE__CLASS_COUNT };

/* Flags of kinds.def. */
enum { STELE_KIND_ORDERED = 1 };

/* In the header, so that a constant kind folds into the fast path. */
static const uint8_t stele__kind_classes[STELE__KIND_COUNT] = {
#define ORDERED			       STELE_KIND_ORDERED
#define X(name, class, flags, a, b, c) STELE_CLASS_##class,
#include "arena/kinds.def"
#undef X
};
static const uint8_t stele__kind_flags[STELE__KIND_COUNT] = {
#define X(name, class, flags, a, b, c) flags,
#include "arena/kinds.def"
#undef X
#undef ORDERED
};

extern const char *const stele__kind_names[STELE__KIND_COUNT];

enum stele_wait_code {
#define X(name, text) STELE_WAIT_CODE_##name,
#include "arena/waits.def"
#undef X
	STELE__WAIT_COUNT
};

extern const char *const stele__wait_texts[STELE__WAIT_COUNT];

/* The words of a GO_BLOCK, GO_PARK or GO_STOP: "stack<<32|holder<<8|wait". */
_Static_assert(STELE__WAIT_COUNT <= 256, "a wait has 8 bits");

STELE_INLINE uint64_t stele__wait_word(uint32_t stack, uint32_t holder, uint32_t wait)
{
	return (uint64_t)stack << 32 | (holder & 0xffffff) << 8 | wait;
}

STELE_INLINE uint32_t stele__wait_of(uint64_t word)
{
	return word & 255;
}

STELE_INLINE uint32_t stele__wait_holder(uint64_t word)
{
	return (uint32_t)word >> 8;
}

/* The first word of a SYSCALL_BEGIN: "stack<<32|file<<31|number"; file: arg is a descriptor. */
#define STELE_CALL_OF_FILE (1u << 31)

/* Of STELE_EVENTS_LOCKS? */
STELE_INLINE bool stele__wait_is_lock(uint32_t wait)
{
	return (wait >= STELE_WAIT_CODE_MUTEX && wait <= STELE_WAIT_CODE_ONCE) ||
	       wait == STELE_WAIT_CODE_FUTEX;
}

/* Flags of a THREAD_BEGIN record. */
enum stele_thread_flags {
	STELE_THREAD_CREATED = 1, /* a GO_CREATE of this g was recorded by its creator */
	STELE_THREAD_MAIN = 2,	  /* the process's first thread */
	STELE_THREAD_WORKER = 4,  /* a runtime's: without a goroutine of its own */
};

/*
 *   header  63            8 7        1  0
 *          | time:56       | kind:7   |lap|     stored last, with release
 *
 * `lap` is the inverted parity of the trip around the ring, so zeroed memory reads as "not yet
 * written" on the first trip and the drain zeroes nothing.
 */
struct stele_record {
	uint64_t header;
	uint64_t a;
	uint64_t b;
	uint64_t c;
};
_Static_assert(sizeof(struct stele_record) == 32, "two records a cache line");
_Static_assert(STELE__KIND_COUNT <= 128, "kind has 7 bits");

#define STELE_TIME_BITS 56

STELE_INLINE uint64_t stele__record_lap(uint64_t position, uint32_t shift)
{
	return ~(position >> shift) & 1;
}

STELE_INLINE uint64_t stele__record_header(uint64_t time, unsigned kind, uint64_t lap)
{
	return time << 8 | (uint64_t)kind << 1 | lap;
}

STELE_INLINE unsigned stele__record_kind(uint64_t header)
{
	return (unsigned)(header >> 1) & 127;
}

STELE_INLINE uint64_t stele__record_time(uint64_t header)
{
	return header >> 8;
}

/*
 * Names one record of one slot incarnation: the ring's sequence and the position in it. Never 0,
 * which stands for "was not recorded".
 */
STELE_INLINE uint64_t stele__token(uint32_t sequence, uint64_t position)
{
	return (uint64_t)(sequence + 1) << 40 | (position & ((1ull << 40) - 1));
}

/* Rings ------------------------------------------------------------------------------------ */

#define STELE_RING_BYTES_MIN 4096
#define STELE_RING_CLASSES   8 /* 4 KiB × 4^class */
#define STELE_HEAD_CLOSED    (1ull << 63)
/* A tail_seen that sends every emission to the slow path: a policy on re-entry is watched over. */
#define STELE_TAIL_WATCHED (1ull << 62)

/*
 * FREE -> PREPARED by the writer that took it off the free list (slot, incarnation and sequence
 * are written before), -> LIVE when it is the thread's ring, -> FREE by the drain when the thread
 * is gone and everything is read, or by the writer for a ring that was never published.
 *
 * A thread's first ring (sequence 0) is PREPARED with THREAD_BEGIN already written. A thread that
 * died between publishing a ring and marking it LIVE leaves a PREPARED one: it was published iff
 * it holds more than what it was prepared with (head > 1 for sequence 0, head > 0 for others).
 */
enum stele_ring_state { STELE_RING_FREE, STELE_RING_PREPARED, STELE_RING_LIVE };

/*
 * 0 <= head - tail <= mask + 1. Records [tail, head) are reserved, each written or not yet.
 * data_delta, mask, shift and size_class never change after the header was first handed out.
 */
struct stele_ring {
	/* The writer's line. */
	uint64_t head;	      /* W: local CAS only. Bit 63: closed, a successor exists or will */
	uint64_t tail_seen;   /* W: a tail read some time ago, or STELE_TAIL_WATCHED */
	int64_t data_delta;   /* from this header to its first record, in bytes */
	uint64_t mask;	      /* records - 1 */
	uint64_t limit[2];    /* W: head - tail_seen above which the slow path decides: [0] state
			       * events, [1] others. Half of the ring, until the drain is behind */
	uint32_t shift;	      /* log2(records) */
	uint32_t slot;	      /* W: index of the owning slot */
	uint32_t sequence;    /* W: 0 for the first ring of a slot incarnation, then counting */
	uint32_t incarnation; /* W: the slot's, so that an old owner's ring is recognised */

	/* The drain's line. */
	uint64_t tail __attribute__((aligned(STELE_CACHE_LINE))); /* D release / W acquire */
	uint32_t state; /* enum stele_ring_state; W release / D acquire */
	uint32_t size_class;
	uint32_t next_free; /* index + 1 of the next free ring; under the free list's tag */
	uint32_t replaced;  /* W: set when a successor of the same size was needed: a hole */
	uint64_t pad[5];
};
_Static_assert(sizeof(struct stele_ring) == 2 * STELE_CACHE_LINE, "a line each");
_Static_assert(offsetof(struct stele_ring, tail) == STELE_CACHE_LINE, "no false sharing");

/* Slots ------------------------------------------------------------------------------------ */

enum stele_slot_state {
	STELE_SLOT_FREE,
	STELE_SLOT_LIVE,
	STELE_SLOT_ENDED, /* W: the thread said good-bye; late destructors may still emit */
};

enum stele_loss {
	STELE_LOSS_RING_FULL,  /* the ring is at its cap and the drain is behind */
	STELE_LOSS_ARENA_FULL, /* no ring of the wanted size was left */
	STELE_LOSS_DRAIN_DEAD, /* the drain's heartbeat stopped while waiting for it */
	STELE_LOSS_REENTRY,    /* policy skip */
	STELE__LOSS_COUNT
};

/* A slot is one thread's for as long as that thread lives. */
struct stele_slot {
	uint32_t state;	      /* W: FREE->LIVE->ENDED; D: ->FREE */
	uint32_t incarnation; /* grows with each owner; written before state becomes LIVE */
	uint32_t tid;
	uint32_t next_free; /* index + 1; under the free list's tag */
	uint64_t goroutine; /* of the thread itself */
	uint64_t birth;	    /* W: order of claiming, over all slots: arena->births */

	/* W: single-instruction adds, cumulative over the incarnation. */
	uint64_t dropped[STELE__LOSS_COUNT][STELE__CLASS_COUNT];
	uint64_t waited_count; /* W: times this thread waited for ring space (on-full=block) */
	uint64_t waited_ns;
	uint64_t waiting; /* W: 1 while it waits */

	uint32_t tail_futex; /* D: bumped and woken when space was freed and somebody waits */
	uint32_t pad32;
	uint64_t stack_low, stack_high; /* W: the thread's own stack; 0: unknown */
	uint64_t pad[2];
};
_Static_assert(sizeof(struct stele_slot) % STELE_CACHE_LINE == 0, "no false sharing");

/* Dictionary ------------------------------------------------------------------------------- */

enum stele_entry_kind { STELE_ENTRY_STRING = 1, STELE_ENTRY_STACK = 2, STELE_ENTRY_MODULE = 3 };

/* Flags of a stack entry. */
enum {
	STELE_STACK_TRUNCATED = 1 /* more frames than fit */,
	STELE_STACK_BROKEN = 2 /* the walk ended at missing data */
};

/*
 * Written completely, then published by a locked CAS of its id into the hash table: insertion may
 * be interrupted anywhere, and an entry that lost the race is merely unused space. An entry's id
 * is its offset in the heap / 16, so never 0 (the heap starts with an unused unit).
 */
struct stele_entry {
	uint32_t hash;
	uint16_t kind; /* enum stele_entry_kind */
	uint16_t flags;
	uint32_t length; /* string: bytes; stack: frames; module: bytes of the payload */
	uint32_t
		epoch; /* stack: the module epoch its pcs belong to; module: the epoch of loading */
	/* payload: char[length] | uint64_t pc[length] | struct stele_module + path */
};
_Static_assert(sizeof(struct stele_entry) == 16, "an id is an offset / 16");

/* Payload of a module entry. Addresses are those of the traced process. */
struct stele_module {
	uint64_t start; /* lowest mapped address */
	uint64_t end;
	uint64_t bias; /* address = bias + address in the ELF file */
	uint32_t build_id_bytes;
	uint32_t path_bytes;
	uint8_t build_id[32];
	/* char path[path_bytes], no terminator */
};

/* Ids that need no insertion. */
#define STELE_ENTRY_NONE 0
#define STELE_ENTRY_FULL 1 /* "dictionary full": the creator's, a string */

/* Control block ---------------------------------------------------------------------------- */

enum stele_clock_kind { STELE_CLOCK_TSC, STELE_CLOCK_MONOTONIC, STELE_CLOCK_CNTVCT };
enum stele_reentry {
	STELE_REENTRY_NEST,
	STELE_REENTRY_FLUSH,
	STELE_REENTRY_SKIP,
	STELE_REENTRY_ABORT
};
enum stele_on_full { STELE_ON_FULL_DROP, STELE_ON_FULL_BLOCK };

/* What can be left out of a recording; threads themselves are always in it. */
enum stele_events {
	STELE_EVENTS_LOCKS = 1,	   /* waits for locks */
	STELE_EVENTS_SYSCALLS = 2, /* blocking system calls */
	STELE_EVENTS_USER = 4,	   /* annotations */
	STELE_EVENTS_MEMORY = 8,   /* spans, objects, stacks */
	STELE_EVENTS_FILES = 16,   /* what descriptors stand for: paths, addresses */
	STELE_EVENTS_WAITS = 32,   /* waits for anything else */
	STELE_EVENTS_CPU = 64,	   /* what runs, cpu_hz times a second */
	STELE_EVENTS_ALL = 127
};

struct stele_free_list {
	uint64_t head; /* tag:32 | index + 1:32; locked CAS by writers and drain; tag against ABA */
} __attribute__((aligned(STELE_CACHE_LINE)));

/* One look at the clocks: the records' one, CLOCK_MONOTONIC and CLOCK_REALTIME. */
struct stele_arena_clock {
	uint64_t ticks, monotonic_ns, realtime_ns;
};

struct stele_arena {
	/* C: constant. magic is stored last. */
	uint64_t magic;
	uint32_t version;
	uint32_t header_bytes;			      /* sizeof(struct stele_arena) */
	uint8_t fingerprint[STELE_FINGERPRINT_BYTES]; /* of layout.h, kinds.def, waits.def */
	uint64_t bytes;
	uint64_t slots, rings, table, heap, data; /* offsets */
	uint32_t slot_max, ring_max, table_length, ring_class_max;
	uint64_t heap_bytes;

	/* C: what to record. A supervisor may change events at any time, an embedding process
	 * heap_sample_bytes, too. */
	uint32_t clock;	  /* enum stele_clock_kind */
	uint32_t reentry; /* enum stele_reentry */
	uint32_t on_full; /* enum stele_on_full */
	uint32_t events;  /* enum stele_events */
	uint32_t stack_frames_max;
	uint32_t module_epoch;	    /* W: grows at dlclose and exec; here, where captures look */
	uint32_t cpu_hz;	    /* with events & CPU; 0: no thread is made to tell */
	uint64_t heap_sample_bytes; /* one sample in this many bytes of objects; 0: every object */
	uint32_t supervisor;	    /* pid of whoever offers arenas to children of this process, */
	uint32_t board; /* and its descriptor of the board + 1; 0: they are not followed */
	uint32_t pid;	/* W: of the traced process, 0 until it has attached (CAS); 1 reader: D */
	/* W: when a process took it, before pid; ticks 0: it was made for this process. */
	struct stele_arena_clock clock_taken;

	/* W. */
	uint64_t enabled __attribute__((aligned(STELE_CACHE_LINE))); /* D and W: 1 = recording */
	uint64_t births;					     /* locked add */
	uint64_t goroutines;					     /* ids given out; locked add */
	uint64_t tasks;						     /* likewise */
	uint32_t slot_bump, ring_bump; /* handed out so far, freed ones included; locked CAS */
	uint64_t data_bump;	       /* next unused byte of data */
	uint64_t heap_bump;	       /* next unused byte of heap */
	uint64_t heap_populated;
	uint32_t images;	  /* program images so far: 1 + execs */
	uint32_t recording;	  /* from 1; recordings of one process follow each other */
	uint64_t no_slot;	  /* events of threads that found no free slot */
	uint64_t dictionary_full; /* insertions refused */
	uint64_t abandoned;	  /* emissions known to have been left by longjmp */
	uint64_t children;	  /* forked, not recorded */
	uint32_t snapshots;	  /* wanted by the program so far; locked add */
	uint64_t skipped[STELE__KIND_COUNT]; /* by policy skip; locked add */

	/* D. */
	uint64_t heartbeat __attribute__((aligned(STELE_CACHE_LINE))); /* grows at each tick */
	uint64_t heartbeat_ns; /* CLOCK_MONOTONIC of the last tick */
	uint32_t asleep;       /* 1: the drain sleeps on the bell */
	uint32_t bell;	       /* W too: grows when a ring is half full */
	/* For whoever finds the arena when its drain is dead. */
	struct stele_arena_clock clock_first;	/* when the drain was made */
	struct stele_arena_clock clock_last[2]; /* at ticks; [heartbeat & 1] is whole */
	uint32_t trace;		/* dictionary id: absolute path of the trace; 0: unknown */
	uint32_t trace_version; /* its header's */
	uint64_t boot[2];	/* the machine's boot id, of an arena in a file */

	struct stele_free_list free_slots;
	struct stele_free_list free_rings[STELE_RING_CLASSES];

	uint32_t child_pids[STELE_CHILDREN_MAX]; /* W: locked CAS 0 -> pid */
};

/*
 * The largest head - tail at which an event still fits. The last eighth is kept for urgent ones:
 * state events or, where threads wait for room, those within another emission, which cannot wait.
 */
STELE_INLINE uint64_t stele__ring_room(const struct stele_ring *r, bool urgent)
{
	return urgent ? r->mask : r->mask - (r->mask + 1) / 8;
}

STELE_INLINE struct stele_slot *stele__arena_slot(struct stele_arena *a, uint32_t index)
{
	return (struct stele_slot *)(void *)((char *)a + a->slots) + index;
}

STELE_INLINE struct stele_ring *stele__arena_ring(struct stele_arena *a, uint32_t index)
{
	return (struct stele_ring *)(void *)((char *)a + a->rings) + index;
}

STELE_INLINE struct stele_record *stele__ring_record(struct stele_ring *r, uint64_t position)
{
	return (struct stele_record *)(void *)((char *)r + r->data_delta) + (position & r->mask);
}

STELE_INLINE struct stele_entry *stele__arena_entry(struct stele_arena *a, uint32_t id)
{
	return (struct stele_entry *)(void *)((char *)a + a->heap + (uint64_t)id * 16);
}

#endif
