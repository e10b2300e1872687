/* SPDX-License-Identifier: MIT */
/* The rules for goroutines: their states, and the thread that they run on. */
#include <inttypes.h>

#include "read/order.h"

enum stele_resource_state stele__order_go_state(unsigned status)
{
	static const uint8_t state[] = {
		[STELE_GO_BAD] = STELE_STATE_UNDETERMINED,
		[STELE_GO_RUNNABLE] = STELE_STATE_RUNNABLE,
		[STELE_GO_RUNNING] = STELE_STATE_RUNNING,
		[STELE_GO_SYSCALL] = STELE_STATE_SYSCALL,
		[STELE_GO_WAITING] = STELE_STATE_WAITING,
	};

	return state[status];
}

static const char *go_status_name(unsigned status)
{
	return stele_state_name(stele__order_go_state(status));
}

static void go_wake(struct stele__order *order, uint64_t id)
{
	stele__frontier_wake(&order->frontier, STELE__WAIT_GOROUTINE, id);
}

static struct stele_event *go_emit(struct stele__order *order, const struct stele__turn *turn,
				   uint64_t id, enum stele_resource_state from,
				   enum stele_resource_state to)
{
	return stele__order_emit_transition(order, turn, STELE_RESOURCE_GOROUTINE, id, from, to);
}

static STELE_COLD int go_not_current(struct stele__order *order, const struct stele__turn *turn,
				     unsigned status, uint32_t index)
{
	uint64_t id = stele__order_thread(order, turn)->goroutine;

	if (index == STELE__NOTHING)
		return stele__order_fail(order, turn, "goroutine %" PRIu64 " is unknown", id);
	return stele__order_fail(order, turn, "goroutine %" PRIu64 " is %s, not %s", id,
				 go_status_name(order->world.goroutines[index].status),
				 go_status_name(status));
}

/* As go_emit(), where all is at hand. */
STELE_INLINE void go_seen(struct stele_event *event, uint8_t type,
			  const struct stele__thread *thread, uint64_t id,
			  enum stele_resource_state from, enum stele_resource_state to)
{
	stele__order_seen_transition(event, type, thread, STELE_RESOURCE_GOROUTINE, id, from, to);
}

/* The thread's goroutine, which must be known and in this state. */
STELE_INLINE int go_current(struct stele__order *order, const struct stele__turn *turn,
			    unsigned status, uint32_t *ret_index)
{
	uint32_t index = stele__world_goroutine_of(&order->world, stele__order_thread(order, turn));

	*ret_index = index;
	if (STELE_LIKELY(index != STELE__NOTHING &&
			 order->world.goroutines[index].status == status))
		return 0;
	return go_not_current(order, turn, status, index);
}

/* The goroutine if it is in this state and n is its next number; NULL: not yet. */
static struct stele__goroutine *go_next(struct stele__order *order, uint64_t id, uint64_t n,
					unsigned status, uint32_t *ret_index)
{
	uint32_t index = stele__world_find_goroutine(&order->world, id);
	struct stele__goroutine *go;

	if (index == STELE__NOTHING)
		return NULL;
	go = &order->world.goroutines[index];
	if (go->status != status || !stele__order_follows(order, go->seq_generation, go->seq, n))
		return NULL;
	*ret_index = index;
	return go;
}

static int go_add(struct stele__order *order, const struct stele__turn *turn, uint64_t id,
		  unsigned status, uint32_t *ret_index)
{
	struct stele__goroutine *go;
	int r = stele__world_add_goroutine(&order->world, id, ret_index);

	if (r < 0)
		return stele__order_fail_code(order, turn, r);
	go = &order->world.goroutines[*ret_index];
	go->status = (uint8_t)status;
	go->seq_generation = order->generation->number;
	go->seq = 0;
	return 0;
}

