/* SPDX-License-Identifier: MIT */
/*
 * A thread's place in the trace: its goroutine, its proc, and the waits and system calls that are
 * open in it. Handlers run inside those, so they nest:
 *
 *   GO_BLOCK ─┐ waiting              GoBlock
 *             │ SYSCALL_BEGIN ─┐     GoUnblock GoStart GoSyscallBegin     (bridge, then the event)
 *             │ SYSCALL_END   ─┘     GoSyscallEnd GoBlock                 (the event, then back)
 *   GO_WAKE  ─┘                      GoUnblock GoStart
 *
 * Invariant between two records: if the innermost interval is of the goroutine the thread has,
 * that goroutine is in the interval's state (or another thread has unblocked it).
 */
#include "drain/machine.h"

/* Frames further apart than this are taken to lie on different stacks if the bounds are unknown. */
#define STACK_DISTANCE_MAX 65536u

static void context_leave(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time)
{
	if (t->go->state == STELE_GO_WAITING)
		stele__go_unblock(d, t, t->go, 0, time);
	else if (t->go->state == STELE_GO_SYSCALL)
		stele__syscall_end(d, t, time);
	if (t->go->state == STELE_GO_RUNNING && t->proc)
		return;
	if (!t->proc)
		stele__proc_start(d, t, &d->procs[t->slot_index], time);
	if (t->go->state == STELE_GO_RUNNABLE)
		stele__go_start(d, t, t->go, time);
}

/* A thread that has no goroutine of its own (any more) gets one for the moment. */
static void context_borrow(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time)
{
	struct stele_drain_go *go = stele__go_appear(d, t, d->go_private++, time);

	if (go)
		go->bridge = true;
}

void stele__context_run(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time)
{
	if (!t->begun)
		stele__thread_introduce(d, t, t->goroutine, time);
	stele__context_mention(d, t, time);
	if (t->go && t->go->state == STELE_GO_RUNNING && t->proc)
		return;
	d->stats.bridged++;
	t->settle = true;
	if (t->go)
		context_leave(d, t, time);
	else
		context_borrow(d, t, time);
}

/* The interval that the goroutine of t is in, the innermost but for those within a call. */
static const struct stele_drain_interval *interval_of(const struct stele_drain_thread *t)
{
	for (uint32_t i = t->depth; i > 0; i--)
		if (t->intervals[i - 1].g == t->go->id && !t->intervals[i - 1].within)
			return &t->intervals[i - 1];
	return NULL;
}

static void context_call(struct stele_drain *d, struct stele_drain_thread *t,
			 const struct stele_drain_interval *call, uint64_t time)
{
	stele__syscall_begin(d, t, call, time);
	stele__detail_call(d, t, call);
}

static void context_wait(struct stele_drain *d, struct stele_drain_thread *t,
			 const struct stele_drain_interval *wait, uint64_t time)
{
	stele__go_block(d, t, wait->wait, wait->stack, time);
	stele__detail_wait(d, t, wait->object, wait->holder);
}

void stele__context_settle(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time)
{
	const struct stele_drain_interval *top;

	if (!t->settle)
		return;
	t->settle = false;
	if (!t->go || t->go->state != STELE_GO_RUNNING)
		return;
	top = interval_of(t);
	if (top) {
		if (top->syscall)
			context_call(d, t, top, time);
		else
			context_wait(d, t, top, time);
	} else if (t->go->bridge) {
		stele__go_destroy(d, t, time);
		if (!stele__proc_is_runtime(t)) /* a worker keeps its own */
			stele__proc_stop(d, t, time);
	}
}

static bool stack_holds(const struct stele_slot *slot, uint64_t frame)
{
	return frame >= stele__load_relaxed(&slot->stack_low) &&
	       frame < stele__load_relaxed(&slot->stack_high);
}

/*
 * Does this interval prove that the code that began `open` has been left by longjmp? On one stack,
 * whoever runs inside an interval runs below it; or in the very frame that began it, which calls
 * from one place before the end of the interval only if it came back there. An alternate stack that
 * lies within the thread's own one can deceive this; the interval then counts as left although it
 * is not.
 */
