/* SPDX-License-Identifier: MIT */
/*
 * What the analyses of one trace share. Everything in here is owned by the analysis; names, stacks
 * and sites are made once and stay until its end, so pointers to them are identities.
 */
#ifndef STELE_ANALYZE_MODEL_H
#define STELE_ANALYZE_MODEL_H

#include "analyze/keymap.h"
#include "analyze/sum.h"
#include "analyze/text.h"
#include "stele/analyze.h"

#define STELE__FRAMES_MAX   1024
#define STELE__FINISHED_MAX 4096 /* at least so many are told of one by one */
#define STELE__LATENCIES    8

struct stele__name {
	struct stele_string text;
	char data[];
};

struct stele__stack {
	uint64_t hash;
	size_t count;
	uint32_t first_alike; /* stele__stack_alike; 0: was not asked for yet */
	struct stele_stack_frame frames[];
};

struct stele__stacks {
	struct stele__keymap by_hash, by_lines;
	struct stele__stack **all; /* all[0] is unused */
	uint32_t count, max;
	uint32_t *cache; /* by the reader's handle, of this generation; 0: not looked up yet */
	size_t cache_max;
	struct stele_stack_frame *scratch;
};

struct stele__site {
	struct stele_site s; /* first: the public face */
	enum stele_site_kind kind;
	const struct stele__name *name;
	uint32_t alike; /* stele__stack_alike of its stack */
};

/* Greatest total first. */
struct stele__sorted_sites {
	const struct stele_site **list;
	size_t count;
};

struct stele__region {
	const struct stele__name *name;
	uint64_t task;
	int64_t begin;
};

/* What threads wait for: locks.c. */
struct stele__object;

/* A system call on a descriptor that has ended. */
struct stele__called {
	const struct stele__name *call; /* NULL: none has */
	const struct stele__name *file;
	uint64_t fd;
	int64_t since;	/* when the descriptor began to stand for the file */
	int64_t result; /* 0: unknown, too */
	bool client;	/* of a connection that was made from here */
};

/* A wait or system call. */
struct stele__block {
	int64_t end, ns; /* with what was before the trace */
	uint8_t state;	 /* 0: there was none */
	uint64_t owner;	 /* thread that has the lock; STELE_NO_ID: unknown */
	const struct stele__object *object;
	const struct stele__site *site, *call; /* where; a call, with what it is for if known */
	const struct stele__name *reason;
};

/* A goroutine that is alive. */
struct stele__flow {
	uint64_t id;
	uint8_t state;
	bool ran; /* at any time */
	int64_t since;
	int64_t before;		  /* that the state had lasted when the goroutine was seen first */
	struct stele__site *site; /* where the time in this state goes, too; NULL: nowhere */
	struct stele__site *call; /* likewise, of a system call: by its name */
	struct stele__site *file; /* likewise, with what it was for: known in the end only */
	uint64_t fd;		  /* its descriptor; STELE_NO_ID: unknown */
	struct stele__called called; /* by the transition that is being looked at */
	const struct stele__name *reason;
	const struct stele__name *name, *entry; /* NULL: unknown */
	int64_t latencies[STELE__LATENCIES];	/* the first times that it was ready */
	uint32_t latency_count;			/* of those */
	struct stele_spread *latency;		/* those after them; NULL: none */
	struct stele__block block;		/* the last that it was in */
	struct stele__object *object;		/* that it waits for; NULL: unknown */
	uint64_t holder;	       /* the thread that had it then; STELE_NO_ID: unknown */
	struct stele__region *regions; /* open ones, outermost first */
	uint32_t region_count, region_max;
	struct stele_times times;
};

/* What Stele's own data says of a thread's goroutine. */
struct stele__tag {
	uint64_t goroutine, thread;
	const struct stele__name *name;
};

/* What a goroutine is at that was not seen yet: a wait, or a system call. */
struct stele__underway {
	const struct stele__name *reason; /* empty: it is a call */
	uint64_t object; /* that it waits for; of a call its descriptor + 1; 0: unknown */
	uint64_t holder; /* STELE_NO_ID: unknown */
	int64_t ago;	 /* ns since it began, when it was told */
	uint32_t stack;
};

/* A task or range that is open. */
struct stele__scope {
	uint64_t id;
	uint8_t resource; /* of a range */
	const struct stele__name *name;
	int64_t begin;
};

struct stele__group {
	const struct stele__name *name;
	struct stele_times times;
	struct stele_spread latency;
};

