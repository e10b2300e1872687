/* SPDX-License-Identifier: MIT */
/*
 * Allocation and release of objects. Rules on top of those in preload.h:
 *  - An object's alloc is told after the allocator gave it, its free before the allocator gets it
 *    back, so the next owner of an address comes later in time, on whatever thread.
 *  - What an allocator (or operator new) allocates by calling malloc while it serves the program's
 *    call is that call's own affair: one object, one alloc, one free.
 *  - Results, errno, alignment, and the meaning of NULL and 0 are the allocator's own.
 */
#include "preload/heap.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "preload/preload.h"
#include "preload/resolve.h"

/* The real functions, by names and types of our own: not all are in headers. */
#define ALLOC(name, params, args, bytes, missing)                                                  \
	typedef void *heap_fn_##name params;                                                       \
	void *name params;
#define FREE(name, params, args, missing)                                                          \
	typedef void heap_fn_##name params;                                                        \
	void name params;
#define OTHER(name, missing)
#include "preload/heap.def"
#undef ALLOC
#undef FREE
#undef OTHER

#define HEAP_REAL(name) ((heap_fn_##name *)stele__real(STELE_REAL_##name))

static bool heap_found;		    /* the real malloc and its kin are known */
static STELE_TLS bool heap_finding; /* by this thread, right now */

/*
 * The call into the allocator that this thread is in. What is allocated by malloc and its kin while
 * it lasts is remembered, up to a few objects: one of them usually is what the call returns. Others
 * are told when it ends: the exception object that operator new throws, an allocator's own memory.
 */
#define INNER_MAX 4

struct heap_object {
	void *address;
	size_t bytes;
};

struct heap_call {
	uintptr_t frame; /* a call from a frame below it is an inner one; one from above shows that
			  * this one was left by longjmp. 0: there is none */
	const void *freed;  /* what it frees: told already */
	const void *result; /* what it returns: told by the wrapper */
	uint32_t count;
	struct heap_object inner[INNER_MAX];
};

static STELE_TLS struct heap_call heap_now;

/* False: the allocator is being looked for, by this very thread. */
static STELE_COLD bool heap_find(void)
{
	if (heap_finding)
		return false;
	heap_finding = true;
	for (unsigned i = STELE_REAL_malloc; i <= STELE_REAL_pvalloc; i++)
		stele__resolve(i);
	stele__resolve(STELE_REAL_free);
	for (unsigned i = STELE_REAL_realloc; i <= STELE_REAL_mremap; i++)
		stele__resolve(i);
	heap_finding = false;
	stele__store_release(&heap_found, true);
	return true;
}

STELE_INLINE bool heap_ready(void)
{
	return STELE_LIKELY(stele__load_relaxed(&heap_found)) || heap_find();
}

#define HEAP_FRAME() ((uintptr_t)__builtin_frame_address(0))

STELE_INLINE bool heap_is_inner(uintptr_t frame)
{
	return heap_now.frame && frame < heap_now.frame;
}

/* What is allocated before recording begins is told when it does. */
static STELE_COLD void heap_note_unrecorded(const void *object, size_t bytes)
{
	if (object && stele__load_acquire(&stele__preload_state) != STELE_PRELOAD_STARTED)
		stele__early_note(object, bytes);
}

static STELE_COLD void heap_forget_unrecorded(const void *object)
{
	if (object && stele__load_acquire(&stele__preload_state) != STELE_PRELOAD_STARTED)
		stele__early_forget(object);
}

STELE_INLINE void heap_tell_alloc(const void *object, size_t bytes)
{
	if (STELE_LIKELY(stele_enabled()))
		stele_object_alloc(object, bytes);
	else
		heap_note_unrecorded(object, bytes);
}

STELE_INLINE void heap_tell_free(const void *object)
{
	if (STELE_LIKELY(stele__recording()))
		stele_object_free(object);
	else
		heap_forget_unrecorded(object);
}

