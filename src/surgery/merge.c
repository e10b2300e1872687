/* SPDX-License-Identifier: MIT */
#include "surgery/merge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/cursor.h"
#include "surgery/arrival.h"
#include "surgery/ownwriter.h"
#include "surgery/sameness.h"
#include "surgery/transcript.h"

#define NS_PER_S      1000000000
#define GENERATION_NS NS_PER_S
#define BOOT_SLACK_NS (INT64_C(60) * NS_PER_S) /* by which a wall clock may be set meanwhile */
#define TIME_MAX      (INT64_MAX / 4)
#define FILE_SHIFT    32 /* descriptors are below */

struct merge_input {
	const struct stele__merge_input *from;
	struct stele__merge *merge;
	uint64_t index;
	struct stele__transcript transcript;
	const struct stele_event *event; /* the next one; NULL: it has ended */
	int64_t offset;			 /* to add to the trace's times */
	int64_t time;			 /* of the event, by the common clock */
	uint64_t wall_s;		 /* when it was told last where the clocks stand */
	uint64_t pid;
	struct stele_recording recording; /* of what was read so far */
};

struct stele__merge {
	const struct stele__merge_job *job;
	struct stele__merge_result *result;
	struct merge_input *inputs;
	/* Those that have an event, as a binary heap: the earliest first. */
	struct merge_input **queue;
	size_t queue_count;
	struct stele__retrace retrace;
	struct stele__ownwriter own;
	struct stele__sameness same;
	struct stele_heap_info heap;
	uint64_t told[STELE_DATA_TOTALS_MAX], told_skipped[STELE_SKIPPED_MAX];
	uint64_t generation;
	int64_t since; /* when it began */
	int64_t last;  /* time of what was written last */
	int64_t wall;  /* of the wall clock, when the common one was 0 */
};

/* ---- ids ---- */

static unsigned heap_shift(const struct stele__merge *m, unsigned type)
{
	uint64_t unit = type <= STELE_EV_SPAN_FREE	    ? m->heap.page_bytes
			: type <= STELE_EV_HEAP_OBJECT_FREE ? m->heap.object_align
							    : m->heap.stack_unit;

	return STELE__SAMENESS_ADDRESS_BITS - (unsigned)__builtin_ctzll(unit | UINT64_C(1) << 40);
}

static uint64_t merge_id(void *arg, unsigned kind, uint64_t id)
{
	struct merge_input *in = arg;
	struct stele__merge *m = in->merge;
	uint64_t thread;

	switch (kind) {
	case STELE_ARG_GO:
	case STELE_ARG_PROC:
		return stele__sameness_number(&m->same, in->index, id);
	case STELE_ARG_TASK:
		return id ? stele__sameness_number(&m->same, in->index, id) : 0;
	case STELE_ARG_THREAD:
		thread = stele__sameness_thread(&m->same, in->index, id);
		if (thread == STELE_NO_ID && !m->retrace.error)
			m->retrace.error = -ENOMEM;
		return thread;
	default:
		return kind >= STELE_EV_SPAN ? id + (in->index << heap_shift(m, kind)) : id;
	}
}

/* ---- records ---- */

/* Each of Stele's own records of the generation that begins, until one is answered by not 0. */
static int own_each(struct stele__merge *m, struct merge_input *in,
		    int (*each)(struct stele__merge *, struct merge_input *,
				struct stele_data_item *))
{
	const struct stele_reader *reader = in->from->reader;
	struct stele_experiment_batch batch;
	struct stele_data_item item;
	int r = 0;

	for (size_t i = 0; r == 0 && stele_reader_batch(reader, i, &batch) == 0; i++) {
		size_t at = 0;

		if (batch.experiment != STELE_EXPERIMENT_ALLOCFREE || !batch.bytes ||
		    batch.data[0] != STELE_PAYLOAD_STELE)
			continue;
		while (r == 0 && stele_data_next(&batch, &at, &item) > 0)
			r = each(m, in, &item);
	}
	return r;
}

/* ---- clocks ---- */

