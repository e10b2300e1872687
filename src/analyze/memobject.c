/* SPDX-License-Identifier: MIT */
/*
 * Objects. In traces of Go an object is its slot of a span: allocs may name an address behind the
 * slot's beginning (behind a header, or one of several tiny objects in a slot), frees name the
 * slot.
 */
#include <errno.h>

#include "analyze/memsum.h"

#define GO_HEADER      8   /* of objects with pointers */
#define GO_HEADER_FROM 512 /* that are larger */
#define GO_TINY_SLOT   16

/* Bytes of the slots of the span; 0: it has none, or they are unknown. */
static uint64_t object_slot_bytes(const struct stele__memory *m,
				  const struct stele__heap_span *span)
{
	if (!m->go || !span || !span->kind->k.heap)
		return 0;
	return span->kind->k.size_class ? span->kind->k.object_bytes : span->end - span->base;
}

static uint64_t object_slot(const struct stele__heap_span *span, uint64_t bytes, uint64_t address)
{
	return bytes ? span->base + (address - span->base) / bytes * bytes : address;
}

static struct stele__heap_span *object_span(const struct stele__memory *m, uint64_t address)
{
	return m->go ? stele__spantree_around(&m->spans, address) : NULL;
}

/* Before what is alive of the place changes: it still is as it was at the latest peak. */
static void object_remember_peak(const struct stele__memory *m, struct stele__place *place)
{
	if (place->peak == m->peaks)
		return;
	place->peak = m->peaks;
	place->s.at_peak = place->s.sum.live;
	place->s.at_peak_bytes = place->s.sum.live_bytes;
}

static void object_drop(struct stele__memory *m, uint64_t key, const struct stele__live *object)
{
	const struct stele__lot *lot = &m->lots[object->lot];

	object_remember_peak(m, lot->place);
	stele__memory_drop(&m->face.sum[STELE_MEMORY_OBJECTS], lot->account);
	stele__memory_drop(&lot->place->s.sum, lot->account);
	stele__memory_drop(&stele__size_class(m, lot->bytes)->sum, lot->account);
	stele__actor_loses(lot);
	m->homeless -= object->homeless;
	stele__livemap_remove(&m->objects, key);
}

static int object_put(struct stele__memory *m, uint64_t key, uint32_t lot_id,
		      const struct stele_event *event, bool behind)
{
	bool existed = event->type == MEMORY_OBJECT;
	const struct stele__lot *lot = &m->lots[lot_id];
	struct stele__allocator *allocator = stele__allocator(m, event->thread);
	struct stele_memory_sum *sum = &m->face.sum[STELE_MEMORY_OBJECTS];
	uint64_t peak = sum->peak_bytes;
	struct stele__live *object;
	int r = stele__livemap_add(&m->objects, key, &object);

	if (r < 0 || !allocator)
		return -ENOMEM;
	object->lot = lot_id;
	object->time = existed ? INT64_MIN : event->time;
	object->behind = behind;
	object_remember_peak(m, lot->place);
	stele__memory_gain(sum, lot->account, event->time, existed);
	m->peaks += sum->peak_bytes != peak;
	stele__memory_gain(&lot->place->s.sum, lot->account, event->time, existed);
	stele__memory_gain(&stele__size_class(m, lot->bytes)->sum, lot->account, event->time,
			   existed);
	stele__actor_gains(lot);
	if (!existed)
		allocator->object = key;
	return 0;
}

/*
 * Up to Go 1.23 only the first object in a slot of the tiny allocator is told, later each is, to
 * the 8 bytes: where the header does not say it, one behind the beginning does.
 */
static bool object_shares(struct stele__memory *m, bool behind)
{
	m->each_tiny |= behind;
	return m->each_tiny;
}

static int object_born(struct stele_analysis *a, const struct stele_reader *reader,
		       uint64_t address, const struct stele_event *event)
{
	struct stele__memory *m = a->memory;
	struct stele__pairs *pairs = &m->pairs[STELE_MEMORY_OBJECTS];
	struct stele__heap_span *span = object_span(m, address);
	uint64_t slot_bytes = object_slot_bytes(m, span);
	uint64_t key = object_slot(span, slot_bytes, address);
	struct stele__live *old = stele__livemap_find(&m->objects, key);
	const struct stele__actor *actor = NULL;
	uint32_t lot;
	int r;

	if (old && slot_bytes == GO_TINY_SLOT && span->kind->k.pointer_free &&
	    object_shares(m, address != key)) {
		m->shared++;
		return 0;
	}
	if (old && old->homeless) { /* it went with its span, whose addresses are used again */
		m->gone++;
		stele__pairs_forget(pairs, key);
		object_drop(m, key, old);
		old = NULL;
	}
	if (event->type != MEMORY_OBJECT) {
		actor = stele__actor(a, event);
		if (!actor)
			return -ENOMEM;
	}
	r = stele__lot_find(a, reader, event->value[1], slot_bytes, actor, &lot);
	if (r == 0 && event->type == MEMORY_OBJECT)
		pairs->retold += old != NULL;
	else if (r == 0)
		r = stele__pairs_alloc(pairs, key, old != NULL, event);
	if (r < 0)
		return r;
	if (old)
		object_drop(m, key, old);
	return object_put(m, key, lot, event, address != key && slot_bytes > GO_HEADER_FROM);
}