/* A goroutine in a system call belongs to the thread named in its status. */
static int go_status_syscall(struct stele__order *order, const struct stele__turn *turn,
			     uint32_t index, struct stele_event *event)
{
	struct stele__thread *self = stele__order_thread(order, turn);
	uint64_t id = turn->event->value[0], m = turn->event->value[1];
	uint32_t other;
	int r;

	if (m == STELE_NONE_ID)
		return stele__order_fail(
			order, turn, "goroutine %" PRIu64 " is in a system call of no thread", id);
	if (m == self->id) {
		if (!order->generation->initial && self->goroutine != id)
			return stele__order_fail(order, turn,
						 "goroutine %" PRIu64
						 " is in a system call of this "
						 "thread, which runs another",
						 id);
		stele__order_bind_goroutine(self, id, index);
		return 0;
	}
	r = stele__world_thread(&order->world, m, &other);
	if (r < 0)
		return stele__order_fail_code(order, turn, r);
	event->thread = m;
	if (!order->world.threads[other].known) {
		order->world.threads[other].known = true;
		stele__order_bind_goroutine(&order->world.threads[other], id, index);
		return 0;
	}
	if (order->world.threads[other].goroutine != id)
		return stele__order_fail(order, turn,
					 "goroutine %" PRIu64
					 " is in a system call of thread %" PRIu64
					 ", which runs another",
					 id, m);
	event->goroutine = id;
	return 0;
}

STELE__RULE(go_status)
{
	const uint64_t *args = turn->event->value;
	uint64_t id = args[0];
	unsigned status = (uint8_t)args[2];
	uint32_t index = stele__world_find_goroutine(&order->world, id), stack = 0;
	bool known = index != STELE__NOTHING;
	struct stele_event *event;
	int r = 0;

	if (status > STELE_GO_WAITING)
		return stele__order_fail(order, turn,
					 "goroutine %" PRIu64 " has status %u, more than 4", id,
					 status);
	if (status == STELE_GO_BAD || args[2] > UINT8_MAX)
		stele__order_warn(order, turn, "goroutine %" PRIu64 " has status %" PRIu64, id,
				  args[2]);
	if (known && order->world.goroutines[index].status != status)
		return stele__order_fail(order, turn,
					 "goroutine %" PRIu64 " is announced as %s but is %s", id,
					 go_status_name(status),
					 go_status_name(order->world.goroutines[index].status));
	if (!known && !order->generation->initial)
		return stele__order_fail(order, turn,
					 "goroutine %" PRIu64 " is new, which a status may tell "
					 "only in the first generation",
					 id);
	if (turn->event->type == STELE_EV_GO_STATUS_STACK)
		r = stele__order_stack(order, turn, args[3], &stack);
	if (r >= 0 && !known)
		r = go_add(order, turn, id, status, &index);
	if (r < 0)
		return r;
	order->world.goroutines[index].seq_generation = order->generation->number;
	order->world.goroutines[index].seq = 0;
	event = go_emit(order, turn, id,
			known ? stele__order_go_state(status) : STELE_STATE_UNDETERMINED,
			stele__order_go_state(status));
	event->stack = event->transition_stack = stack;
	if (status == STELE_GO_RUNNING)
		stele__order_bind_goroutine(stele__order_thread(order, turn), id, index);
	else if (status == STELE_GO_SYSCALL)
		r = go_status_syscall(order, turn, index, event);
	if (r < 0)
		return r;
	go_wake(order, id);
	return 1;
}

