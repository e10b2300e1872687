/* SPDX-License-Identifier: MIT */
/* An event that says nothing yet but when. */
#ifndef STELE_READ_BLANK_H
#define STELE_READ_BLANK_H

#include <string.h>

#include "base/compiler.h"
#include "stele/read.h"

/*
 * All fields but value[], which value_count guards, and the context. One by one: as an aggregate
 * the compiler clears the whole event first, which took a third of the reader's time; and one
 * string copied from another is loaded whole while its halves are still being stored, a sixth.
 */
STELE_INLINE void stele__blank(struct stele_event *event, uint8_t type, int64_t time)
{
	static const struct stele_event none = {.resource = STELE_RESOURCE_NONE,
						.from = STELE_STATE_UNDETERMINED,
						.to = STELE_STATE_UNDETERMINED};

	memcpy(event, &none, offsetof(struct stele_event, time));
	event->type = type;
	event->time = time;
	event->stack = event->transition_stack = 0;
	event->resource_id = event->task = event->parent_task = STELE_NO_ID;
	event->name.data = event->text.data = NULL;
	event->name.bytes = event->text.bytes = 0;
}

#endif
