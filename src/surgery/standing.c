/* SPDX-License-Identifier: MIT */
#include "surgery/standing.h"

#include <errno.h>
#include <stdlib.h>

void stele__standing_init(struct stele__standing *standing)
{
	*standing = (struct stele__standing){0};
	stele__keymap_init(&standing->gos);
	stele__keymap_init(&standing->procs);
}

void stele__standing_done(struct stele__standing *standing)
{
	stele__keymap_free(&standing->gos);
	stele__keymap_free(&standing->procs);
}

struct stele__standing_go *stele__standing_go(const struct stele__standing *standing, uint64_t id)
{
	return stele__keymap_get(&standing->gos, id);
}

struct stele__standing_proc *stele__standing_proc(const struct stele__standing *standing,
						  uint64_t id)
{
	return stele__keymap_get(&standing->procs, id);
}

/* Both kinds of entries begin with their id. */
static int standing_compare(const void *a, const void *b)
{
	const uint64_t *const *x = a, *const *y = b;

	return **x < **y ? -1 : **x > **y;
}

static void *standing_sorted(const struct stele__keymap *map)
{
	void **all = malloc((map->used + 1) * sizeof(*all));
	size_t at = 0, count = 0;
	void *entry;

	if (!all)
		return NULL;
	while ((entry = stele__keymap_each(map, &at)) != NULL)
		all[count++] = entry;
	qsort(all, count, sizeof(*all), standing_compare);
	return all;
}

struct stele__standing_go **stele__standing_gos(const struct stele__standing *standing)
{
	return standing_sorted(&standing->gos);
}

struct stele__standing_proc **stele__standing_procs(const struct stele__standing *standing)
{
	return standing_sorted(&standing->procs);
}

void stele__standing_restart(struct stele__standing *standing)
{
	struct stele__standing_proc *proc;
	struct stele__standing_go *go;
	size_t at = 0;

	while ((go = stele__keymap_each(&standing->gos, &at)) != NULL)
		go->seq = go->stops = 0;
	at = 0;
	while ((proc = stele__keymap_each(&standing->procs, &at)) != NULL)
		proc->seq = 0;
}

static int go_set(struct stele__standing *standing, uint64_t id, unsigned status, uint64_t thread)
{
	struct stele__standing_go *go = stele__standing_go(standing, id);
	int r;

	if (!go) {
		go = calloc(1, sizeof(*go));
		if (!go)
			return -ENOMEM;
		go->id = id;
		r = stele__keymap_add(&standing->gos, id, go);
		if (r < 0) {
			free(go);
			return r;
		}
	}
	go->status = (uint8_t)status;
	go->thread = thread;
	return 0;
}

static int proc_set(struct stele__standing *standing, uint64_t id, unsigned status, uint64_t thread)
{
	struct stele__standing_proc *proc = stele__standing_proc(standing, id);
	int r;

	if (!proc) {
		proc = calloc(1, sizeof(*proc));
		if (!proc)
			return -ENOMEM;
		proc->id = id;
		r = stele__keymap_add(&standing->procs, id, proc);
		if (r < 0) {
			free(proc);
			return r;
		}
	}
	proc->status = (uint8_t)status;
	proc->thread = thread;
	return 0;
}

static void go_drop(struct stele__standing *standing, uint64_t id)
{
	struct stele__standing_go *go = stele__standing_go(standing, id);

	if (!go)
		return;
	stele__keymap_drop(&standing->gos, id, go);
	free(go);
}

static void go_count(struct stele__standing *standing, uint64_t id)
{
	struct stele__standing_go *go = stele__standing_go(standing, id);

	if (go)
		go->seq++;
}

static void proc_count(struct stele__standing *standing, uint64_t id)
{
	struct stele__standing_proc *proc = stele__standing_proc(standing, id);

	if (proc)
		proc->seq++;
}

/* A system call, or what ends it: the goroutine's and its proc's state together. */
static int syscall_set(struct stele__standing *standing, const struct stele_event *event,
		       unsigned go, unsigned proc)
{
	int r = go_set(standing, event->resource_id, go, event->thread);

	return r < 0 ? r : proc_set(standing, event->proc, proc, event->thread);
}

static int status_go(struct stele__standing *standing, const struct stele_event *event)
{
	unsigned status = (uint8_t)event->value[2];
	bool bound = status == STELE_GO_RUNNING || status == STELE_GO_SYSCALL;
	int r = go_set(standing, event->value[0], status, bound ? event->thread : STELE_NONE_ID);

	if (r == 0)
		stele__standing_go(standing, event->value[0])->seq = 0;
	return r;
}

static int status_proc(struct stele__standing *standing, const struct stele_event *event)
{
	uint64_t id = event->value[0];
	const struct stele__standing_proc *known = stele__standing_proc(standing, id);
	unsigned status = (unsigned)event->value[1];
	int r;

	/* Told so while the thread that it was taken from does not know it yet. */
	if (known && known->status == STELE_PROC_SYSCALL && status == STELE_PROC_SYSCALL_ABANDONED)
		r = proc_set(standing, id, STELE_PROC_SYSCALL, known->thread);
	else
		r = proc_set(standing, id, status, event->thread);
	if (r == 0)
		stele__standing_proc(standing, id)->seq = 0;
	return r;
}

static int go_switch(struct stele__standing *standing, const struct stele_event *event)
{
	uint64_t id = event->value[0];
	int r = 0;

	if (event->type == STELE_EV_GO_SWITCH_DESTROY)
		go_drop(standing, event->goroutine);
	else
		r = go_set(standing, event->goroutine, STELE_GO_WAITING, STELE_NONE_ID);
	if (r == 0)
		r = go_set(standing, id, STELE_GO_RUNNING, event->thread);
	go_count(standing, id);
	return r;
}