/* Times of the trace to CLOCK_MONOTONIC, from this generation on. False: it has no clock. */
static bool clock_set(struct merge_input *in, uint64_t mono_ns, int64_t time, uint64_t wall_s)
{
	if (mono_ns > TIME_MAX || time < 0 || time > TIME_MAX)
		return false;
	in->offset = (int64_t)mono_ns - time;
	in->wall_s = wall_s;
	return true;
}

/* Of traces before Go 1.25 Stele itself tells the clock. */
static int own_clock(struct stele__merge *m, struct merge_input *in, struct stele_data_item *item)
{
	double frequency = (double)stele_reader_frequency(in->from->reader);
	double time = (double)item->value[0] * NS_PER_S / frequency;

	(void)m;
	return item->tag == STELE_DATA_CLOCK && time < (double)TIME_MAX &&
	       clock_set(in, item->value[1], (int64_t)time, item->value[2]);
}

static bool merge_clock(struct stele__merge *m, struct merge_input *in)
{
	const struct stele_sync *sync = stele_reader_sync(in->from->reader);

	return sync->has_clock ? clock_set(in, sync->monotonic_ns, sync->time, sync->wall_s)
			       : own_each(m, in, own_clock) > 0;
}

/* ---- Stele's own records ---- */

static void own_put(struct stele__merge *m, const struct stele_data_item *item)
{
	stele__ownwriter_item(&m->own, item);
}

/* As the first process is called, and how many others there are. */
static void own_program(struct stele__merge *m, const struct stele_data_item *item)
{
	struct stele_data_item program = *item;
	size_t others = m->job->count - 1;
	char name[384];
	int bytes = snprintf(name, sizeof(name), "%.*s and %zu other process%s",
			     (int)(item->text[0].bytes < 256 ? item->text[0].bytes : 256),
			     item->text[0].bytes ? item->text[0].data : "", others,
			     others == 1 ? "" : "es");

	if (others)
		program.text[0] = (struct stele_string){name, (size_t)bytes};
	own_put(m, &program);
}

/* What a process is called: the last part of its program's path. */
static struct stele_string own_process_name(const struct merge_input *in)
{
	const char *name = strrchr(in->recording.program, '/');

	name = name ? name + 1 : in->recording.program;
	return (struct stele_string){name, strlen(name)};
}

/* Among the threads of several processes a first one without a name would be any. */
static void own_thread(struct stele__merge *m, struct merge_input *in,
		       const struct stele_data_item *item)
{
	struct stele_data_item thread = *item;
	struct stele_data_item process = {.tag = STELE_DATA_PROCESS, .value_count = 2};

	thread.value[0] = merge_id(in, STELE_ARG_THREAD, item->value[0]);
	thread.value[1] = merge_id(in, STELE_ARG_PROC, item->value[1]);
	thread.value[2] = merge_id(in, STELE_ARG_GO, item->value[2]);
	if (!thread.text[0].bytes && item->value[0] == in->pid)
		thread.text[0] = own_process_name(in);
	own_put(m, &thread);
	process.value[0] = thread.value[0];
	process.value[1] = in->pid;
	own_put(m, &process);
}

static void own_item(struct stele__merge *m, struct merge_input *in, struct stele_data_item *item)
{
	switch (item->tag) {
	case STELE_DATA_PROGRAM:
		if (in->index == 0)
			own_program(m, item);
		break;
	case STELE_DATA_THREAD:
		own_thread(m, in, item);
		break;
	case STELE_DATA_LOSS:
		item->value[0] = merge_id(in, STELE_ARG_THREAD, item->value[0]);
		own_put(m, item);
		break;
	case STELE_DATA_OBJECT:
		item->value[0] = stele__sameness_object(&m->same, in->index, item->value[0]);
		own_put(m, item);
		break;
	case STELE_DATA_COUNTER:
	case STELE_DATA_SNAPSHOT:
		own_put(m, item);
		break;
	case STELE_DATA_ENDING:
		if (in->index == 0)
			own_put(m, item);
		break;
	default:
		break;
	}
}

/* What others build on, wherever it stands. */
static int own_learn(struct stele__merge *m, struct merge_input *in, struct stele_data_item *item)
{
	if (item->tag == STELE_DATA_PROGRAM)
		in->pid = item->value[0];
	return item->tag == STELE_DATA_SHARED ? stele__sameness_learn(&m->same, in->index, item)
					      : 0;
}

