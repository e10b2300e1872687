/* SPDX-License-Identifier: MIT */
/*
 * The reader's total order is kept: its times are strictly increasing, and become the ticks of the
 * result.
 */
#include "surgery/excerpt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/cursor.h"
#include "surgery/ownwriter.h"
#include "surgery/transcript.h"

#define NS_PER_S      1000000000
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
	struct stele__retrace retrace;
	struct stele__transcript transcript;
	struct stele__ownwriter own;
	struct excerpt_told *told, **told_end;
	struct stele__keymap files; /* what descriptors stand for at the window's beginning */
	int64_t first;		    /* time of the trace's first event */
	bool begun;		    /* there was one */
	bool open;		    /* the window was reached */
	uint64_t generation;	    /* where that was */
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
	stele__transcript_init(&x->transcript, &x->retrace, reader);
	if (stele__retrace_init(&x->retrace, window->write, window->arg) < 0 ||
	    stele__ownwriter_init(&x->own, &x->retrace) < 0) {
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
	stele__ownwriter_done(&x->own);
	stele__transcript_done(&x->transcript);
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
	       tag == STELE_DATA_COUNTER || tag == STELE_DATA_OBJECT || tag == STELE_DATA_SHARED ||
	       tag == STELE_DATA_PROCESS;
}

/* The next record behind the version, tag and all; false: there is none. */
static bool record_next(struct stele_cursor *c, uint64_t *ret_tag, const uint8_t **ret_data,
			size_t *ret_bytes)
{
	if (c->error || !stele__cursor_left(c))
		return false;
	*ret_data = c->at;
	*ret_tag = stele__cursor_varint(c);
	stele__cursor_bytes(c, stele__cursor_varint(c));
	*ret_bytes = (size_t)(c->at - *ret_data);
	return !c->error;
}

static struct stele_cursor record_first(const struct stele_experiment_batch *batch)
{
	struct stele_cursor c = stele__cursor(batch->data + 1, batch->bytes - 1);

	stele__cursor_varint(&c); /* the version */
	return c;
}

static int told_records(struct stele__excerpt *x, const struct stele_experiment_batch *batch)
{
	struct stele_cursor c = record_first(batch);
	const uint8_t *data;
	size_t bytes;
	uint64_t tag;
	int r = 0;

	while (r == 0 && record_next(&c, &tag, &data, &bytes))
		if (told_lasts(tag) && bytes <= OWN_BYTES_MAX)
			r = told_add(x, false, data, bytes);
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
static void told_again(struct stele__excerpt *x)
{
	for (const struct excerpt_told *told = x->told; told; told = told->next) {
		if (told->generation == stele_reader_generation(x->reader))
			break;
		if (told->info)
			told_put(x, told->data, told->bytes);
		else
			stele__ownwriter_record(&x->own, told->data, told->bytes);
	}
	stele__ownwriter_flush(&x->own);
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
		stele__retrace_detail(&x->retrace, &x->transcript.source, &file->detail);
}

static uint64_t excerpt_ns(const struct stele__excerpt *x, uint64_t ticks)
{
	double ns = (double)ticks * NS_PER_S / (double)stele_reader_frequency(x->reader);

	return ns >= 0 && ns < (double)INT64_MAX ? (uint64_t)ns : 0;
}

/* Stele's own records, with the clock in ticks of the result. */
static void excerpt_own(struct stele__excerpt *x, const struct stele_experiment_batch *batch)
{
	size_t at = 0, from = (size_t)(record_first(batch).at - batch->data);
	struct stele_data_item item;

	while (stele_data_next(batch, &at, &item) > 0) {
		if (item.tag == STELE_DATA_CLOCK) {
			item.value[0] = excerpt_ns(x, item.value[0]);
			stele__ownwriter_item(&x->own, &item);
		} else {
			stele__ownwriter_record(&x->own, batch->data + from, at - from);
		}
		from = at;
	}
	stele__ownwriter_flush(&x->own);
}

/* The generation's batches of experiments, but for what is told in its own time. */
static void excerpt_batches(struct stele__excerpt *x)
{
	struct stele_experiment_batch batch;

	for (size_t i = 0; stele_reader_batch(x->reader, i, &batch) == 0; i++) {
		if (batch_is_retold(&batch))
			continue;
		if (batch.experiment == STELE_EXPERIMENT_ALLOCFREE && batch.bytes &&
		    batch.data[0] == STELE_PAYLOAD_STELE)
			excerpt_own(x, &batch);
		else
			stele__retrace_batch(&x->retrace, &batch);
	}
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
	int64_t time = event->time - stele__transcript_standing(&x->transcript);
	struct stele_wire_clock clock;
	int r;

	if (time < 0)
		time = 0;
	clock = excerpt_clock(x, time);
	x->retrace.version = stele_reader_version(x->reader);
	stele__retrace_begin(&x->retrace, stele_reader_generation(x->reader), &clock);
	x->open = true;
	x->generation = stele_reader_generation(x->reader);
	x->result.begin = event->time - x->first;
	told_again(x);
	excerpt_batches(x);
	files_again(x);
	r = stele__transcript_stand(&x->transcript, &time, &x->result.standing);
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
	stele__retrace_source_turn(&x->transcript.source);
	stele__retrace_begin(&x->retrace, stele_reader_generation(x->reader), &clock);
	excerpt_batches(x);
	return x->retrace.error;
}

/*
 * What the result cannot hold: the end of a stop that began before the window; and in its first
 * generation, once more that a range is under way. Asked in front of the event.
 */
static bool excerpt_leaves_out(const struct stele__excerpt *x, const struct stele_event *event)
{
	if (event->type == STELE_EV_STW_END)
		return !stele__standing_range(&x->transcript.standing, event);
	return event->kind == STELE_EVENT_RANGE_ACTIVE &&
	       stele_reader_generation(x->reader) == x->generation &&
	       stele__standing_range(&x->transcript.standing, event);
}

/* Up to the event. In front of the window only what descriptors stand for is kept. */
static int excerpt_details(struct stele__excerpt *x, const struct stele_event *event)
{
	struct stele_detail detail;
	int r;

	while ((r = stele_reader_detail(x->reader, event->time, &detail)) > 0) {
		if (x->open)
			stele__retrace_detail(&x->retrace, &x->transcript.source, &detail);
		else if (detail.kind == STELE_DETAIL_FILE)
			r = files_remember(x, &detail);
		if (r < 0)
			break;
	}
	return r;
}

int stele__excerpt_add(struct stele__excerpt *x, const struct stele_event *event)
{
	bool tells = stele__standing_tells(event), write;
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
	write = x->open && !excerpt_leaves_out(x, event);
	if (write) {
		x->result.end = since;
		x->result.events++;
	}
	return stele__transcript_event(&x->transcript, event, event->time, write);
}

int stele__excerpt_finish(struct stele__excerpt *x, struct stele__excerpt_result *ret_result)
{
	stele__retrace_end(&x->retrace);
	*ret_result = x->result;
	return x->retrace.error;
}