struct stele_analysis {
	struct stele__keymap names;
	struct stele__stacks stacks;
	struct stele__keymap sites;
	struct stele__keymap goroutines; /* alive */
	struct stele__keymap tags, tasks, ranges, groups;
	struct stele__keymap threads;  /* from threads to their tags, which `tags` owns */
	struct stele__keymap underway; /* by goroutines that were not seen yet */
	struct stele__locks *locks;
	struct stele__orders *orders;
	struct stele__why *why; /* NULL: nobody asked */
	struct stele__files *files;
	struct stele__signalled *signalled;
	struct stele__memory *memory;
	struct stele_times *finished;
	uint32_t finished_count, finished_max;
	bool finished_cut; /* there were more */
	struct stele_trust trust;
	const struct stele__name *empty, *main;
	unsigned version; /* of the format */
	int64_t synced;	  /* when the generation began */
	bool done;
	/* Made by finish(). */
	struct stele__sorted_sites by_lines[STELE__SITES_COUNT], by_address[STELE__SITES_COUNT];
	struct stele__keymap site_sums; /* of sites that only their addresses tell apart, owned */
	struct stele__fallen *fallen;	/* goroutines that ended in the middle of one: the newest */
	size_t fallen_count;
	struct stele_blockage *blockages;
	size_t blockage_count;
	struct stele_hot_function *hot_functions;
	size_t hot_function_count;
	struct stele_times *group_times;
	size_t group_count;
};

/* Makes room for one more in an array of pointers or structs; 0, -ENOMEM or STELE_E_LIMIT. */
int stele__list_reserve(void *list, uint32_t count, uint32_t *max, size_t size);

/* NULL: no memory. */
const struct stele__name *stele__name_intern(struct stele_analysis *a, struct stele_string text);

int stele__stacks_init(struct stele__stacks *stacks);
void stele__stacks_done(struct stele__stacks *stacks);
/* Handles of the reader mean something else from here on. */
void stele__stacks_forget(struct stele__stacks *stacks);
/*
 * The first stack that was seen of those with the same functions and lines as this one, whatever
 * addresses these have there; what has no name has its address for one. 0 for no stack; out of
 * memory: a negative code.
 */
int stele__stack_find(struct stele_analysis *a, const struct stele_reader *reader, uint32_t handle,
		      uint32_t *ret_stack);
/* This very stack; and the one that stands for those that look like it. 0 or -ENOMEM. */
int stele__stack_exact(struct stele_analysis *a, const struct stele_reader *reader, uint32_t handle,
		       uint32_t *ret_stack);
int stele__stack_alike(struct stele_analysis *a, uint32_t stack, uint32_t *ret_stack);

/* NULL: no memory. */
struct stele__site *stele__site_find(struct stele_analysis *a, enum stele_site_kind kind,
				     const struct stele__name *name, uint32_t stack);
/* before: what it had lasted when it was seen first. */
void stele__site_add_open(struct stele__site *site, int64_t ns, int64_t before);
/* Behind the last event: sorts them, and adds up those that look the same. 0 or -ENOMEM. */
int stele__sites_finish(struct stele_analysis *a);
void stele__sites_free(struct stele_analysis *a);

/* The goroutine, NULL if it is not alive. */
struct stele__flow *stele__flow_find(const struct stele_analysis *a, uint64_t id);
int stele__flow_transition(struct stele_analysis *a, const struct stele_reader *reader,
			   const struct stele_event *event);
/* The thread record of Stele's own data. */
int stele__flow_tag(struct stele_analysis *a, const struct stele_data_item *item);
/* Ends the counting at `time` for all that are alive, and makes the tables. */
int stele__flow_finish(struct stele_analysis *a, int64_t time);
void stele__flow_free(struct stele__flow *go);
/* Adds waits for one reason; when there is no share left, to that of several reasons. */
void stele__times_add_share(struct stele_times *t, const struct stele_share *from);
int stele__times_account(struct stele_analysis *a, struct stele__flow *go);
int stele__times_finish(struct stele_analysis *a);

int stele__scope_event(struct stele_analysis *a, const struct stele_reader *reader,
		       const struct stele_event *event);
/* Regions that the goroutine leaves open. */
int stele__scope_leave(struct stele_analysis *a, const struct stele__flow *go, int64_t time);
int stele__scopes_finish(struct stele_analysis *a, int64_t time);

/* By the thread it is of; NULL: unknown, or not alive. */
struct stele__flow *stele__flow_of_thread(const struct stele_analysis *a, uint64_t thread);
/* The function it was created with, or that it is seen in; empty: unknown. */
const struct stele__name *stele__flow_entry(const struct stele_analysis *a,
					    const struct stele__flow *go);
