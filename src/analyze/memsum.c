/* SPDX-License-Identifier: MIT */
/* Memory: sums, and the places that objects come from. */
#include "analyze/memsum.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define GO_TELLS_TINY 25 /* header; Go 1.24, which does so too, has none of its own */

/* Of Go 1.23, 0.15 ms were seen; Stele forces a clock on by single ticks. */
#define WINDOW_GO    1000000
#define WINDOW_STELE 1000

void stele__memory_gain(struct stele_memory_sum *sum, uint64_t bytes, int64_t time, bool existed)
{
	sum->existed += existed;
	sum->allocated++;
	sum->live++;
	sum->allocated_bytes += bytes;
	sum->live_bytes += bytes;
	if (sum->live_bytes > sum->peak_bytes) {
		sum->peak_bytes = sum->live_bytes;
		sum->peak_time = time;
	}
}

void stele__memory_drop(struct stele_memory_sum *sum, uint64_t bytes)
{
	sum->freed++;
	sum->live--;
	sum->freed_bytes += bytes;
	sum->live_bytes -= bytes;
}

struct stele__memory *stele__memory_new(void)
{
	struct stele__memory *m = calloc(1, sizeof(*m));
	struct stele__keymap *maps[] = {
		m ? &m->kinds : NULL,	   m ? &m->stacks : NULL,     m ? &m->span_seen : NULL,
		m ? &m->stack_seen : NULL, m ? &m->owners : NULL,     m ? &m->entries : NULL,
		m ? &m->places : NULL,	   m ? &m->allocators : NULL, m ? &m->lot_ids : NULL,
		m ? &m->types : NULL,	   m ? &m->actors : NULL,     m ? &m->parties : NULL,
		m ? &m->freers : NULL,
	};

	if (!m)
		return NULL;
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(maps); i++)
		stele__keymap_init(maps[i]);
	for (unsigned family = 0; family < STELE__MEMORY_FAMILIES; family++)
		stele__pairs_init(&m->pairs[family]);
	stele__livemap_init(&m->objects);
	return m;
}

void stele__memory_free(struct stele__memory *m)
{
	if (!m)
		return;
	for (unsigned family = 0; family < STELE__MEMORY_FAMILIES; family++)
		stele__pairs_done(&m->pairs[family]);
	stele__livemap_done(&m->objects);
	stele__spans_free(m);
	stele__stacks_free(m);
	stele__parties_free(m);
	free(m->cells);
	stele__keymap_free(&m->kinds);
	stele__keymap_free(&m->places);
	stele__keymap_free(&m->allocators);
	stele__keymap_done(&m->span_seen);
	stele__keymap_done(&m->lot_ids);
	stele__keymap_done(&m->types);
	free(m->lots);
	free(m->sites);
	free(m->kind_list);
	free(m->stack_list);
	free(m->owner_list);
	free(m);
}

void stele__memory_sync(struct stele_analysis *a, const struct stele_reader *reader)
{
	struct stele__memory *m = a->memory;

	m->layout = *stele_reader_heap(reader);
	m->go = !a->trust.recording.present;
	m->each_tiny |= a->version >= GO_TELLS_TINY;
	for (unsigned family = 0; family < STELE__MEMORY_FAMILIES; family++)
		m->pairs[family].window = m->go ? WINDOW_GO : WINDOW_STELE;
	m->face.sample_bytes = a->trust.recording.total[STELE_TOTAL_HEAP_SAMPLE];
	stele__keymap_clear(&m->types);
}

int stele__memory_note(struct stele__keymap *seen, uint64_t address)
{
	/* Any pointer will do: it is a set. */
	return stele__keymap_get(seen, address) ? 0 : stele__keymap_add(seen, address, seen);
}

struct stele__allocator *stele__allocator(struct stele__memory *m, uint64_t thread)
{
	struct stele__allocator *allocator = stele__keymap_get(&m->allocators, thread);

	if (STELE_LIKELY(allocator))
		return allocator;
	allocator = malloc(sizeof(*allocator));
	if (allocator && stele__keymap_add(&m->allocators, thread, allocator) < 0) {
		free(allocator);
		allocator = NULL;
	}
	if (allocator)
		*allocator =
			(struct stele__allocator){.object = STELE_NO_ID, .goroutine = STELE_NO_ID};
	return allocator;
}

/* Places and lots ------------------------------------------------------------------------------ */

/* A stack that looks the same, or, where stacks are not in the trace, the same name and size. */
static struct stele__place *place_find(struct stele_analysis *a, const struct stele__name *name,
				       uint64_t size, uint32_t stack)
{
	struct stele__keymap *places = &a->memory->places;
	uint64_t key =
		stack ? stele__keymap_mix(1, stack) : stele__keymap_mix((uintptr_t)name, size);
	struct stele__place *place;
	size_t at = 0;

	while ((place = stele__keymap_next(places, key, &at)))
		if (place->s.stack == stack &&
		    (stack || (place->s.name.data == name->text.data && place->s.size == size)))
			return place;
	place = calloc(1, sizeof(*place));
	if (!place || stele__keymap_add(places, key, place) < 0) {
		free(place);
		return NULL;
	}
	place->s.name = name->text;
	place->s.stack = stack;
	place->s.size = size;
	place->least = UINT64_MAX;
	return place;
}

