/* SPDX-License-Identifier: MIT */
/* stele/trace.h: tasks, regions, logs and counters. */
#include <string.h>

#include "arena/arena.h"
#include "record/capture.h"
#include "record/emit.h"
#include "stele/trace.h"

static bool annotate_wanted(void)
{
	return stele__is_on() &&
	       (stele__load_relaxed(&stele__recorder.arena->events) & STELE_EVENTS_USER);
}

static uint64_t with_stack(uint32_t stack, uint32_t low)
{
	return (uint64_t)stack << 32 | low;
}

STELE_EXPORT stele_name stele_name_intern(const char *text)
{
	return stele__is_on() ? stele__dictionary_string(stele__recorder.arena, text) : 0;
}

STELE_EXPORT stele_task_id stele_task_begin(const char *name, stele_task_id parent)
{
	stele_task_id task;

	if (!annotate_wanted())
		return 0;
	task = stele__add_relaxed(&stele__recorder.arena->tasks, 1) + 1;
	stele__emit(STELE_KIND_TASK_BEGIN, task, parent,
		    with_stack(STELE_CAPTURE().stack,
			       stele__dictionary_string(stele__recorder.arena, name)));
	return task;
}

STELE_EXPORT void stele_task_end(stele_task_id task)
{
	if (task && annotate_wanted())
		stele__emit(STELE_KIND_TASK_END, task, 0, STELE_CAPTURE().stack);
}

STELE_EXPORT void stele_region_begin(const char *name, stele_task_id task)
{
	if (annotate_wanted())
		stele__emit(STELE_KIND_REGION_BEGIN, task, 0,
			    with_stack(STELE_CAPTURE().stack,
				       stele__dictionary_string(stele__recorder.arena, name)));
}

STELE_EXPORT void stele_region_end(const char *name, stele_task_id task)
{
	if (annotate_wanted())
		stele__emit(STELE_KIND_REGION_END, task, 0,
			    with_stack(STELE_CAPTURE().stack,
				       stele__dictionary_string(stele__recorder.arena, name)));
}

STELE_EXPORT void stele_log(stele_task_id task, const char *key, const char *message)
{
	if (annotate_wanted())
		stele__emit(STELE_KIND_LOG, task,
			    (uint64_t)stele__dictionary_string(stele__recorder.arena, message)
					    << 32 |
				    stele__dictionary_string(stele__recorder.arena, key),
			    STELE_CAPTURE().stack);
}

STELE_EXPORT void stele_counter(stele_name name, int64_t value)
{
	if (name && annotate_wanted())
		stele__emit(STELE_KIND_COUNTER, name, (uint64_t)value, 0);
}

STELE_EXPORT bool stele_snapshot(void)
{
	if (!stele__is_on())
		return false;
	stele__add_acq_rel(&stele__recorder.arena->snapshots, 1);
	stele__bell_strike(stele__recorder.arena);
	return true;
}
