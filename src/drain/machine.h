/* SPDX-License-Identifier: MIT */
/*
 * What the drain knows: the states that a reader of the trace will have at this point of it, and
 * how far each ring has been read. docs/design/drain.md draws the whole.
 *
 * Everything here is private memory. Values read from the arena are copied and checked first: the
 * traced process may write anything there at any time.
 */
#ifndef STELE_DRAIN_MACHINE_H
#define STELE_DRAIN_MACHINE_H

#include "arena/arena.h"
#include "base/error.h"
#include "drain/carry.h"
#include "drain/drain.h"
#include "drain/lookup.h"
#include "drain/timeline.h"
#include "format/cursor.h"
#include "format/encode.h"

#define STELE_INTERVALS_MAX 16		 /* open at once in one thread: handlers in handlers */
#define STELE_GO_ID_MAX	    (1ull << 32) /* larger ids are the drain's own */
#define STELE_PROC_ID_BASE  65536u	 /* procs of runtimes; below: one for each slot */
#define STELE_GO_COUNT_MAX  (1u << 22)
#define STELE_REGIONS_MAX   4096

/* One wire event: type, dt, four arguments. */
#define STELE_EVENT_BYTES_MAX (1 + STELE_VARINT_BYTES_MAX * (1 + STELE_ARGS_MAX))

struct stele_drain_thread;

/* A stream of events of one m, as batches. Invariant: batch.time never decreases. */
struct stele_lane {
	struct stele_batch batch; /* the buffer is the lane's own */
	uint64_t m;
	uint64_t last; /* time of the last event of an ended batch */
	bool details;  /* not of events: eventdetail.c */
};

struct stele_region {
	uint64_t task;
	uint32_t name; /* dictionary id */
	uint32_t stack;
	uint64_t begin; /* wire time */
};

/* What a goroutine that waits, or is in a system call, is at. */
struct stele_drain_standing {
	uint64_t begin;	 /* wire time */
	uint64_t object; /* of a wait: what for; of a call: its descriptor + 1; 0: unknown */
	uint32_t holder; /* thread id; 0: unknown */
	uint32_t stack;	 /* dictionary id */
	uint16_t wait;	 /* as in stele_drain_interval */
};

struct stele_drain_go {
	uint64_t id;
	uint64_t epoch;	     /* of ownership, as told by records */
	uint64_t seq;	     /* last sequence number of this generation */
	uint32_t generation; /* in which it was mentioned last */
	uint8_t state;	     /* enum stele_go_status */
	bool bridge; /* invented: exists only while a thread without a goroutine needs one */
	struct stele_drain_standing standing;
	struct stele_drain_thread *owner;	/* whose `go` this is; NULL: nobody's */
	struct stele_drain_go *next, *previous; /* all live ones */
	struct stele_region *regions;		/* open, innermost last */
	uint32_t region_count, region_max;
};

struct stele_drain_proc {
	uint64_t id;
	uint64_t epoch;
	uint64_t seq;
	uint32_t generation;
	uint8_t state; /* enum stele_proc_status; BAD: never mentioned in this trace */
	struct stele_drain_thread *owner;
};

/* An open wait or system call of a thread. */
struct stele_drain_interval {
	uint64_t token;
	uint64_t g;	 /* the goroutine that waits */
	uint64_t frame;	 /* stack pointer of the code that began it */
	uint32_t stack;	 /* dictionary id */
	uint16_t wait;	 /* enum stele_wait_code; of a call: its number + 1, 0: unknown */
	uint32_t holder; /* thread id; 0: unknown */
	uint64_t object; /* what it waits for; 0: unknown */
	uint64_t begin;	 /* wire time */
	bool syscall;
	bool watched; /* it was told that it takes long */
	bool file;    /* of a call: `object` is a descriptor */
	bool within;  /* a runtime's call, in which the goroutine stays: see interval_is_within */
};

/* Our view of a ring. The constants are copies, checked once: the shared ones may be overwritten.
 */
struct stele_drain_ring {
	struct stele_ring *shared;
	struct stele_record *records;
	uint64_t next; /* first position not taken */
	uint64_t tail; /* as published */
	uint64_t mask;
	uint32_t shift;
	uint32_t sequence;
	struct stele_drain_thread *thread;  /* NULL: not attached */
	struct stele_drain_ring *following; /* another one of the same thread */
};