STELE__RULE(go_create)
{
	const uint64_t *args = turn->event->value;
	bool blocked = turn->event->type == STELE_EV_GO_CREATE_BLOCKED;
	const struct stele__goroutine *creator;
	struct stele_event *event;
	uint32_t index, stack, entry;
	int r = stele__order_need(order, turn, STELE__NEED_PROC);

	if (r < 0)
		return r;
	creator = stele__order_goroutine(order, turn);
	if (creator && creator->status != STELE_GO_RUNNING)
		return stele__order_fail(order, turn, "the creator, goroutine %" PRIu64 ", is %s",
					 creator->id, go_status_name(creator->status));
	if (stele__world_find_goroutine(&order->world, args[0]) != STELE__NOTHING)
		return stele__order_fail(order, turn, "goroutine %" PRIu64 " exists already",
					 args[0]);
	r = stele__order_stack(order, turn, args[1], &entry);
	if (r >= 0)
		r = stele__order_stack(order, turn, args[2], &stack);
	if (r >= 0)
		r = go_add(order, turn, args[0], blocked ? STELE_GO_WAITING : STELE_GO_RUNNABLE,
			   &index);
	if (r < 0)
		return r;
	event = go_emit(order, turn, args[0], STELE_STATE_NOT_EXIST,
			blocked ? STELE_STATE_WAITING : STELE_STATE_RUNNABLE);
	event->stack = stack;
	event->transition_stack = entry;
	go_wake(order, args[0]);
	return 1;
}

STELE__RULE(go_create_syscall)
{
	uint64_t id = turn->event->value[0];
	uint32_t index = 0;
	int r = stele__order_need(order, turn, STELE__NEED_NO_GOROUTINE);

	if (r < 0)
		return r;
	if (stele__world_find_goroutine(&order->world, id) != STELE__NOTHING)
		return stele__order_fail(order, turn, "goroutine %" PRIu64 " exists already", id);
	r = go_add(order, turn, id, STELE_GO_SYSCALL, &index);
	if (r < 0)
		return r;
	go_emit(order, turn, id, STELE_STATE_NOT_EXIST, STELE_STATE_SYSCALL);
	stele__order_bind_goroutine(stele__order_thread(order, turn), id, index);
	go_wake(order, id);
	return 1;
}

STELE__RULE(go_start)
{
	uint64_t id = turn->event->value[0], n = turn->event->value[1];
	uint32_t index = 0;
	struct stele__goroutine *go = go_next(order, id, n, STELE_GO_RUNNABLE, &index);
	int r;

	if (!go)
		return stele__order_wait(order, STELE__WAIT_GOROUTINE, id);
	r = stele__order_need(order, turn, STELE__NEED_PROC | STELE__NEED_NO_GOROUTINE);
	if (r < 0)
		return r;
	go_emit(order, turn, id, STELE_STATE_RUNNABLE, STELE_STATE_RUNNING);
	go->status = STELE_GO_RUNNING;
	go->seq = n;
	stele__order_bind_goroutine(stele__order_thread(order, turn), id, index);
	go_wake(order, id);
	return 1;
}

STELE__RULE(go_leave)
{
	struct stele_event *event = turn->event;
	struct stele__goroutine *go;
	enum stele_resource_state to;
	uint32_t index = 0, stack = 0;
	int r = stele__order_need(order, turn, STELE__NEED_USER);

	if (r >= 0)
		r = go_current(order, turn, STELE_GO_RUNNING, &index);
	if (r >= 0 && event->type != STELE_EV_GO_DESTROY) {
		r = stele__order_string(order, turn, event->value[0], &event->name);
		if (r >= 0)
			r = stele__order_stack(order, turn, event->value[1], &stack);
	}
	if (r < 0)
		return r;
	go = &order->world.goroutines[index];
	to = event->type == STELE_EV_GO_DESTROY ? STELE_STATE_NOT_EXIST
	     : event->type == STELE_EV_GO_STOP	? STELE_STATE_RUNNABLE
						: STELE_STATE_WAITING;
	go_emit(order, turn, go->id, STELE_STATE_RUNNING, to);
	event->stack = event->transition_stack = stack;
	if (event->type == STELE_EV_GO_DESTROY)
		stele__world_drop_goroutine(&order->world, index);
	else
		go->status = event->type == STELE_EV_GO_STOP ? STELE_GO_RUNNABLE : STELE_GO_WAITING;
	stele__order_unbind_goroutine(stele__order_thread(order, turn));
	go_wake(order, event->resource_id);
	return 1;
}

