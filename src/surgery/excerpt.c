/* SPDX-License-Identifier: MIT */
/*
 * The reader's total order is kept: its times are strictly increasing, and become the ticks of the
 * result. Sequence numbers are counted anew from the window's beginning on.
 */
#include "surgery/excerpt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/cursor.h"
#include "surgery/retrace.h"
#include "surgery/standing.h"

#define NS_PER_S      1000000000
#define OWN_VERSION   1
#define OWN_BYTES_MAX (1u << 15)

/* What an earlier generation told for all that follow. */
struct excerpt_told {
	struct excerpt_told *next;
	uint64_t generation;
	bool info; /* how addresses are packed: a batch; else a record of Stele's own data */
	size_t bytes;
	uint8_t data[];
};

/* The newest detail of a descriptor. */
struct excerpt_file {
	struct stele_detail detail; /* name.data is `name` */
	char name[];
};

struct stele__excerpt {
	struct stele__excerpt_window window;
	struct stele__excerpt_result result;
	const struct stele_reader *reader;
	struct stele__standing standing;
	struct stele__retrace retrace;
	struct excerpt_told *told, **told_end;
	struct stele__keymap files; /* what descriptors stand for at the window's beginning */
	int64_t first;		    /* time of the trace's first event */
	bool begun;		    /* there was one */
	bool open;		    /* the window was reached */
	uint64_t generation;	    /* where that was */
	uint64_t gc_seq;	    /* of the result */
};

int stele__excerpt_new(const struct stele__excerpt_window *window,
		       const struct stele_reader *reader, struct stele__excerpt **ret_excerpt)
{
	struct stele__excerpt *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->window = *window;
	x->reader = reader;
	x->told_end = &x->told;
	stele__keymap_init(&x->files);
	stele__standing_init(&x->standing);
	if (stele__retrace_init(&x->retrace, reader, window->write, window->arg) < 0) {
		stele__excerpt_free(x);
		return -ENOMEM;
	}
	*ret_excerpt = x;
	return 0;
}

void stele__excerpt_free(struct stele__excerpt *x)
{
	struct excerpt_told *next;

	if (!x)
		return;
	for (struct excerpt_told *told = x->told; told; told = next) {
		next = told->next;
		free(told);
	}
	stele__keymap_free(&x->files);
	stele__standing_done(&x->standing);
	stele__retrace_done(&x->retrace);
	free(x);
}

/* Told for all that follow ------------------------------------------------------------------- */

static int told_add(struct stele__excerpt *x, bool info, const void *data, size_t bytes)
{
	struct excerpt_told *told = malloc(sizeof(*told) + bytes);

	if (!told)
		return -ENOMEM;
	*told = (struct excerpt_told){
		.generation = stele_reader_generation(x->reader), .info = info, .bytes = bytes};
	memcpy(told->data, data, bytes);
	*x->told_end = told;
	x->told_end = &told->next;
	return 0;
}

static bool told_lasts(uint64_t tag)
{
	return tag == STELE_DATA_PROGRAM || tag == STELE_DATA_MODULE || tag == STELE_DATA_THREAD ||
	       tag == STELE_DATA_COUNTER || tag == STELE_DATA_OBJECT;
}

static int told_records(struct stele__excerpt *x, const struct stele_experiment_batch *batch)
{
	struct stele_cursor c = stele__cursor(batch->data + 1, batch->bytes - 1);
	int r = 0;

	stele__cursor_varint(&c); /* the version */
	while (r == 0 && !c.error && stele__cursor_left(&c)) {
		const uint8_t *begin = c.at;
		uint64_t tag = stele__cursor_varint(&c);
		uint64_t bytes = stele__cursor_varint(&c);

		if (stele__cursor_bytes(&c, bytes) && told_lasts(tag) &&
		    (size_t)(c.at - begin) <= OWN_BYTES_MAX)
			r = told_add(x, false, begin, (size_t)(c.at - begin));
	}
	return r;
}

/* What the generation that begins tells for those behind it. */
static int told_remember(struct stele__excerpt *x)
{
	struct stele_experiment_batch batch;
	int r = 0;

	for (size_t i = 0; r == 0 && stele_reader_batch(x->reader, i, &batch) == 0; i++) {
		if (batch.experiment != STELE_EXPERIMENT_ALLOCFREE || !batch.bytes)
			continue;
		if (batch.data[0] == STELE_PAYLOAD_INFO)
			r = told_add(x, true, batch.data, batch.bytes);
		else if (batch.data[0] == STELE_PAYLOAD_STELE)
			r = told_records(x, &batch);
	}
	return r;
}