/* A record that was passed over unwritten, and may still be written. */
struct stele_late {
	struct stele_drain_ring *ring;
	uint64_t position;
};

struct stele_drain_offcpu;

struct stele_drain_thread {
	struct stele_slot *slot;
	uint32_t slot_index, incarnation;
	uint32_t tid;
	uint64_t birth;
	uint64_t goroutine; /* the slot's, for a thread whose first record was lost */

	struct stele_lane lane, details; /* the second without a buffer until it is needed */
	struct stele_drain_go *go;	 /* bound, waiting or in a system call here; NULL: none */
	struct stele_drain_proc *proc;	 /* held; NULL: none */
	struct stele_drain_interval intervals[STELE_INTERVALS_MAX];
	uint32_t depth;
	bool settle; /* after this record: return to the innermost open interval */
	bool begun, ended;
	struct stele_drain_offcpu *offcpu; /* NULL: it was never told to lose its processor */

	struct stele_drain_ring *rings;	  /* all attached ones */
	struct stele_drain_ring *current; /* NULL: `sequence` has not appeared yet */
	uint32_t sequence;		  /* of the current or next ring */
	struct stele_late *late;
	uint32_t late_count, late_max;
	uint64_t hole_since_ns, hole_position; /* the hole that it stands at */
	uint64_t stalled_since_ns, stalled_time;
	bool in_hole; /* the stream stands at an unwritten record that is not late yet */
	bool stalled; /* the stream stands at a record that needs another thread's */

	bool gone;				/* the thread does not exist any more */
	bool lasted;				/* it existed until the process ended */
	struct stele_drain_thread *predecessor; /* had this tid; must be finished first */
	struct stele_drain_thread *departed_next;
	bool departed;

	uint32_t name;						 /* dictionary id */
	bool announce;						 /* own data: new, or a new name */
	bool fresh;						 /* no record taken yet */
	uint64_t dropped[STELE__LOSS_COUNT][STELE__CLASS_COUNT]; /* as last seen */
	uint64_t waited_count, waited_ns;
};

/* A text of ours (symbols, reasons), kept for the whole recording. */
struct stele_drain_text {
	uint32_t generation; /* in which `wire` is valid */
	uint32_t wire;
	uint32_t bytes;
	char data[];
};

struct stele_drain_frame {
	uint64_t pc; /* unique for each (function, file, line) */
	struct stele_drain_text *function, *file;
	uint32_t line;
};

/* What one pc of one module epoch stands for. */
struct stele_drain_symbol {
	uint32_t count; /* >= 1 */
	struct stele_drain_frame frames[];
};

struct stele_drain_module {
	uint64_t start, end, bias;
	uint32_t entry;			  /* dictionary id */
	uint32_t told;			  /* in which generation */
	uint32_t epoch_first, epoch_last; /* epochs in which its code may be met */
	uint32_t path_bytes;
	char path[];
};

/* An entry of the present generation's tables: from the dictionary, or ours. */
struct stele_string_use {
	uint32_t entry;
	uint32_t wire;
	struct stele_drain_text *text;
};
struct stele_stack_use {
	uint32_t entry;
	uint32_t epoch;
	uint64_t entry_pc; /* entry is 0: a one-frame stack */
	uint16_t call; /* of a system call: its number + 1, which is the innermost frame; else 0 */
};
struct stele_drain_type {
	uint64_t size;
	uint64_t address; /* its identity across generations */
	uint32_t stack;	  /* dictionary id */
	uint32_t generation, wire, wire_stack;
};
#define STELE_SITES_RECENT 512
struct stele_mark {
	uint32_t generation;
	uint32_t wire; /* bit 31: in the stack table */
};
struct stele_entry_mark {
	uint32_t generation, wire;
};

/* Numbers written as strings in this generation (decimal.c). */
#define STELE_DECIMALS 1024
struct stele_decimal {
	int64_t value;
	uint32_t generation;
	uint32_t wire;
};
struct stele_decimals {
	struct stele_batch batch; /* open while it holds something */
	uint8_t *data;		  /* STELE_BATCH_BUFFER_BYTES */
	struct stele_decimal
		known[STELE_DECIMALS]; /* by value modulo length; others are rewritten */
};