static int own_tell(struct stele__merge *m, struct merge_input *in, struct stele_data_item *item)
{
	own_item(m, in, item);
	return m->retrace.error;
}

/* What counts from the beginning of each recording on, of all together, where it has changed. */
static void own_sums(struct stele__merge *m)
{
	struct stele_data_item total = {.tag = STELE_DATA_TOTAL, .value_count = 2};
	struct stele_data_item skipped = {.tag = STELE_DATA_SKIPPED, .value_count = 2};

	for (unsigned what = 0; what < STELE_DATA_TOTALS_MAX; what++) {
		bool sums = what != STELE_TOTAL_HEAP_SAMPLE;

		total.value[0] = what;
		total.value[1] = 0;
		for (size_t i = 0; i < m->job->count; i++) {
			uint64_t value = m->inputs[i].recording.total[what];

			if (sums)
				total.value[1] += value;
			else if (value > total.value[1])
				total.value[1] = value;
		}
		if (total.value[1] != m->told[what])
			own_put(m, &total);
		m->told[what] = total.value[1];
	}
	for (unsigned event = 0; event < STELE_SKIPPED_MAX; event++) {
		skipped.value[0] = STELE_EV_SPAN + event;
		skipped.value[1] = 0;
		for (size_t i = 0; i < m->job->count; i++)
			skipped.value[1] += m->inputs[i].recording.skipped[event];
		if (skipped.value[1] != m->told_skipped[event])
			own_put(m, &skipped);
		m->told_skipped[event] = skipped.value[1];
	}
}

/* The recordings ended in order, all of them. */
static void own_end(struct stele__merge *m)
{
	struct stele_data_item end = {.tag = STELE_DATA_END, .value_count = 3};

	for (size_t i = 0; i < m->job->count; i++) {
		if (!m->inputs[i].recording.complete)
			return;
		end.value[0] += m->inputs[i].recording.records;
		end.value[1] += m->inputs[i].recording.events;
	}
	end.value[2] = m->generation;
	own_put(m, &end);
}

/* ---- generations ---- */

static void merge_heap(struct stele__merge *m)
{
	uint8_t data[1 + 4 * STELE_VARINT_BYTES_MAX] = {STELE_PAYLOAD_INFO};
	uint8_t *at = data + 1;
	struct stele_experiment_batch batch = {
		.experiment = STELE_EXPERIMENT_ALLOCFREE, .thread = STELE_NONE_ID, .data = data};

	at = stele__varint_put(stele__varint_put(at, m->heap.base), m->heap.page_bytes);
	at = stele__varint_put(stele__varint_put(at, m->heap.object_align), m->heap.stack_unit);
	batch.bytes = (size_t)(at - data);
	if (m->heap.known && m->generation == 1)
		stele__retrace_batch(&m->retrace, &batch);
}

/* Of traces before Go 1.25; from then on it is a part of the format. */
static void merge_own_clock(struct stele__merge *m, const struct stele_wire_clock *clock)
{
	const struct stele_data_item item = {
		.tag = STELE_DATA_CLOCK,
		.value = {clock->time, clock->mono_ns, clock->wall_s, clock->wall_ns},
		.value_count = 4};

	if (m->retrace.version < 25)
		own_put(m, &item);
	stele__ownwriter_flush(&m->own);
}

/* A generation begins in front of `time`, with what stands. */
static int merge_generation(struct stele__merge *m, int64_t time)
{
	struct stele_wire_clock clock;
	uint64_t events;
	int64_t begin = time;
	int r = 0;

	for (size_t i = 0; i < m->job->count; i++)
		begin -= stele__transcript_standing(&m->inputs[i].transcript);
	if (begin <= m->last)
		begin = m->last + 1;
	clock = (struct stele_wire_clock){.time = (uint64_t)begin,
					  .mono_ns = (uint64_t)begin,
					  .wall_s = (uint64_t)(m->wall + begin / NS_PER_S),
					  .wall_ns = (uint64_t)(begin % NS_PER_S)};
	stele__retrace_end(&m->retrace);
	stele__retrace_begin(&m->retrace, ++m->generation, &clock);
	m->since = m->last = begin;
	merge_own_clock(m, &clock);
	merge_heap(m);
	for (size_t i = 0; i < m->job->count && r == 0; i++) {
		struct stele__transcript *transcript = &m->inputs[i].transcript;
		int64_t at = m->last + 1;

		stele__retrace_source_turn(&transcript->source);
		r = stele__transcript_stand(transcript, &at, &events);
		m->last = at - 1;
	}
	return r < 0 ? r : m->retrace.error;
}

