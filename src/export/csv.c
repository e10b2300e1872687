/* SPDX-License-Identifier: MIT */
/* A line for each change of state. */
#include <inttypes.h>

#include "export/export.h"
#include "export/textsink.h"

static int csv_start(struct stele__export *e)
{
	struct stele__textsink *t = e->state;

	t->e = e;
	stele__text_format(t, "time_ns,thread,proc,goroutine,resource,id,from,to,reason,function,"
			      "file,line\n");
	return t->error;
}

/* Empty if there is none. */
static void csv_id(struct stele__textsink *t, uint64_t id)
{
	if (id != STELE_NO_ID)
		stele__text_format(t, "%" PRIu64, id);
	stele__text_bytes(t, ",", 1);
}

static int csv_take(struct stele__export *e, const struct stele_reader *reader,
		    const struct stele_event *event)
{
	static const char *const resources[] = {"", "goroutine", "proc", "thread"};
	struct stele__textsink *t = e->state;
	struct stele_stack_frame frame = {0};

	if (event->kind != STELE_EVENT_TRANSITION)
		return 0;
	if (event->stack)
		stele_reader_stack(reader, event->stack, &frame, 1);
	stele__text_format(t, "%" PRId64 ",", event->time);
	csv_id(t, event->thread);
	csv_id(t, event->proc);
	csv_id(t, event->goroutine);
	stele__text_format(t, "%s,", resources[event->resource & 3]);
	csv_id(t, event->resource_id);
	stele__text_format(t, "%s,%s,", stele_state_name(event->from), stele_state_name(event->to));
	stele__text_csv(t, event->name);
	stele__text_bytes(t, ",", 1);
	stele__text_csv(t, frame.function);
	stele__text_bytes(t, ",", 1);
	stele__text_csv(t, frame.file);
	if (frame.line)
		stele__text_format(t, ",%" PRIu64 "\n", frame.line);
	else
		stele__text_bytes(t, ",\n", 2);
	return t->error;
}

static int csv_finish(struct stele__export *e)
{
	const struct stele__textsink *t = e->state;

	return t->error;
}

const struct stele__format stele__format_csv = {
	.name = "csv",
	.summary = "a line for each change of state, with the innermost frame",
	.state_bytes = sizeof(struct stele__textsink),
	.start = csv_start,
	.event = csv_take,
	.finish = csv_finish,
};