/* The thread's name, or that function. */
const struct stele__name *stele__flow_label(const struct stele_analysis *a,
					    const struct stele__flow *go);

/* NULL: no memory. */
struct stele__files *stele__files_new(void);
void stele__files_free(struct stele__files *files);
int stele__files_detail(struct stele_analysis *a, const struct stele_detail *detail);
/* It begins a system call, by this transition: finds of which file. */
void stele__files_call(const struct stele_analysis *a, struct stele__flow *go,
		       const struct stele_event *event);
/* The call is over, by this transition (NULL: the trace is over): finds go->file. 0 or -ENOMEM. */
int stele__files_called(struct stele_analysis *a, struct stele__flow *go,
			const struct stele_event *event);

/* NULL: no memory. */
struct stele__orders *stele__orders_new(void);
void stele__orders_free(struct stele__orders *orders);
int stele__orders_detail(struct stele_analysis *a, const struct stele_reader *reader,
			 const struct stele_detail *detail);
/* Before stele__locks_finish. */
int stele__orders_finish(struct stele_analysis *a);

#define STELE__BLOCKAGES_MAX 1024u /* locks, which are looked for one by one */
#define STELE__FALLEN_MAX    8192u

/* It leaves its state, which may be of this kind. Before its object is forgotten. */
void stele__blocked_note(struct stele__flow *go, int64_t time);
/* It has ended: what it was in a moment before, it never left. 0 or -ENOMEM. */
int stele__blocked_gone(struct stele_analysis *a, const struct stele__flow *go, int64_t time);
/* While goroutines are still as they were in the end. */
int stele__blocked_finish(struct stele_analysis *a, int64_t time);

/* Behind stele__sites_finish. */
int stele__hotspots_finish(struct stele_analysis *a);

int stele__underway_detail(struct stele_analysis *a, const struct stele_reader *reader,
			   const struct stele_detail *detail);
/* NULL: nothing was told of it. */
const struct stele__underway *stele__underway_of(const struct stele_analysis *a,
						 const struct stele__flow *go);
void stele__underway_drop(struct stele_analysis *a, uint64_t goroutine);

/* NULL: no memory. */
struct stele__signalled *stele__signalled_new(void);
void stele__signalled_free(struct stele__signalled *signalled);
/* Which process a thread is of, in a trace of several. 0 or -ENOMEM. */
int stele__signalled_thread(struct stele_analysis *a, const struct stele_data_item *item);
/* The signals of which one has ended the goroutine's wait or call at this time; NULL: none that is
 * known. */
const struct stele__object *stele__signalled_ended(const struct stele_analysis *a,
						   const struct stele__flow *go, int64_t time);

struct stele__locks *stele__locks_new(void);
void stele__locks_free(struct stele__locks *locks);
/* What is told of an object. */
int stele__locks_object(struct stele_analysis *a, const struct stele_data_item *item);
int stele__locks_detail(struct stele_analysis *a, const struct stele_reader *reader,
			const struct stele_detail *detail);
/* It begins to wait, by this transition: finds what for. */
int stele__locks_wait(struct stele_analysis *a, struct stele__flow *go,
		      const struct stele_event *event);
/* By this transition, in front of what follows: who makes runnable what waited for a lock gives
 * that up; so it is with fibers, whose locks are handed over. */
int stele__locks_woken(struct stele_analysis *a, const struct stele_reader *reader,
		       const struct stele__flow *go, const struct stele_event *event);
/* The wait is over; open: the trace is, and the wait is not. */
int stele__locks_waited(struct stele_analysis *a, struct stele__flow *go, int64_t time, bool open);
int stele__locks_finish(struct stele_analysis *a);

/* NULL: no memory. */
struct stele__memory *stele__memory_new(void);
void stele__memory_free(struct stele__memory *memory);
/* A generation begins: types and layout are its own. */
void stele__memory_sync(struct stele_analysis *a, const struct stele_reader *reader);
/* An event of the allocation experiment, or a metric. */
int stele__memory_event(struct stele_analysis *a, const struct stele_reader *reader,
			const struct stele_event *event);
/* A goroutine comes into being, by this transition. 0 or -ENOMEM. */
int stele__memory_created(struct stele_analysis *a, const struct stele_event *event);
/* Its last moment: after that nobody knows its name. 0 or -ENOMEM. */
/* How much of a stack was used. */
void stele__stack_used(struct stele_analysis *a, const struct stele_detail *detail);
int stele__memory_ended(struct stele_analysis *a, const struct stele_event *event);
int stele__memory_finish(struct stele_analysis *a);

#endif