/* ---- events ---- */

static int merge_refuse(struct stele__merge *m, const struct merge_input *in, const char *why)
{
	m->result->refused = (size_t)in->index;
	m->result->why = why;
	return -EINVAL;
}

/* A trace of several processes has no place for what the one runtime of a trace does. In its first
 * generation it is told once that a range is under way. */
static bool merge_leaves_out(const struct stele__merge *m, const struct merge_input *in)
{
	const struct stele_event *event = in->event;

	if (event->kind == STELE_EVENT_RANGE_ACTIVE && m->generation == 1 &&
	    stele__standing_range(&in->transcript.standing, event))
		return true;
	switch (event->type) {
	case STELE_EV_STW_BEGIN:
	case STELE_EV_STW_END:
	case STELE_EV_GC_ACTIVE:
	case STELE_EV_GC_BEGIN:
	case STELE_EV_GC_END:
	case STELE_EV_HEAP_ALLOC:
	case STELE_EV_HEAP_GOAL:
		return true;
	default:
		return false;
	}
}

/* An object of a wait; a descriptor, which is not shared. */
static uint64_t merge_object(struct stele__merge *m, const struct merge_input *in,
			     const struct stele_detail *detail)
{
	bool file = detail->kind == STELE_DETAIL_CALL || detail->kind == STELE_DETAIL_FILE ||
		    (detail->kind == STELE_DETAIL_STANDING && !detail->name.bytes);

	if (!file)
		return stele__sameness_object(&m->same, in->index, detail->object);
	return detail->kind == STELE_DETAIL_STANDING && !detail->object
		       ? 0
		       : detail->object | in->index << FILE_SHIFT;
}

static void merge_detail(struct stele__merge *m, struct merge_input *in,
			 struct stele_detail *detail)
{
	uint64_t index = in->index;

	/* Where its process comes in; then what stands follows from the events. */
	if (detail->kind == STELE_DETAIL_STANDING &&
	    stele__standing_go(&in->transcript.standing, detail->goroutine))
		return;
	if (detail->goroutine != STELE_NO_ID)
		detail->goroutine = merge_id(in, STELE_ARG_GO, detail->goroutine);

	detail->time += in->offset;
	detail->thread = detail->thread == STELE_NO_ID
				 ? STELE_NO_ID
				 : merge_id(in, STELE_ARG_THREAD, detail->thread);
	if (detail->kind != STELE_DETAIL_RESULT)
		detail->object = merge_object(m, in, detail);
	if (detail->kind == STELE_DETAIL_ORDER)
		detail->inner = stele__sameness_object(&m->same, index, detail->inner);
	if (detail->holder != STELE_NO_ID)
		detail->holder = stele__sameness_named_thread(&m->same, index, detail->holder);
	stele__retrace_detail(&m->retrace, &in->transcript.source, detail);
}

static int merge_details(struct stele__merge *m, struct merge_input *in)
{
	struct stele_detail detail;
	int r;

	while ((r = stele_reader_detail(in->from->reader, in->event->time, &detail)) > 0)
		merge_detail(m, in, &detail);
	return r < 0 ? r : m->retrace.error;
}

/* A generation of the input begins, or it ends. */
static int merge_sync(struct stele__merge *m, struct merge_input *in)
{
	int r;

	if (!stele_reader_sync(in->from->reader)->generation)
		return 0;
	stele__retrace_source_turn(&in->transcript.source);
	stele_recording_add(&in->recording, in->from->reader);
	r = own_each(m, in, own_learn);
	if (r == 0)
		r = own_each(m, in, own_tell);
	own_sums(m);
	stele__ownwriter_flush(&m->own);
	return r;
}

/* Reads the input's next event. A damaged generation may have lost its clock: the one before it
 * told goes on. */
