/* SPDX-License-Identifier: MIT */
#include "fiber/objects.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomic.h"
#include "fiber/classes.h"
#include "fiber/lock.h"
#include "fiber/pages.h"
#include "stele/runtime.h"

/* Of addresses: as many as there are, between these. */
#define HEAP_BYTES_MAX	(1ull << 40)
#define HEAP_BYTES_MIN	(1ull << 32)
#define EMPTY_PAGES_MAX 64 /* kept by a cache for the next objects */

#define CLASSES_SMALL 1024 /* a table has the classes of sizes up to this */

/* Reciprocals have so many binary places. */
#define POINT	   40
#define POINT_MASK ((1ull << POINT) - 1)

/* linux/membarrier.h, which older headers lack in parts. */
#define MEMBARRIER_EXPEDITED	      8
#define MEMBARRIER_REGISTER_EXPEDITED 16

/* What becomes of an object, told by a byte. */
enum heap_mark {
	MARK_FREE,
	MARK_UNTOLD,  /* handed out when nothing was recorded */
	MARK_TELLING, /* stele__heap_tell has it in hand */
	MARK_TOLD,
};

struct stele__cache {
	struct stele__span *current[STELE__CLASSES];
	struct stele__span_link partial[STELE__CLASSES]; /* other spans with free objects */
	uint32_t empty_pages;	   /* of spans that are kept although all objects are back */
	struct stele__span *ready; /* spans with remote ones; pushed by CAS, taken all at once */
	uint32_t busy;		   /* the owner is in the heap */
	struct stele__cache *next; /* of all */
	struct stele__cache *orphan;
};

static struct {
	uint32_t lock; /* of the making, the lists of caches and the telling */
	bool made;
	bool barrier; /* the kernel can make all threads' stores visible */
	pthread_key_t key;
	struct stele__pages pages;
	struct stele__cache *caches, *orphans;
	uint8_t classes[CLASSES_SMALL / 8 + 1]; /* by size in words */
} heap;

static __thread struct stele__cache *heap_cache;

/* Has nothing, so that nobody has to ask whether there is a span. */
static struct stele__span heap_nothing;

/* Caches ------------------------------------------------------------------------------------- */

static void cache_leave(void *cache)
{
	struct stele__cache *c = cache;

	heap_cache = NULL;
	stele__lock(&heap.lock);
	c->orphan = heap.orphans;
	heap.orphans = c;
	stele__unlock(&heap.lock);
}

static void heap_before_fork(void)
{
	stele__lock(&heap.lock);
	stele__lock(&heap.pages.lock);
}

static void heap_after_fork(void)
{
	stele__unlock(&heap.pages.lock);
	stele__unlock(&heap.lock);
}

/* The other threads are not there. A cache in which one of them was just then is of no use. */
static void heap_in_child(void)
{
	for (struct stele__cache *c = heap.caches; c; c = c->next) {
		bool orphan = c == heap_cache;

		for (struct stele__cache *o = heap.orphans; o && !orphan; o = o->orphan)
			orphan = o == c;
		if (!orphan && !c->busy) {
			c->orphan = heap.orphans;
			heap.orphans = c;
		}
		c->busy = 0;
	}
	heap_after_fork();
}

static struct stele_teller heap_teller = {stele__heap_forget, stele__heap_tell, NULL};

static int heap_reserve(void)
{
	int error = -ENOMEM;

	for (uint64_t bytes = HEAP_BYTES_MAX; error < 0 && bytes >= HEAP_BYTES_MIN; bytes /= 2)
		error = stele__pages_init(&heap.pages, bytes);
	return error;
}