/* Calls into the allocator ------------------------------------------------------------------- */

static STELE_COLD void heap_tell_inner(void)
{
	uint32_t count = heap_now.count;

	heap_now.count = 0;
	for (uint32_t i = 0; i < count; i++)
		if (heap_now.inner[i].address != heap_now.result)
			heap_tell_alloc(heap_now.inner[i].address, heap_now.inner[i].bytes);
}

/* Also when an exception leaves it. */
STELE_INLINE void heap_leave(const uintptr_t *outer)
{
	heap_now.frame = *outer;
	if (STELE_UNLIKELY(heap_now.count))
		heap_tell_inner();
}

STELE_INLINE uintptr_t heap_enter(uintptr_t frame, const void *freed)
{
	uintptr_t outer = heap_now.frame;

	if (STELE_UNLIKELY(heap_now.count))
		heap_tell_inner();
	heap_now.frame = frame;
	heap_now.freed = freed;
	heap_now.result = NULL;
	return outer;
}

/* From here to the end of the block the allocator is at work. */
#define HEAP_ENTER(frame, freed)                                                                   \
	uintptr_t heap_outer __attribute__((unused, cleanup(heap_leave))) = heap_enter(frame, freed)

static STELE_COLD void *heap_inner_alloc(void *object, size_t bytes)
{
	if (object && heap_now.count < INNER_MAX)
		heap_now.inner[heap_now.count++] = (struct heap_object){object, bytes};
	else if (object)
		heap_tell_alloc(object, bytes);
	return object;
}

static STELE_COLD void heap_inner_free(const void *object)
{
	if (!object || object == heap_now.freed)
		return;
	for (uint32_t i = 0; i < heap_now.count; i++) {
		if (heap_now.inner[i].address == object) {
			heap_now.inner[i] = heap_now.inner[--heap_now.count];
			return;
		}
	}
	heap_tell_free(object);
}

static STELE_COLD void *heap_early(size_t alignment, size_t bytes)
{
	void *p = stele__early_alloc(alignment, bytes);

	if (!p)
		errno = ENOMEM;
	return p;
}

/* Only the allocators of C are asked while they are being looked for. Early memory is zero. */
#define ALLOC(name, params, args, bytes, missing)                                                  \
	STELE_EXPORT void *name params                                                             \
	{                                                                                          \
		uintptr_t frame = HEAP_FRAME();                                                    \
		void *object;                                                                      \
                                                                                                   \
		if (STELE_UNLIKELY(!heap_ready()))                                                 \
			return heap_early(0, bytes);                                               \
		if (STELE_UNLIKELY(heap_is_inner(frame)))                                          \
			return heap_inner_alloc(HEAP_REAL(name) args, bytes);                      \
		stele__recording();                                                                \
		{                                                                                  \
			HEAP_ENTER(frame, NULL);                                                   \
			heap_now.result = object = HEAP_REAL(name) args;                           \
		}                                                                                  \
		if (STELE_LIKELY(object != NULL))                                                  \
			heap_tell_alloc(object, bytes);                                            \
		return object;                                                                     \
	}

#define FREE(name, params, args, missing)                                                          \
	STELE_EXPORT void name params                                                              \
	{                                                                                          \
		uintptr_t frame = HEAP_FRAME();                                                    \
                                                                                                   \
		if (STELE_UNLIKELY(stele__early_owns(p)) || STELE_UNLIKELY(!heap_ready()))         \
			return;                                                                    \
		if (STELE_UNLIKELY(heap_is_inner(frame))) {                                        \
			heap_inner_free(p);                                                        \
			HEAP_REAL(name) args;                                                      \
			return;                                                                    \
		}                                                                                  \
		if (p)                                                                             \
			heap_tell_free(p);                                                         \
		{                                                                                  \
			HEAP_ENTER(frame, p);                                                      \
			HEAP_REAL(name) args;                                                      \
		}                                                                                  \
	}