static void merge_fetch(struct merge_input *in)
{
	const struct stele_event *event;
	int64_t before = in->time;

	in->event = in->from->next(in->from->arg, &event) > 0 ? event : NULL;
	if (!in->event)
		return;
	if (event->kind == STELE_EVENT_SYNC && stele_reader_sync(in->from->reader)->generation)
		merge_clock(in->merge, in);
	in->time = event->time > TIME_MAX ? TIME_MAX : event->time + in->offset;
	if (in->time < before) /* where two generations' clocks differ */
		in->time = before;
}

/* Its process was there before, but not in what is merged. */
static int merge_arrival(struct stele__merge *m, struct merge_input *in)
{
	int64_t begin = in->time > m->last ? in->time : m->last + 1, time = begin;
	int r = stele__arrival(&in->transcript, in->event, &time);

	m->result->events += (uint64_t)(time - begin);
	m->last = time - 1;
	return r == -ENOTSUP ? merge_refuse(m, in, "begins with threads of which none has a proc")
			     : r;
}

static int merge_event(struct stele__merge *m, struct merge_input *in)
{
	bool leave_out;
	int r = 0;

	if (in->time - m->since > GENERATION_NS || !m->generation)
		r = merge_generation(m, in->time);
	if (r < 0)
		return r;
	if (!m->result->begin)
		m->result->begin = in->time;
	if (in->event->kind == STELE_EVENT_SYNC)
		return merge_sync(m, in);
	r = merge_details(m, in);
	if (r < 0)
		return r;
	if (in->event->type == STELE_EV_PROCS_CHANGE) /* a trace has one number of procs */
		return 0;
	if (m->generation > 1 && stele__arrives(&in->transcript, in->event))
		return merge_arrival(m, in);
	leave_out = merge_leaves_out(m, in);
	m->result->left_out += leave_out;
	if (leave_out)
		return 0;
	if (stele__standing_tells(in->event)) {
		m->last = in->time > m->last ? in->time : m->last + 1;
		m->result->events++;
	}
	return stele__transcript_event(&in->transcript, in->event, m->last, true);
}

/* ---- which one is next ---- */

static bool input_before(const struct merge_input *a, const struct merge_input *b)
{
	return a->time != b->time ? a->time < b->time : a->index < b->index;
}

/* What is at this place is later now: it goes down to where it belongs. */
static void queue_sink(struct stele__merge *m, size_t at)
{
	struct merge_input *sinking = m->queue[at];

	for (;;) {
		size_t child = at * 2 + 1;

		if (child >= m->queue_count)
			break;
		if (child + 1 < m->queue_count &&
		    input_before(m->queue[child + 1], m->queue[child]))
			child++;
		if (!input_before(m->queue[child], sinking))
			break;
		m->queue[at] = m->queue[child];
		at = child;
	}
	m->queue[at] = sinking;
}

static void queue_begin(struct stele__merge *m)
{
	for (size_t i = 0; i < m->job->count; i++)
		if (m->inputs[i].event)
			m->queue[m->queue_count++] = &m->inputs[i];
	for (size_t i = m->queue_count / 2; i > 0; i--)
		queue_sink(m, i - 1);
}

/* The first one has read its next event. */
static void queue_turn(struct stele__merge *m)
{
	if (!m->queue[0]->event)
		m->queue[0] = m->queue[--m->queue_count];
	if (m->queue_count)
		queue_sink(m, 0);
}

/* ---- before anything is written ---- */

static int own_refuse(struct stele__merge *m, struct merge_input *in, struct stele_data_item *item)
{
	return item->tag == STELE_DATA_PROCESS
		       ? merge_refuse(m, in, "is merged already: merge what it was made of")
		       : 0;
}

/* Is there anything that only Stele writes? */
static int own_is_there(struct stele__merge *m, struct merge_input *in,
			struct stele_data_item *item)
{
	(void)m;
	(void)in;
	(void)item;
	return 1;
}

static bool heap_equals(const struct stele_heap_info *a, const struct stele_heap_info *b)
{
	return a->base == b->base && a->page_bytes == b->page_bytes &&
	       a->object_align == b->object_align && a->stack_unit == b->stack_unit;
}

