/* SPDX-License-Identifier: MIT */
/* An event that says nothing yet but when, and what its type alone says. */
#ifndef STELE_READ_BLANK_H
#define STELE_READ_BLANK_H

#include <string.h>

#include "base/compiler.h"
#include "stele/read.h"

/* The event up to its time: of the experiment, a number of values. */
struct stele__type_head {
	uint8_t kind, type, resource, from, to, value_count;
	uint8_t reserved[2];
};

_Static_assert(offsetof(struct stele_event, value_count) == 5 &&
		       offsetof(struct stele_event, time) == sizeof(struct stele__type_head),
	       "a type's head is the event's first word");

extern const struct stele__type_head stele__type_heads[256];
extern const struct stele_string stele__type_names[256]; /* of the experiment's events */

/* What happened is a change from one state to another. */
STELE_INLINE void stele__head_transition(struct stele_event *event, uint8_t type,
					 enum stele_resource_kind resource,
					 enum stele_resource_state from,
					 enum stele_resource_state to)
{
	uint64_t head = STELE_EVENT_TRANSITION | (uint64_t)type << 8 | (uint64_t)resource << 16 |
			(uint64_t)from << 24 | (uint64_t)to << 32;

	memcpy(event, &head, sizeof(head)); /* one store, not five */
}

/* What only annotations have: tasks, regions, logs. */
STELE_INLINE void stele__blank_annotation(struct stele_event *event)
{
	event->task = event->parent_task = STELE_NO_ID;
	memset(&event->text, 0, sizeof(event->text));
}

/*
 * All fields but those above, value[], which value_count guards, and the context. One by one: as an
 * aggregate the compiler clears the whole event first, which took a third of the reader's time; and
 * one string copied from another is loaded whole while its halves are still being stored, a sixth.
 */
STELE_INLINE void stele__blank(struct stele_event *event, uint8_t type, int64_t time)
{
	memcpy(event, &stele__type_heads[type], sizeof(stele__type_heads[type]));
	event->time = time;
	event->stack = event->transition_stack = 0;
	event->resource_id = STELE_NO_ID;
	event->name = stele__type_names[type];
}

#endif
