/* SPDX-License-Identifier: MIT */
#include "surgery/transcript.h"

#include <errno.h>
#include <stdlib.h>

#include "format/spec.h"

void stele__transcript_init(struct stele__transcript *t, struct stele__retrace *retrace,
			    const struct stele_reader *reader)
{
	*t = (struct stele__transcript){.retrace = retrace};
	stele__retrace_source_init(&t->source, reader);
	stele__standing_init(&t->standing);
}

void stele__transcript_done(struct stele__transcript *t)
{
	stele__standing_done(&t->standing);
	stele__retrace_source_done(&t->source);
}

static uint64_t transcript_id(const struct stele__transcript *t, unsigned kind, uint64_t id)
{
	return t->id && id != STELE_NONE_ID ? t->id(t->arg, kind, id) : id;
}

/* ---- what stands ---- */

static void standing_put(struct stele__transcript *t, uint64_t thread, uint8_t type, int64_t *time,
			 const uint64_t *args)
{
	stele__retrace_event(t->retrace, transcript_id(t, STELE_ARG_THREAD, thread), type,
			     (uint64_t)(*time)++, args);
}

static int standing_tell_procs(struct stele__transcript *t, int64_t *time)
{
	struct stele__standing_proc **procs = stele__standing_procs(&t->standing);

	if (!procs)
		return -ENOMEM;
	for (size_t i = 0; i < t->standing.procs.used; i++) {
		const struct stele__standing_proc *proc = procs[i];
		const uint64_t args[] = {transcript_id(t, STELE_ARG_PROC, proc->id), proc->status};
		bool held =
			proc->status == STELE_PROC_RUNNING || proc->status == STELE_PROC_SYSCALL;

		standing_put(t, held ? proc->thread : STELE_NONE_ID, STELE_EV_PROC_STATUS, time,
			     args);
		if (proc->sweeping)
			standing_put(t, STELE_NONE_ID, STELE_EV_GC_SWEEP_ACTIVE, time, args);
	}
	free(procs);
	return 0;
}

static int standing_tell_gos(struct stele__transcript *t, int64_t *time)
{
	struct stele__standing_go **gos = stele__standing_gos(&t->standing);

	if (!gos)
		return -ENOMEM;
	for (size_t i = 0; i < t->standing.gos.used; i++) {
		const struct stele__standing_go *go = gos[i];
		const uint64_t args[] = {transcript_id(t, STELE_ARG_GO, go->id),
					 transcript_id(t, STELE_ARG_THREAD, go->thread),
					 go->status};

		standing_put(t, go->thread, STELE_EV_GO_STATUS, time, args);
		if (go->assisting)
			standing_put(t, STELE_NONE_ID, STELE_EV_GC_MARK_ASSIST_ACTIVE, time, args);
	}
	free(gos);
	return 0;
}

/* Procs first: what runs on a thread needs the proc that it holds. */
int stele__transcript_stand(struct stele__transcript *t, int64_t *time, uint64_t *ret_events)
{
	int64_t begin = *time;
	int r;

	t->gc_seq = 1;
	if (t->standing.collecting)
		standing_put(t, STELE_NONE_ID, STELE_EV_GC_ACTIVE, time, &t->gc_seq);
	r = standing_tell_procs(t, time);
	if (r == 0)
		r = standing_tell_gos(t, time);
	stele__standing_restart(&t->standing);
	*ret_events = (uint64_t)(*time - begin);
	return r;
}

int64_t stele__transcript_standing(const struct stele__transcript *t)
{
	return 1 + 2 * (int64_t)(t->standing.gos.used + t->standing.procs.used);
}

/* ---- events ---- */

/* The kind of a stop: "stop-the-world (kind)" without what is around it. */
static struct stele_string transcript_stop_kind(struct stele_string name)
{
	static const char before[] = "stop-the-world (";
	size_t around = sizeof(before) - 1 + 1;

	if (name.bytes < around)
		return name;
	return (struct stele_string){name.data + sizeof(before) - 1, name.bytes - around};
}

/* The numbers of a goroutine and of a proc that the event just took. */
static uint64_t transcript_number(const struct stele__transcript *t,
				  const struct stele_event *event, unsigned kind)
{
	bool call = event->type == STELE_EV_GO_SYSCALL_BEGIN;
	const struct stele__standing_proc *proc;
	const struct stele__standing_go *go;

	if (kind == STELE_ARG_GOSEQ) {
		go = stele__standing_go(&t->standing, event->value[0]);
		return go ? go->seq : 0;
	}
	proc = stele__standing_proc(&t->standing, call ? event->proc : event->value[0]);
	return proc ? proc->seq : 0;
}