/* Where the span was not known, a header may still have been: *key is where the object is. */
static struct stele__live *object_find(struct stele__memory *m, uint64_t *key, uint64_t slot_bytes)
{
	struct stele__live *object = stele__livemap_find(&m->objects, *key);

	if (object || !m->go || (slot_bytes && slot_bytes <= GO_HEADER_FROM))
		return object;
	object = stele__livemap_find(&m->objects, *key + GO_HEADER);
	if (object && (object->behind || object->time == INT64_MIN))
		object = NULL;
	if (object)
		*key += GO_HEADER;
	return object;
}

static int object_died(struct stele_analysis *a, uint64_t address, const struct stele_event *event)
{
	struct stele__memory *m = a->memory;
	struct stele__pairs *pairs = &m->pairs[STELE_MEMORY_OBJECTS];
	struct stele__heap_span *span = object_span(m, address);
	uint64_t slot_bytes = object_slot_bytes(m, span);
	uint64_t slot = object_slot(span, slot_bytes, address), key = slot;
	struct stele__live *object = object_find(m, &key, slot_bytes);
	struct stele__allocator *allocator;
	const struct stele__lot *lot;
	bool keep;
	int r;

	if (!object) {
		r = stele__pairs_stray(
			pairs, slot,
			stele__livemap_seen(&m->objects, slot) || (span && !span->existed), event);
		return r < 0 ? r : stele__livemap_mark(&m->objects, slot);
	}
	r = stele__pairs_free(pairs, key, object->lot + 1, event, &keep);
	if (r < 0 || keep)
		return r;
	m->headers += object->behind || key != slot;
	allocator = stele__allocator(m, event->thread);
	if (!allocator)
		return -ENOMEM;
	if (allocator->object == key) {
		m->face.sum[STELE_MEMORY_OBJECTS].temporary++;
		m->lots[object->lot].place->s.sum.temporary++;
		allocator->object = STELE_NO_ID;
	}
	lot = &m->lots[object->lot];
	r = stele__actor_frees(a, allocator, lot, event);
	if (object->time != INT64_MIN)
		stele_spread_add(&stele__size_class(m, lot->bytes)->lifetime,
				 event->time - object->time);
	object_drop(m, key, object);
	return r;
}

int stele__object_event(struct stele_analysis *a, const struct stele_reader *reader,
			const struct stele_event *event)
{
	struct stele__memory *m = a->memory;
	uint64_t unit = m->layout.known ? m->layout.object_align : 1;
	uint64_t address = m->layout.base + event->value[0] * unit;

	return event->type == MEMORY_OBJECT_FREE ? object_died(a, address, event)
						 : object_born(a, reader, address, event);
}

/* Spans that come and go ----------------------------------------------------------------------- */

static bool object_within(const struct stele__live_page *page, uint32_t i, uint64_t begin,
			  uint64_t end)
{
	uint64_t address = stele__live_address(page, &page->objects[i]);

	return address >= begin && address < end;
}

void stele__objects_leave(struct stele__memory *m, uint64_t begin, uint64_t end, bool for_good)
{
	struct stele__live_page *page;
	size_t at = 0;

	if (!m->objects.count)
		return;
	while ((page = stele__livemap_each(&m->objects, begin, end, &at)))
		for (uint32_t i = page->count; i-- > 0;) {
			struct stele__live *object = &page->objects[i];
			uint64_t key = stele__live_address(page, object);

			if (!object_within(page, i, begin, end))
				continue;
			if (for_good) {
				m->gone++;
				stele__pairs_forget(&m->pairs[STELE_MEMORY_OBJECTS], key);
				object_drop(m, key, object);
			} else if (!object->homeless) {
				object->homeless = true;
				m->homeless++;
			}
		}
}

void stele__objects_return(struct stele__memory *m, uint64_t begin, uint64_t end)
{
	struct stele__live_page *page;
	size_t at = 0;

	if (!m->homeless)
		return;
	while ((page = stele__livemap_each(&m->objects, begin, end, &at)))
		for (uint32_t i = 0; i < page->count; i++)
			if (page->objects[i].homeless && object_within(page, i, begin, end)) {
				page->objects[i].homeless = false;
				m->homeless--;
			}
}

static void objects_settle_homeless(struct stele__memory *m)
{
	struct stele__live_page *page;
	size_t at = 0;

	while (m->homeless && (page = stele__livemap_each(&m->objects, 0, UINT64_MAX, &at)))
		for (uint32_t i = page->count; i-- > 0;)
			if (page->objects[i].homeless) {
				m->gone++;
				object_drop(m, stele__live_address(page, &page->objects[i]),
					    &page->objects[i]);
			}
}

void stele__objects_settle(struct stele__memory *m)
{
	struct stele__place *place;
	struct stele__live *object;
	uint64_t key;
	size_t at = 0, place_at = 0;

	while (stele__pairs_settle(&m->pairs[STELE_MEMORY_OBJECTS], &at, &key))
		if ((object = stele__livemap_find(&m->objects, key)))
			object_drop(m, key, object);
	objects_settle_homeless(m);
	while ((place = stele__keymap_each(&m->places, &place_at)))
		object_remember_peak(m, place);
}
