/* SPDX-License-Identifier: MIT */
/*
 *   forgotten ──┤ oldest │ … │ newest ├── current (being written)
 *                 kept by reference        the drain's thread alone
 *
 * A generation's bytes never change once it is whole, so a recall only takes references, under the
 * lock, and is written while the drain goes on.
 */
#include "drain/flight.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "format/cursor.h"
#include "format/encode.h"
#include "format/own.h"
#include "sys/sys.h"

#define RECALL_LABEL_BYTES 1024
#define FLIGHT_PIECE_MIN   (64u << 10)
#define FLIGHT_PRESSED_IN  8 /* a generation is this part of what may be kept, at most */

/* Bytes of one generation. */
struct flight_part {
	struct flight_part *next; /* newer; under the flight's lock */
	uint32_t references;	  /* atomic */
	uint32_t generation;
	uint64_t begin_ns, end_ns;
	size_t used, capacity;
	uint8_t *data;
};

struct stele_flight {
	struct stele_flight_limits limits;

	/* The drain's thread. */
	uint8_t header[STELE_HEADER_BYTES];
	size_t header_used;
	struct flight_part *current; /* NULL: nothing of it was written yet */
	uint64_t begun_ns;	     /* when it began */
	int error;		     /* something of it is missing */

	pthread_mutex_t lock;
	struct flight_part *oldest, *newest;
	struct stele_flight_stats stats;
};

struct stele_recall {
	uint8_t header[STELE_HEADER_BYTES];
	uint8_t label[RECALL_LABEL_BYTES];
	size_t label_bytes;
	size_t count;
	struct flight_part *parts[];
};

int stele__flight_new(const struct stele_flight_limits *limits, struct stele_flight **ret_flight)
{
	struct stele_flight *f;

	if (!limits->bytes)
		return -EINVAL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->limits = *limits;
	f->begun_ns = stele__sys_monotonic_ns();
	pthread_mutex_init(&f->lock, NULL);
	*ret_flight = f;
	return 0;
}

static void part_unref(struct flight_part *p)
{
	if (!p || stele__add_acq_rel(&p->references, -1u) != 1)
		return;
	free(p->data);
	free(p);
}

static void flight_forget_oldest(struct stele_flight *f)
{
	struct flight_part *p = f->oldest;

	f->oldest = p->next;
	if (!f->oldest)
		f->newest = NULL;
	f->stats.generations--;
	f->stats.bytes -= p->used;
	f->stats.forgotten_generations++;
	f->stats.begin_ns = f->oldest ? f->oldest->begin_ns : 0;
	part_unref(p);
}