static bool interval_is_left(const struct stele_drain_thread *t,
			     const struct stele_drain_interval *open,
			     const struct stele_drain_interval *by)
{
	uint64_t now = by->frame;

	if (!now || !open->frame || now < open->frame ||
	    (now == open->frame && by->stack != open->stack))
		return false;
	if (stele__load_relaxed(&t->slot->stack_high))
		return stack_holds(t->slot, open->frame) && stack_holds(t->slot, now);
	return now - open->frame <= STACK_DISTANCE_MAX;
}

/* Whatever was begun inside an interval that was left has been left with it, on any stack. */
static void interval_drop_left(struct stele_drain *d, struct stele_drain_thread *t,
			       const struct stele_drain_interval *by, uint64_t time)
{
	uint32_t keep = 0;

	while (keep < t->depth && !interval_is_left(t, &t->intervals[keep], by))
		keep++;
	if (keep == t->depth)
		return;
	stele__context_run(d, t, time);
	t->depth = keep;
	t->settle = true;
}

/*
 * Fibers that blocked here are resumed by GO_UNBLOCK and GO_START, anywhere: nothing tells this
 * thread, so what they left behind goes when it is in the way.
 */
static void interval_purge(struct stele_drain *d, struct stele_drain_thread *t)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < t->depth; i++) {
		const struct stele_drain_interval *open = &t->intervals[i];
		const struct stele_drain_go *go = stele__go_find(d, open->g);

		if (go == t->go || (go && go->state == STELE_GO_WAITING && t->depth < 8))
			t->intervals[kept++] = *open;
	}
	t->depth = kept;
}

/*
 * A wait or system call within a call of a runtime's goroutine is a part of it, which is all that
 * readers see: the call may lose its proc at any moment, and only what is in a call can. To leave
 * it for the wait and come back later would move the loss behind that, and with it all that happens
 * on the proc since.
 */
static bool interval_is_within(const struct stele_drain_thread *t)
{
	bool worker = t->begun && !t->goroutine;
	const struct stele_drain_interval *around;

	if (!worker || !t->go || t->go->state != STELE_GO_SYSCALL)
		return false;
	around = interval_of(t);
	return around && around->syscall;
}

static void interval_push(struct stele_drain_thread *t, const struct stele_drain_interval *interval,
			  bool within, uint64_t time)
{
	struct stele_drain_interval *top;

	if (!t->go || t->depth == STELE_INTERVALS_MAX)
		return;
	top = &t->intervals[t->depth++];
	*top = *interval;
	top->g = t->go->id;
	top->within = within;
	top->begin = time;
	top->watched = false;
	t->settle = !within;
}

void stele__interval_open(struct stele_drain *d, struct stele_drain_thread *t,
			  const struct stele_drain_interval *interval, uint64_t time)
{
	interval_drop_left(d, t, interval, time);
	if (interval_is_within(t)) {
		interval_push(t, interval, true, time);
		return;
	}
	stele__context_run(d, t, time);
	if (t->go && t->depth && t->intervals[t->depth - 1].g != t->go->id)
		interval_purge(d, t);
	interval_push(t, interval, false, time);
	stele__context_settle(d, t, time);
}

/* The interval and what is within it are over. False: its beginning was lost. */
static bool interval_pop(struct stele_drain *d, struct stele_drain_thread *t, uint64_t token,
			 uint64_t time, struct stele_drain_go **ret_go, bool *ret_within)
{
	uint32_t at = t->depth;

	while (at && t->intervals[at - 1].token != token)
		at--;
	if (!at || !token)
		return false;
	d->stats.bridged += t->depth - at;
	stele__watch_interval(d, t, &t->intervals[at - 1], time);
	*ret_go = stele__go_find(d, t->intervals[at - 1].g);
	*ret_within = t->intervals[at - 1].within;
	t->depth = at - 1;
	return true;
}