/* How many bytes the one that a sample has of such objects stands for: docs/design/heap.md. */
static uint64_t lot_account(const struct stele__memory *m, uint64_t bytes)
{
	double mean = (double)m->face.sample_bytes, size = bytes ? (double)bytes : 1;

	if (!m->face.sample_bytes)
		return bytes;
	return (uint64_t)llround((double)bytes / -expm1(-size / mean));
}

static int lot_new(struct stele_analysis *a, const struct stele_heap_type *type, uint32_t stack,
		   uint64_t bytes, const struct stele__actor *actor, uint32_t *ret_lot)
{
	struct stele__memory *m = a->memory;
	const struct stele__name *name = stele__name_intern(a, type->name);
	struct stele__place *place = name ? place_find(a, name, type->size, stack) : NULL;
	uint64_t key =
		stele__keymap_mix(stele__keymap_mix((uintptr_t)place, bytes), (uintptr_t)actor);
	uintptr_t known;
	size_t at = 0;
	int r;

	if (!place)
		return -ENOMEM;
	while ((known = (uintptr_t)stele__keymap_next(&m->lot_ids, key, &at))) {
		const struct stele__lot *lot = &m->lots[known - 1];

		if (lot->place == place && lot->bytes == bytes && lot->actor == actor) {
			*ret_lot = (uint32_t)known - 1;
			return 0;
		}
	}
	r = stele__list_reserve(&m->lots, m->lot_count, &m->lot_max, sizeof(*m->lots));
	if (r == 0)
		r = stele__keymap_add(&m->lot_ids, key, (void *)((uintptr_t)m->lot_count + 1));
	if (r < 0)
		return r;
	place->least = bytes < place->least ? bytes : place->least;
	place->greatest = bytes > place->greatest ? bytes : place->greatest;
	m->lots[m->lot_count] = (struct stele__lot){place, actor, bytes, lot_account(m, bytes)};
	*ret_lot = m->lot_count++;
	return 0;
}

int stele__lot_find(struct stele_analysis *a, const struct stele_reader *reader, uint64_t id,
		    uint64_t bytes, const struct stele__actor *actor, uint32_t *ret_lot)
{
	struct stele__memory *m = a->memory;
	uint64_t key = stele__keymap_mix(stele__keymap_mix(id, bytes), (uintptr_t)actor);
	uintptr_t known = (uintptr_t)stele__keymap_get(&m->types, key);
	struct stele_heap_type type = {.name = {"", 0}};
	uint32_t stack = 0;
	int r = 0;

	/* Two of one key are not seen in practice, and would only be counted together. */
	if (STELE_LIKELY(known)) {
		*ret_lot = (uint32_t)known - 1;
		return 0;
	}
	if (stele_reader_type(reader, id, &type) == 0 && type.stack)
		r = stele__stack_find(a, reader, type.stack, &stack);
	if (r == 0)
		r = lot_new(a, &type, stack, bytes ? bytes : type.size, actor, ret_lot);
	if (r == 0)
		r = stele__keymap_add(&m->types, key, (void *)((uintptr_t)*ret_lot + 1));
	return r;
}

/* Events --------------------------------------------------------------------------------------- */

int stele__memory_event(struct stele_analysis *a, const struct stele_reader *reader,
			const struct stele_event *event)
{
	static const char heap_metric[] = "/memory/classes/heap/objects:bytes";
	struct stele_memory *face = &a->memory->face;
	struct stele__curve *curve;
	unsigned family;
	int r;

	if (event->kind == STELE_EVENT_METRIC) {
		if (stele__text_is(event->name, heap_metric) && event->value[0] > face->heap_max)
			face->heap_max = event->value[0];
		return 0;
	}
	if (event->type < MEMORY_SPAN || event->type > MEMORY_STACK_FREE)
		return 0;
	face->present = true;
	if (event->type >= MEMORY_STACK) {
		family = STELE_MEMORY_STACKS;
		r = stele__stack_event(a, event);
	} else if (event->type >= MEMORY_OBJECT) {
		family = STELE_MEMORY_OBJECTS;
		r = stele__object_event(a, reader, event);
	} else {
		family = STELE_MEMORY_SPANS;
		r = stele__span_event(a, event);
	}
	curve = &a->memory->curves[family];
	if (!curve->c.count)
		stele__curve_set(curve, a->trust.first, 0);
	stele__curve_set(curve, event->time, face->sum[family].live_bytes);
	return r;
}

