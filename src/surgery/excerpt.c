/* SPDX-License-Identifier: MIT */
/*
 * The batches are gone through once for where generations lie and what must be carried along; what
 * is kept is then copied as it is.
 */
#include "surgery/excerpt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "format/encode.h"
#include "format/entry.h"

#define EXPERIMENT	 1 /* allocations, and Stele's own data */
#define PAYLOAD_INFO	 1 /* how addresses are packed */
#define PAYLOAD_OWN	 0x53
#define OWN_BYTES_MAX	 (1u << 15)
#define FREQUENCY_ABSENT 15625000u /* Go's, where a trace does not tell */
#define NS_MAX		 9e18	   /* 285 years: bad clocks */

struct excerpt_generation {
	uint64_t number;
	size_t begin, end; /* offsets */
	uint64_t time_min; /* ticks */
	uint64_t frequency;
};

/* A record to be told again, and the generation that told it. */
struct excerpt_carried {
	const uint8_t *data; /* tag, length and contents; or the payload of an info batch */
	size_t bytes;
	uint32_t generation; /* index */
	bool info;
};

struct excerpt_job {
	const struct stele_excerpt *cut;
	struct stele_cursor at;
	unsigned version;
	struct excerpt_generation *generations;
	size_t generation_count, generation_capacity;
	struct excerpt_carried *carried;
	size_t carried_count, carried_capacity;
};

static int excerpt_room(void *vector, size_t count, size_t *capacity, size_t item_bytes)
{
	size_t wanted = *capacity ? *capacity * 2 : 64;
	void *old, *grown;

	if (count < *capacity)
		return 0;
	memcpy(&old, vector, sizeof(old));
	grown = realloc(old, wanted * item_bytes);
	if (!grown)
		return -ENOMEM;
	memcpy(vector, &grown, sizeof(grown));
	*capacity = wanted;
	return 0;
}

static int carry(struct excerpt_job *j, const uint8_t *data, size_t bytes, bool info)
{
	int r = excerpt_room(&j->carried, j->carried_count, &j->carried_capacity,
			     sizeof(*j->carried));

	if (r == 0)
		j->carried[j->carried_count++] = (struct excerpt_carried){
			data, bytes, (uint32_t)(j->generation_count - 1), info};
	return r;
}

/* Program, modules, threads, counters: what later generations rely on. */
static bool own_is_carried(uint64_t tag)
{
	return tag == 1 || tag == 2 || tag == 3 || tag == 7;
}

static int carry_own(struct excerpt_job *j, const struct stele_wire_entry *e)
{
	struct stele_cursor c = stele__cursor(e->data + 1, e->data_bytes - 1);
	int r = 0;

	stele__cursor_varint(&c); /* the version */
	while (r == 0 && !c.error && stele__cursor_left(&c)) {
		const uint8_t *begin = c.at;
		uint64_t tag = stele__cursor_varint(&c);
		uint64_t bytes = stele__cursor_varint(&c);

		if (stele__cursor_bytes(&c, bytes) && own_is_carried(tag) &&
		    (size_t)(c.at - begin) <= OWN_BYTES_MAX)
			r = carry(j, begin, (size_t)(c.at - begin), false);
	}
	return r;
}

static int generation_new(struct excerpt_job *j, uint64_t number, const uint8_t *begin)
{
	int r = excerpt_room(&j->generations, j->generation_count, &j->generation_capacity,
			     sizeof(*j->generations));

	if (r == 0)
		j->generations[j->generation_count++] =
			(struct excerpt_generation){.number = number,
						    .begin = (size_t)(begin - j->at.start),
						    .time_min = UINT64_MAX,
						    .frequency = FREQUENCY_ABSENT};
	return r;
}

/* There is one. */
static struct excerpt_generation *generation_last(const struct excerpt_job *j)
{
	return &j->generations[j->generation_count - 1];
}

/* One batch; `open`: its generation may still go on. */
static int excerpt_batch(struct excerpt_job *j, const struct stele_wire_entry *e, bool *open)
{
	bool experimental = e->type == STELE_EV_EXPERIMENTAL_BATCH;
	const uint64_t *args = e->args + experimental;
	struct excerpt_generation *g;
	int r = 0;

	if (!*open || generation_last(j)->number != args[0])
		r = generation_new(j, args[0], e->bytes);
	if (r < 0)
		return r;
	*open = true;
	g = generation_last(j);
	if (args[2] < g->time_min)
		g->time_min = args[2];
	if (experimental && e->args[0] == EXPERIMENT && e->data_bytes) {
		if (e->data[0] == PAYLOAD_INFO)
			r = carry(j, e->data, e->data_bytes, true);
		else if (e->data[0] == PAYLOAD_OWN)
			r = carry_own(j, e);
	}
	return r;
}

