/* SPDX-License-Identifier: MIT */
/*
 * The rules: what an event needs, what it changes, what a consumer sees of it. One function an
 * event (docs/design/reader.md says where they come from), found by wire number.
 *
 * A rule function returns 1: applied; 0: not yet, nothing was changed, the order's `wait` says for
 * what; negative: the trace is broken, `diag` says how.
 *
 * What a consumer sees is the decoded event itself, filled in where it lies; a few are seen as
 * several. They point into the generation's tables, into constants and into the order itself, and
 * are good until the next run.
 */
#ifndef STELE_READ_ORDER_H
#define STELE_READ_ORDER_H

#include "read/blank.h"
#include "read/frontier.h"
#include "read/notes.h"

/* Events that are put in order in one go; and those among them that one is seen as, besides itself.
 */
#define STELE__RUN_MAX	    64
#define STELE__RUN_SEEN_MAX 3				 /* as so many is one seen at most */
#define STELE__RUN_EXTRA    (STELE__RUN_MAX * 2 / 3 + 1) /* two for an event at most */

/* A constant as text. */
#define STELE__TEXT(literal) ((struct stele_string){(literal), sizeof(literal) - 1})

/* What a rule works on: the event and the thread it stands in. */
struct stele__turn {
	struct stele_event *event;
	struct stele__stream *stream;
	uint32_t thread; /* index */
};

enum stele__gc_state { STELE__GC_UNDETERMINED, STELE__GC_IDLE, STELE__GC_RUNNING };

struct stele__order {
	struct stele__world world;
	struct stele__frontier frontier;
	struct stele__generation *generation; /* the reader's */
	struct stele__window *window;
	struct stele__notes *notes;
	bool whole; /* nothing of a damaged generation is wanted */
	enum stele__gc_state gc_state;
	uint64_t gc_seq;

	/* What each event touches. */
	struct stele__turn turn;
	const struct stele_event **run_at; /* behind the last one in run[] */
	struct stele_event *extra_at;	   /* the next one in extra[] */
	/*
	 * From this time on there is more to do than to go on: the next CPU sample is due.
	 * INT64_MIN: at once, for other reasons; the run ends.
	 */
	int64_t due;
	int64_t last_time;     /* of the events so far: they are strictly increasing */
	int failed;	       /* behind this run: what the order came to */
	enum stele__wait wait; /* after "not yet" */
	uint64_t wait_id;
	struct stele_diag diag; /* after a failure */

	const struct stele_event *run[STELE__RUN_MAX];
	struct stele_event extra[STELE__RUN_EXTRA]; /* those of the run; always blank but for what
						       makes a transition */
	struct stele_event sample;
	uint64_t released;     /* offset up to which nothing is asked for any more */
	uint32_t refills;      /* since that was looked at */
	uint32_t parting_text; /* kept for the queued event only */
	char range_name[STELE_STRING_BYTES_MAX + 32]; /* "stop-the-world (…)" */
};

typedef int (*stele__rule_fn)(struct stele__order *order, const struct stele__turn *turn);

int stele__order_init(struct stele__order *order);
void stele__order_done(struct stele__order *order);

/* Starts on a loaded generation. 0 or a failure. */
int stele__order_begin(struct stele__order *order);

/*
 * Puts the next events in order, as a run: at least one. 1; 0: the generation is through;
 * negative: `diag`. CPU samples are put in by their times.
 */
int stele__order_run(struct stele__order *order);

/* Begins a run. */
STELE_INLINE void stele__order_clear(struct stele__order *order)
{
	order->run_at = order->run;
	order->extra_at = order->extra;
}

STELE_INLINE unsigned stele__order_run_count(const struct stele__order *order)
{
	return (unsigned)(order->run_at - order->run);
}

/* Delivers an event, with a time behind the last one. */
STELE_INLINE void stele__order_add(struct stele__order *order, struct stele_event *event)
{
	if (event->time <= order->last_time)
		event->time = (int64_t)((uint64_t)order->last_time + 1);
	order->last_time = event->time;
	*order->run_at++ = event;
}

