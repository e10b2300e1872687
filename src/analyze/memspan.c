/* SPDX-License-Identifier: MIT */
/* Spans: what is mapped, and the spans of a runtime's page heap. */
#include <errno.h>
#include <stdlib.h>

#include "analyze/memsum.h"

#define GO_PAGE	       8192
#define SIZE_CLASS_MAX 255
#define NOT_HEAP       1

/* Bytes of a slot by Go's size class, from Go 1.22 on. */
static const uint16_t go_classes[] = {
	0,     8,     16,    24,    32,	   48,	  64,	 80,	96,    112,   128,   144,
	160,   176,   192,   208,   224,   240,	  256,	 288,	320,   352,   384,   416,
	448,   480,   512,   576,   640,   704,	  768,	 896,	1024,  1152,  1280,  1408,
	1536,  1792,  2048,  2304,  2688,  3072,  3200,	 3456,	4096,  4864,  5376,  6144,
	6528,  6784,  6912,  8192,  9472,  9728,  10240, 10880, 12288, 13568, 14336, 16384,
	18432, 19072, 20480, 21760, 24576, 27264, 28672, 32768,
};

static struct stele__span_kind *span_kind(struct stele__memory *m, uint64_t kindclass)
{
	bool heap = !(kindclass & NOT_HEAP) && kindclass >> 2 <= SIZE_CLASS_MAX;
	uint64_t key = heap ? kindclass : NOT_HEAP;
	struct stele__span_kind *kind = stele__keymap_get(&m->kinds, key);

	if (STELE_LIKELY(kind))
		return kind;
	kind = calloc(1, sizeof(*kind));
	if (!kind || stele__keymap_add(&m->kinds, key, kind) < 0) {
		free(kind);
		return NULL;
	}
	kind->key = key;
	kind->k.heap = heap;
	kind->k.pointer_free = heap && kindclass & 2;
	kind->k.size_class = heap ? (unsigned)(kindclass >> 2) : 0;
	if (m->go && m->layout.page_bytes == GO_PAGE &&
	    kind->k.size_class < STELE_ARRAY_LENGTH(go_classes))
		kind->k.object_bytes = go_classes[kind->k.size_class];
	return kind;
}

static void span_drop(struct stele__memory *m, struct stele__heap_span *span)
{
	uint64_t bytes = span->end - span->base;

	stele__memory_drop(&m->face.sum[STELE_MEMORY_SPANS], bytes);
	stele__memory_drop(&span->kind->k.spans, bytes);
	stele__spantree_remove(&m->spans, span);
	free(span);
}

/* An allocator's span may begin where the mapping begins that it is taken from. */
static bool span_is_inner(const struct stele__memory *m, const struct stele__heap_span *outer,
			  uint64_t end)
{
	return !m->go && outer->end > end;
}

static int span_born(struct stele__memory *m, uint64_t base, const struct stele_event *event)
{
	struct stele__pairs *pairs = &m->pairs[STELE_MEMORY_SPANS];
	uint64_t page = m->layout.known ? m->layout.page_bytes : 1, bytes, end;
	struct stele__heap_span *span, *old = stele__spantree_get(&m->spans, base);
	bool existed = event->type == MEMORY_SPAN;
	int r = 0;

	if (__builtin_mul_overflow(event->value[1], page, &bytes) ||
	    __builtin_add_overflow(base, bytes, &end))
		end = UINT64_MAX;
	if (old && span_is_inner(m, old, end))
		old = NULL;
	if (existed)
		pairs->retold += old != NULL;
	else
		r = stele__pairs_alloc(pairs, base, old != NULL, event);
	if (r == 0)
		r = stele__memory_note(&m->span_seen, base);
	if (r < 0)
		return r;
	if (old)
		span_drop(m, old);
	span = calloc(1, sizeof(*span));
	if (!span)
		return -ENOMEM;
	*span = (struct stele__heap_span){.base = base, .end = end, .existed = existed};
	span->kind = span_kind(m, event->value[2]);
	if (!span->kind) {
		free(span);
		return -ENOMEM;
	}
	stele__spantree_add(&m->spans, span);
	stele__memory_gain(&m->face.sum[STELE_MEMORY_SPANS], end - base, event->time, existed);
	stele__memory_gain(&span->kind->k.spans, end - base, event->time, existed);
	stele__objects_return(m, base, end);
	return 0;
}