/* Results -------------------------------------------------------------------------------------- */

static int memory_more(uint64_t left, uint64_t right)
{
	return (left < right) - (left > right);
}

static int place_compare(const void *left, const void *right)
{
	const struct stele__place *a = *(struct stele__place *const *)left;
	const struct stele__place *b = *(struct stele__place *const *)right;
	int r = memory_more(a->s.sum.live_bytes, b->s.sum.live_bytes);

	if (!r)
		r = memory_more(a->s.sum.allocated_bytes, b->s.sum.allocated_bytes);
	if (!r)
		r = memory_more(a->s.sum.allocated, b->s.sum.allocated);
	if (!r)
		r = stele__text_compare(a->s.name, b->s.name);
	if (!r)
		r = (a->s.size > b->s.size) - (a->s.size < b->s.size);
	return r ? r : (a->s.stack > b->s.stack) - (a->s.stack < b->s.stack);
}

/* Strays that name what was there by its lot name it by its site from here on. */
static void memory_name_strays(struct stele__memory *m, struct stele__place *const *sorted)
{
	struct stele__pairs *pairs = &m->pairs[STELE_MEMORY_OBJECTS];

	for (unsigned since = 0; since < 2; since++) {
		struct stele_stray *stray = &pairs->sample[since];
		const struct stele__place *place =
			stray->place ? m->lots[stray->place - 1].place : NULL;

		for (uint32_t i = 0; place && i < m->site_count; i++)
			if (sorted[i] == place)
				stray->place = i + 1;
	}
}

static int memory_sites(struct stele__memory *m)
{
	struct stele__place **sorted = calloc(m->places.used + 1, sizeof(struct stele__place *));
	struct stele__place *place;
	size_t at = 0;

	m->sites = calloc(m->places.used + 1, sizeof(*m->sites));
	if (!sorted || !m->sites) {
		free(sorted);
		return -ENOMEM;
	}
	while ((place = stele__keymap_each(&m->places, &at))) {
		place->s.size = place->least == place->greatest ? place->least : 0;
		sorted[m->site_count++] = place;
	}
	qsort(sorted, m->site_count, sizeof(*sorted), place_compare);
	for (size_t i = 0; i < m->site_count; i++)
		m->sites[i] = sorted[i]->s;
	memory_name_strays(m, sorted);
	free(sorted);
	return 0;
}

int stele__memory_finish(struct stele_analysis *a)
{
	struct stele__memory *m = a->memory;
	int r;

	for (unsigned family = 0; family < STELE__MEMORY_FAMILIES; family++)
		stele__curve_end(&m->curves[family], a->trust.last);
	stele__objects_settle(m);
	stele__spans_settle(m);
	r = stele__stacks_settle(a);
	if (r == 0)
		r = stele__parties_finish(a);
	if (r == 0)
		r = memory_sites(m);
	if (r == 0)
		r = stele__map_finish(m);
	stele__sizes_finish(m);
	if (r == 0)
		r = stele__kinds_finish(m);
	if (r == 0)
		stele__broken_find(m, &a->trust, a->version);
	return r;
}

STELE_EXPORT const char *stele_memory_family_name(unsigned family)
{
	static const char *const names[STELE__MEMORY_FAMILIES] = {"spans", "objects", "stacks"};

	return family < STELE__MEMORY_FAMILIES ? names[family] : "?";
}

STELE_EXPORT const struct stele_memory *stele_analysis_memory(const struct stele_analysis *analysis)
{
	return &analysis->memory->face;
}

STELE_EXPORT const struct stele_curve *
stele_analysis_memory_curve(const struct stele_analysis *analysis, unsigned family)
{
	return &analysis->memory->curves[family].c;
}

STELE_EXPORT const struct stele_memory_site *
stele_analysis_memory_sites(const struct stele_analysis *analysis, size_t *ret_count)
{
	*ret_count = analysis->memory->site_count;
	return analysis->memory->sites;
}

STELE_EXPORT const struct stele_memory_kind *
stele_analysis_memory_kinds(const struct stele_analysis *analysis, size_t *ret_count)
{
	*ret_count = analysis->memory->kind_count;
	return analysis->memory->kind_list;
}

STELE_EXPORT const struct stele_memory_stack *
stele_analysis_stacks(const struct stele_analysis *analysis, size_t *ret_count)
{
	*ret_count = analysis->memory->stack_count;
	return analysis->memory->stack_list;
}

STELE_EXPORT const struct stele_memory_owner *
stele_analysis_stack_owners(const struct stele_analysis *analysis, size_t *ret_count)
{
	*ret_count = analysis->memory->owner_count;
	return analysis->memory->owner_list;
}

STELE_EXPORT const struct stele_broken *stele_analysis_broken(const struct stele_analysis *analysis,
							      size_t *ret_count)
{
	*ret_count = analysis->memory->broken_count;
	return analysis->memory->broken;
}
