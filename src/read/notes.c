/* SPDX-License-Identifier: MIT */
#include "read/notes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void stele__notes_done(struct stele__notes *notes)
{
	free(notes->list);
	memset(notes, 0, sizeof(*notes));
}

static void notes_fill(struct stele_diag *diag, int code, struct stele__place place,
		       const char *format, va_list args)
{
	memset(diag, 0, sizeof(*diag));
	diag->code = code;
	diag->offset = place.offset;
	diag->generation = place.generation;
	diag->thread = place.thread;
	vsnprintf(diag->text, sizeof(diag->text), format, args);
}

int stele__diag_set(struct stele_diag *diag, int code, struct stele__place place,
		    const char *format, ...)
{
	va_list args;

	va_start(args, format);
	notes_fill(diag, code, place, format, args);
	va_end(args);
	diag->severity = STELE_FATAL;
	return code;
}

void stele__notes_warn(struct stele__notes *notes, int code, struct stele__place place,
		       const char *format, ...)
{
	va_list args;

	notes->total++;
	if (!notes->list)
		notes->list = calloc(STELE__NOTES_MAX, sizeof(*notes->list));
	if (!notes->list || notes->count == STELE__NOTES_MAX)
		return;
	va_start(args, format);
	notes_fill(&notes->list[notes->count], code, place, format, args);
	va_end(args);
	notes->list[notes->count].event = notes->events;
	notes->list[notes->count++].severity = STELE_WARNING;
}