static int span_died(struct stele__memory *m, uint64_t base, const struct stele_event *event)
{
	struct stele__pairs *pairs = &m->pairs[STELE_MEMORY_SPANS];
	struct stele__heap_span *span = stele__spantree_get(&m->spans, base);
	bool keep;
	int r;

	if (!span) {
		r = stele__pairs_stray(pairs, base, stele__keymap_get(&m->span_seen, base), event);
		return r < 0 ? r : stele__memory_note(&m->span_seen, base);
	}
	r = stele__pairs_free(pairs, base, 0, event, &keep);
	if (r < 0 || keep)
		return r;
	/* What loses a part is told as freed, and what is left of it as allocated anew. */
	stele__objects_leave(m, base, span->end, m->go || span->kind->k.heap);
	span_drop(m, span);
	return r;
}

int stele__span_event(struct stele_analysis *a, const struct stele_event *event)
{
	struct stele__memory *m = a->memory;
	uint64_t unit = m->layout.known ? m->layout.page_bytes : 1;
	uint64_t base = m->layout.base + event->value[0] * unit;

	return event->type == MEMORY_SPAN_FREE ? span_died(m, base, event)
					       : span_born(m, base, event);
}

void stele__spans_settle(struct stele__memory *m)
{
	struct stele__pairs *pairs = &m->pairs[STELE_MEMORY_SPANS];
	struct stele__heap_span *span;
	uint64_t base;
	size_t at = 0;

	while (stele__pairs_settle(pairs, &at, &base))
		if ((span = stele__spantree_get(&m->spans, base)))
			span_drop(m, span);
}

void stele__spans_free(struct stele__memory *m)
{
	struct stele__heap_span *span;

	while ((span = stele__spantree_pop(&m->spans)))
		free(span);
}

static int kind_compare(const void *left, const void *right)
{
	const struct stele_memory_kind *a = left, *b = right;
	uint64_t la = a->spans.live_bytes, lb = b->spans.live_bytes;
	int r = (la < lb) - (la > lb);

	if (!r)
		r = (a->spans.allocated_bytes < b->spans.allocated_bytes) -
		    (a->spans.allocated_bytes > b->spans.allocated_bytes);
	if (!r)
		r = (a->size_class > b->size_class) - (a->size_class < b->size_class);
	return r ? r : a->pointer_free - b->pointer_free;
}

/* In which kind of span each object lies that is alive. */
static void kinds_count(struct stele__memory *m)
{
	const struct stele__live_page *page;
	size_t at = 0;

	while ((page = stele__livemap_each(&m->objects, 0, UINT64_MAX, &at)))
		for (uint32_t i = 0; i < page->count; i++) {
			const struct stele__live *object = &page->objects[i];
			struct stele__heap_span *span = stele__spantree_around(
				&m->spans, stele__live_address(page, object));

			if (!span)
				continue;
			span->kind->k.objects++;
			span->kind->k.object_bytes_live += m->lots[object->lot].account;
		}
}

int stele__kinds_finish(struct stele__memory *m)
{
	const struct stele__span_kind *kind;
	size_t at = 0;

	kinds_count(m);
	m->kind_list = calloc(m->kinds.used + 1, sizeof(*m->kind_list));
	if (!m->kind_list)
		return -ENOMEM;
	while ((kind = stele__keymap_each(&m->kinds, &at)))
		m->kind_list[m->kind_count++] = kind->k;
	qsort(m->kind_list, m->kind_count, sizeof(*m->kind_list), kind_compare);
	return 0;
}