void stele__flight_free(struct stele_flight *f)
{
	if (!f)
		return;
	while (f->oldest)
		flight_forget_oldest(f);
	part_unref(f->current);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* Writing ----------------------------------------------------------------------------------- */

static struct flight_part *flight_current(struct stele_flight *f)
{
	if (!f->current) {
		f->current = calloc(1, sizeof(*f->current));
		if (f->current)
			f->current->references = 1;
	}
	return f->current;
}

static bool part_room(struct flight_part *p, size_t bytes)
{
	size_t capacity = p->capacity ? p->capacity : FLIGHT_PIECE_MIN;
	uint8_t *data;

	while (capacity - p->used < bytes)
		capacity *= 2;
	if (capacity == p->capacity)
		return true;
	data = realloc(p->data, capacity);
	if (!data)
		return false;
	p->data = data;
	p->capacity = capacity;
	return true;
}

/* Never fails towards the drain: a generation that finds no memory is left out as a whole. */
static int flight_write(void *arg, const void *data, size_t bytes)
{
	struct stele_flight *f = arg;
	struct flight_part *p;

	if (f->header_used < sizeof(f->header)) {
		size_t part = sizeof(f->header) - f->header_used;

		part = part < bytes ? part : bytes;
		memcpy(f->header + f->header_used, data, part);
		f->header_used += part;
		data = (const uint8_t *)data + part;
		bytes -= part;
	}
	if (!bytes || f->error)
		return 0;
	p = flight_current(f);
	if (!p || !part_room(p, bytes)) {
		f->error = -ENOMEM;
		return 0;
	}
	memcpy(p->data + p->used, data, bytes);
	p->used += bytes;
	return 0;
}

/* Memory that a generation did not use is given back. */
static void part_shrink(struct flight_part *p)
{
	uint8_t *data = realloc(p->data, p->used);

	if (data) {
		p->data = data;
		p->capacity = p->used;
	}
}

static void flight_append(struct stele_flight *f, struct flight_part *p)
{
	if (f->newest)
		f->newest->next = p;
	else
		f->oldest = p;
	f->newest = p;
	f->stats.generations++;
	f->stats.bytes += p->used;
	f->stats.begin_ns = f->oldest->begin_ns;
	f->stats.end_ns = p->end_ns;
}

/* Without a generation what is older does not go together with what is newer. */
static void flight_break(struct stele_flight *f)
{
	part_unref(f->current);
	f->stats.error = f->error;
	while (f->oldest)
		flight_forget_oldest(f);
}

static void flight_whole(void *arg, uint32_t generation, uint64_t ns)
{
	struct stele_flight *f = arg;
	struct flight_part *p = f->current;

	pthread_mutex_lock(&f->lock);
	if (f->error) {
		flight_break(f);
	} else if (p) {
		part_shrink(p);
		p->generation = generation;
		p->begin_ns = f->begun_ns;
		p->end_ns = ns;
		flight_append(f, p);
	}
	while (f->oldest != f->newest && (f->stats.bytes > f->limits.bytes ||
					  (f->limits.ns && ns - f->oldest->end_ns > f->limits.ns)))
		flight_forget_oldest(f);
	pthread_mutex_unlock(&f->lock);
	f->current = NULL;
	f->error = 0;
	f->begun_ns = ns;
}

struct stele_sink stele__flight_sink(struct stele_flight *f)
{
	return (struct stele_sink){.write = flight_write, .arg = f, .whole = flight_whole};
}

bool stele__flight_is_pressed(const struct stele_flight *f)
{
	return f->current && f->current->used > f->limits.bytes / FLIGHT_PRESSED_IN;
}

void stele__flight_stats(struct stele_flight *f, struct stele_flight_stats *ret_stats)
{
	pthread_mutex_lock(&f->lock);
	*ret_stats = f->stats;
	pthread_mutex_unlock(&f->lock);
}

/* Recalling --------------------------------------------------------------------------------- */

/* The lock is held. */
static struct stele_recall *flight_refer(struct stele_flight *f)
{
	size_t count = f->stats.generations, i = 0;
	struct stele_recall *r = malloc(sizeof(*r) + count * sizeof(r->parts[0]));

	if (!r)
		return NULL;
	memcpy(r->header, f->header, sizeof(r->header));
	r->label_bytes = 0;
	r->count = count;
	for (struct flight_part *p = f->oldest; p; p = p->next) {
		stele__add_relaxed(&p->references, 1);
		r->parts[i++] = p;
	}
	return r;
}

int stele__flight_recall(struct stele_flight *f, struct stele_recall **ret_recall)
{
	int error = 0;

	pthread_mutex_lock(&f->lock);
	if (!f->oldest)
		error = -ENODATA;
	else if (!(*ret_recall = flight_refer(f)))
		error = -ENOMEM;
	pthread_mutex_unlock(&f->lock);
	return error;
}

/* Of the first batch, which is of events or of an experiment. */
static uint64_t part_time(const struct flight_part *p)
{
	struct stele_cursor c = stele__cursor(p->data, p->used);

	if (stele__cursor_u8(&c) == STELE_EV_EXPERIMENTAL_BATCH)
		stele__cursor_u8(&c);
	stele__cursor_varint(&c); /* generation */
	stele__cursor_varint(&c); /* thread */
	return stele__cursor_varint(&c);
}

/* A batch in front of all others, of the first generation. */
void stele__recall_label(struct stele_recall *r, const char *reason)
{
	uint8_t record[RECALL_LABEL_BYTES / 2], *end = record;
	struct stele_batch b = stele__batch(r->label, sizeof(r->label));
	size_t bytes = strnlen(reason, RECALL_LABEL_BYTES / 4);

	end = stele__varint_put(end, bytes);
	memcpy(end, reason, bytes);
	end += bytes;
	stele__batch_begin_experimental(&b, STELE_EXPERIMENT_ALLOCFREE, r->parts[0]->generation,
					STELE_NONE_ID, part_time(r->parts[0]));
	stele__batch_varint(&b, STELE_PAYLOAD_STELE);
	stele__batch_varint(&b, STELE_OWN_VERSION);
	stele__batch_varint(&b, STELE_OWN_SNAPSHOT);
	stele__batch_varint(&b, (uint64_t)(end - record));
	stele__batch_bytes(&b, record, (size_t)(end - record));
	r->label_bytes = stele__batch_end(&b);
}

/* Header, label, generations. NULL: there are no more. */
static const uint8_t *recall_piece(const struct stele_recall *r, size_t i, size_t *ret_bytes)
{
	if (i >= r->count + 2)
		return NULL;
	*ret_bytes = i == 0 ? sizeof(r->header) : i == 1 ? r->label_bytes : r->parts[i - 2]->used;
	return i == 0 ? r->header : i == 1 ? r->label : r->parts[i - 2]->data;
}

int stele__recall_write(const struct stele_recall *r, const struct stele_sink *sink)
{
	const uint8_t *piece;
	size_t bytes;
	int error = 0;

	for (size_t i = 0; error >= 0 && (piece = recall_piece(r, i, &bytes)) != NULL; i++)
		error = bytes ? sink->write(sink->arg, piece, bytes) : 0;
	return error < 0 ? error : 0;
}

int64_t stele__recall_read(void *cursor, void *buffer, size_t bytes)
{
	struct stele_recall_cursor *c = cursor;
	const uint8_t *piece;
	size_t there;

	while ((piece = recall_piece(c->recall, c->piece, &there)) != NULL) {
		if (c->offset < there) {
			bytes = bytes < there - c->offset ? bytes : there - c->offset;
			memcpy(buffer, piece + c->offset, bytes);
			c->offset += bytes;
			return (int64_t)bytes;
		}
		c->piece++;
		c->offset = 0;
	}
	return 0;
}

uint64_t stele__recall_bytes(const struct stele_recall *r)
{
	uint64_t bytes = sizeof(r->header) + r->label_bytes;

	for (size_t i = 0; i < r->count; i++)
		bytes += r->parts[i]->used;
	return bytes;
}

uint64_t stele__recall_ns(const struct stele_recall *r)
{
	return r->parts[r->count - 1]->end_ns - r->parts[0]->begin_ns;
}

void stele__recall_free(struct stele_recall *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->count; i++)
		part_unref(r->parts[i]);
	free(r);
}