static void told_put(struct stele__excerpt *x, const void *data, size_t bytes)
{
	const struct stele_experiment_batch batch = {.experiment = STELE_EXPERIMENT_ALLOCFREE,
						     .thread = STELE_NONE_ID,
						     .data = data,
						     .bytes = bytes};

	stele__retrace_batch(&x->retrace, &batch);
}

/* Tells again what generations before this one told. */
static int told_again(struct stele__excerpt *x)
{
	static const uint8_t head[] = {STELE_PAYLOAD_STELE, OWN_VERSION};
	uint8_t *own = malloc(STELE_BATCH_BYTES_MAX);
	size_t used = sizeof(head);

	if (!own)
		return -ENOMEM;
	memcpy(own, head, sizeof(head));
	for (const struct excerpt_told *told = x->told; told; told = told->next) {
		if (told->generation == stele_reader_generation(x->reader))
			break;
		if (told->info) {
			told_put(x, told->data, told->bytes);
			continue;
		}
		if (used + told->bytes > STELE_BATCH_BYTES_MAX) {
			told_put(x, own, used);
			used = sizeof(head);
		}
		memcpy(own + used, told->data, told->bytes);
		used += told->bytes;
	}
	if (used > sizeof(head))
		told_put(x, own, used);
	free(own);
	return 0;
}

/* Types and their sites as they are used, details as their time comes. */
static bool batch_is_retold(const struct stele_experiment_batch *batch)
{
	return batch->experiment == STELE_EXPERIMENT_ALLOCFREE && batch->bytes &&
	       (batch->data[0] == STELE_PAYLOAD_TYPES || batch->data[0] == STELE_PAYLOAD_SITES ||
		batch->data[0] == STELE_PAYLOAD_DETAILS);
}

static int files_remember(struct stele__excerpt *x, const struct stele_detail *detail)
{
	struct excerpt_file *before = stele__keymap_get(&x->files, detail->object);
	struct excerpt_file *file = malloc(sizeof(*file) + detail->name.bytes);
	int r;

	if (!file)
		return -ENOMEM;
	file->detail = *detail;
	file->detail.name.data = file->name;
	if (detail->name.bytes)
		memcpy(file->name, detail->name.data, detail->name.bytes);
	if (before)
		stele__keymap_drop(&x->files, detail->object, before);
	free(before);
	r = stele__keymap_add(&x->files, detail->object, file);
	if (r < 0)
		free(file);
	return r;
}

static void files_again(struct stele__excerpt *x)
{
	const struct excerpt_file *file;
	size_t at = 0;

	while ((file = stele__keymap_each(&x->files, &at)))
		stele__retrace_detail(&x->retrace, &file->detail);
}

/* The generation's batches of experiments, but for what is told in its own time. */
static void excerpt_batches(struct stele__excerpt *x)
{
	struct stele_experiment_batch batch;

	for (size_t i = 0; stele_reader_batch(x->reader, i, &batch) == 0; i++)
		if (!batch_is_retold(&batch))
			stele__retrace_batch(&x->retrace, &batch);
}

/* What stands at the beginning ------------------------------------------------------------------
 */

static void standing_put(struct stele__excerpt *x, uint64_t thread, uint8_t type, int64_t *time,
			 const uint64_t *args)
{
	stele__retrace_event(&x->retrace, thread, type, (uint64_t)(*time)++, args);
	x->result.standing++;
}

static int standing_tell_procs(struct stele__excerpt *x, int64_t *time)
{
	struct stele__standing_proc **procs = stele__standing_procs(&x->standing);

	if (!procs)
		return -ENOMEM;
	for (size_t i = 0; i < x->standing.procs.used; i++) {
		const struct stele__standing_proc *proc = procs[i];
		const uint64_t args[] = {proc->id, proc->status};
		bool held =
			proc->status == STELE_PROC_RUNNING || proc->status == STELE_PROC_SYSCALL;

		standing_put(x, held ? proc->thread : STELE_NONE_ID, STELE_EV_PROC_STATUS, time,
			     args);
		if (proc->sweeping)
			standing_put(x, STELE_NONE_ID, STELE_EV_GC_SWEEP_ACTIVE, time, args);
	}
	free(procs);
	return 0;
}

static int standing_tell_gos(struct stele__excerpt *x, int64_t *time)
{
	struct stele__standing_go **gos = stele__standing_gos(&x->standing);

	if (!gos)
		return -ENOMEM;
	for (size_t i = 0; i < x->standing.gos.used; i++) {
		const struct stele__standing_go *go = gos[i];
		const uint64_t args[] = {go->id, go->thread, go->status};

		standing_put(x, go->thread, STELE_EV_GO_STATUS, time, args);
		if (go->assisting)
			standing_put(x, STELE_NONE_ID, STELE_EV_GC_MARK_ASSIST_ACTIVE, time, args);
	}
	free(gos);
	return 0;
}

