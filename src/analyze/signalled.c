/* SPDX-License-Identifier: MIT */
/*
 * Waits that were ended by a signal. It is known whom a signal was sent to, and which calls any
 * signal ends that is not ignored. A signal to a process reaches one of its threads, nobody knows
 * which: so only in processes of one thread.
 */
#include <errno.h>
#include <stdlib.h>

#include "analyze/locks.h"

struct signalled_process {
	uint64_t pid;
	uint32_t threads; /* that there ever were */
};

struct signalled_thread {
	struct signalled_process *process;
};

struct stele__signalled {
	struct stele__keymap processes; /* by pid */
	struct stele__keymap threads;	/* by id */
};

struct stele__signalled *stele__signalled_new(void)
{
	struct stele__signalled *signalled = calloc(1, sizeof(*signalled));

	if (!signalled)
		return NULL;
	stele__keymap_init(&signalled->processes);
	stele__keymap_init(&signalled->threads);
	return signalled;
}

void stele__signalled_free(struct stele__signalled *signalled)
{
	if (!signalled)
		return;
	stele__keymap_free(&signalled->processes);
	stele__keymap_free(&signalled->threads);
	free(signalled);
}

int stele__signalled_thread(struct stele_analysis *a, const struct stele_data_item *item)
{
	struct signalled_thread *thread =
		stele__keymap_make(&a->signalled->threads, item->value[0], sizeof(*thread));
	struct signalled_process *process =
		stele__keymap_make(&a->signalled->processes, item->value[1], sizeof(*process));

	if (!thread || !process)
		return -ENOMEM;
	process->pid = item->value[1];
	process->threads += thread->process != process;
	thread->process = process;
	return 0;
}

/* Other calls are begun again behind a handler, or are not interrupted at all. */
static bool signalled_end(const struct stele__flow *go)
{
	static const char *const calls[] = {"poll",	  "ppoll",	 "select",	"pselect",
					    "epoll_wait", "epoll_pwait", "epoll_pwait2"};

	if (go->state == STELE_STATE_WAITING)
		return !go->object; /* sleeps, sigwait, pause */
	if (go->state != STELE_STATE_SYSCALL || !go->call)
		return false;
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(calls); i++)
		if (stele__text_is(go->call->name->text, calls[i]))
			return true;
	return false;
}

static bool object_is_signalled(const struct stele__object *object, const struct stele__flow *go,
				int64_t time)
{
	const struct stele__release *last;

	if (!object || !object->release_count)
		return false;
	last = &object->releases[(object->release_count - 1) & (object->release_max - 1)];
	return last->time >= go->since && last->time <= time && last->goroutine != go->id;
}

const struct stele__object *stele__signalled_ended(const struct stele_analysis *a,
						   const struct stele__flow *go, int64_t time)
{
	const struct signalled_thread *thread;
	const struct stele__object *object;

	if (go->times.thread == STELE_NO_ID || !signalled_end(go))
		return NULL;
	object = stele__locks_object_find(a,
					  STELE_OBJECT_THREAD_SIGNALS | (uint32_t)go->times.thread);
	if (object_is_signalled(object, go, time))
		return object;
	thread = stele__keymap_get(&a->signalled->threads, go->times.thread);
	if (!thread || thread->process->threads != 1)
		return NULL;
	object = stele__locks_object_find(a, STELE_OBJECT_PROCESS_SIGNALS |
						     (uint32_t)thread->process->pid);
	return object_is_signalled(object, go, time) ? object : NULL;
}
