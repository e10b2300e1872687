/* SPDX-License-Identifier: MIT */
/* The rules for procs: who holds one, and in which state. */
#include <inttypes.h>

#include "read/order.h"

enum stele_resource_state stele__order_proc_state(unsigned status)
{
	static const uint8_t state[] = {
		[STELE_PROC_BAD] = STELE_STATE_UNDETERMINED,
		[STELE_PROC_RUNNING] = STELE_STATE_RUNNING,
		[STELE_PROC_IDLE] = STELE_STATE_IDLE,
		[STELE_PROC_SYSCALL] = STELE_STATE_RUNNING,
		[STELE_PROC_SYSCALL_ABANDONED] = STELE_STATE_IDLE,
	};

	return state[status];
}

static const char *proc_status_name(unsigned status)
{
	static const char *const name[] = {"no state", "Running", "Idle", "Syscall",
					   "SyscallAbandoned"};

	return name[status];
}

static void proc_bind(struct stele__order *order, const struct stele__turn *turn, uint32_t index)
{
	struct stele__thread *thread = stele__order_thread(order, turn);
	struct stele__proc *proc = &order->world.procs[index];

	if (thread->id == STELE_NONE_ID)
		return;
	/* A proc of id -1 is, once bound, the same as none. */
	if (proc->id == STELE_NONE_ID)
		stele__world_unbind_proc(thread);
	else
		stele__world_bind_proc(&order->world, thread, index);
	proc->holder = turn->thread;
}

static struct stele_event *proc_emit(struct stele__order *order, const struct stele__turn *turn,
				     const struct stele__proc *proc, unsigned from, unsigned to)
{
	return stele__order_emit_transition(order, turn, STELE_RESOURCE_PROC, proc->id,
					    stele__order_proc_state(from),
					    stele__order_proc_state(to));
}

/* The thread that holds the proc; the hint is wrong only if several threads claimed it. */
static uint32_t proc_holder(struct stele__order *order, uint32_t index)
{
	const struct stele__world *world = &order->world;
	uint32_t hint = world->procs[index].holder;

	if (hint != STELE__NOTHING && world->threads[hint].proc == index)
		return hint;
	for (uint32_t i = 0; i < world->thread_count; i++) {
		if (world->threads[i].proc == index) {
			world->procs[index].holder = i;
			return i;
		}
	}
	return STELE__NOTHING;
}

/* The proc is introduced while the thread that it was taken for is still in its system call. */
static int proc_status_abandoned(struct stele__order *order, const struct stele__turn *turn,
				 uint32_t index)
{
	uint32_t holder = proc_holder(order, index);
	struct stele__turn shown = *turn;

	if (holder == STELE__NOTHING)
		return stele__order_fail(order, turn,
					 "proc %" PRIu64 " is in a system call of no thread",
					 order->world.procs[index].id);
	shown.thread = holder;
	proc_emit(order, &shown, &order->world.procs[index], STELE_PROC_SYSCALL,
		  STELE_PROC_SYSCALL);
	return 0;
}

static int proc_status_new(struct stele__order *order, const struct stele__turn *turn, uint64_t id,
			   unsigned status, uint32_t *ret_index)
{
	struct stele_event *event;
	int r = stele__world_add_proc(&order->world, id, ret_index);

	if (r < 0)
		return stele__order_fail_code(order, turn, r);
	order->world.procs[*ret_index].status = (uint8_t)status;
	event = proc_emit(order, turn, &order->world.procs[*ret_index], status, status);
	event->from = order->generation->initial ? STELE_STATE_UNDETERMINED : STELE_STATE_NOT_EXIST;
	return 0;
}

STELE__RULE(proc_status)
{
	uint64_t id = turn->event->value[0], status = turn->event->value[1];
	uint32_t index = stele__world_find_proc(&order->world, id);
	struct stele__proc *proc;
	int r = 0;

	if (status > STELE_PROC_SYSCALL_ABANDONED)
		return stele__order_fail(order, turn,
					 "proc %" PRIu64 " has status %" PRIu64 ", more than 4", id,
					 status);
	if (status == STELE_PROC_BAD)
		stele__order_warn(order, turn, "proc %" PRIu64 " has status 0", id);
	if (index == STELE__NOTHING)
		r = proc_status_new(order, turn, id, (unsigned)status, &index);
	else if (order->world.procs[index].status == status)
		proc_emit(order, turn, &order->world.procs[index], (unsigned)status,
			  (unsigned)status);
	else if (status == STELE_PROC_SYSCALL_ABANDONED &&
		 order->world.procs[index].status == STELE_PROC_SYSCALL)
		r = proc_status_abandoned(order, turn, index);
	else
		r = stele__order_fail(order, turn, "proc %" PRIu64 " is announced as %s but is %s",
				      id, proc_status_name((unsigned)status),
				      proc_status_name(order->world.procs[index].status));
	if (r < 0)
		return r;
	proc = &order->world.procs[index];
	proc->seq_generation = order->generation->number;
	proc->seq = 0;
	if (status == STELE_PROC_RUNNING || status == STELE_PROC_SYSCALL)
		proc_bind(order, turn, index);
	stele__frontier_wake(&order->frontier, STELE__WAIT_PROC, id);
	return 1;
}

