/* SPDX-License-Identifier: MIT */
/* stele/runtime.h: objects, spans and stacks, as allocators and runtimes report them. */
#include "arena/arena.h"
#include "record/capture.h"
#include "record/emit.h"
#include "record/sample.h"
#include "stele/runtime.h"

STELE_EXPORT bool stele_memory_wanted(void)
{
	return stele__is_on() &&
	       (stele__load_relaxed(&stele__recorder.arena->events) & STELE_EVENTS_MEMORY);
}

static uint64_t memory_address(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

/* With sampling: only what the sample has taken, and of that the end too. */
static bool memory_keeps(const void *object, size_t bytes)
{
	return !stele__load_relaxed(&stele__recorder.arena->heap_sample_bytes) ||
	       stele__sample_alloc(object, bytes);
}

STELE_EXPORT void stele_object_alloc(const void *object, size_t bytes)
{
	if (stele_memory_wanted() && object && memory_keeps(object, bytes))
		stele__emit(STELE_KIND_OBJECT_ALLOC, memory_address(object), bytes,
			    STELE_CAPTURE().stack);
}

STELE_EXPORT void stele_object_exists(const void *object, size_t bytes)
{
	if (stele_memory_wanted() && object && memory_keeps(object, bytes))
		stele__emit(STELE_KIND_OBJECT, memory_address(object), bytes, 0);
}

/* Without a stack: where an object was made tells whose it is, and half of all walks are saved. */
STELE_EXPORT void stele_object_free(const void *object)
{
	if (!stele_memory_wanted() || !object)
		return;
	if (stele__load_relaxed(&stele__recorder.arena->heap_sample_bytes) &&
	    !stele__sample_free(object))
		return;
	stele__emit(STELE_KIND_OBJECT_FREE, memory_address(object), 0, 0);
}

/* The trace has no place for the stack of a span. */
STELE_EXPORT void stele_span_alloc(const void *span, size_t bytes, uint32_t kind)
{
	if (stele_memory_wanted())
		stele__emit(STELE_KIND_SPAN_ALLOC, memory_address(span), bytes, kind);
}

STELE_EXPORT void stele_span_exists(const void *span, size_t bytes, uint32_t kind)
{
	if (stele_memory_wanted())
		stele__emit(STELE_KIND_SPAN, memory_address(span), bytes, kind);
}

STELE_EXPORT void stele_span_free(const void *span, size_t bytes)
{
	if (stele_memory_wanted())
		stele__emit(STELE_KIND_SPAN_FREE, memory_address(span), bytes, 0);
}

STELE_EXPORT void stele_stack_alloc(const void *low, size_t bytes)
{
	if (stele_memory_wanted())
		stele__emit(STELE_KIND_STACK_ALLOC, memory_address(low), bytes, 0);
}

STELE_EXPORT void stele_stack_exists(const void *low, size_t bytes)
{
	if (stele_memory_wanted())
		stele__emit(STELE_KIND_STACK, memory_address(low), bytes, 0);
}

STELE_EXPORT void stele_stack_used(const void *low, size_t bytes)
{
	if (stele_memory_wanted())
		stele__emit(STELE_KIND_STACK_USED, memory_address(low), bytes, 0);
}

STELE_EXPORT void stele_stack_free(const void *low, size_t bytes)
{
	if (stele_memory_wanted())
		stele__emit(STELE_KIND_STACK_FREE, memory_address(low), bytes, 0);
}