/* ---- for the rule files ---- */

/* What a rule asks of the thread's binding; a thread id is asked for by all of them. */
enum stele__need {
	STELE__NEED_PROC = 1,
	STELE__NEED_GOROUTINE = 2,
	STELE__NEED_NO_PROC = 4,
	STELE__NEED_NO_GOROUTINE = 8,
	STELE__NEED_USER = STELE__NEED_PROC | STELE__NEED_GOROUTINE,
};

int stele__order_fail(struct stele__order *order, const struct stele__turn *turn,
		      const char *format, ...) STELE_PRINTF(3, 4);

/* What Go's reader lets pass. */
void stele__order_warn(struct stele__order *order, const struct stele__turn *turn,
		       const char *format, ...) STELE_PRINTF(3, 4);

/* Out of memory, or more than an index can count; never the input's fault. */
int stele__order_fail_code(struct stele__order *order, const struct stele__turn *turn, int code);

STELE_INLINE int stele__order_wait(struct stele__order *order, enum stele__wait wait, uint64_t id)
{
	order->wait = wait;
	order->wait_id = id;
	return 0;
}

STELE_INLINE struct stele__thread *stele__order_thread(struct stele__order *order,
						       const struct stele__turn *turn)
{
	return &order->world.threads[turn->thread];
}

/* The event is seen by the consumer, in the thread's present context. */
STELE_INLINE void stele__order_seen(struct stele_event *event, const struct stele__thread *thread)
{
	event->thread = thread->id;
	event->proc = thread->proc_id;
	event->goroutine = thread->goroutine;
}

/* As a change from one state to another. */
STELE_INLINE void stele__order_seen_transition(struct stele_event *event, uint8_t type,
					       const struct stele__thread *thread,
					       enum stele_resource_kind resource, uint64_t id,
					       enum stele_resource_state from,
					       enum stele_resource_state to)
{
	stele__head_transition(event, type, resource, from, to);
	stele__order_seen(event, thread);
	event->resource_id = id;
}

STELE_INLINE struct stele_event *stele__order_emit(struct stele__order *order,
						   const struct stele__turn *turn,
						   enum stele_event_kind kind)
{
	turn->event->kind = (uint8_t)kind;
	stele__order_seen(turn->event, stele__order_thread(order, turn));
	return turn->event;
}

/*
 * The event is complete, and is seen as one more; the turn is at that now. Once it has begun to be
 * delivered nothing may fail any more.
 */
STELE_INLINE struct stele_event *stele__order_more(struct stele__order *order,
						   struct stele_event *event)
{
	struct stele_event *more = order->extra_at++;

	stele__order_add(order, event);
	more->type = event->type;
	more->time = event->time;
	order->turn.event = more;
	return more;
}

STELE_INLINE struct stele_event *
stele__order_emit_transition(struct stele__order *order, const struct stele__turn *turn,
			     enum stele_resource_kind resource, uint64_t id,
			     enum stele_resource_state from, enum stele_resource_state to)
{
	stele__order_seen_transition(turn->event, turn->event->type,
				     stele__order_thread(order, turn), resource, id, from, to);
	return turn->event;
}

/* What the thread lacks, or has too much; a failure. */
int stele__order_unmet(struct stele__order *order, const struct stele__turn *turn, unsigned need);

/* Has the thread what the event needs? 0 or a failure. */
STELE_INLINE int stele__order_need(struct stele__order *order, const struct stele__turn *turn,
				   unsigned need)
{
	const struct stele__thread *thread = stele__order_thread(order, turn);
	bool proc = thread->proc != STELE__NOTHING;
	bool goroutine = thread->goroutine != STELE_NONE_ID;

	if (STELE_LIKELY(thread->id != STELE_NONE_ID && (!(need & STELE__NEED_PROC) || proc) &&
			 (!(need & STELE__NEED_GOROUTINE) || goroutine) &&
			 (!(need & STELE__NEED_NO_PROC) || !proc) &&
			 (!(need & STELE__NEED_NO_GOROUTINE) || !goroutine)))
		return 0;
	return stele__order_unmet(order, turn, need);
}