#define OTHER(name, missing)
#include "preload/heap.def"
#undef ALLOC
#undef FREE
#undef OTHER

/* It failed after its free had been told: the object lives on. */
static STELE_COLD void heap_revive(void *object)
{
	size_t bytes;

	if (!stele_enabled())
		return;
	bytes = STELE_REAL(malloc_usable_size)(object);
	stele_object_alloc(object, bytes);
}

/*
 * The old object's free is told first: another thread may be given its memory before this call
 * returns. So a reader sees a free and an alloc even if the object stays where it is. A result of
 * NULL for 0 bytes means that the object is gone, with all allocators that return it.
 */
static void *heap_resize(void *old, size_t bytes, uintptr_t frame)
{
	void *object;

	stele__recording();
	if (old)
		heap_tell_free(old);
	{
		HEAP_ENTER(frame, old);
		heap_now.result = object = STELE_REAL(realloc)(old, bytes);
	}
	if (object)
		heap_tell_alloc(object, bytes);
	else if (old && bytes)
		heap_revive(old);
	return object;
}

/* Of an object that was not told yet, or whose end was, nothing is told but the result. */
static STELE_COLD void *heap_inner_resize(void *old, size_t bytes)
{
	void *object;

	heap_inner_free(old);
	object = STELE_REAL(realloc)(old, bytes);
	if (object)
		return heap_inner_alloc(object, bytes);
	if (old && bytes && old != heap_now.freed)
		heap_revive(old);
	return NULL;
}

STELE_EXPORT void *realloc(void *old, size_t bytes)
{
	uintptr_t frame = HEAP_FRAME();

	if (STELE_UNLIKELY(!heap_ready() || stele__early_owns(old)))
		return old ? stele__early_move(old, bytes, malloc) : malloc(bytes);
	/* PTRDIFF_MAX: refused by all. */
	if (STELE_UNLIKELY(bytes > PTRDIFF_MAX))
		return STELE_REAL(realloc)(old, bytes);
	if (STELE_UNLIKELY(heap_is_inner(frame)))
		return heap_inner_resize(old, bytes);
	return heap_resize(old, bytes, frame);
}

STELE_EXPORT void *reallocarray(void *old, size_t count, size_t n)
{
	uintptr_t frame = HEAP_FRAME();
	size_t bytes;

	if (__builtin_mul_overflow(count, n, &bytes) || bytes > PTRDIFF_MAX) {
		errno = ENOMEM;
		return NULL;
	}
	if (STELE_UNLIKELY(!heap_ready() || stele__early_owns(old) || heap_is_inner(frame)))
		return realloc(old, bytes);
	return heap_resize(old, bytes, frame);
}

static STELE_COLD int heap_inner_memalign(void **ret_object, size_t alignment, size_t bytes)
{
	int error = STELE_REAL(posix_memalign)(ret_object, alignment, bytes);

	if (error == 0)
		heap_inner_alloc(*ret_object, bytes);
	return error;
}

STELE_EXPORT int posix_memalign(void **ret_object, size_t alignment, size_t bytes)
{
	uintptr_t frame = HEAP_FRAME();
	int error;

	if (STELE_UNLIKELY(!heap_ready())) {
		*ret_object = heap_early(alignment, bytes);
		return *ret_object ? 0 : ENOMEM;
	}
	if (STELE_UNLIKELY(heap_is_inner(frame)))
		return heap_inner_memalign(ret_object, alignment, bytes);
	stele__recording();
	{
		HEAP_ENTER(frame, NULL);
		error = STELE_REAL(posix_memalign)(ret_object, alignment, bytes);
		heap_now.result = error == 0 ? *ret_object : NULL;
	}
	if (error == 0 && *ret_object)
		heap_tell_alloc(*ret_object, bytes);
	return error;
}

void stele__heap_start(void)
{
	stele__mapping_start();
	stele__early_tell();
}