STELE__RULE(go_unblock)
{
	const uint64_t *args = turn->event->value;
	uint32_t index = 0, stack;
	struct stele__goroutine *go = go_next(order, args[0], args[1], STELE_GO_WAITING, &index);
	struct stele_event *event;
	int r;

	if (!go)
		return stele__order_wait(order, STELE__WAIT_GOROUTINE, args[0]);
	r = stele__order_stack(order, turn, args[2], &stack);
	if (r < 0)
		return r;
	event = go_emit(order, turn, args[0], STELE_STATE_WAITING, STELE_STATE_RUNNABLE);
	event->stack = stack;
	go->status = STELE_GO_RUNNABLE;
	go->seq = args[1];
	go_wake(order, args[0]);
	return 1;
}

/*
 * A coroutine hands over to another: seen as unblocking it, blocking (or ending) oneself, and
 * starting it. Only one number of the target is used up.
 */
STELE__RULE(go_switch)
{
	struct stele_event *event = turn->event;
	uint64_t id = event->value[0], n = event->value[1], old;
	uint8_t type = event->type;
	bool destroy = type == STELE_EV_GO_SWITCH_DESTROY;
	struct stele__thread *thread = stele__order_thread(order, turn), seen = *thread;
	struct stele__goroutine *target;
	uint32_t index = 0, current = 0;
	int r = stele__order_need(order, turn, STELE__NEED_USER);

	if (r >= 0)
		r = go_current(order, turn, STELE_GO_RUNNING, &current);
	if (r < 0)
		return r;
	target = go_next(order, id, n, STELE_GO_WAITING, &index);
	if (!target)
		return stele__order_wait(order, STELE__WAIT_GOROUTINE, id);
	old = seen.goroutine;
	go_seen(event, type, &seen, id, STELE_STATE_WAITING, STELE_STATE_RUNNABLE);
	event = stele__order_more(order, event);
	go_seen(event, type, &seen, old, STELE_STATE_RUNNING,
		destroy ? STELE_STATE_NOT_EXIST : STELE_STATE_WAITING);
	seen.goroutine = STELE_NONE_ID;
	event = stele__order_more(order, event);
	go_seen(event, type, &seen, id, STELE_STATE_RUNNABLE, STELE_STATE_RUNNING);
	target->status = STELE_GO_RUNNING;
	target->seq = n;
	if (destroy)
		stele__world_drop_goroutine(&order->world, current);
	else
		order->world.goroutines[current].status = STELE_GO_WAITING;
	stele__order_bind_goroutine(thread, id, index);
	go_wake(order, old);
	go_wake(order, id);
	return 1;
}

STELE__RULE(go_syscall_begin)
{
	const uint64_t *args = turn->event->value;
	struct stele__proc *proc;
	struct stele_event *event;
	uint32_t index = 0, stack;
	int r = stele__order_need(order, turn, STELE__NEED_USER);

	if (r >= 0)
		r = go_current(order, turn, STELE_GO_RUNNING, &index);
	if (r < 0)
		return r;
	proc = &order->world.procs[stele__order_thread(order, turn)->proc];
	if (!stele__order_follows(order, proc->seq_generation, proc->seq, args[0]))
		return stele__order_fail(
			order, turn,
			"number %" PRIu64 " does not follow the %" PRIu64 " of proc %" PRIu64
			" in this generation",
			args[0], proc->seq_generation == order->generation->number ? proc->seq : 0,
			proc->id);
	r = stele__order_stack(order, turn, args[1], &stack);
	if (r < 0)
		return r;
	event = go_emit(order, turn, order->world.goroutines[index].id, STELE_STATE_RUNNING,
			STELE_STATE_SYSCALL);
	event->stack = event->transition_stack = stack;
	order->world.goroutines[index].status = STELE_GO_SYSCALL;
	proc->status = STELE_PROC_SYSCALL;
	proc->seq = args[0];
	proc->holder = turn->thread;
	go_wake(order, event->resource_id);
	stele__frontier_wake(&order->frontier, STELE__WAIT_PROC, proc->id);
	return 1;
}

