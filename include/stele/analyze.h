/* SPDX-License-Identifier: MIT */
/**
 * Answers from a trace: where the time of each goroutine went, what it waited for and where,
 * system calls, regions, tasks, memory.
 *
 *     struct stele_analysis *analysis;
 *
 *     stele_analysis_new(&analysis);
 *     while (stele_reader_next(reader, &event) > 0)
 *             stele_analysis_add(analysis, reader, event);
 *     stele_analysis_finish(analysis);
 *     ... stele_analysis_sites(analysis, STELE_SITES_WAIT, &count) ...
 *     stele_analysis_free(analysis);
 *
 * Memory is bounded by what is alive in the trace plus what is distinct in it (stacks, names),
 * never by the number of events. In traces of C programs a thread is a goroutine of its own.
 */
#ifndef STELE_ANALYZE_H
#define STELE_ANALYZE_H

#include "stele/read.h"

#ifdef __cplusplus
extern "C" {
#endif

struct stele_analysis;

#define STELE_SPREAD_BUCKETS 328

/**
 * How durations (ns) are spread: exact count, total and greatest, and a histogram whose eight
 * steps an octave bound the error of a quantile by 1/16.
 */
struct stele_spread {
	uint64_t count;
	int64_t total, max;
	uint32_t bucket[STELE_SPREAD_BUCKETS];
};

void stele_spread_add(struct stele_spread *spread, int64_t ns);

/** The duration that `percent` % of all do not exceed; 0 if there are none. */
int64_t stele_spread_quantile(const struct stele_spread *spread, unsigned percent);

enum stele_site_kind {
	STELE_SITES_WAIT,    /**< name: the reason; stack: where it began to wait */
	STELE_SITES_READY,   /**< runnable, not running; stack: where it was made runnable */
	STELE_SITES_SYSCALL, /**< stack: the call */
	STELE_SITES_CALL,    /**< the same by name: the call, or the function that makes it */
	STELE_SITES_FILE,    /**< likewise, with what it was for: "read /etc/passwd" */
	STELE_SITES_REGION,  /**< name */
	STELE_SITES_TASK,    /**< name */
	STELE_SITES_RANGE,   /**< name: collection, sweeping, the world stopped, … */
	STELE_SITES_SAMPLE,  /**< CPU samples: count only */
	STELE__SITES_COUNT
};

/** One place, or one name, where time went. */
struct stele_site {
	struct stele_string name;
	uint32_t stack;		    /**< for stele_analysis_stack(); 0: none */
	uint64_t open_count;	    /**< that had not ended when the trace did: not in `spread` */
	int64_t open_ns;	    /**< their time up to there */
	int64_t open_longest_ns;    /**< of one, with what was before the trace: a flight recorder
				       tells */
	struct stele_spread spread; /**< those that ended */
	uint64_t early_count;	    /**< of them, by goroutines that had not run yet */
	int64_t early_ns;
	uint64_t bytes, errors; /**< of STELE_SITES_FILE: read, written; calls that failed */
};

/** Time of those that ended and of those that had not; INT64_MAX if it is more. */
int64_t stele_site_total(const struct stele_site *site);

/** Threads of one name that had a lock which others waited for, and where they took it. */
struct stele_lock_holder {
	struct stele_string name; /**< may be empty: unknown */
	uint32_t taken;		  /**< stack, one frame: where it was taken; 0: unknown */
	uint32_t released;	  /**< where it was given up; 0: it was not, or unknown */
	uint64_t count;		  /**< waits that it made longer */
	int64_t ns;		  /**< time that others waited meanwhile, of each waiter */
	int64_t longest;	  /**< the longest that it had the lock, as far as known */
	bool longest_known;	  /**< else it was longer: when it was taken is not known */
};

/** Locks of one name, or that were made at one place, or one by its address. */
struct stele_lock {
	struct stele_string name; /**< of the variable; may be empty */
	/** Who made it: function, file, line; may be empty. */
	struct stele_string made_by, made_file;
	uint64_t made_line;
	uint64_t address;	    /**< of one of them */
	uint64_t locks;		    /**< how many there were to wait for */
	struct stele_string reason; /**< as waits for it are called */
	struct stele_spread spread; /**< waits that ended */
	uint64_t open_count;	    /**< that had not ended when the trace did */
	int64_t open_ns;
	uint64_t waiting_max; /**< most that waited for one of them at once */
	uint64_t queued;      /**< waits that began while others waited already: a convoy */
	const struct stele_lock_holder *holders; /**< most ns first */
	size_t holder_count;
};

/** A lock that was taken by who had another one. */
struct stele_lock_order {
	const struct stele_lock *held, *taken;
	uint32_t held_at, taken_at; /**< stacks of one frame: where each was taken; 0: unknown */
	struct stele_string thread; /**< that did it first; may be empty: unknown */
};

/** Each takes what the next one has, and the last what the first one has. */
struct stele_lock_cycle {
	const struct stele_lock_order *orders;
	size_t count;
};

#define STELE_SHARES_MAX 6

/** Of a thread's waiting, what it did for one reason. */
struct stele_share {
	struct stele_string reason; /**< the last share may be of several: then empty */
	uint64_t count;
	int64_t ns;
};

/** Times of a goroutine, or of all with the same name. */
struct stele_times {
	struct stele_string name;  /**< of the thread, from Stele's own data; may be empty */
	struct stele_string entry; /**< the function it was created with, or its outermost */
	uint64_t goroutine;	   /**< STELE_NO_ID: a group */
	uint64_t thread;	   /**< STELE_NO_ID: a group, or no thread of its own */
	uint64_t members;	   /**< goroutines in here */
	bool ended;		   /**< before the trace did */
	int64_t first, last;	   /**< when it was seen, ns on the trace's clock */
	/** They add up to `wall`. */
	int64_t wall, running, ready, waiting, syscall, unknown;
	uint64_t waits, syscalls;
	struct stele_share shares[STELE_SHARES_MAX];
	unsigned share_count;
	/** How long they were ready each time before they ran; NULL: not a group. */
	const struct stele_spread *latency;
};

enum stele_memory_family {
	STELE_MEMORY_SPANS,   /**< runs of pages: mappings, and those of a runtime's heap */
	STELE_MEMORY_OBJECTS, /**< what malloc gives */
	STELE_MEMORY_STACKS,  /**< of threads, fibers and goroutines */
	STELE__MEMORY_FAMILIES
};

/** "spans", "objects", "stacks". */
const char *stele_memory_family_name(unsigned family);

/**
 * What was allocated and freed. Where objects were sampled, counts are of those in the trace, and
 * bytes are estimates of the whole: each stands for as many as its probability to be there says.
 */
struct stele_memory_sum {
	uint64_t existed;	   /**< when recording began; in `allocated` too */
	uint64_t allocated, freed; /**< freed: with those whose end is known otherwise */
	uint64_t live;		   /**< at the end */
	uint64_t allocated_bytes, freed_bytes, live_bytes;
	uint64_t peak_bytes; /**< greatest live_bytes */
	int64_t peak_time;   /**< its first moment */
	uint64_t temporary; /**< freed by their thread before it allocated anything else; objects */
};

#define STELE_CURVE_STEPS 512

/** Something over time. */
struct stele_curve {
	int64_t begin, step_ns; /**< step i is [begin + i * step_ns, begin + (i + 1) * step_ns) */
	uint32_t count;		/**< at most STELE_CURVE_STEPS; 0: there is nothing */
	uint64_t max[STELE_CURVE_STEPS]; /**< the greatest value in each */
};

#define STELE_FREERS_MAX 3

/** Threads of one name that freed objects. */
struct stele_memory_freer {
	struct stele_string name; /**< may be empty: unknown */
	uint64_t count;
};

/** What was allocated at one place (C), or of one type (Go). A place is functions and lines. */
struct stele_memory_site {
	struct stele_string name;
	uint32_t stack; /**< for stele_analysis_stack(); 0: unknown */
	uint64_t size;	/**< of one object; 0: unknown, or of several sizes */
	struct stele_memory_sum sum;
	/** Of it when the most bytes of all objects were alive. */
	uint64_t at_peak, at_peak_bytes;
	/** Who freed most of it, first; others may have freed some, too. */
	struct stele_memory_freer freed_by[STELE_FREERS_MAX];
	unsigned freed_by_count;
};

enum stele_memory_who {
	STELE_WHO_THREAD, /**< threads (fibers, goroutines) of one name */
	STELE_WHO_REGION, /**< within regions of one name: the innermost at the time */
	STELE_WHO_TASK,	  /**< within regions of tasks of one name */
	STELE__WHO_KINDS
};

/** What threads of one name allocated, or what was allocated within a region, for a task. */
struct stele_memory_party {
	struct stele_string name;    /**< may be empty: unknown */
	struct stele_memory_sum sum; /**< since recording began; without peak and temporary */
	uint64_t freed_by_others;    /**< of it, by threads of another name; of threads only */
	uint64_t freed_of_others; /**< what threads of another name had allocated; threads only */
};

#define STELE_SIZES_MAX 65

/** Objects whose sizes need the same number of binary digits. */
struct stele_memory_size {
	uint64_t least, most;	      /**< bytes */
	struct stele_memory_sum sum;  /**< without peak and temporary */
	struct stele_spread lifetime; /**< of those that were freed, and allocated in the trace */
};

/** Objects alive at the end in one range of addresses. */
struct stele_memory_cell {
	uint64_t address; /**< a multiple of the size of a cell */
	uint64_t objects; /**< that begin in it */
	uint64_t bytes;	  /**< that objects take up of it */
};

#define STELE_CELLS_MAX	 4096
#define STELE_FILL_STEPS 10

/** Where objects are alive at the end: how much of the memory that they keep they use. */
struct stele_memory_map {
	unsigned cell_bits; /**< a cell has 1 << cell_bits bytes, from 4 KiB on */
	uint32_t cell_count;
	const struct stele_memory_cell *cells; /**< those with objects, by address */
	uint64_t pages;			       /**< of 4 KiB, with any part of an object in them */
	uint64_t page_bytes;		       /**< that objects take up of them */
	/** Pages by how full they are: up to 10 %, up to 20 %, … */
	uint64_t filled[STELE_FILL_STEPS];
};

/** Spans of one kind. */
struct stele_memory_kind {
	bool heap;	       /**< for objects; else mappings, stacks, … */
	bool pointer_free;     /**< heap: its objects hold no pointers */
	unsigned size_class;   /**< heap: 0: one object fills the span */
	uint64_t object_bytes; /**< heap: room of one object, as far as it is known; 0: unknown */
	struct stele_memory_sum spans;
	uint64_t objects, object_bytes_live; /**< alive at the end in spans of this kind */
};

/** A stack that is alive at the end. */
struct stele_memory_stack {
	uint64_t address, bytes;
	uint64_t high_bytes;	   /**< the largest that its owner has had; 0: owner unknown */
	uint64_t goroutine;	   /**< its owner; STELE_NO_ID: unknown */
	struct stele_string entry; /**< the function or name of the owner; may be empty */
	int64_t since;		   /**< of its alloc; INT64_MIN: before the trace */
};

/** Stacks by what runs on them. */
struct stele_memory_owner {
	struct stele_string entry;
	uint64_t owners; /**< goroutines, fibers, threads that were ever seen with a stack */
	uint64_t live, live_bytes;
	uint64_t high_bytes; /**< the largest that one of them has had */
	uint64_t used_bytes; /**< the most that one has used of its; 0: unknown */
	uint64_t moved;	     /**< stacks that took the place of another: grown or shrunk */
	/** With which none would have grown; twice what was used, where that is known; 0: unknown.
	 */
	uint64_t suggested_bytes;
};

enum stele_broken_kind {
	STELE_BROKEN_FREE,     /**< a free of what was not alive */
	STELE_BROKEN_ALLOC,    /**< an alloc of what was alive */
	STELE_BROKEN_EXISTS,   /**< told as existing while it was known to be alive */
	STELE_BROKEN_UNENDING, /**< never freed, though it has gone */
	STELE__BROKEN_KINDS
};

enum stele_broken_cause {
	STELE_BROKEN_UNKNOWN,  /**< nothing explains it */
	STELE_BROKEN_EXISTED,  /**< from before the trace */
	STELE_BROKEN_SKIPPED,  /**< its other half was skipped by the recorder on re-entry */
	STELE_BROKEN_LOST,     /**< lost by the recorder */
	STELE_BROKEN_INVERTED, /**< two threads' events in the wrong order */
	STELE_BROKEN_HEADER, /**< the free names the slot, the alloc the object behind its header */
	STELE_BROKEN_TINY,   /**< several objects share a slot that is freed as one */
	STELE_BROKEN_SPAN,   /**< gone with the span that it was in */
	STELE_BROKEN_DOUBLE_FREE, /**< freed twice */
	STELE__BROKEN_CAUSES
};

/** A stray free. */
struct stele_stray {
	uint64_t address, thread;
	int64_t time;
	/** The free before it, if it is known; STELE_NO_ID, 0. */
	uint64_t before_thread;
	int64_t before_time;
	uint32_t place; /**< index of the site of what was there before, plus 1; 0: unknown */
};

/** Pairs of one family that are broken in one way and for one cause. */
struct stele_broken {
	uint8_t family; /**< enum stele_memory_family */
	uint8_t kind;	/**< enum stele_broken_kind */
	uint8_t cause;	/**< enum stele_broken_cause */
	bool inferred;	/**< the recorder keeps no count that proves the cause */
	uint64_t count;
	struct stele_stray sample; /**< of stray frees; time is 0 if there is none */
};

/** The memory of the traced program. */
struct stele_memory {
	bool present;
	struct stele_memory_sum sum[STELE__MEMORY_FAMILIES];
	uint64_t sample_bytes; /**< one object in so many bytes is in the trace; 0: all are */
	uint64_t heap_max;     /**< greatest value of Go's heap metric; 0: none */
	/** Events that the recorder skipped on re-entry and that no broken pair shows. */
	uint64_t unseen_skips[STELE__MEMORY_FAMILIES];
};

/** What the trace itself is like: how far the rest can be trusted. */
struct stele_trust {
	uint64_t events, generations;
	int64_t first, last; /**< ns */
	uint64_t goroutines;
	uint64_t frequency;		 /**< ticks a second */
	uint64_t stacks, stackless;	 /**< transitions that should have a stack; those without */
	uint64_t frames, frames_unnamed; /**< distinct frames; those whose function is unknown */
	struct stele_recording recording;
};

enum stele_why_of {
	STELE_WHY_REGION,    /**< regions of this name */
	STELE_WHY_TASK,	     /**< regions of the task with this id, those within others left out */
	STELE_WHY_GOROUTINE, /**< the goroutine with this id, as long as it lived */
	STELE_WHY_THREAD,    /**< the same, by its thread */
	/** from when a goroutine reads of a connection until it has written to it; the connections
	 * whose name holds `region` */
	STELE_WHY_REQUEST,
};

struct stele_why_query {
	enum stele_why_of of;
	struct stele_string region;
	uint64_t id;
	size_t slowest; /**< so many are told one by one */
};

enum stele_why_kind {
	STELE_WHY_RUNNING,
	STELE_WHY_READY,    /**< it could have run, and did not */
	STELE_WHY_LOCK,	    /**< waited for a lock: lock; who had it, from `taken` to `released` */
	STELE_WHY_HANDOVER, /**< the lock was given up already */
	STELE_WHY_WAIT,	    /**< other waits: name is the reason; who ended it, at `released` */
	STELE_WHY_CALL,	    /**< system call: name */
	STELE_WHY_UNKNOWN,  /**< before the trace told of it */
	STELE_WHY_REST,	    /**< what found no room here */
};

/** Time spent in one way. */
struct stele_why_row {
	uint8_t kind;	/**< enum stele_why_kind */
	unsigned depth; /**< 0: the instance itself; else what the one above did meanwhile */
	struct stele_string name;
	uint32_t stack;			    /**< where it waited, or called */
	const struct stele_lock *lock;	    /**< what it waited for; NULL: unknown */
	struct stele_string who;	    /**< name of a thread, or function it began with */
	uint64_t who_thread, who_goroutine; /**< STELE_NO_ID: unknown, or several */
	uint32_t taken, released;
	uint64_t count;
	int64_t ns;
};

/** One region, or one goroutine; or all of them together. */
struct stele_why_instance {
	uint64_t goroutine, thread; /**< STELE_NO_ID: several; without a thread of its own */
	struct stele_string name;   /**< of the region; of the thread, or its function */
	int64_t begin, ns;
	bool open; /**< it had not ended with the trace */
	/** Those of depth 0 add up to ns. Each is followed by those below it; most ns first. */
	const struct stele_why_row *rows;
	size_t row_count;
};

struct stele_why {
	struct stele_why_query query; /**< what was asked; region.data lives as the analysis does */
	uint64_t count;		      /**< of all instances */
	struct stele_why_instance all;
	const struct stele_why_instance *slowest; /**< the slowest first */
	size_t slowest_count;
};

/** 0 or -ENOMEM. */
int stele_analysis_new(struct stele_analysis **ret_analysis);

/** Before the first event: where did the time of these go? 0 or -ENOMEM. */
int stele_analysis_ask_why(struct stele_analysis *analysis, const struct stele_why_query *query);

/** Takes the reader's last event and what details there are; 0, -ENOMEM or STELE_E_LIMIT. */
int stele_analysis_add(struct stele_analysis *analysis, const struct stele_reader *reader,
		       const struct stele_event *event);

/** Once, behind the last event, also of a broken trace: closes what is open. */
int stele_analysis_finish(struct stele_analysis *analysis);

/** Accepts NULL. What the other calls gave lives until here. */
void stele_analysis_free(struct stele_analysis *analysis);

/* All below: after stele_analysis_finish(). Pointers live as long as the analysis. */

const struct stele_trust *stele_analysis_trust(const struct stele_analysis *analysis);

/**
 * Goroutines, most time in running and system calls first: all that were alive at the end, and of
 * those that ended at least the first 4096 in this order.
 */
const struct stele_times *stele_analysis_threads(const struct stele_analysis *analysis,
						 size_t *ret_count);

/** How many there were. */
uint64_t stele_analysis_thread_count(const struct stele_analysis *analysis);

/** The same by name or entry function, all goroutines in it. */
const struct stele_times *stele_analysis_groups(const struct stele_analysis *analysis,
						size_t *ret_count);

/**
 * Sites of one kind, greatest total (with what was open) first: one for each stack of functions and
 * lines, with one of the stacks that look so.
 */
const struct stele_site *const *stele_analysis_sites(const struct stele_analysis *analysis,
						     enum stele_site_kind kind, size_t *ret_count);

/** The same with one for each stack of addresses: a loop that was unrolled has several. */
const struct stele_site *const *
stele_analysis_sites_by_address(const struct stele_analysis *analysis, enum stele_site_kind kind,
				size_t *ret_count);

/** A function that CPU samples met. */
struct stele_hot_function {
	struct stele_string name;
	uint64_t self;	/**< samples in which it ran itself */
	uint64_t total; /**< or what it had called; once a sample, also where it called itself */
};

/** All of them, by how often they ran themselves. */
const struct stele_hot_function *stele_analysis_hot_functions(const struct stele_analysis *analysis,
							      size_t *ret_count);

/** Frames of a site's stack, innermost first. */
const struct stele_stack_frame *stele_analysis_stack(const struct stele_analysis *analysis,
						     uint32_t stack, size_t *ret_count);

/** Locks that threads waited for, most time first; only traces of C programs tell of them. */
const struct stele_lock *const *stele_analysis_locks(const struct stele_analysis *analysis,
						     size_t *ret_count);

/** Locks that threads take in different orders, so that they can wait for each other for ever; at
 * most 32. */
const struct stele_lock_cycle *stele_analysis_lock_cycles(const struct stele_analysis *analysis,
							  size_t *ret_count);

/** A lock that somebody waits for when the trace ends, and what the one is at that has it. */
struct stele_blockage {
	const struct stele_lock *lock; /**< with all others of this name */
	uint64_t address;
	uint64_t waiters;
	int64_t longest_ns;	    /**< of one of them, with what was before the trace */
	struct stele_string waiter; /**< that one */
	uint64_t waiter_thread;
	uint32_t waiter_stack;
	uint64_t holder_thread; /**< STELE_NO_ID: unknown, and so is the rest */
	struct stele_string holder;
	uint8_t state;		  /**< the holder's, enum stele_resource_state; 0: it is gone */
	struct stele_string what; /**< the reason of its wait; its call, and what that is for */
	int64_t ns;		  /**< it has been in that state, likewise */
	uint32_t stack;
	size_t next;   /**< the one that the holder waits in itself; SIZE_MAX: none */
	bool deadlock; /**< by that it waits for itself */
};

/** Those with the longest waits first. */
const struct stele_blockage *stele_analysis_blockages(const struct stele_analysis *analysis,
						      size_t *ret_count);

/** NULL: nobody asked. */
const struct stele_why *stele_analysis_why(const struct stele_analysis *analysis);

const struct stele_memory *stele_analysis_memory(const struct stele_analysis *analysis);

/** Bytes alive of a family (enum stele_memory_family), from the first event of the trace on. */
const struct stele_curve *stele_analysis_memory_curve(const struct stele_analysis *analysis,
						      unsigned family);

/** Most bytes alive first, then most bytes allocated. */
const struct stele_memory_site *stele_analysis_memory_sites(const struct stele_analysis *analysis,
							    size_t *ret_count);

/** Most bytes allocated first. */
const struct stele_memory_party *
stele_analysis_memory_parties(const struct stele_analysis *analysis, enum stele_memory_who who,
			      size_t *ret_count);

/** Of all objects, smallest first; sizes that do not occur are left out. */
const struct stele_memory_size *stele_analysis_memory_sizes(const struct stele_analysis *analysis,
							    size_t *ret_count);

const struct stele_memory_map *stele_analysis_memory_map(const struct stele_analysis *analysis);

/** Most bytes alive first, then most bytes allocated. */
const struct stele_memory_kind *stele_analysis_memory_kinds(const struct stele_analysis *analysis,
							    size_t *ret_count);

/** Those that are alive at the end, largest high_bytes first. */
const struct stele_memory_stack *stele_analysis_stacks(const struct stele_analysis *analysis,
						       size_t *ret_count);

/** Largest high_bytes first. */
const struct stele_memory_owner *stele_analysis_stack_owners(const struct stele_analysis *analysis,
							     size_t *ret_count);

/** By family, kind and cause. */
const struct stele_broken *stele_analysis_broken(const struct stele_analysis *analysis,
						 size_t *ret_count);

/** True for a reason that Go's tools count as synchronization: chan, sync, select. */
bool stele_reason_is_sync(struct stele_string reason);

#ifdef __cplusplus
}
#endif

#endif