struct stele_drain_tables {
	struct stele_mark *marks; /* by dictionary id */
	uint32_t mark_count;
	struct stele_string_use *strings;
	uint32_t string_count, string_max;
	uint32_t string_ids; /* wire ids given out in this generation */
	struct stele_decimals decimals;
	struct stele_stack_use *stacks;
	uint32_t stack_count, stack_max;
	struct stele_drain_type **types;
	uint32_t type_count, type_max;
	struct stele_drain_text *waits[STELE__WAIT_COUNT];
	struct stele_lookup texts;   /* (hash, bytes) */
	struct stele_lookup symbols; /* (pc, epoch) */
	struct stele_lookup pcs;     /* pc -> the symbol that has it as its address */
	struct stele_lookup entries; /* (entry pc, epoch) -> struct stele_entry_mark */
	struct stele_lookup calls;   /* (stack, number + 1) -> likewise */
	struct stele_lookup sites;   /* (size, stack) -> struct stele_drain_type */
	struct stele_drain_type *sites_recent[STELE_SITES_RECENT];
	struct stele_drain_module **modules;
	uint32_t module_count, module_max;
	uint64_t pc_next; /* for frames that share a pc with another */
	uint64_t type_next, types_carried;
	uint8_t *batch; /* STELE_BATCH_BUFFER_BYTES, for structural batches */
};

struct stele_outlet {
	struct stele_sink sink;
	uint8_t *data;
	size_t used;
	uint64_t written; /* handed to the sink with success */
	uint64_t valid;	  /* up to the end of the last whole generation */
	uint64_t lost;
	int error;
};

/* Own data of the present generation. docs/design/drain.md, "Own data" */
struct stele_own {
	struct stele_batch batch;
	uint8_t *data;
	struct stele_drain_stats told; /* totals as last written */
	struct stele_lookup counters;  /* names told to be counters, by dictionary id */
	struct stele_lookup objects;   /* addresses that were told of -> the pc that made them */
	/* With options.excerpts: those told of in this generation; what descriptors stand for. */
	struct stele_lookup objects_again, files;
	bool image;	  /* a program image has begun */
	uint32_t program; /* its first module, dictionary id: the program itself */
	uint64_t pid;
};

/* One record of it while it is made; what finds no room is left out. */
#define STELE_OWN_RECORD_BYTES_MAX 8192
struct stele_own_record {
	uint8_t *at;
	uint8_t data[STELE_OWN_RECORD_BYTES_MAX];
};

/*
 * An id that ended cannot begin again in the same generation: on two threads nothing would order
 * the end before the beginning for a reader. Ids are never reused by a sane process.
 */
enum stele_retired { STELE_RETIRED_GO, STELE_RETIRED_TASK };

/* In the table of tasks: the earliest wire time at which one that began then may end. */
#define STELE_TASK_BEGUN(time) ((void *)(uintptr_t)((time) + 1))

struct stele_drain {
	struct stele_arena *arena;
	struct stele_slot *slots; /* copies of what layout.h computes from shared words */
	struct stele_ring *ring_headers;
	uint64_t data_begin, data_end;
	uint32_t slot_max, ring_max;
	struct stele_drain_options options;

	struct stele_timeline timeline;
	struct stele_clock_pair pair;  /* of this tick */
	struct stele_clock_pair start; /* of this generation */
	uint64_t floor;		       /* wire time at which the generation began */

	uint32_t generation;		  /* the one being written, from 1 */
	uint64_t cut_ticks;		  /* a cut is being made at this time; UINT64_MAX: none */
	struct stele_clock_pair cut_pair; /* the clock when it was planned */
	bool cut_wanted;		  /* whatever the clock says */
	uint64_t events_at_start;	  /* stats.events when the generation began */
	uint32_t procs_generation;	  /* in which ProcsChange was written */
	bool finished;

	struct stele_drain_thread **threads; /* the live ones, in no order */
	uint32_t thread_count;
	struct stele_drain_thread *departed; /* finished; hold slot and rings until the cut */
	uint32_t departed_count;
	struct stele_drain_thread **by_slot;
	struct stele_drain_ring *rings; /* by ring index */
	struct stele_drain_proc *procs; /* by slot index */
	struct stele_lookup runtime_procs, gos;
	struct stele_lookup tasks; /* that are open -> STELE_TASK_BEGUN */
	/* (id, enum stele_retired) that ended in this generation; of tasks: at which wire time. */
	struct stele_lookup retired;
	struct stele_drain_go *go_list;
	uint32_t go_count;
	uint64_t go_private; /* ids of our own */
	struct stele_lane nobody;
	struct stele_batch samples;	 /* without a buffer until it is needed */
	struct stele_lookup memory_live; /* (id, type of the free event) of spans and stacks */

