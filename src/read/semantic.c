/* SPDX-License-Identifier: MIT */
/* Names of what the reader delivers, as Go spells them. */
#include "base/compiler.h"
#include "format/spec.h"
#include "stele/read.h"

STELE_EXPORT const char *stele_event_kind_name(unsigned kind)
{
	static const char *const name[STELE__EVENT_COUNT] = {
		[STELE_EVENT_SYNC] = "Sync",
		[STELE_EVENT_METRIC] = "Metric",
		[STELE_EVENT_LABEL] = "Label",
		[STELE_EVENT_STACK_SAMPLE] = "StackSample",
		[STELE_EVENT_RANGE_BEGIN] = "RangeBegin",
		[STELE_EVENT_RANGE_ACTIVE] = "RangeActive",
		[STELE_EVENT_RANGE_END] = "RangeEnd",
		[STELE_EVENT_TASK_BEGIN] = "TaskBegin",
		[STELE_EVENT_TASK_END] = "TaskEnd",
		[STELE_EVENT_REGION_BEGIN] = "RegionBegin",
		[STELE_EVENT_REGION_END] = "RegionEnd",
		[STELE_EVENT_LOG] = "Log",
		[STELE_EVENT_TRANSITION] = "StateTransition",
		[STELE_EVENT_EXPERIMENTAL] = "Experimental",
	};

	return kind > 0 && kind < STELE__EVENT_COUNT ? name[kind] : "?";
}

STELE_EXPORT const char *stele_state_name(unsigned state)
{
	static const char *const name[STELE__STATE_COUNT] = {
		[STELE_STATE_UNDETERMINED] = "Undetermined",
		[STELE_STATE_NOT_EXIST] = "NotExist",
		[STELE_STATE_RUNNABLE] = "Runnable",
		[STELE_STATE_RUNNING] = "Running",
		[STELE_STATE_WAITING] = "Waiting",
		[STELE_STATE_SYSCALL] = "Syscall",
		[STELE_STATE_IDLE] = "Idle",
	};

	return state < STELE__STATE_COUNT ? name[state] : "?";
}

STELE_EXPORT const char *stele_event_value_name(const struct stele_event *event, size_t index)
{
	static const char *const sweep[] = {"bytes swept", "bytes reclaimed"};

	if (index >= event->value_count)
		return "?";
	if (event->kind == STELE_EVENT_RANGE_END)
		return index < STELE_ARRAY_LENGTH(sweep) ? sweep[index] : "?";
	if (event->kind == STELE_EVENT_EXPERIMENTAL)
		return stele__spec(event->type)->arg_name[index];
	return "value";
}