/* All generations up to the end of the input; 0 or the defect. */
static int excerpt_scan(struct excerpt_job *j)
{
	struct stele_wire_entry e;
	bool open = false;
	int got;

	while ((got = stele__entry_next(&j->at, j->version, &e)) > 0) {
		if (e.type == STELE_EV_EVENT_BATCH || e.type == STELE_EV_EXPERIMENTAL_BATCH)
			got = excerpt_batch(j, &e, &open);
		else if (!j->generation_count)
			return STELE_E_CORRUPT;
		else if (e.type == STELE_EV_FREQUENCY && e.args[0])
			generation_last(j)->frequency = e.args[0];
		else if (e.type == STELE_EV_END_OF_GENERATION)
			open = false;
		if (got < 0)
			return got;
		generation_last(j)->end = (size_t)(j->at.at - j->at.start);
	}
	return got;
}

static int64_t generation_ns(const struct excerpt_job *j, size_t index)
{
	const struct excerpt_generation *g = &j->generations[index];
	double first = (double)j->generations[0].time_min / (double)j->generations[0].frequency;

	double ns = ((double)g->time_min / (double)g->frequency - first) * 1e9;

	return ns > NS_MAX ? (int64_t)NS_MAX : ns < -NS_MAX ? -(int64_t)NS_MAX : (int64_t)ns;
}

static int write_batch(const struct excerpt_job *j, struct stele_batch *b)
{
	size_t bytes = stele__batch_end(b);

	return bytes ? j->cut->write(j->cut->arg, b->data, bytes) : 0;
}

static void own_begin(const struct excerpt_generation *g, struct stele_batch *b)
{
	stele__batch_begin_experimental(b, EXPERIMENT, g->number, STELE_NONE_ID, g->time_min);
	stele__batch_varint(b, PAYLOAD_OWN);
	stele__batch_varint(b, 1);
}

/* What generations before `first` told, as if it had. */
static int write_carried(const struct excerpt_job *j, size_t first, uint8_t *buffer)
{
	const struct excerpt_generation *g = &j->generations[first];
	struct stele_batch b = stele__batch(buffer, STELE_BATCH_BUFFER_BYTES);
	bool own = false;
	int r = 0;

	for (size_t i = 0; i < j->carried_count && r == 0; i++) {
		const struct excerpt_carried *c = &j->carried[i];

		if (!c->info || c->generation >= first)
			continue;
		stele__batch_begin_experimental(&b, EXPERIMENT, g->number, STELE_NONE_ID,
						g->time_min);
		stele__batch_bytes(&b, c->data, c->bytes);
		r = write_batch(j, &b);
	}
	for (size_t i = 0; i < j->carried_count && r == 0; i++) {
		const struct excerpt_carried *c = &j->carried[i];

		if (c->info || c->generation >= first)
			continue;
		if (own && stele__batch_room(&b) < c->bytes) {
			r = write_batch(j, &b);
			own = false;
		}
		if (!own)
			own_begin(g, &b);
		own = true;
		stele__batch_bytes(&b, c->data, c->bytes);
	}
	return own && r == 0 ? write_batch(j, &b) : r;
}

static int excerpt_write(struct excerpt_job *j, struct stele_excerpt_result *result)
{
	size_t first = SIZE_MAX, last = 0, count = j->generation_count;
	const struct stele_excerpt *cut = j->cut;
	uint8_t *buffer;
	int r;

	for (size_t i = 0; i < count; i++) {
		int64_t begin = generation_ns(j, i);
		int64_t end = i + 1 < count ? generation_ns(j, i + 1) : INT64_MAX;

		if (begin > cut->to || end <= cut->from)
			continue;
		first = first == SIZE_MAX ? i : first;
		last = i;
	}
	result->generations = count;
	result->whole = count ? generation_ns(j, count - 1) : 0;
	if (first == SIZE_MAX)
		return 0;
	result->kept = last - first + 1;
	result->begin = generation_ns(j, first);
	result->end = last + 1 < count ? generation_ns(j, last + 1) : INT64_MAX;
	buffer = malloc(STELE_BATCH_BUFFER_BYTES);
	if (!buffer)
		return -ENOMEM;
	r = cut->write(cut->arg, j->at.start, STELE_HEADER_BYTES);
	if (r == 0)
		r = write_carried(j, first, buffer);
	if (r == 0)
		r = cut->write(cut->arg, j->at.start + j->generations[first].begin,
			       j->generations[last].end - j->generations[first].begin);
	free(buffer);
	return r;
}

int stele__excerpt(const void *data, size_t bytes, const struct stele_excerpt *cut,
		   struct stele_excerpt_result *ret_result)
{
	struct excerpt_job j = {.cut = cut, .at = stele__cursor(data, bytes)};
	int version = bytes >= STELE_HEADER_BYTES ? stele__header_get(data) : STELE_E_NOT_TRACE;
	int scanned, written;

	*ret_result = (struct stele_excerpt_result){0};
	if (version < 0)
		return version;
	j.version = (unsigned)version;
	j.at.at += STELE_HEADER_BYTES;
	scanned = excerpt_scan(&j);
	/* Of a damaged generation the whole could not be kept. */
	if (scanned < 0 && scanned != -ENOMEM && j.generation_count)
		j.generation_count--;
	ret_result->offset = (uint64_t)(j.at.at - j.at.start);
	written = scanned == -ENOMEM ? scanned : excerpt_write(&j, ret_result);
	free(j.generations);
	free(j.carried);
	return written < 0 ? written : scanned;
}