	uint64_t asked_ns; /* when liveness was asked last */
	uint32_t ended_count;
	uint32_t *tids;
	uint32_t tid_max;
	bool giving_up; /* finishing: holes and stalls are not waited for */

	struct stele_drain_tables tables;
	struct stele_outlet outlet;
	struct stele_own own;
	struct stele_drain_stats stats;
	int error; /* first internal failure (out of memory) */
};

/* outlet: lane.c ------------------------------------------------------------------------------ */

int stele__outlet_init(struct stele_outlet *o, const struct stele_sink *sink);
void stele__outlet_write(struct stele_outlet *o, const void *data, size_t bytes);
void stele__outlet_flush(struct stele_outlet *o);
void stele__outlet_batch(struct stele_outlet *o, struct stele_batch *b);

int stele__lane_init(struct stele_lane *l, uint64_t m);
void stele__lane_done(struct stele_lane *l);
/* Makes room for one event: grows the buffer, or ends the batch and begins another. */
void stele__lane_room(struct stele_drain *d, struct stele_lane *l, uint64_t time);
void stele__lane_flush(struct stele_drain *d, struct stele_lane *l);

/* Where the arguments of a new entry go; stele__lane_end with the byte behind them. */
STELE_INLINE uint8_t *stele__lane_entry(struct stele_drain *d, struct stele_lane *l, uint8_t type,
					uint64_t time)
{
	struct stele_batch *b = &l->batch;
	uint8_t *p;

	if (STELE_UNLIKELY(!b->used || b->capacity - b->used < STELE_EVENT_BYTES_MAX))
		stele__lane_room(d, l, time);
	if (STELE_UNLIKELY(time < b->time))
		time = b->time;
	p = b->data + b->used;
	*p++ = type;
	p = stele__varint_put(p, time - b->time);
	b->time = time;
	return p;
}

/* Of a new event. */
STELE_INLINE uint8_t *stele__lane_begin(struct stele_drain *d, struct stele_lane *l, uint8_t type,
					uint64_t time)
{
	d->stats.events++;
	return stele__lane_entry(d, l, type, time);
}

STELE_INLINE void stele__lane_end(struct stele_lane *l, const uint8_t *end)
{
	l->batch.used = (uint32_t)(end - l->batch.data);
}

/* goroutines and procs: resource.c ------------------------------------------------------------ */

struct stele_drain_go *stele__go_find(struct stele_drain *d, uint64_t id);
/* NULL: no memory, too many, or the id is taken. It counts as mentioned in this generation. */
struct stele_drain_go *stele__go_new(struct stele_drain *d, uint64_t id, unsigned state);
void stele__go_delete(struct stele_drain *d, struct stele_drain_go *go);
struct stele_drain_proc *stele__proc_find(struct stele_drain *d, uint64_t p);

/* Status events, if the resource has none in this generation. */
void stele__go_mention(struct stele_drain *d, struct stele_lane *l, struct stele_drain_go *go,
		       uint64_t time);
void stele__proc_mention(struct stele_drain *d, struct stele_lane *l, struct stele_drain_proc *proc,
			 uint64_t time);
void stele__context_mention(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time);

/*
 * One transition each, written to t's stream; the caller has seen to it that it is legal.
 * t's own goroutine and proc are mentioned first.
 */
void stele__go_start(struct stele_drain *d, struct stele_drain_thread *t, struct stele_drain_go *go,
		     uint64_t time);
void stele__go_unblock(struct stele_drain *d, struct stele_drain_thread *t,
		       struct stele_drain_go *go, uint32_t stack, uint64_t time);
void stele__go_block(struct stele_drain *d, struct stele_drain_thread *t, unsigned wait,
		     uint32_t stack, uint64_t time);
void stele__go_stop(struct stele_drain *d, struct stele_drain_thread *t, unsigned wait,
		    uint32_t stack, uint64_t time);
void stele__go_destroy(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time);
/*
 * No transition: t has this goroutine, and nobody else has; t has none any more.
 * Invariant: t->go is go exactly if go->owner is t.
 */