static int merge_heap_check(struct stele__merge *m, const struct merge_input *in)
{
	const struct stele_heap_info *heap = stele_reader_heap(in->from->reader);

	if (!heap->known)
		return 0;
	if (!m->heap.known)
		m->heap = *heap;
	if (m->heap.base || !heap_equals(&m->heap, heap))
		return merge_refuse(m, in, "numbers its memory as C programs do not");
	return 0;
}

/* Begins to read; what is no trace at all counts as ended. */
static int merge_open(struct stele__merge *m, struct merge_input *in)
{
	const struct stele_reader *reader = in->from->reader;
	unsigned version;
	int64_t boot;

	in->time = INT64_MIN;
	merge_fetch(in);
	if (!in->event)
		return 0;
	version = stele_reader_version(reader);
	if (version > m->retrace.version)
		m->retrace.version = version;
	if (version < 23 || !merge_clock(m, in))
		return merge_refuse(m, in, "has no clock: it is none of Stele's, or damaged");
	if (own_each(m, in, own_is_there) == 0)
		return merge_refuse(m, in, "is none of Stele's");
	boot = (int64_t)(in->wall_s % TIME_MAX) - (in->time / NS_PER_S);
	if (!m->wall)
		m->wall = boot;
	if (boot - m->wall > BOOT_SLACK_NS / NS_PER_S || m->wall - boot > BOOT_SLACK_NS / NS_PER_S)
		return merge_refuse(m, in,
				    "is of another machine, or of before it was started anew");
	return own_each(m, in, own_refuse) ? -EINVAL : merge_heap_check(m, in);
}

int stele__merge_run(struct stele__merge *m)
{
	int r = 0;

	queue_begin(m);
	while (r == 0 && m->queue_count) {
		struct merge_input *in = m->queue[0];

		r = merge_event(m, in);
		m->result->end = in->time;
		if (r < 0)
			break;
		merge_fetch(in);
		queue_turn(m);
	}
	if (r < 0 || !m->generation)
		return r;
	own_end(m);
	stele__ownwriter_flush(&m->own);
	stele__retrace_end(&m->retrace);
	return m->retrace.error;
}

static int merge_new(const struct stele__merge_job *job, struct stele__merge_result *result,
		     struct stele__merge **ret_merge)
{
	struct stele__merge *m = calloc(1, sizeof(*m));

	*ret_merge = m;
	if (!m)
		return -ENOMEM;
	m->job = job;
	m->result = result;
	m->last = -1;
	stele__sameness_init(&m->same, job->count);
	m->inputs = calloc(job->count, sizeof(*m->inputs));
	m->queue = calloc(job->count, sizeof(struct merge_input *));
	for (size_t i = 0; m->inputs && i < job->count; i++) {
		struct merge_input *in = &m->inputs[i];

		in->from = &job->inputs[i];
		in->merge = m;
		in->index = i;
		stele__transcript_init(&in->transcript, &m->retrace, in->from->reader);
		in->transcript.id = merge_id;
		in->transcript.arg = in;
	}
	if (stele__retrace_init(&m->retrace, job->write, job->arg) < 0 ||
	    stele__ownwriter_init(&m->own, &m->retrace) < 0 || !m->inputs || !m->queue)
		return -ENOMEM;
	return 0;
}

int stele__merge_open(const struct stele__merge_job *job, struct stele__merge_result *result,
		      struct stele__merge **ret_merge)
{
	struct stele__merge *m;
	int r;

	*result = (struct stele__merge_result){0};
	r = merge_new(job, result, &m);
	for (size_t i = 0; i < job->count && r == 0; i++)
		r = merge_open(m, &m->inputs[i]);
	if (r < 0) {
		stele__merge_free(m);
		m = NULL;
	}
	*ret_merge = m;
	return r;
}

void stele__merge_free(struct stele__merge *m)
{
	if (!m)
		return;
	for (size_t i = 0; m->inputs && i < m->job->count; i++)
		stele__transcript_done(&m->inputs[i].transcript);
	free(m->inputs);
	free(m->queue);
	stele__ownwriter_done(&m->own);
	stele__retrace_done(&m->retrace);
	stele__sameness_done(&m->same);
	free(m);
}