/*
 * An id that the table does not have. A failure, or 0: the input ended before there was any
 * table; that is the defect, and the generation can do without names.
 */
int stele__order_missing(struct stele__order *order, const struct stele__turn *turn,
			 const char *what, uint64_t id, bool none_at_all);

/* The stack or string with this id in the event; an unknown one is a failure. 0 or negative. */
STELE_INLINE int stele__order_stack(struct stele__order *order, const struct stele__turn *turn,
				    uint64_t id, uint32_t *ret_stack)
{
	const struct stele__table *table = &order->generation->table;
	uint32_t stack = id ? stele__idmap_get(&table->stack_ids, id) : 0;

	*ret_stack = stack;
	if (STELE_LIKELY(stack || !id || table->lenient))
		return 0;
	return stele__order_missing(order, turn, "stack", id, table->stack_count == 1);
}

/* May be given the event's own: one string copied from another is a wait (read/blank.h). */
int stele__order_string(struct stele__order *order, const struct stele__turn *turn, uint64_t id,
			struct stele_string *ret_text);
/* As above, as a text that outlives the generation; no reference is taken. */
int stele__order_keep(struct stele__order *order, const struct stele__turn *turn, uint64_t id,
		      uint32_t *ret_kept);

/* The thread's goroutine, NULL if it has none or an unknown one. */
STELE_INLINE struct stele__goroutine *stele__order_goroutine(struct stele__order *order,
							     const struct stele__turn *turn)
{
	uint32_t i = stele__world_goroutine_of(&order->world, stele__order_thread(order, turn));

	return i == STELE__NOTHING ? NULL : &order->world.goroutines[i];
}

/* Is n the number that follows in this generation? */
STELE_INLINE bool stele__order_follows(const struct stele__order *order, uint64_t seq_generation,
				       uint64_t seq, uint64_t n)
{
	return seq_generation == order->generation->number && n == seq + 1;
}

/* Binds; the thread without id is never bound. */
STELE_INLINE void stele__order_bind_goroutine(struct stele__thread *thread, uint64_t id,
					      uint32_t index)
{
	if (thread->id == STELE_NONE_ID)
		return;
	thread->goroutine = id;
	thread->goroutine_hint = index;
}

STELE_INLINE void stele__order_unbind_goroutine(struct stele__thread *thread)
{
	thread->goroutine = STELE_NONE_ID;
}

enum stele_resource_state stele__order_go_state(unsigned status);
enum stele_resource_state stele__order_proc_state(unsigned status);

#define STELE__RULE(name)                                                                          \
	int stele__rule_##name(struct stele__order *order, const struct stele__turn *turn)

STELE__RULE(proc_status);
STELE__RULE(proc_start);
STELE__RULE(proc_stop);
STELE__RULE(proc_steal);
STELE__RULE(procs_change);
STELE__RULE(go_status);
STELE__RULE(go_create);
STELE__RULE(go_create_syscall);
STELE__RULE(go_start);
STELE__RULE(go_leave); /* GoDestroy, GoStop, GoBlock */
STELE__RULE(go_destroy_syscall);
STELE__RULE(go_unblock);
STELE__RULE(go_switch);
STELE__RULE(go_syscall_begin);
STELE__RULE(go_syscall_end);
STELE__RULE(go_syscall_end_blocked);
STELE__RULE(gc_active);
STELE__RULE(gc_begin);
STELE__RULE(gc_end);
STELE__RULE(stw_begin);
STELE__RULE(stw_end);
STELE__RULE(assist_active);
STELE__RULE(assist_begin);
STELE__RULE(assist_end);
STELE__RULE(sweep_active);
STELE__RULE(sweep_begin);
STELE__RULE(sweep_end);
STELE__RULE(heap_metric); /* HeapAlloc, HeapGoal */
STELE__RULE(label);
STELE__RULE(task_begin);
STELE__RULE(task_end);
STELE__RULE(region_begin);
STELE__RULE(region_end);
STELE__RULE(log);
STELE__RULE(experimental);

#endif