void stele__go_bind(struct stele_drain_thread *t, struct stele_drain_go *go);
void stele__go_release(struct stele_drain_thread *t);
struct stele_drain_go *stele__go_create(struct stele_drain *d, struct stele_drain_thread *t,
					uint64_t id, uint64_t entry_pc, uint32_t stack,
					uint64_t time);
void stele__syscall_begin(struct stele_drain *d, struct stele_drain_thread *t,
			  const struct stele_drain_interval *call, uint64_t time);
/* Afterwards the goroutine is Running, or Runnable if the proc was lost meanwhile. */
void stele__syscall_end(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time);
void stele__proc_start(struct stele_drain *d, struct stele_drain_thread *t,
		       struct stele_drain_proc *proc, uint64_t time);
void stele__proc_stop(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time);
/* Takes it from another thread, which is in a system call. */
void stele__proc_steal(struct stele_drain *d, struct stele_drain_thread *t,
		       struct stele_drain_proc *proc, uint64_t time);
/* Does t hold one of a runtime's own? */
STELE_INLINE bool stele__proc_is_runtime(const struct stele_drain_thread *t)
{
	return t->proc && t->proc->id >= STELE_PROC_ID_BASE;
}
/* A goroutine of a thread that nobody announced, by the way of a C-to-Go callback. */
struct stele_drain_go *stele__go_appear(struct stele_drain *d, struct stele_drain_thread *t,
					uint64_t id, uint64_t time);

/* what is said of events: eventdetail.c ------------------------------------------------------- */

/* Of the GoBlock that t's stream ends with; an object of 0 is nothing to tell of. */
void stele__detail_wait(struct stele_drain *d, struct stele_drain_thread *t, uint64_t object,
			uint32_t holder);
/* Of the GoSyscallBegin, or of the end of a call, that t's stream ends with. */
void stele__detail_call(struct stele_drain *d, struct stele_drain_thread *t,
			const struct stele_drain_interval *call);
void stele__detail_result(struct stele_drain *d, struct stele_drain_thread *t, int64_t result);
void stele__detail_stack(struct stele_drain *d, struct stele_drain_thread *t,
			 const struct stele_record *r, uint64_t time);
void stele__detail_order(struct stele_drain *d, struct stele_drain_thread *t,
			 const struct stele_record *r, uint64_t time);
void stele__detail_file(struct stele_drain *d, struct stele_drain_thread *t,
			const struct stele_record *r, uint64_t time);
/* With options.excerpts: what descriptors stand for when a generation begins. */
void stele__detail_files_again(struct stele_drain *d);
void stele__detail_standing_again(struct stele_drain *d);
void stele__detail_release(struct stele_drain *d, struct stele_drain_thread *t,
			   const struct stele_record *r, uint64_t time);

/* what ran: cpusample.c ------------------------------------------------------------------------ */

/* t was running there; entry: dictionary id. */
void stele__cpu_sample(struct stele_drain *d, const struct stele_drain_thread *t, uint32_t entry,
		       uint64_t time);
void stele__cpu_samples_write(struct stele_drain *d);

/* what takes long: watch.c -------------------------------------------------------------------- */

void stele__watch_region(struct stele_drain *d, const struct stele_drain_thread *t,
			 const struct stele_region *region, uint64_t time);
void stele__watch_interval(struct stele_drain *d, const struct stele_drain_thread *t,
			   struct stele_drain_interval *interval, uint64_t time);
/* The waits that are under way. */
void stele__watch_tick(struct stele_drain *d);

/* threads and their intervals: context.c ------------------------------------------------------ */

/* The thread's first appearance with its own goroutine. */
void stele__thread_introduce(struct stele_drain *d, struct stele_drain_thread *t, uint64_t g,
			     uint64_t time);
/* Its last: everything it holds is closed. Does nothing the second time. */
void stele__thread_close(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time);

/* Makes t run a goroutine on a proc, whatever that takes; stele__context_settle afterwards. */
void stele__context_run(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time);
void stele__context_settle(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time);

STELE_INLINE bool stele__context_is_running(const struct stele_drain *d,
					    const struct stele_drain_thread *t)
{
	return t->go && t->go->state == STELE_GO_RUNNING && t->go->generation == d->generation &&
	       t->proc && t->proc->generation == d->generation &&
	       d->procs_generation == d->generation;
}