static bool heap_make(void)
{
	if (heap.made)
		return true;
	if (heap_reserve() < 0 || pthread_key_create(&heap.key, cache_leave) ||
	    pthread_atfork(heap_before_fork, heap_after_fork, heap_in_child))
		return false;
	for (unsigned i = 0; i <= CLASSES_SMALL / 8; i++)
		heap.classes[i] = (uint8_t)stele__class_of((size_t)i * 8);
	heap.barrier = syscall(SYS_membarrier, MEMBARRIER_REGISTER_EXPEDITED, 0, 0) == 0;
	heap.made = true;
	stele_teller_add(&heap_teller);
	return true;
}

static struct stele__cache *cache_new(void)
{
	struct stele__cache *c =
		mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (c == MAP_FAILED)
		return NULL;
	for (unsigned i = 0; i < STELE__CLASSES; i++) {
		c->current[i] = &heap_nothing;
		c->partial[i].next = c->partial[i].previous = &c->partial[i];
	}
	c->next = heap.caches;
	heap.caches = c;
	return c;
}

static STELE_COLD struct stele__cache *cache_take(void)
{
	struct stele__cache *c = NULL;

	stele__lock(&heap.lock);
	if (heap_make()) {
		c = heap.orphans;
		if (c)
			heap.orphans = c->orphan;
		else
			c = cache_new();
	}
	stele__unlock(&heap.lock);
	if (c) {
		heap_cache = c;
		pthread_setspecific(heap.key, c);
	}
	return c;
}

/* A store and no fence: stele__heap_tell makes up for it. */
STELE_INLINE void heap_be_busy(struct stele__cache *c)
{
	stele__store_relaxed(&c->busy, 1);
	__asm__ volatile("" ::: "memory");
}

STELE_INLINE struct stele__cache *heap_enter(void)
{
	struct stele__cache *c = heap_cache;

	if (STELE_UNLIKELY(!c))
		c = cache_take();
	if (STELE_LIKELY(c != NULL))
		heap_be_busy(c);
	return c;
}

STELE_INLINE void heap_leave(struct stele__cache *c)
{
	stele__store_release(&c->busy, 0); /* pairs with stele__heap_tell */
}

/* Spans of objects --------------------------------------------------------------------------- */

static void list_add(struct stele__cache *c, struct stele__span *s)
{
	struct stele__span_link *list = &c->partial[s->class];

	s->link = (struct stele__span_link){list->next, list};
	list->next->previous = &s->link;
	list->next = &s->link;
	s->slots.place = STELE__LISTED;
}

static void list_remove(struct stele__span *s)
{
	s->link.previous->next = s->link.next;
	s->link.next->previous = s->link.previous;
	s->slots.place = STELE__NOWHERE;
}

/* The marks lie behind the objects. */
static struct stele__span *slots_new(struct stele__cache *c, unsigned class)
{
	uint32_t size = stele__class_bytes(class);
	struct stele__span *s = stele__pages_alloc(&heap.pages, stele__class_pages(class),
						   STELE__SPAN_OBJECTS, (uint8_t) class);
	uint32_t count;

	if (!s)
		return NULL;
	count = (uint32_t)(stele__span_bytes(s) / (size + 1));
	s->slots.base = stele__span_base(&heap.pages, s);
	s->slots.owner = c;
	s->slots.free = s->slots.remote = NULL;
	s->slots.size = size;
	s->slots.carved = s->slots.used = 0;
	s->slots.reciprocal = ((1ull << POINT) + size - 1) / size;
	s->slots.place = STELE__NOWHERE;
	s->slots.empty = false;
	s->slots.marks = (uint8_t *)s->slots.base + (size_t)count * size;
	memset(s->slots.marks, MARK_FREE, count);
	stele__store_release(&s->slots.count, count); /* pairs with heap_tell_slots */
	return s;
}

static bool slots_have_room(const struct stele__slots *slots)
{
	return slots->free || slots->carved < slots->count;
}

/* All of its objects are back, and it is not the current one. */
static void slots_release(struct stele__cache *c, struct stele__span *s)
{
	if (c->empty_pages + s->pages <= EMPTY_PAGES_MAX) {
		c->empty_pages += s->pages;
		s->slots.empty = true;
		if (s->slots.place != STELE__LISTED)
			list_add(c, s);
		return;
	}
	if (s->slots.place == STELE__LISTED)
		list_remove(s);
	stele__pages_free(&heap.pages, s);
}

