/* SPDX-License-Identifier: MIT */
/*
 * The drain: reads the rings of an arena and writes a Go trace. Ordinary code in ordinary memory,
 * mostly in another process; the only place besides format/ that knows the file format. It works
 * on whatever is in the arena: its processes may be running, stopped, killed or hostile.
 *
 * Threads: one at a time. Design: docs/design/drain.md.
 */
#ifndef STELE_DRAIN_DRAIN_H
#define STELE_DRAIN_DRAIN_H

#include "arena/arena.h"
#include "sys/clock.h"

/* Where bytes go. Failure (-errno) makes the drain drop what follows, count it, and say so. */
struct stele_sink {
	int (*write)(void *arg, const void *data, size_t bytes);
	void *arg;
	/* With what was written last this generation is whole, which ended at this
	 * CLOCK_MONOTONIC. NULL: nobody wants to know. */
	void (*whole)(void *arg, uint32_t generation, uint64_t ns);
};

struct stele_frame {
	const char *function; /* NULL: unknown */
	const char *file;
	uint32_t line;
};

/*
 * Names the frames of one pc, innermost (inlined) first; returns their number, 0 if nothing at
 * all is known. Strings live until the next call. `epoch` is the module epoch of the stack.
 */
struct stele_symbolizer {
	size_t (*resolve)(void *arg, uint32_t epoch, uint64_t pc, struct stele_frame *frames,
			  size_t max);
	/* A module entry was loaded or unloaded (path is not terminated: see struct stele_module).
	 */
	void (*module)(void *arg, uint32_t epoch, bool loaded, const struct stele_module *module);
	/* What a program's variable is called in which this address lies; NULL: none, or unknown.
	 * Lives until the next call. */
	const char *(*variable)(void *arg, uint32_t epoch, uint64_t address);
	/* A text that stands for the memory that processes share in which this address of the
	 * process' images-th program lies, and where in it; NULL: none, or unknown. Lives until the
	 * next call. */
	const char *(*shared)(void *arg, uint32_t pid, uint32_t images, uint64_t address,
			      uint64_t *ret_offset);
	void *arg;
};

/* Which threads still exist. Asked rarely (about once a second, and at the end). */
struct stele_liveness {
	/* Fills tids with the live threads' ids; returns their number, may exceed max (then only
	 * max were stored), or -errno: unknown, nobody is declared dead. Some may be missing. */
	int64_t (*threads)(void *arg, uint32_t *tids, size_t max);
	/* False: this thread is certainly gone. */
	bool (*exists)(void *arg, uint32_t tid);
	void *arg;
};

/* The clock of the records. The default reads this machine's; tests give their own. */
struct stele_drain_clock {
	struct stele_clock_pair (*now)(void *arg);
	void *arg;
};

enum stele_switch_kind {
	STELE_SWITCH_IN,	/* it has a processor */
	STELE_SWITCH_BLOCKED,	/* it has none, and waits for something */
	STELE_SWITCH_PREEMPTED, /* it has none, and could go on */
};

struct stele_switch {
	uint64_t ns; /* CLOCK_MONOTONIC */
	uint32_t tid;
	uint32_t kind; /* enum stele_switch_kind */
};

/* Which threads have a processor, told by the kernel. */
struct stele_switches {
	/* All until now that were not given yet, the oldest first; of any threads. Returns how
	 * many; they live until the next call. *ret_lost: and so many there was no room for. NULL:
	 * nothing is known. */
	size_t (*take)(void *arg, const struct stele_switch **ret_switches, uint64_t *ret_lost);
	void *arg;
};

enum stele_watch_kind {
	STELE_WATCH_REGION,  /* of the program's own, when it has ended */
	STELE_WATCH_SYSCALL, /* that may block, when it has ended; waits for events are none */
	STELE_WATCH_LOCK,    /* wait for a mutex or read-write lock, under way or ended */
	STELE_WATCH_BLOCKED, /* any wait but sleep and joins, under way or ended; not fibers' */
	STELE_WATCH_COUNT
};

struct stele_watch_sight {
	enum stele_watch_kind kind;
	const char *name; /* of the region, call or wait; "": unknown. Lives until seen returns */
	uint32_t tid;
	uint64_t ns; /* how long it took, or takes until now */
};

/* What is told while it happens: what takes longer than its limit, once each. */
struct stele_watch {
	uint64_t limit_ns[STELE_WATCH_COUNT];				/* 0: is not watched */
	void (*seen)(void *arg, const struct stele_watch_sight *sight); /* in a tick */
	void *arg;
};