void stele__interval_open(struct stele_drain *d, struct stele_drain_thread *t,
			  const struct stele_drain_interval *interval, uint64_t time);
void stele__interval_close(struct stele_drain *d, struct stele_drain_thread *t, uint64_t token,
			   uint64_t time);
/* t, which waits within this system call, is in the call itself. */
void stele__context_back_to_call(struct stele_drain *d, struct stele_drain_thread *t,
				 uint64_t token, uint64_t time);
bool stele__interval_is_open(const struct stele_drain_thread *t, uint64_t token);
/* A system call ended, without the proc: its goroutine is runnable, and no thread's. */
void stele__interval_lose(struct stele_drain *d, struct stele_drain_thread *t, uint64_t token,
			  uint64_t time);

/* processors lost and got: offcpu.c ----------------------------------------------------------- */

/* Hands what the kernel has told to its threads. */
void stele__offcpu_take(struct stele_drain *d);
/* What t, which has some, was told up to this wire time, in its place in the stream. */
void stele__offcpu_until(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time);
/* The same; and it runs then: it says so itself. */
void stele__offcpu_runs(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time);
/* An interval that another drain had open: is it of a thread without a processor? 0 or -ENOMEM. */
int stele__offcpu_restore(struct stele_drain_thread *t, uint64_t token);
void stele__offcpu_done(struct stele_drain_thread *t);

/* records: convert.c -------------------------------------------------------------------------- */

/*
 * Encodes one record. False: it needs a record of another thread first, and nothing has changed.
 * With `force` it is always taken.
 */
bool stele__convert(struct stele_drain *d, struct stele_drain_thread *t,
		    const struct stele_record *r, uint64_t ticks, uint64_t token, bool force);
/* The kinds that change no scheduling state: payload.c */
void stele__payload_convert(struct stele_drain *d, struct stele_drain_thread *t,
			    const struct stele_record *r, uint64_t time);
/* A record that was declared late and came after all. */
void stele__convert_late(struct stele_drain *d, struct stele_drain_thread *t,
			 const struct stele_record *r, uint64_t ticks, uint64_t token);

/* rings: take.c ------------------------------------------------------------------------------- */

/* Everything complete up to `limit` ticks; number of records taken. */
uint64_t stele__take(struct stele_drain *d, uint64_t limit);
bool stele__take_is_waiting(const struct stele_drain *d);
/* Makes records of before the present generation unwritten that stand where newer ones should. */
void stele__take_distrust(struct stele_drain *d);
/* The present time or that of the newest record, in ticks, whichever is later. */
uint64_t stele__take_newest(const struct stele_drain *d);
/* Up to where the writer may have the ring back. */
uint64_t stele__take_free_to(const struct stele_drain_thread *t,
			     const struct stele_drain_ring *ring);
/* Whoever waits for room looks again; a wake that is missed is made up for at the next tick. */
void stele__take_wake(const struct stele_drain *d, const struct stele_drain_thread *t);
/* What was taken since the last generation lies in the sink: the writers get the room back. */
void stele__take_release(struct stele_drain *d);
/* Do they need it soon? */
bool stele__take_is_pressed(const struct stele_drain *d);
/* threads that came and went: census.c */
void stele__census_scan(struct stele_drain *d);
void stele__census_ask(struct stele_drain *d, bool now);
/* A finished thread is none of the live ones any more; then it gives back its rings and slot. */
void stele__census_depart(struct stele_drain *d, struct stele_drain_thread *t);
void stele__census_release(struct stele_drain *d);
/* Forgets one that has departed; `give`: and gives back what it had. */
void stele__census_forget(struct stele_drain *d, struct stele_drain_thread *t, bool give);
/* A slot and its rings. `t`: its thread; NULL: no more is known of it. */
void stele__census_give(struct stele_drain *d, const struct stele_drain_thread *t, uint32_t slot,
			uint32_t incarnation);
/* A thread as its slot describes it. NULL: no memory (noted in d->error). */
struct stele_drain_thread *stele__thread_new(struct stele_drain *d, uint32_t slot);
void stele__thread_free(struct stele_drain_thread *t);
/* False: it has a thread, or its header is no good. */
bool stele__census_attach(struct stele_drain *d, struct stele_drain_thread *t, uint32_t ring);
void stele__census_losses(struct stele_drain *d);
/* exec: t's image replaced the one in which all older threads were. */
void stele__census_image(struct stele_drain *d, struct stele_drain_thread *t);