static void destroy_syscall(struct stele__standing *standing, const struct stele_event *event)
{
	struct stele__standing_proc *proc = stele__standing_proc(standing, event->proc);

	go_drop(standing, event->goroutine);
	if (proc && proc->status == STELE_PROC_SYSCALL)
		proc->status = STELE_PROC_SYSCALL_ABANDONED;
}

static int standing_go_event(struct stele__standing *standing, const struct stele_event *event)
{
	uint64_t id = event->resource_id;

	switch (event->type) {
	case STELE_EV_GO_CREATE:
		return go_set(standing, id, STELE_GO_RUNNABLE, STELE_NONE_ID);
	case STELE_EV_GO_CREATE_BLOCKED:
		return go_set(standing, id, STELE_GO_WAITING, STELE_NONE_ID);
	case STELE_EV_GO_CREATE_SYSCALL:
		return go_set(standing, id, STELE_GO_SYSCALL, event->thread);
	case STELE_EV_GO_START:
		go_count(standing, id);
		return go_set(standing, id, STELE_GO_RUNNING, event->thread);
	case STELE_EV_GO_STOP:
	case STELE_EV_GO_SYSCALL_END_BLOCKED:
		return go_set(standing, id, STELE_GO_RUNNABLE, STELE_NONE_ID);
	case STELE_EV_GO_BLOCK:
		return go_set(standing, id, STELE_GO_WAITING, STELE_NONE_ID);
	case STELE_EV_GO_UNBLOCK:
		go_count(standing, id);
		return go_set(standing, id, STELE_GO_RUNNABLE, STELE_NONE_ID);
	case STELE_EV_GO_SYSCALL_BEGIN:
		proc_count(standing, event->proc);
		return syscall_set(standing, event, STELE_GO_SYSCALL, STELE_PROC_SYSCALL);
	case STELE_EV_GO_SYSCALL_END:
		return syscall_set(standing, event, STELE_GO_RUNNING, STELE_PROC_RUNNING);
	case STELE_EV_GO_DESTROY:
		go_drop(standing, id);
		return 0;
	case STELE_EV_GO_DESTROY_SYSCALL:
		destroy_syscall(standing, event);
		return 0;
	case STELE_EV_GO_SWITCH:
	case STELE_EV_GO_SWITCH_DESTROY:
		return go_switch(standing, event);
	default:
		return status_go(standing, event);
	}
}

static int standing_proc_event(struct stele__standing *standing, const struct stele_event *event)
{
	uint64_t id = event->resource_id;

	switch (event->type) {
	case STELE_EV_PROC_START:
		proc_count(standing, id);
		return proc_set(standing, id, STELE_PROC_RUNNING, event->thread);
	case STELE_EV_PROC_STOP:
		return proc_set(standing, id, STELE_PROC_IDLE, STELE_NONE_ID);
	case STELE_EV_PROC_STEAL:
		proc_count(standing, id);
		return proc_set(standing, id, STELE_PROC_IDLE, STELE_NONE_ID);
	case STELE_EV_GO_DESTROY_SYSCALL:
		destroy_syscall(standing, event);
		return 0;
	default:
		return status_proc(standing, event);
	}
}

bool stele__standing_range(const struct stele__standing *standing, const struct stele_event *event)
{
	const struct stele__standing_proc *proc;
	const struct stele__standing_go *go;

	if (event->resource == STELE_RESOURCE_NONE)
		return standing->collecting;
	if (event->resource == STELE_RESOURCE_PROC) {
		proc = stele__standing_proc(standing, event->resource_id);
		return proc && proc->sweeping;
	}
	go = stele__standing_go(standing, event->resource_id);
	if (!go)
		return false;
	return event->type == STELE_EV_STW_BEGIN || event->type == STELE_EV_STW_END ? go->stops > 0
										    : go->assisting;
}

static void range_set(struct stele__standing *standing, const struct stele_event *event)
{
	bool on = event->kind != STELE_EVENT_RANGE_END;
	struct stele__standing_proc *proc;
	struct stele__standing_go *go;

	if (event->resource == STELE_RESOURCE_NONE) {
		standing->collecting = on;
	} else if (event->resource == STELE_RESOURCE_PROC) {
		proc = stele__standing_proc(standing, event->resource_id);
		if (proc)
			proc->sweeping = on;
	} else {
		go = stele__standing_go(standing, event->resource_id);
		if (!go)
			return;
		if (event->type == STELE_EV_STW_BEGIN)
			go->stops++;
		else if (event->type == STELE_EV_STW_END)
			go->stops -= go->stops > 0;
		else
			go->assisting = on;
	}
}

bool stele__standing_tells(const struct stele_event *event)
{
	switch (event->type) {
	case STELE_EV_NONE:
		return false;
	case STELE_EV_GO_SWITCH:
	case STELE_EV_GO_SWITCH_DESTROY:
		return event->from == STELE_STATE_WAITING;
	case STELE_EV_GO_DESTROY_SYSCALL:
		return event->resource == STELE_RESOURCE_PROC || event->proc == STELE_NO_ID;
	default:
		return true;
	}
}

int stele__standing_apply(struct stele__standing *standing, const struct stele_event *event)
{
	switch (event->kind) {
	case STELE_EVENT_TRANSITION:
		return event->resource == STELE_RESOURCE_PROC ? standing_proc_event(standing, event)
							      : standing_go_event(standing, event);
	case STELE_EVENT_RANGE_BEGIN:
	case STELE_EVENT_RANGE_ACTIVE:
	case STELE_EVENT_RANGE_END:
		range_set(standing, event);
		return 0;
	default:
		return 0;
	}
}