STELE__RULE(proc_start)
{
	const struct stele__thread *thread = stele__order_thread(order, turn);
	uint64_t id = turn->event->value[0], n = turn->event->value[1];
	uint32_t index = stele__world_find_proc(&order->world, id);
	struct stele__proc *proc;
	int r;

	if (index == STELE__NOTHING)
		return stele__order_wait(order, STELE__WAIT_PROC, id);
	proc = &order->world.procs[index];
	if (proc->status != STELE_PROC_IDLE ||
	    !stele__order_follows(order, proc->seq_generation, proc->seq, n))
		return stele__order_wait(order, STELE__WAIT_PROC, id);
	if (thread->proc != STELE__NOTHING)
		return stele__order_wait(order, STELE__WAIT_PROC,
					 order->world.procs[thread->proc].id);
	r = stele__order_need(order, turn, 0);
	if (r < 0)
		return r;
	proc_emit(order, turn, proc, STELE_PROC_IDLE, STELE_PROC_RUNNING);
	proc->status = STELE_PROC_RUNNING;
	proc->seq = n;
	proc_bind(order, turn, index);
	stele__frontier_wake(&order->frontier, STELE__WAIT_PROC, id);
	return 1;
}

STELE__RULE(proc_stop)
{
	struct stele__proc *proc;
	int r = stele__order_need(order, turn, STELE__NEED_PROC);

	if (r < 0)
		return r;
	proc = &order->world.procs[stele__order_thread(order, turn)->proc];
	if (proc->status != STELE_PROC_RUNNING && proc->status != STELE_PROC_SYSCALL)
		return stele__order_fail(order, turn,
					 "proc %" PRIu64 " is %s, neither Running nor Syscall",
					 proc->id, proc_status_name(proc->status));
	proc_emit(order, turn, proc, STELE_PROC_RUNNING, STELE_PROC_IDLE);
	proc->status = STELE_PROC_IDLE;
	stele__world_unbind_proc(stele__order_thread(order, turn));
	stele__frontier_wake(&order->frontier, STELE__WAIT_PROC, proc->id);
	return 1;
}

/* The thread that loses the proc; its binding ends. */
static int proc_take_from(struct stele__order *order, const struct stele__turn *turn,
			  uint32_t index, uint64_t victim_id)
{
	uint32_t victim = stele__world_find_thread(&order->world, victim_id);

	if (victim == STELE__NOTHING || !order->world.threads[victim].known)
		return stele__order_fail(order, turn, "thread %" PRIu64 " is unknown", victim_id);
	if (order->world.threads[victim].proc != index)
		return stele__order_fail(order, turn,
					 "thread %" PRIu64 " does not hold proc %" PRIu64,
					 victim_id, order->world.procs[index].id);
	stele__world_unbind_proc(&order->world.threads[victim]);
	return 0;
}

STELE__RULE(proc_steal)
{
	uint64_t id = turn->event->value[0], n = turn->event->value[1];
	uint32_t index = stele__world_find_proc(&order->world, id);
	struct stele__proc *proc;
	int r;

	if (index == STELE__NOTHING)
		return stele__order_wait(order, STELE__WAIT_PROC, id);
	proc = &order->world.procs[index];
	if ((proc->status != STELE_PROC_SYSCALL && proc->status != STELE_PROC_SYSCALL_ABANDONED) ||
	    !stele__order_follows(order, proc->seq_generation, proc->seq, n))
		return stele__order_wait(order, STELE__WAIT_PROC, id);
	r = stele__order_need(order, turn, 0);
	if (r < 0)
		return r;
	proc_emit(order, turn, proc, proc->status, STELE_PROC_IDLE);
	if (proc->status == STELE_PROC_SYSCALL) {
		r = proc_take_from(order, turn, index, turn->event->value[2]);
		if (r < 0)
			return r;
	}
	proc->status = STELE_PROC_IDLE;
	proc->seq = n;
	stele__frontier_wake(&order->frontier, STELE__WAIT_PROC, id);
	return 1;
}

STELE__RULE(procs_change)
{
	struct stele_event *event;
	uint32_t stack;
	int r = stele__order_need(order, turn, STELE__NEED_USER);

	if (r >= 0)
		r = stele__order_stack(order, turn, turn->event->value[1], &stack);
	if (r < 0)
		return r;
	event = stele__order_emit(order, turn, STELE_EVENT_METRIC);
	event->name = STELE__TEXT("/sched/gomaxprocs:threads");
	event->value_count = 1;
	event->stack = stack;
	return 1;
}