/* tables: intern.c, symbol.c ------------------------------------------------------------------ */

int stele__tables_init(struct stele_drain_tables *tables);
void stele__tables_done(struct stele_drain_tables *tables);
/* Wire ids of this generation; 0 (empty, none) for what does not exist. */
uint32_t stele__intern_string(struct stele_drain *d, uint32_t entry);
uint32_t stele__intern_stack(struct stele_drain *d, uint32_t entry);
uint32_t stele__intern_entry(struct stele_drain *d, uint64_t pc);
/* The stack of a system call (number + 1; 0: unknown) with the call itself as innermost frame. */
uint32_t stele__intern_call(struct stele_drain *d, uint32_t entry, uint16_t call);
uint32_t stele__intern_wait(struct stele_drain *d, unsigned wait);
/* The wire id of a number as a string. */
uint32_t stele__intern_decimal(struct stele_drain *d, int64_t value);
int stele__decimals_init(struct stele_decimals *decimals);
void stele__decimals_done(struct stele_decimals *decimals);
void stele__decimals_write(struct stele_drain *d);
uint32_t stele__intern_text(struct stele_drain *d, struct stele_drain_text *text);
uint32_t stele__intern_type(struct stele_drain *d, uint64_t size, uint32_t stack);
/* Finds or adds a text of our own; the last STELE_STRING_BYTES_MAX bytes are kept. NULL: memory. */
struct stele_drain_text *stele__text(struct stele_drain *d, const char *data, size_t bytes);
/* Writes stacks, types and strings of the generation and forgets them. */
void stele__tables_write(struct stele_drain *d, uint64_t time);
/* Bytes of a string entry, or NULL. */
const char *stele__entry_string(struct stele_drain *d, uint32_t entry, uint32_t *ret_bytes);

/* NULL: no memory. */
const struct stele_drain_symbol *stele__symbol(struct stele_drain *d, uint64_t pc, uint32_t epoch);
void stele__module_loaded(struct stele_drain *d, uint32_t entry);
void stele__module_unloaded(struct stele_drain *d, uint32_t entry);
/* One that the trace has already. False: no memory, or it is none. */
bool stele__module_adopt(struct stele_drain *d, uint32_t entry, uint32_t epoch_last);

/* Vectors: room for one more element. False: no memory (noted in d->error). */
bool stele__vector_grow(struct stele_drain *d, void *vector, uint32_t count, uint32_t *max,
			size_t element_bytes);

/* generations: cut.c; own data: own.c --------------------------------------------------------- */

void stele__generation_end(struct stele_drain *d, uint64_t time, const struct stele_ending *ending);

int stele__own_init(struct stele_own *own);
void stele__own_done(struct stele_own *own);
void stele__own_begin(struct stele_own_record *r);
void stele__own_value(struct stele_own_record *r, uint64_t value);
void stele__own_text(struct stele_own_record *r, const void *data, size_t bytes);
void stele__own_end(struct stele_drain *d, unsigned tag, const struct stele_own_record *r);
void stele__own_module(struct stele_drain *d, uint32_t entry, bool unloaded);
void stele__own_counter(struct stele_drain *d, uint32_t name);
/* What threads wait for: its name and, if made_at is not 0, who made it. Once for each. */
void stele__own_object(struct stele_drain *d, uint64_t object, uint64_t made_at);
/* Said at once, into the generation's own data. */
void stele__own_thread(struct stele_drain *d, struct stele_drain_thread *t);
void stele__own_loss(struct stele_drain *d, const struct stele_drain_thread *t, unsigned cause,
		     unsigned class, uint64_t count);
void stele__own_write(struct stele_drain *d, const struct stele_ending *ending);
/* With options.excerpts: what is told again in the generation that just began. */
void stele__own_again(struct stele_drain *d);

/* going on behind a generation: carry.c, restore.c -------------------------------------------- */

/* `floor`: wire time at which the next generation begins. */
void stele__carry_write(struct stele_drain *d, uint64_t floor);
/* The drain is new. -ENOMEM, STELE_E_CORRUPT. */
int stele__restore(struct stele_drain *d, const struct stele_carry *carry);

#endif