/* Procs first: what runs on a thread needs the proc that it holds. */
static int standing_tell(struct stele__excerpt *x, int64_t time)
{
	int r;

	x->gc_seq = 1;
	if (x->standing.collecting)
		standing_put(x, STELE_NONE_ID, STELE_EV_GC_ACTIVE, &time, &x->gc_seq);
	r = standing_tell_procs(x, &time);
	if (r == 0)
		r = standing_tell_gos(x, &time);
	stele__standing_restart(&x->standing);
	return r;
}

/* At most so many events tell it. */
static int64_t standing_events(const struct stele__standing *standing)
{
	return 1 + 2 * (int64_t)(standing->gos.used + standing->procs.used);
}

/* The window ------------------------------------------------------------------------------------
 */

/* The clock of the present generation, moved to `time`. */
static struct stele_wire_clock excerpt_clock(const struct stele__excerpt *x, int64_t time)
{
	const struct stele_sync *sync = stele_reader_sync(x->reader);
	int64_t later, mono, wall;

	/* What a clock says of the years before its beginning, or in three centuries, is not kept.
	 */
	if (!sync->has_clock || __builtin_sub_overflow(time, sync->time, &later) ||
	    __builtin_add_overflow(sync->monotonic_ns, later, &mono) ||
	    __builtin_mul_overflow(sync->wall_s, NS_PER_S, &wall) ||
	    __builtin_add_overflow(wall, sync->wall_ns, &wall) ||
	    __builtin_add_overflow(wall, later, &wall) || mono < 0 || wall < 0)
		return (struct stele_wire_clock){.time = (uint64_t)time};
	return (struct stele_wire_clock){.time = (uint64_t)time,
					 .mono_ns = (uint64_t)mono,
					 .wall_s = (uint64_t)wall / NS_PER_S,
					 .wall_ns = (uint64_t)wall % NS_PER_S};
}

/* In front of the window's first event. */
static int excerpt_open(struct stele__excerpt *x, const struct stele_event *event)
{
	int64_t time = event->time - standing_events(&x->standing);
	struct stele_wire_clock clock;
	int r;

	if (time < 0)
		time = 0;
	clock = excerpt_clock(x, time);
	stele__retrace_begin(&x->retrace, stele_reader_generation(x->reader), &clock);
	x->open = true;
	x->generation = stele_reader_generation(x->reader);
	x->result.begin = event->time - x->first;
	r = told_again(x);
	if (r < 0)
		return r;
	excerpt_batches(x);
	files_again(x);
	r = standing_tell(x, time);
	return r < 0 ? r : x->retrace.error;
}

/* A generation begins; 0: none, the trace ends. */
static int excerpt_sync(struct stele__excerpt *x, const struct stele_event *event)
{
	struct stele_wire_clock clock;
	int r;

	if (!stele_reader_sync(x->reader)->generation)
		return 0;
	r = told_remember(x);
	if (r < 0 || !x->open)
		return r;
	stele__retrace_end(&x->retrace);
	clock = excerpt_clock(x, event->time);
	stele__retrace_begin(&x->retrace, stele_reader_generation(x->reader), &clock);
	excerpt_batches(x);
	return x->retrace.error;
}

/* The kind of a stop: "stop-the-world (kind)" without what is around it. */
static struct stele_string excerpt_stop_kind(struct stele_string name)
{
	static const char before[] = "stop-the-world (";
	size_t around = sizeof(before) - 1 + 1;

	if (name.bytes < around)
		return name;
	return (struct stele_string){name.data + sizeof(before) - 1, name.bytes - around};
}

/* The numbers of a goroutine and of a proc that the event just took. */
static uint64_t excerpt_number(const struct stele__excerpt *x, const struct stele_event *event,
			       unsigned kind)
{
	bool call = event->type == STELE_EV_GO_SYSCALL_BEGIN;
	const struct stele__standing_proc *proc;
	const struct stele__standing_go *go;

	if (kind == STELE_ARG_GOSEQ) {
		go = stele__standing_go(&x->standing, event->value[0]);
		return go ? go->seq : 0;
	}
	proc = stele__standing_proc(&x->standing, call ? event->proc : event->value[0]);
	return proc ? proc->seq : 0;
}

static uint64_t excerpt_string(struct stele__excerpt *x, const struct stele_event *event,
			       unsigned index)
{
	if (index)
		return stele__retrace_string(&x->retrace, event->text);
	return stele__retrace_string(&x->retrace, event->type == STELE_EV_STW_BEGIN
							  ? excerpt_stop_kind(event->name)
							  : event->name);
}

