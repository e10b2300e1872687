/* SPDX-License-Identifier: MIT */
#include "cli/aside.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

#define ASIDE_SLACK_NS 1000 /* a reader moves events of one tick apart */

/* `descriptor` first: so one stands for a file in a search. */
struct aside_file {
	uint64_t descriptor;
	char *name;
};

static int aside_compare(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

static void aside_free(void *file)
{
	free(((struct aside_file *)file)->name);
	free(file);
}

void stele__aside_done(struct stele__aside *aside)
{
	tdestroy(aside->files, aside_free);
	*aside = (struct stele__aside){.pending_count = 0};
}

/* The descriptor's entry; NULL: no memory. */
static struct aside_file *aside_make(struct stele__aside *aside, uint64_t descriptor)
{
	struct aside_file *const *known = tfind(&descriptor, &aside->files, aside_compare);
	struct aside_file *file;

	if (known)
		return *known;
	file = calloc(1, sizeof(*file));
	if (!file)
		return NULL;
	file->descriptor = descriptor;
	if (tsearch(file, &aside->files, aside_compare))
		return file;
	free(file);
	return NULL;
}

static int aside_file(struct stele__aside *aside, const struct stele_detail *detail)
{
	struct aside_file *file = aside_make(aside, detail->object);
	char *name = file ? malloc(detail->name.bytes + 1) : NULL;

	if (!name)
		return -ENOMEM;
	if (detail->name.bytes)
		memcpy(name, detail->name.data, detail->name.bytes);
	name[detail->name.bytes] = '\0';
	free(file->name);
	file->name = name;
	return 0;
}

/* The oldest one goes where there is no room: its event is not in the trace. */
static void aside_pend(struct stele__aside *aside, const struct stele_detail *detail)
{
	if (aside->pending_count == STELE__ASIDE_PENDING)
		memmove(aside->pending, aside->pending + 1,
			--aside->pending_count * sizeof(aside->pending[0]));
	aside->pending[aside->pending_count++] = *detail;
}

static bool aside_is_of(const struct stele_detail *detail, const struct stele_event *event)
{
	if (event->kind != STELE_EVENT_TRANSITION || event->thread != detail->thread ||
	    event->resource != STELE_RESOURCE_GOROUTINE)
		return false;
	switch (detail->kind) {
	case STELE_DETAIL_WAIT:
		return event->to == STELE_STATE_WAITING;
	case STELE_DETAIL_CALL:
		return event->to == STELE_STATE_SYSCALL;
	default:
		return event->from == STELE_STATE_SYSCALL;
	}
}

static void aside_name(struct stele__aside *aside, uint64_t descriptor)
{
	struct aside_file *const *file = tfind(&descriptor, &aside->files, aside_compare);

	if (file && (*file)->name)
		aside->file = (struct stele_string){(*file)->name, strlen((*file)->name)};
}

int stele__aside_of(struct stele__aside *aside, const struct stele_reader *reader,
		    const struct stele_event *event)
{
	struct stele_detail detail;
	unsigned kept = 0;
	int r = 0;

	aside->told = false;
	aside->file = (struct stele_string){"", 0};
	while (r >= 0 && (r = stele_reader_detail(reader, event->time, &detail)) > 0) {
		if (detail.kind == STELE_DETAIL_FILE)
			r = aside_file(aside, &detail);
		else if (detail.kind == STELE_DETAIL_WAIT || detail.kind == STELE_DETAIL_CALL ||
			 detail.kind == STELE_DETAIL_RESULT)
			aside_pend(aside, &detail);
	}
	for (unsigned i = 0; i < aside->pending_count; i++) {
		const struct stele_detail *p = &aside->pending[i];

		if ((uint64_t)event->time - (uint64_t)p->time > ASIDE_SLACK_NS)
			continue;
		if (!aside->told && aside_is_of(p, event)) {
			aside->detail = *p;
			aside->told = true;
			continue;
		}
		aside->pending[kept++] = *p;
	}
	aside->pending_count = kept;
	if (aside->told && aside->detail.kind == STELE_DETAIL_CALL)
		aside_name(aside, aside->detail.object);
	return r < 0 ? r : 0;
}