STELE__RULE(go_syscall_end)
{
	struct stele__proc *proc;
	uint32_t index = 0;
	int r = stele__order_need(order, turn, STELE__NEED_USER);

	if (r >= 0)
		r = go_current(order, turn, STELE_GO_SYSCALL, &index);
	if (r < 0)
		return r;
	proc = &order->world.procs[stele__order_thread(order, turn)->proc];
	if (proc->status != STELE_PROC_SYSCALL)
		return stele__order_fail(order, turn, "proc %" PRIu64 " is not in a system call",
					 proc->id);
	go_emit(order, turn, order->world.goroutines[index].id, STELE_STATE_SYSCALL,
		STELE_STATE_RUNNING);
	order->world.goroutines[index].status = STELE_GO_RUNNING;
	proc->status = STELE_PROC_RUNNING;
	go_wake(order, order->world.goroutines[index].id);
	stele__frontier_wake(&order->frontier, STELE__WAIT_PROC, proc->id);
	return 1;
}

STELE__RULE(go_syscall_end_blocked)
{
	struct stele__thread *thread = stele__order_thread(order, turn);
	uint32_t index = 0;
	int r;

	/* The proc that was held at the begin must have been taken away. */
	if (thread->proc != STELE__NOTHING &&
	    order->world.procs[thread->proc].status == STELE_PROC_SYSCALL)
		return stele__order_wait(order, STELE__WAIT_PROC,
					 order->world.procs[thread->proc].id);
	r = stele__order_need(order, turn, STELE__NEED_GOROUTINE);
	if (r >= 0)
		r = go_current(order, turn, STELE_GO_SYSCALL, &index);
	if (r < 0)
		return r;
	go_emit(order, turn, thread->goroutine, STELE_STATE_SYSCALL, STELE_STATE_RUNNABLE);
	order->world.goroutines[index].status = STELE_GO_RUNNABLE;
	go_wake(order, thread->goroutine);
	stele__order_unbind_goroutine(thread);
	return 1;
}

STELE__RULE(go_destroy_syscall)
{
	struct stele__thread *thread = stele__order_thread(order, turn);
	struct stele__proc *proc = NULL;
	uint32_t index = 0;
	int r = stele__order_need(order, turn, STELE__NEED_GOROUTINE);

	if (r >= 0)
		r = go_current(order, turn, STELE_GO_SYSCALL, &index);
	if (r < 0)
		return r;
	if (thread->proc != STELE__NOTHING) {
		proc = &order->world.procs[thread->proc];
		if (proc->status != STELE_PROC_SYSCALL)
			return stele__order_fail(
				order, turn, "proc %" PRIu64 " is not in a system call", proc->id);
		stele__order_emit_transition(order, turn, STELE_RESOURCE_PROC, proc->id,
					     STELE_STATE_RUNNING, STELE_STATE_IDLE);
		stele__order_more(order, turn->event);
	}
	go_emit(order, turn, thread->goroutine, STELE_STATE_SYSCALL, STELE_STATE_NOT_EXIST);
	stele__world_drop_goroutine(&order->world, index);
	go_wake(order, thread->goroutine);
	stele__order_unbind_goroutine(thread);
	if (proc) {
		/* Another thread may get this thread's id: the proc must not be sought there. */
		proc->status = STELE_PROC_SYSCALL_ABANDONED;
		stele__world_unbind_proc(thread);
		stele__frontier_wake(&order->frontier, STELE__WAIT_PROC, proc->id);
	}
	return 1;
}