static uint64_t excerpt_stack(struct stele__excerpt *x, const struct stele_event *event,
			      unsigned index)
{
	bool creates =
		event->type == STELE_EV_GO_CREATE || event->type == STELE_EV_GO_CREATE_BLOCKED;

	return stele__retrace_stack(&x->retrace,
				    creates && !index ? event->transition_stack : event->stack);
}

/*
 * Whose stream the event goes into: that of the thread it is seen on; but not where it tells of
 * another thread that a goroutine is in a system call of. Asked in front of it.
 */
static uint64_t excerpt_thread(const struct stele__excerpt *x, const struct stele_event *event)
{
	const struct stele__standing_go *go;

	if (event->type != STELE_EV_GO_STATUS && event->type != STELE_EV_GO_STATUS_STACK)
		return event->thread;
	go = stele__standing_go(&x->standing, event->value[0]);
	return go && (uint8_t)event->value[2] == STELE_GO_SYSCALL && go->thread != event->thread
		       ? STELE_NONE_ID
		       : event->thread;
}

/* The event with numbers and ids of the result. */
static void excerpt_copy(struct stele__excerpt *x, const struct stele_event *event, uint64_t thread)
{
	const struct stele_spec *spec = stele__spec(event->type);
	uint64_t args[STELE_ARGS_MAX] = {0};
	unsigned strings = 0, stacks = 0;

	for (unsigned i = 0; i < spec->arg_count; i++) {
		switch (spec->arg_kind[i]) {
		case STELE_ARG_GOSEQ:
		case STELE_ARG_PROCSEQ:
			args[i] = excerpt_number(x, event, spec->arg_kind[i]);
			break;
		case STELE_ARG_GCSEQ:
			args[i] = ++x->gc_seq;
			break;
		case STELE_ARG_STRING:
			args[i] = excerpt_string(x, event, strings++);
			break;
		case STELE_ARG_STACK:
			args[i] = excerpt_stack(x, event, stacks++);
			break;
		default:
			args[i] = event->value[i];
		}
	}
	if (event->type == STELE_EV_HEAP_OBJECT || event->type == STELE_EV_HEAP_OBJECT_ALLOC)
		stele__retrace_type(&x->retrace, args[1]);
	stele__retrace_event(&x->retrace, thread, event->type, (uint64_t)event->time, args);
}

/*
 * What the result cannot hold: the end of a stop that began before the window; and in its first
 * generation, once more that a range is under way. Asked in front of the event.
 */
static bool excerpt_leaves_out(const struct stele__excerpt *x, const struct stele_event *event)
{
	if (event->type == STELE_EV_STW_END)
		return !stele__standing_range(&x->standing, event);
	return event->kind == STELE_EVENT_RANGE_ACTIVE &&
	       stele_reader_generation(x->reader) == x->generation &&
	       stele__standing_range(&x->standing, event);
}

/* Up to the event. In front of the window only what descriptors stand for is kept. */
static int excerpt_details(struct stele__excerpt *x, const struct stele_event *event)
{
	struct stele_detail detail;
	int r;

	while ((r = stele_reader_detail(x->reader, event->time, &detail)) > 0) {
		if (x->open)
			stele__retrace_detail(&x->retrace, &detail);
		else if (detail.kind == STELE_DETAIL_FILE)
			r = files_remember(x, &detail);
		if (r < 0)
			break;
	}
	return r;
}

int stele__excerpt_add(struct stele__excerpt *x, const struct stele_event *event)
{
	bool tells = stele__standing_tells(event), leave_out;
	uint64_t thread;
	int64_t since;
	int r = 0;

	if (!x->begun)
		x->first = event->time;
	x->begun = true;
	since = event->time - x->first;
	x->result.last = since;
	if (event->kind == STELE_EVENT_SYNC)
		return excerpt_sync(x, event);
	if (since > x->window.to && tells)
		return 1;
	if (!x->open && since >= x->window.from && tells)
		r = excerpt_open(x, event);
	if (r == 0)
		r = excerpt_details(x, event);
	if (r < 0)
		return r;
	leave_out = excerpt_leaves_out(x, event);
	thread = excerpt_thread(x, event);
	if (tells)
		r = stele__standing_apply(&x->standing, event);
	if (!x->open || leave_out || r < 0)
		return r;
	x->result.end = since;
	x->result.events++;
	if (event->kind == STELE_EVENT_STACK_SAMPLE)
		stele__retrace_sample(&x->retrace, event);
	else if (tells)
		excerpt_copy(x, event, thread);
	return x->retrace.error;
}

int stele__excerpt_finish(struct stele__excerpt *x, struct stele__excerpt_result *ret_result)
{
	stele__retrace_end(&x->retrace);
	*ret_result = x->result;
	return x->retrace.error;
}