struct stele_drain_options {
	unsigned version; /* header: 23, 25 or 26 */
	struct stele_sink sink;
	struct stele_symbolizer symbolizer; /* resolve NULL: module + offset cannot be had */
	struct stele_liveness liveness;
	struct stele_drain_clock clock; /* now NULL: this machine's */
	struct stele_watch watch;	/* seen NULL: nothing is watched */
	struct stele_switches switches;
	uint64_t late_ns;	/* an unwritten record older than this is declared late; 0: 20 ms */
	uint64_t generation_ns; /* 0: one second */
	bool resume;		/* the arena was drained before: what is in it is not new */
	/* Records stay in the arena until their generation is in the sink, and each generation
	 * holds what another drain needs to go on behind it (carry.h). */
	bool keep;
	/* One of several drains of the arena (team.h): somebody else gives back what all have read.
	 */
	bool shared;
	uint32_t leave_out; /* of enum stele_events: these are not in the trace */
	/* Any generation may become a trace's first: each tells what earlier ones told for all. */
	bool excerpts;
	/* Goes on behind these bytes of a trace, which the sink has; NULL: begins with the header.
	 * The arena was drained with `keep`, and nobody else changes it: best a private mapping. */
	const struct stele_carry *carry;
	/* The machine went down: pages of the arena may be of any time. */
	bool torn;
	bool still; /* clock.now tells of the past: the end is the time of the newest record */
	const char *program; /* as it was called; NULL: the file of what was executed */
};

/* How the traced process ended, for the trace's last words. */
struct stele_ending {
	bool known;
	int exit_status; /* when signal is 0 */
	int signal;
	bool interrupted; /* recording was stopped before the process ended */
	bool recovered;	  /* the recorder ended before the process: how that ended is unknown */
};

struct stele_drain_stats {
	uint64_t records;     /* taken from rings */
	uint64_t events;      /* written to the trace */
	uint64_t bytes;	      /* written to the sink */
	uint64_t valid_bytes; /* of these, up to the end of the last whole generation: where to cut
			       * the file off if the sink failed */
	uint64_t generations;
	uint64_t batches; /* of threads' events */
	uint64_t threads; /* ever seen */
	uint64_t threads_live;
	uint64_t stacks, stacks_truncated, stacks_broken;
	uint64_t frames, frames_unsymbolized; /* distinct pcs of the trace */
	uint64_t dropped[STELE__LOSS_COUNT][STELE__CLASS_COUNT];
	uint64_t skipped[STELE__KIND_COUNT]; /* of the dropped ones, by policy skip */
	uint64_t no_slot;		     /* events of threads without a slot */
	uint64_t dictionary_full;
	uint64_t bridged;	 /* state changes invented to keep the trace legal */
	uint64_t late;		 /* records declared late */
	uint64_t late_discarded; /* of these, state records that came too late to be used */
	uint64_t abandoned;	 /* records reserved and never written */
	uint64_t unexplained;	 /* records the drain could not use: a bug here or in the host */
	uint64_t waited_count, waited_ns; /* threads waiting for ring space */
	uint64_t children;		  /* not recorded */
	uint64_t ended_ns;		  /* CLOCK_MONOTONIC at the end of a finished trace */
	uint64_t heap_sample_bytes;	  /* 0: objects were not sampled */
	uint64_t switches, switches_lost; /* that the kernel told; that found no room here */
	uint64_t object_bytes;		  /* of all objects that were allocated or existed */
	uint64_t events_by_kind[STELE__KIND_COUNT];
	int sink_error; /* first failure of the sink, 0: none */
	uint64_t sink_lost_bytes;
};

struct stele_carry;
struct stele_drain;

/* Writes the header to the sink. The arena stays the caller's. -errno or STELE_E_*. */
int stele__drain_new(struct stele_arena *arena, const struct stele_drain_options *options,
		     struct stele_drain **ret_drain);

/*
 * Takes what is complete from every ring, encodes it, cuts a generation if it is time to.
 * Never waits. Returns the number of records taken, or a negative error (out of memory).
 */
int64_t stele__drain_tick(struct stele_drain *drain);

/* Ends the present generation now (tests). */
int stele__drain_cut(struct stele_drain *drain);

/* A generation shall end with all that happened before this call: one of the next ticks ends it,
 * when nothing of before is being written any more. Returns that generation's number. */
uint32_t stele__drain_want_cut(struct stele_drain *drain);

/* The number of the generation that is being written, from 1. */
uint32_t stele__drain_generation(const struct stele_drain *drain);

/*
 * The process has ended or recording stops: takes everything, gives up on holes, closes open
 * states, writes the last generation. The drain can only be asked for its stats afterwards.
 */
int stele__drain_finish(struct stele_drain *drain, const struct stele_ending *ending);

void stele__drain_stats(const struct stele_drain *drain, struct stele_drain_stats *ret_stats);

/* Events that are not in the trace, of all causes. */
uint64_t stele__drain_lost(const struct stele_drain_stats *stats);

void stele__drain_free(struct stele_drain *drain);

#endif