static uint64_t transcript_string(struct stele__transcript *t, const struct stele_event *event,
				  unsigned index)
{
	if (index)
		return stele__retrace_string(t->retrace, event->text);
	return stele__retrace_string(t->retrace, event->type == STELE_EV_STW_BEGIN
							 ? transcript_stop_kind(event->name)
							 : event->name);
}

static uint64_t transcript_stack(struct stele__transcript *t, const struct stele_event *event,
				 unsigned index)
{
	bool creates =
		event->type == STELE_EV_GO_CREATE || event->type == STELE_EV_GO_CREATE_BLOCKED;

	return stele__retrace_stack(t->retrace, &t->source,
				    creates && !index ? event->transition_stack : event->stack);
}

/* A value that means something by itself, or that the memory experiment numbers things by. */
static uint64_t transcript_value(struct stele__transcript *t, const struct stele_event *event,
				 unsigned index)
{
	uint64_t value = event->value[index];

	if (stele__spec(event->type)->shape != STELE_SHAPE_EXPERIMENTAL)
		return value;
	if (index == 0)
		return transcript_id(t, event->type, value);
	if (event->type == STELE_EV_HEAP_OBJECT || event->type == STELE_EV_HEAP_OBJECT_ALLOC)
		return stele__retrace_type(t->retrace, &t->source, value);
	return value;
}

/*
 * Whose stream the event goes into: that of the thread it is seen on; but not where it tells of
 * another thread that a goroutine is in a system call of. Asked in front of it.
 */
static uint64_t transcript_thread(const struct stele__transcript *t,
				  const struct stele_event *event)
{
	const struct stele__standing_go *go;

	if (event->type != STELE_EV_GO_STATUS && event->type != STELE_EV_GO_STATUS_STACK)
		return event->thread;
	go = stele__standing_go(&t->standing, event->value[0]);
	return go && (uint8_t)event->value[2] == STELE_GO_SYSCALL && go->thread != event->thread
		       ? STELE_NONE_ID
		       : event->thread;
}

/* The event with numbers and ids of the result. */
static void transcript_copy(struct stele__transcript *t, const struct stele_event *event,
			    uint64_t thread, int64_t time)
{
	const struct stele_spec *spec = stele__spec(event->type);
	uint64_t args[STELE_ARGS_MAX] = {0};
	unsigned strings = 0, stacks = 0;

	for (unsigned i = 0; i < spec->arg_count; i++) {
		switch (spec->arg_kind[i]) {
		case STELE_ARG_GOSEQ:
		case STELE_ARG_PROCSEQ:
			args[i] = transcript_number(t, event, spec->arg_kind[i]);
			break;
		case STELE_ARG_GCSEQ:
			args[i] = ++t->gc_seq;
			break;
		case STELE_ARG_STRING:
			args[i] = transcript_string(t, event, strings++);
			break;
		case STELE_ARG_STACK:
			args[i] = transcript_stack(t, event, stacks++);
			break;
		case STELE_ARG_VALUE:
			args[i] = transcript_value(t, event, i);
			break;
		default:
			args[i] = transcript_id(t, spec->arg_kind[i], event->value[i]);
		}
	}
	stele__retrace_event(t->retrace, transcript_id(t, STELE_ARG_THREAD, thread), event->type,
			     (uint64_t)time, args);
}

static void transcript_sample(struct stele__transcript *t, const struct stele_event *event,
			      int64_t time)
{
	struct stele_event sample = *event;

	sample.time = time;
	sample.thread = transcript_id(t, STELE_ARG_THREAD, event->thread);
	sample.proc = transcript_id(t, STELE_ARG_PROC, event->proc);
	sample.goroutine = transcript_id(t, STELE_ARG_GO, event->goroutine);
	stele__retrace_sample(t->retrace, &t->source, &sample);
}

int stele__transcript_event(struct stele__transcript *t, const struct stele_event *event,
			    int64_t time, bool write)
{
	uint64_t thread = transcript_thread(t, event);
	bool tells = stele__standing_tells(event);
	int r = tells ? stele__standing_apply(&t->standing, event) : 0;

	if (r < 0 || !write)
		return r;
	if (event->kind == STELE_EVENT_STACK_SAMPLE)
		transcript_sample(t, event, time);
	else if (tells)
		transcript_copy(t, event, thread, time);
	return t->retrace->error;
}
