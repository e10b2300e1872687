/* SPDX-License-Identifier: MIT */
/* Objects of the allocation experiment, by type; in traces of C programs that is where from. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/model.h"

static bool heap_is(const struct stele_event *event, const char *name)
{
	return event->name.bytes == strlen(name) &&
	       memcmp(event->name.data, name, event->name.bytes) == 0;
}

static struct stele_memory_site *heap_site(struct stele_analysis *a,
					   const struct stele_heap_type *type)
{
	const struct stele__name *name = stele__name_intern(a, type->name);
	uint64_t key = stele__keymap_mix((uintptr_t)name, type->size);
	struct stele__heap *heap = &a->heap;
	struct stele_memory_site *site;
	size_t at = 0;

	if (!name)
		return NULL;
	while ((site = stele__keymap_next(&heap->by_name, key, &at)))
		if (site->name.data == name->text.data && site->size == type->size)
			return site;
	site = calloc(1, sizeof(*site));
	if (!site || stele__list_reserve(&heap->sites, heap->count, &heap->max, sizeof(site)) < 0 ||
	    stele__keymap_add(&heap->by_name, key, site) < 0) {
		free(site);
		return NULL;
	}
	site->name = name->text;
	site->size = type->size;
	heap->sites[heap->count++] = site;
	return site;
}

static struct stele_memory_site *heap_type(struct stele_analysis *a,
					   const struct stele_reader *reader, uint64_t id)
{
	struct stele_memory_site *site = stele__keymap_get(&a->heap.types, id);
	struct stele_heap_type type = {0};

	if (site)
		return site;
	if (stele_reader_type(reader, id, &type) < 0)
		type = (struct stele_heap_type){.name = {"", 0}};
	site = heap_site(a, &type);
	if (site && stele__keymap_add(&a->heap.types, id, site) < 0)
		return NULL;
	return site;
}

static void heap_release(struct stele_memory *sum, struct stele_memory_site *site)
{
	sum->freed++;
	sum->live--;
	sum->freed_bytes += site->size;
	sum->live_bytes -= site->size;
	site->freed++;
	site->live--;
	site->freed_bytes += site->size;
	site->live_bytes -= site->size;
}

static int heap_free(struct stele_analysis *a, uint64_t object)
{
	struct stele_memory_site *site = stele__keymap_get(&a->heap.objects, object);

	if (!site) {
		a->heap.sum.unmatched_frees++;
		return 0;
	}
	stele__keymap_drop(&a->heap.objects, object, site);
	heap_release(&a->heap.sum, site);
	return 0;
}

static int heap_alloc(struct stele_analysis *a, const struct stele_reader *reader,
		      const struct stele_event *event)
{
	struct stele_memory_site *site = heap_type(a, reader, event->value[1]);
	struct stele_memory_site *old = stele__keymap_get(&a->heap.objects, event->value[0]);
	struct stele_memory *sum = &a->heap.sum;
	int r;

	if (!site)
		return -ENOMEM;
	if (old) { /* its end is not in the trace */
		sum->repeated++;
		stele__keymap_drop(&a->heap.objects, event->value[0], old);
		heap_release(sum, old);
	}
	r = stele__keymap_add(&a->heap.objects, event->value[0], site);
	if (r < 0)
		return r;
	sum->allocated++;
	sum->live++;
	sum->allocated_bytes += site->size;
	sum->live_bytes += site->size;
	if (sum->live_bytes > sum->peak_bytes) {
		sum->peak_bytes = sum->live_bytes;
		sum->peak_time = event->time;
	}
	site->allocated++;
	site->live++;
	site->allocated_bytes += site->size;
	site->live_bytes += site->size;
	if (site->live_bytes > site->peak_bytes)
		site->peak_bytes = site->live_bytes;
	return 0;
}

int stele__heap_event(struct stele_analysis *a, const struct stele_reader *reader,
		      const struct stele_event *event)
{
	if (event->kind == STELE_EVENT_METRIC) {
		if (heap_is(event, "/memory/classes/heap/objects:bytes") &&
		    event->value[0] > a->heap.sum.heap_max)
			a->heap.sum.heap_max = event->value[0];
		return 0;
	}
	if (heap_is(event, "HeapObjectFree")) {
		a->heap.sum.present = true;
		return heap_free(a, event->value[0]);
	}
	if (heap_is(event, "HeapObjectAlloc") || heap_is(event, "HeapObject")) {
		a->heap.sum.present = true;
		return heap_alloc(a, reader, event);
	}
	return 0;
}

static int heap_compare(const void *left, const void *right)
{
	const struct stele_memory_site *a = left, *b = right;
	int r = (a->live_bytes < b->live_bytes) - (a->live_bytes > b->live_bytes);
	size_t bytes = a->name.bytes < b->name.bytes ? a->name.bytes : b->name.bytes;

	if (!r)
		r = (a->allocated_bytes < b->allocated_bytes) -
		    (a->allocated_bytes > b->allocated_bytes);
	if (!r)
		r = (a->allocated < b->allocated) - (a->allocated > b->allocated);
	if (!r)
		r = memcmp(a->name.data, b->name.data, bytes);
	return r ? r : (a->size > b->size) - (a->size < b->size);
}

int stele__heap_finish(struct stele_analysis *a)
{
	a->memory_sites = calloc((size_t)a->heap.count + 1, sizeof(*a->memory_sites));
	if (!a->memory_sites)
		return -ENOMEM;
	for (uint32_t i = 0; i < a->heap.count; i++)
		a->memory_sites[i] = *a->heap.sites[i];
	a->memory_count = a->heap.count;
	qsort(a->memory_sites, a->memory_count, sizeof(*a->memory_sites), heap_compare);
	return 0;
}

void stele__heap_done(struct stele__heap *heap)
{
	for (uint32_t i = 0; i < heap->count; i++)
		free(heap->sites[i]);
	free(heap->sites);
	stele__keymap_done(&heap->objects);
	stele__keymap_done(&heap->types);
	stele__keymap_done(&heap->by_name);
}

const struct stele_memory *stele_analysis_memory(const struct stele_analysis *analysis)
{
	return &analysis->heap.sum;
}

const struct stele_memory_site *stele_analysis_memory_sites(const struct stele_analysis *analysis,
							    size_t *ret_count)
{
	*ret_count = analysis->memory_count;
	return analysis->memory_sites;
}