/* What others have given back of this span. */
static void slots_collect(struct stele__cache *c, struct stele__span *s)
{
	/* Release: whoever finds it empty afterwards may write `ready` again. */
	void *object = __atomic_exchange_n(&s->slots.remote, NULL, __ATOMIC_ACQ_REL);

	while (object) {
		void *next;

		memcpy(&next, object, sizeof(next));
		memcpy(object, &s->slots.free, sizeof(next));
		s->slots.free = object;
		s->slots.used--;
		object = next;
	}
	if (s->slots.place == STELE__CURRENT)
		return;
	if (!s->slots.used)
		slots_release(c, s);
	else if (s->slots.place != STELE__LISTED)
		list_add(c, s);
}

static void cache_collect(struct stele__cache *c)
{
	struct stele__span *s = __atomic_exchange_n(&c->ready, NULL, __ATOMIC_ACQUIRE);

	while (s) {
		struct stele__span *next = s->slots.ready;

		slots_collect(c, s);
		s = next;
	}
}

/* The first one on an empty list says to the owner that there is something. */
static STELE_COLD void slots_give_remote(struct stele__span *s, void *object)
{
	void *first = stele__load_relaxed(&s->slots.remote);
	struct stele__cache *owner = s->slots.owner;

	do {
		memcpy(object, &first, sizeof(first));
	} while (!__atomic_compare_exchange_n(&s->slots.remote, &first, object, true,
					      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	if (first)
		return;
	/* Until this is done the span is not given back: the object counts as used. */
	s->slots.ready = stele__load_relaxed(&owner->ready);
	while (!__atomic_compare_exchange_n(&owner->ready, &s->slots.ready, s, true,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

static void slots_give(struct stele__cache *c, struct stele__span *s, void *object)
{
	memcpy(object, &s->slots.free, sizeof(s->slots.free));
	s->slots.free = object;
	s->slots.used--;
	if (STELE_LIKELY(s->slots.place == STELE__CURRENT))
		return;
	if (!s->slots.used)
		slots_release(c, s);
	else if (s->slots.place != STELE__LISTED)
		list_add(c, s);
}

/* A span of the class with room becomes the current one; NULL: no memory. */
static STELE_COLD struct stele__span *cache_refill(struct stele__cache *c, unsigned class)
{
	struct stele__span_link *list = &c->partial[class];
	struct stele__span *s;

	cache_collect(c);
	s = c->current[class];
	if (slots_have_room(&s->slots))
		return s;
	if (list->next != list) {
		s = (struct stele__span *)(void *)list->next;
		list_remove(s);
		c->empty_pages -= s->slots.empty ? s->pages : 0;
		s->slots.empty = false;
	} else {
		s = slots_new(c, class);
	}
	if (!s)
		return NULL;
	if (c->current[class] != &heap_nothing)
		c->current[class]->slots.place = STELE__NOWHERE; /* full */
	c->current[class] = s;
	s->slots.place = STELE__CURRENT;
	return s;
}

/* Handing out --------------------------------------------------------------------------------- */

STELE_INLINE uint32_t slots_index(const struct stele__slots *slots, const void *object)
{
	uint64_t offset = (uint64_t)((const char *)object - slots->base);

	return (uint32_t)(offset * slots->reciprocal >> POINT);
}

STELE_INLINE void *heap_take(struct stele__cache *c, unsigned class, bool told)
{
	struct stele__span *s = c->current[class];
	uint32_t index;
	void *object;

	if (STELE_UNLIKELY(!slots_have_room(&s->slots))) {
		s = cache_refill(c, class);
		if (!s)
			return NULL;
	}
	object = s->slots.free;
	if (STELE_LIKELY(object != NULL)) {
		memcpy(&s->slots.free, object, sizeof(object));
		index = slots_index(&s->slots, object);
	} else {
		index = s->slots.carved++;
		object = s->slots.base + (size_t)index * s->slots.size;
	}
	s->slots.used++;
	stele__store_relaxed(&s->slots.marks[index], told ? MARK_TOLD : MARK_UNTOLD);
	return object;
}

static STELE_COLD void *heap_take_large(size_t bytes, bool told)
{
	uint64_t pages = (bytes + STELE__PAGE_BYTES - 1) >> STELE__PAGE_SHIFT;
	struct stele__span *s;

	if (bytes > HEAP_BYTES_MAX)
		return NULL;
	s = stele__pages_alloc(&heap.pages, (uint32_t)pages, STELE__SPAN_OBJECTS, 0);
	if (!s)
		return NULL;
	s->slots.base = stele__span_base(&heap.pages, s);
	s->slots.owner = NULL;
	s->slots.size = 0;
	s->slots.reciprocal = 0;
	s->slots.marks = &s->slots.mark;
	stele__store_relaxed(&s->slots.mark, told ? MARK_TOLD : MARK_UNTOLD);
	stele__store_release(&s->slots.count, 1); /* pairs with heap_tell_slots */
	return s->slots.base;
}

static STELE_COLD void *heap_alloc_any(size_t bytes)
{
	struct stele__cache *c = heap_enter();
	bool told;
	void *object;

	if (STELE_UNLIKELY(!c))
		return NULL;
	told = stele_enabled();
	STELE_POINT("heap.asked");
	if (STELE_LIKELY(bytes <= STELE__CLASS_BYTES_MAX))
		object = heap_take(c, stele__class_of(bytes), told);
	else
		object = heap_take_large(bytes, told);
	heap_leave(c);
	if (told && object)
		stele_object_alloc(object, bytes);
	return object;
}

/*
 * Most of them: small, unrecorded, from the free objects of the current span. Nothing is called on
 * the way. Sizes come as they like, and a branch for each kind would be guessed wrongly: a table
 * has their classes.
 */
void *stele__heap_alloc(size_t bytes)
{
	struct stele__cache *c = heap_cache;
	struct stele__span *s;
	void *object;

	if (STELE_UNLIKELY(!c || bytes > CLASSES_SMALL))
		return heap_alloc_any(bytes);
	heap_be_busy(c);
	s = c->current[heap.classes[(bytes + 7) / 8]];
	object = s->slots.free;
	if (STELE_UNLIKELY(stele_enabled() || !object))
		return heap_alloc_any(bytes);
	memcpy(&s->slots.free, object, sizeof(object));
	s->slots.used++;
	stele__store_relaxed(&s->slots.marks[slots_index(&s->slots, object)], MARK_UNTOLD);
	heap_leave(c);
	return object;
}

/* Taking back --------------------------------------------------------------------------------- */

static STELE_COLD __attribute__((noreturn)) void heap_refuse(const void *object, const char *why)
{
	dprintf(STDERR_FILENO, "stele: heap: %p %s\n", object, why);
	abort();
}

/* It is not at the beginning of a small one. */
static STELE_COLD void heap_judge(const struct stele__span *s, const void *object, uint64_t offset)
{
	if (!s->slots.count)
		heap_refuse(object, "is no object of this heap");
	if (s->class || offset)
		heap_refuse(object, "lies within an object");
}

/* The object's place among its span's; no object: the end. */
STELE_INLINE struct stele__span *heap_find(const void *object, uint32_t *ret_index)
{
	struct stele__span *s = stele__pages_find(&heap.pages, object);
	uint64_t offset, product;

	if (STELE_UNLIKELY(!s))
		heap_refuse(object, "is no object of this heap");
	offset = (uint64_t)((const char *)object - s->slots.base);
	product = offset * s->slots.reciprocal;
	*ret_index = (uint32_t)(product >> POINT);
	/* What is behind the point is a multiple of the reciprocal's own error, or of itself. */
	if (STELE_UNLIKELY((product & POINT_MASK) >= s->slots.reciprocal ||
			   *ret_index >= s->slots.count))
		heap_judge(s, object, offset);
	return s;
}

/* Does the tracer know it? It is nobody's then. */
STELE_INLINE bool heap_unmark(const void *object, uint8_t *mark)
{
	uint8_t seen = stele__load_relaxed(mark);

	if (STELE_LIKELY(!stele_enabled())) {
		if (STELE_UNLIKELY(seen == MARK_FREE))
			heap_refuse(object, "was freed already");
		STELE_POINT("heap.unmarking");
		stele__store_relaxed(mark, MARK_FREE);
		return false;
	}
	for (;;) {
		if (seen == MARK_FREE)
			heap_refuse(object, "was freed already");
		if (seen == MARK_TELLING)
			seen = stele__load_acquire(mark); /* it will be told in a moment */
		else if (__atomic_compare_exchange_n(mark, &seen, MARK_FREE, false,
						     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return seen == MARK_TOLD;
	}
}

static STELE_COLD void heap_free_any(void *object)
{
	struct stele__cache *c;
	struct stele__span *s;
	uint32_t index;

	if (!object)
		return;
	c = heap_enter();
	if (!c)
		return; /* for want of memory, it stays */
	s = heap_find(object, &index);
	/* Before somebody else can have it. */
	if (heap_unmark(object, &s->slots.marks[index]))
		stele_object_free(object);
	if (STELE_LIKELY(s->slots.owner == c))
		slots_give(c, s, object);
	else if (!s->class)
		stele__pages_free(&heap.pages, s);
	else
		slots_give_remote(s, object);
	heap_leave(c);
}

/* Most of them: unrecorded, of a span that stays as it is; likewise. What is wrong is looked at
 * above. */
void stele__heap_free(void *object)
{
	/* Not the last one of a span that is not in use, and none of a full one. */
	static const uint32_t last[] = {
		[STELE__NOWHERE] = UINT32_MAX, [STELE__LISTED] = 1, [STELE__CURRENT] = 0};
	struct stele__cache *c = heap_cache;
	struct stele__span *s = c ? stele__pages_find(&heap.pages, object) : NULL;
	uint64_t product;
	uint8_t *mark;

	if (STELE_UNLIKELY(!s))
		goto any;
	product = (uint64_t)((const char *)object - s->slots.base) * s->slots.reciprocal;
	if (STELE_UNLIKELY((product & POINT_MASK) >= s->slots.reciprocal ||
			   product >> POINT >= s->slots.count || s->slots.owner != c ||
			   s->slots.used <= last[s->slots.place]))
		goto any;
	heap_be_busy(c);
	mark = &s->slots.marks[product >> POINT];
	if (STELE_UNLIKELY(stele_enabled() || stele__load_relaxed(mark) == MARK_FREE))
		goto any;
	STELE_POINT("heap.unmarking");
	stele__store_relaxed(mark, MARK_FREE);
	memcpy(object, &s->slots.free, sizeof(s->slots.free));
	s->slots.free = object;
	s->slots.used--;
	heap_leave(c);
	return;
any:
	heap_free_any(object);
}

size_t stele__heap_size(const void *object)
{
	uint32_t index;
	const struct stele__span *s = heap_find(object, &index);

	return s->class ? s->slots.size : stele__span_bytes(s);
}

/* It stays where it is; to the tracer it is another one. */
static void heap_tell_resize(void *object, size_t bytes)
{
	struct stele__span *s;
	uint32_t index;

	if (STELE_LIKELY(!stele_enabled()))
		return;
	s = heap_find(object, &index);
	if (heap_unmark(object, &s->slots.marks[index]))
		stele_object_free(object);
	stele__store_release(&s->slots.marks[index], MARK_TOLD);
	stele_object_alloc(object, bytes);
}

void *stele__heap_realloc(void *object, size_t bytes)
{
	size_t size = object ? stele__heap_size(object) : 0;
	void *moved;

	if (object && bytes <= size && bytes > size / 2) {
		heap_tell_resize(object, bytes);
		return object;
	}
	moved = stele__heap_alloc(bytes);
	if (moved && object) {
		memcpy(moved, object, size < bytes ? size : bytes);
		stele__heap_free(object);
	}
	return moved;
}

/* Telling ------------------------------------------------------------------------------------- */

/* Everybody who is in the heap and may not have seen that recording has begun gets out of it. */
static void heap_wait_for_all(void)
{
	if (!heap.barrier || syscall(SYS_membarrier, MEMBARRIER_EXPEDITED, 0, 0) < 0)
		usleep(10000); /* no processor keeps a store to itself for so long */
	for (struct stele__cache *c = heap.caches; c; c = c->next)
		while (c != heap_cache && stele__load_acquire(&c->busy))
			usleep(10);
}

/* Whoever frees one meanwhile stores over it, or has stored before. */
static void heap_forget_slots(struct stele__span *s)
{
	uint32_t count = stele__load_acquire(&s->slots.count);

	for (uint32_t i = 0; i < count; i++) {
		uint8_t seen = MARK_TOLD;

		if (stele__load_relaxed(&s->slots.marks[i]) == MARK_TOLD)
			__atomic_compare_exchange_n(&s->slots.marks[i], &seen, MARK_UNTOLD, false,
						    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	}
}

void stele__heap_forget(void)
{
	stele__lock(&heap.lock);
	if (heap.made) {
		heap_wait_for_all(); /* who has seen the last recording marks nothing any more */
		stele__pages_forget(&heap.pages);
		stele__pages_each(&heap.pages, STELE__SPAN_OBJECTS, heap_forget_slots);
	}
	stele__unlock(&heap.lock);
}

static void heap_tell_slots(struct stele__span *s)
{
	/* 0: it was taken just now, and whoever did tells of its objects. */
	uint32_t count = stele__load_acquire(&s->slots.count);

	for (uint32_t i = 0; i < count; i++) {
		uint8_t seen = MARK_UNTOLD;

		if (stele__load_relaxed(&s->slots.marks[i]) != MARK_UNTOLD ||
		    !__atomic_compare_exchange_n(&s->slots.marks[i], &seen, MARK_TELLING, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			continue;
		STELE_POINT("heap.telling");
		stele_object_exists(s->slots.base + (size_t)i * s->slots.size,
				    s->class ? s->slots.size : stele__span_bytes(s));
		stele__store_release(&s->slots.marks[i], MARK_TOLD);
	}
}

void stele__heap_tell(void)
{
	stele__lock(&heap.lock);
	if (heap.made && stele_enabled()) {
		heap_wait_for_all();
		stele__pages_tell(&heap.pages);
		stele__pages_each(&heap.pages, STELE__SPAN_OBJECTS, heap_tell_slots);
	}
	stele__unlock(&heap.lock);
}

struct stele__pages *stele__heap_pages(void)
{
	bool made;

	stele__lock(&heap.lock);
	made = heap_make();
	stele__unlock(&heap.lock);
	return made ? &heap.pages : NULL;
}

void stele__heap_stats(struct stele__heap_stats *ret_stats)
{
	stele__lock(&heap.lock);
	stele__lock(&heap.pages.lock);
	*ret_stats = (struct stele__heap_stats){
		.used = heap.pages.used << STELE__PAGE_SHIFT,
		.resident = heap.pages.resident << STELE__PAGE_SHIFT,
		.scavenged = heap.pages.scavenged << STELE__PAGE_SHIFT,
	};
	stele__unlock(&heap.pages.lock);
	for (const struct stele__cache *c = heap.caches; c; c = c->next)
		ret_stats->caches++;
	stele__unlock(&heap.lock);
}
