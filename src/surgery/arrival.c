/* SPDX-License-Identifier: MIT */
#include "surgery/arrival.h"

#include <errno.h>

#include "format/spec.h"

bool stele__arrives(const struct stele__transcript *t, const struct stele_event *event)
{
	return (event->type == STELE_EV_GO_STATUS || event->type == STELE_EV_GO_STATUS_STACK) &&
	       !stele__standing_go(&t->standing, event->value[0]);
}

/* The thread with the first of the procs that run, whatever their order in the table. NULL: none
 * does. */
static const struct stele__standing_proc *arrival_creator(const struct stele__transcript *t)
{
	const struct stele__standing_proc *first = NULL, *proc;

	for (size_t at = 0; (proc = stele__keymap_each(&t->standing.procs, &at)) != NULL;)
		if (proc->status == STELE_PROC_RUNNING && (!first || proc->id < first->id))
			first = proc;
	return first;
}

static int arrival_put(struct stele__transcript *t, uint8_t type, uint64_t thread, uint64_t go,
		       int64_t *time)
{
	const struct stele_event event = {.kind = STELE_EVENT_TRANSITION,
					  .type = type,
					  .resource = STELE_RESOURCE_GOROUTINE,
					  .resource_id = go,
					  .thread = thread,
					  .proc = STELE_NO_ID,
					  .goroutine = STELE_NO_ID,
					  .value = {go}};

	return stele__transcript_event(t, &event, (*time)++, true);
}

static int arrival_running(struct stele__transcript *t, const struct stele_event *status,
			   int64_t *time)
{
	uint64_t go = status->value[0];
	int r = arrival_put(t, STELE_EV_GO_CREATE, status->thread, go, time);

	return r < 0 ? r : arrival_put(t, STELE_EV_GO_START, status->thread, go, time);
}

static int arrival_elsewhere(struct stele__transcript *t, const struct stele_event *status,
			     uint8_t type, int64_t *time)
{
	const struct stele__standing_proc *creator = arrival_creator(t);

	return creator ? arrival_put(t, type, creator->thread, status->value[0], time) : -ENOTSUP;
}

int stele__arrival(struct stele__transcript *t, const struct stele_event *status, int64_t *time)
{
	switch ((uint8_t)status->value[2]) {
	case STELE_GO_RUNNING:
		return arrival_running(t, status, time);
	case STELE_GO_SYSCALL: /* of the thread that it names, whatever became of its proc */
		return arrival_put(t, STELE_EV_GO_CREATE_SYSCALL, status->value[1],
				   status->value[0], time);
	case STELE_GO_WAITING:
		return arrival_elsewhere(t, status, STELE_EV_GO_CREATE_BLOCKED, time);
	default:
		return arrival_elsewhere(t, status, STELE_EV_GO_CREATE, time);
	}
}