void stele__interval_close(struct stele_drain *d, struct stele_drain_thread *t, uint64_t token,
			   uint64_t time)
{
	struct stele_drain_go *go;
	bool within;

	if (!interval_pop(d, t, token, time, &go, &within) || within)
		return;
	/* A fiber's: another one may run here now, or it may run elsewhere. */
	if (go && !t->go && go->state == STELE_GO_WAITING)
		stele__go_bind(t, go);
	if (!go || go != t->go)
		return;
	context_leave(d, t, time);
	t->settle = true;
	stele__context_settle(d, t, time);
}

bool stele__interval_is_open(const struct stele_drain_thread *t, uint64_t token)
{
	for (uint32_t i = 0; token && i < t->depth; i++)
		if (t->intervals[i].token == token)
			return true;
	return false;
}

void stele__context_back_to_call(struct stele_drain *d, struct stele_drain_thread *t,
				 uint64_t token, uint64_t time)
{
	uint32_t at = 0;

	while (at + 1 < t->depth && t->intervals[at].token != token)
		at++;
	stele__context_run(d, t, time);
	t->settle = false;
	if (t->go && t->go->state == STELE_GO_RUNNING && t->proc)
		context_call(d, t, &t->intervals[at], time);
}

void stele__interval_lose(struct stele_drain *d, struct stele_drain_thread *t, uint64_t token,
			  uint64_t time)
{
	struct stele_drain_go *go;
	bool within;

	if (!interval_pop(d, t, token, time, &go, &within) || !go || go != t->go)
		return;
	t->settle = false;
	stele__context_mention(d, t, time);
	if (go->state == STELE_GO_SYSCALL)
		stele__syscall_end(d, t, time);
	if (go->state == STELE_GO_RUNNING) { /* with a proc that a handler's event needed */
		stele__go_stop(d, t, STELE_WAIT_CODE_UNSPECIFIED, 0, time);
		stele__proc_stop(d, t, time);
	} else {
		stele__go_release(t);
	}
}

/* In the first generation a thread may simply be there. */
static void thread_exist(struct stele_drain *d, struct stele_drain_thread *t, uint64_t g,
			 uint64_t time)
{
	struct stele_drain_proc *proc = &d->procs[t->slot_index];
	struct stele_drain_go *go = stele__go_new(d, g, STELE_GO_RUNNING);

	if (!go)
		return;
	proc->state = STELE_PROC_RUNNING;
	proc->owner = t;
	t->proc = proc;
	go->generation = d->generation - 1;
	stele__go_bind(t, go);
	stele__context_mention(d, t, time);
}

void stele__thread_introduce(struct stele_drain *d, struct stele_drain_thread *t, uint64_t g,
			     uint64_t time)
{
	struct stele_drain_go *go = stele__go_find(d, g);

	t->begun = true;
	t->announce = true;
	t->goroutine = g;
	if (go && go->state == STELE_GO_RUNNABLE && !go->owner) {
		stele__proc_start(d, t, &d->procs[t->slot_index], time);
		stele__go_start(d, t, go, time);
		go->epoch = 1;
		return;
	}
	if (go || g == 0 || g >= STELE_GO_ID_MAX ||
	    stele__lookup_get(&d->retired, g, STELE_RETIRED_GO)) {
		d->stats.unexplained++;
		t->goroutine = g = d->go_private++;
	}
	if (d->generation == 1 && d->procs[t->slot_index].state == STELE_PROC_BAD)
		thread_exist(d, t, g, time);
	else
		stele__go_appear(d, t, g, time);
	if (t->go)
		t->go->epoch = 1;
}

void stele__thread_close(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time)
{
	t->ended = true;
	if (!t->begun)
		return;
	stele__context_mention(d, t, time);
	t->depth = 0;
	t->settle = false;
	if (t->go && (t->go->state == STELE_GO_WAITING || t->go->state == STELE_GO_RUNNABLE) &&
	    t->go->id != t->goroutine && !t->go->bridge) {
		t->go->owner = NULL; /* a fiber that blocked here lives on */
		t->go = NULL;
	}
	if (t->go) {
		context_leave(d, t, time);
		stele__go_destroy(d, t, time);
	}
	if (t->proc)
		stele__proc_stop(d, t, time);
}
