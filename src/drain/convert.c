/* SPDX-License-Identifier: MIT */
/*
 * One record becomes the events that say the same to a reader, bridges included.
 *
 * Legality does not rest on the records: each function looks at the tracked state and makes what it
 * needs, so a lost or forged record costs truth, never validity.
 */
#include <stdlib.h>

#include "drain/machine.h"

/* A record on its way: its words, its time in the trace, its name. */
struct convert_job {
	struct stele_drain *d;
	struct stele_drain_thread *t;
	const struct stele_record *r;
	uint64_t time;
	uint64_t token;
	bool force;
};

static uint32_t high(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static uint32_t low(uint64_t word)
{
	return (uint32_t)word;
}

static bool convert_thread_begin(const struct convert_job *j)
{
	if (j->t->begun) {
		j->d->stats.unexplained++;
		return true;
	}
	if (j->r->b & STELE_THREAD_WORKER) {
		j->t->begun = j->t->announce = true;
		j->t->goroutine = 0;
		return true;
	}
	if ((j->r->b & STELE_THREAD_CREATED) && !j->force && j->r->a && j->r->a < STELE_GO_ID_MAX &&
	    !stele__go_find(j->d, j->r->a))
		return false;
	stele__thread_introduce(j->d, j->t, j->r->a, j->time);
	return true;
}

static void convert_go_create(const struct convert_job *j)
{
	uint64_t g = j->r->a;

	if (g == 0 || g >= STELE_GO_ID_MAX || stele__go_find(j->d, g)) {
		j->d->stats.unexplained++;
		return;
	}
	/* By a goroutine, or by a worker between two of them. */
	if (j->t->go || !stele__proc_is_runtime(j->t))
		stele__context_run(j->d, j->t, j->time);
	if (j->t->proc)
		stele__go_create(j->d, j->t, g, j->r->b, low(j->r->c), j->time);
	stele__context_settle(j->d, j->t, j->time);
}

/* Only the first generation of a trace may say that a goroutine was there before. */
static void convert_go_exists(const struct convert_job *j)
{
	struct stele_drain_go *go = NULL;

	if (j->d->generation > 1) {
		convert_go_create(j);
		return;
	}
	if (j->r->a > 0 && j->r->a < STELE_GO_ID_MAX)
		go = stele__go_new(j->d, j->r->a, STELE_GO_RUNNABLE);
	if (!go) {
		j->d->stats.unexplained++;
		return;
	}
	go->generation = 0; /* not mentioned yet */
	stele__go_mention(j->d, &j->t->lane, go, j->time);
}

/* The goroutine can end only where it runs: for an instant, on the canceller's proc. */
static void convert_go_cancel(const struct convert_job *j)
{
	struct stele_drain_go *go, *self;

	stele__context_run(j->d, j->t, j->time); /* may introduce, even this very goroutine */
	self = j->t->go;
	go = stele__go_find(j->d, j->r->a);
	if (self && go && go != self && !go->owner && go->state == STELE_GO_RUNNABLE) {
		j->d->stats.bridged++;
		stele__go_stop(j->d, j->t, STELE_WAIT_CODE_UNSPECIFIED, 0, j->time);
		stele__go_start(j->d, j->t, go, j->time);
		stele__go_destroy(j->d, j->t, j->time);
		stele__go_start(j->d, j->t, self, j->time);
	} else {
		j->d->stats.unexplained++;
	}
	stele__context_settle(j->d, j->t, j->time);
}

/* Takes g away from the thread it runs on, whose record of that was lost. */
static void go_take_away(struct stele_drain *d, struct stele_drain_go *go, uint64_t time)
{
	struct stele_drain_thread *o = go->owner;

	d->stats.bridged++;
	stele__context_run(d, o, time);
	o->settle = false;
	stele__go_stop(d, o, STELE_WAIT_CODE_UNSPECIFIED, 0, time);
}

/* What t runs or waits with at present makes room for another goroutine. */
static void thread_detach(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time)
{
	if (!t->go)
		return;
	if (t->go->state == STELE_GO_RUNNING || t->go->state == STELE_GO_SYSCALL) {
		go_take_away(d, t->go, time);
		return;
	}
	stele__go_release(t);
}

static void go_make_runnable(const struct convert_job *j, struct stele_drain_go *go)
{
	if (go->state == STELE_GO_WAITING) {
		j->d->stats.bridged++;
		stele__go_unblock(j->d, j->t, go, 0, j->time);
	} else if (go->state != STELE_GO_RUNNABLE && go->owner) {
		go_take_away(j->d, go, j->time);
	}
}

static void go_start_here(const struct convert_job *j, struct stele_drain_go *go)
{
	struct stele_drain_thread *t = j->t;

	thread_detach(j->d, t, j->time);
	if (!t->proc) {
		j->d->stats.bridged++;
		stele__proc_start(j->d, t, &j->d->procs[t->slot_index], j->time);
	}
	if (!go) {
		j->d->stats.bridged++;
		go = stele__go_create(j->d, t, j->r->a, 0, 0, j->time);
	}
	if (!go)
		return;
	go_make_runnable(j, go);
	if (go->state == STELE_GO_RUNNABLE)
		stele__go_start(j->d, t, go, j->time);
	if (!t->goroutine && !stele__proc_is_runtime(t))
		t->goroutine = go->id;
}

static bool convert_go_start(const struct convert_job *j)
{
	struct stele_drain_go *go = stele__go_find(j->d, j->r->a);
	bool here = go && j->t->go == go && go->state == STELE_GO_RUNNING;
	bool next = go && j->r->b == go->epoch + 1 && (here || go->state == STELE_GO_RUNNABLE);
	bool stale = go && j->r->b <= go->epoch;

	if (j->r->a == 0 || j->r->a >= STELE_GO_ID_MAX) {
		j->d->stats.unexplained++;
		return true;
	}
	if (!next && !stale && !j->force)
		return false;
	if (!j->t->begun)
		stele__context_run(j->d, j->t, j->time);
	j->t->settle = false;
	go = stele__go_find(j->d, j->r->a);
	if (!go || j->t->go != go || go->state != STELE_GO_RUNNING)
		go_start_here(j, go);
	go = stele__go_find(j->d, j->r->a);
	if (go && go->epoch < j->r->b)
		go->epoch = j->r->b;
	return true;
}

static bool convert_go_unblock(const struct convert_job *j)
{
	struct stele_drain_go *go = stele__go_find(j->d, j->r->a);
	bool next = go && j->r->b == go->epoch + 1 && go->state == STELE_GO_WAITING;
	bool stale = go && j->r->b <= go->epoch;

	if (!next && !stale && !j->force)
		return false;
	if (!go || stale) {
		j->d->stats.unexplained++;
		return true;
	}
	go->epoch = j->r->b;
	if (go->state == STELE_GO_WAITING)
		stele__go_unblock(j->d, j->t, go, low(j->r->c), j->time);
	else
		j->d->stats.unexplained++;
	return true;
}

static void convert_go_stop(const struct convert_job *j)
{
	if (!j->t->go) {
		j->d->stats.unexplained++;
		return;
	}
	stele__context_run(j->d, j->t, j->time);
	j->t->settle = false;
	stele__go_stop(j->d, j->t, stele__wait_of(j->r->a), high(j->r->a), j->time);
}

static void convert_go_park(const struct convert_job *j)
{
	if (!j->t->go) {
		j->d->stats.unexplained++;
		return;
	}
	stele__context_run(j->d, j->t, j->time);
	j->t->settle = false;
	stele__go_block(j->d, j->t, stele__wait_of(j->r->a), high(j->r->a), j->time);
	stele__detail_wait(j->d, j->t, j->r->b, stele__wait_holder(j->r->a));
	stele__go_release(j->t);
}

static void convert_go_destroy(const struct convert_job *j)
{
	if (!j->t->go) {
		j->d->stats.unexplained++;
		return;
	}
	stele__context_run(j->d, j->t, j->time);
	j->t->settle = false;
	if (j->t->go->id == j->t->goroutine)
		j->t->goroutine = 0;
	stele__go_destroy(j->d, j->t, j->time);
}

static void convert_begin(const struct convert_job *j, bool syscall)
{
	uint32_t what = syscall ? low(j->r->a) & ~STELE_CALL_OF_FILE : stele__wait_of(j->r->a);
	uint32_t most = syscall ? UINT16_MAX : STELE__WAIT_COUNT;
	const struct stele_drain_interval interval = {
		.token = j->token,
		.frame = j->r->c,
		.stack = high(j->r->a),
		.wait = (uint16_t)(what < most ? what + syscall : 0),
		.holder = syscall ? 0 : stele__wait_holder(j->r->a),
		.object = j->r->b,
		.file = syscall && low(j->r->a) & STELE_CALL_OF_FILE,
		.syscall = syscall,
	};

	stele__interval_open(j->d, j->t, &interval, j->time);
}

static void convert_call_end(const struct convert_job *j)
{
	const struct stele_drain_thread *t = j->t;
	bool within = t->go && t->go->state == STELE_GO_SYSCALL;

	stele__interval_close(j->d, j->t, j->r->a, j->time);
	if (within && t->go && t->go->state != STELE_GO_SYSCALL)
		stele__detail_result(j->d, j->t, (int64_t)j->r->b);
}

/* A reader must see a proc taken away before the call ends that it was taken away in. */
static bool convert_syscall_end(const struct convert_job *j)
{
	const struct stele_drain_thread *t = j->t;

	if (!j->r->c) {
		convert_call_end(j);
		return true;
	}
	if (!j->force && stele__proc_is_runtime(t) && t->proc->state == STELE_PROC_SYSCALL &&
	    stele__interval_is_open(t, j->r->a))
		return false;
	stele__interval_lose(j->d, j->t, j->r->a, j->time);
	return true;
}

/* The thread, which had a goroutine of its own or whose goroutine's end was lost, is a worker. */
static void thread_become_worker(struct stele_drain *d, struct stele_drain_thread *t, uint64_t time)
{
	t->begun = t->announce = true;
	if (t->go && t->go->id != t->goroutine && !t->go->bridge) {
		thread_detach(d, t, time);
	} else if (t->go) {
		stele__context_run(d, t, time);
		stele__go_destroy(d, t, time);
	}
	t->settle = false;
	t->depth = 0;
	t->goroutine = 0;
	if (t->proc)
		stele__proc_stop(d, t, time);
}

/* A goroutine that has no proc keeps its thread, and goes on with this one. */
static bool convert_proc_start(const struct convert_job *j)
{
	struct stele_drain_proc *proc = stele__proc_find(j->d, j->r->a);
	bool next = proc && j->r->b == proc->epoch + 1 && !proc->owner;
	bool stale = proc && j->r->b <= proc->epoch;

	if (!proc) {
		j->d->stats.unexplained++;
		return true;
	}
	if (!next && !stale && !j->force)
		return false;
	if (proc->epoch < j->r->b)
		proc->epoch = j->r->b;
	if (proc == j->t->proc)
		return true;
	if (proc->owner) {
		j->d->stats.bridged++;
		thread_detach(j->d, proc->owner, j->time);
		if (proc->owner)
			stele__proc_stop(j->d, proc->owner, j->time);
	}
	if (!j->t->begun || j->t->proc)
		thread_become_worker(j->d, j->t, j->time);
	stele__proc_start(j->d, j->t, proc, j->time);
	return true;
}

static bool convert_proc_steal(const struct convert_job *j)
{
	struct stele_drain_proc *proc = stele__proc_find(j->d, j->r->a);
	bool stale = proc && j->r->b <= proc->epoch;
	bool open = proc && proc->owner && stele__interval_is_open(proc->owner, j->r->c);
	bool next = open && j->r->b == proc->epoch + 1;

	if (!next && proc && !stale && !j->force)
		return false;
	if (next && proc->state != STELE_PROC_SYSCALL)
		stele__context_back_to_call(j->d, proc->owner, j->r->c, j->time);
	if (!proc || stale || !proc->owner || proc->state != STELE_PROC_SYSCALL ||
	    proc->owner == j->t)
		j->d->stats.unexplained++;
	else
		stele__proc_steal(j->d, j->t, proc, j->time);
	if (proc && !stale)
		proc->epoch = j->r->b;
	return true;
}

static void convert_proc_stop(const struct convert_job *j)
{
	if (j->t->proc)
		stele__proc_stop(j->d, j->t, j->time);
	else
		j->d->stats.unexplained++;
}

/* Records of scheduling; false: another thread's must come first. */
static bool convert_state(struct stele_drain *d, struct stele_drain_thread *t,
			  const struct stele_record *r, uint64_t time, uint64_t token, bool force)
{
	struct convert_job job = {d, t, r, time, token, force};
	bool taken = true;

	switch (stele__record_kind(r->header)) {
	case STELE_KIND_THREAD_BEGIN:
		taken = convert_thread_begin(&job);
		break;
	case STELE_KIND_THREAD_END:
		stele__thread_close(d, t, job.time);
		break;
	case STELE_KIND_GO_CREATE:
		convert_go_create(&job);
		break;
	case STELE_KIND_GO_EXISTS:
		convert_go_exists(&job);
		break;
	case STELE_KIND_GO_CANCEL:
		convert_go_cancel(&job);
		break;
	case STELE_KIND_GO_START:
		taken = convert_go_start(&job);
		break;
	case STELE_KIND_GO_STOP:
		convert_go_stop(&job);
		break;
	case STELE_KIND_GO_PARK:
		convert_go_park(&job);
		break;
	case STELE_KIND_GO_DESTROY:
		convert_go_destroy(&job);
		break;
	case STELE_KIND_GO_BLOCK:
		convert_begin(&job, false);
		break;
	case STELE_KIND_SYSCALL_BEGIN:
		convert_begin(&job, true);
		break;
	case STELE_KIND_GO_WAKE:
		stele__interval_close(d, t, r->a, job.time);
		break;
	case STELE_KIND_SYSCALL_END:
		taken = convert_syscall_end(&job);
		break;
	case STELE_KIND_GO_UNBLOCK:
		taken = convert_go_unblock(&job);
		break;
	case STELE_KIND_PROC_START:
		taken = convert_proc_start(&job);
		break;
	case STELE_KIND_PROC_STOP:
		convert_proc_stop(&job);
		break;
	case STELE_KIND_PROC_STEAL:
		taken = convert_proc_steal(&job);
		break;
	default:
		stele__payload_convert(d, t, r, time);
		break;
	}
	return taken;
}

/*
 * The writer leaves out likewise what nobody wants. An end whose beginning was left out finds none.
 * System calls of a runtime's goroutines stay: they may lose their proc.
 */
static bool convert_is_left_out(const struct stele_drain *d, const struct stele_drain_thread *t,
				const struct stele_record *r)
{
	unsigned kind = stele__record_kind(r->header);

	if (kind == STELE_KIND_GO_BLOCK)
		return d->options.leave_out & STELE_EVENTS_LOCKS &&
		       stele__wait_is_lock(stele__wait_of(r->a));
	if (kind == STELE_KIND_SYSCALL_BEGIN)
		return d->options.leave_out & STELE_EVENTS_SYSCALLS && !stele__proc_is_runtime(t);
	if (kind == STELE_KIND_RELEASE || kind == STELE_KIND_OBJECT_MADE ||
	    kind == STELE_KIND_LOCK_ORDER)
		return d->options.leave_out & STELE_EVENTS_LOCKS;
	if (kind == STELE_KIND_FILE)
		return d->options.leave_out & STELE_EVENTS_FILES;
	if (kind == STELE_KIND_CPU_SAMPLE)
		return d->options.leave_out & STELE_EVENTS_CPU;
	if (kind == STELE_KIND_BREAK || kind >= STELE__KIND_COUNT)
		return false;
	return (d->options.leave_out & STELE_EVENTS_USER &&
		stele__kind_classes[kind] == STELE_CLASS_USER) ||
	       (d->options.leave_out & STELE_EVENTS_MEMORY &&
		stele__kind_classes[kind] == STELE_CLASS_MEMORY);
}

bool stele__convert(struct stele_drain *d, struct stele_drain_thread *t,
		    const struct stele_record *r, uint64_t ticks, uint64_t token, bool force)
{
	uint64_t time = stele__timeline_wire(&d->timeline, ticks);
	unsigned kind = stele__record_kind(r->header);

	if (time < d->floor)
		time = d->floor;
	if (STELE_UNLIKELY(t->offcpu != NULL))
		stele__offcpu_runs(d, t, time);
	if (STELE_UNLIKELY(d->options.leave_out) && convert_is_left_out(d, t, r))
		return true;
	if (kind >= STELE_KIND_TASK_BEGIN)
		stele__payload_convert(d, t, r, time);
	else if (STELE_UNLIKELY(!convert_state(d, t, r, time, token, force)))
		return false;
	d->stats.events_by_kind[kind < STELE__KIND_COUNT ? kind : 0]++;
	return true;
}

/* May this record be used at another place of its stream than its own? */
static bool convert_is_movable(const struct stele_drain *d, const struct stele_drain_thread *t,
			       unsigned kind)
{
	(void)d;
	switch (kind) {
	case STELE_KIND_THREAD_BEGIN:
		return !t->begun;
	case STELE_KIND_GO_BLOCK:
	case STELE_KIND_SYSCALL_BEGIN:
	case STELE_KIND_GO_START:
	case STELE_KIND_GO_STOP:
	case STELE_KIND_GO_PARK:
	case STELE_KIND_GO_DESTROY:
	case STELE_KIND_PROC_START:
	case STELE_KIND_PROC_STOP:
	case STELE_KIND_PROC_STEAL:
		return false;
	default:
		return true; /* stateless, or named by an id or a token of its own */
	}
}

void stele__convert_late(struct stele_drain *d, struct stele_drain_thread *t,
			 const struct stele_record *r, uint64_t ticks, uint64_t token)
{
	if (convert_is_movable(d, t, stele__record_kind(r->header)))
		stele__convert(d, t, r, ticks, token, true);
	else
		d->stats.late_discarded++;
}
