/* SPDX-License-Identifier: MIT */
/*
 * Mappings as spans. A program may unmap a part of a mapping, or several at once, or map over them;
 * a span is freed as it was allocated or not at all. So account is kept of what is mapped: of a
 * span that loses a part, the free is told, and then the alloc of what is left of it.
 *
 * What the dynamic linker and libc map for themselves does not come by here; it is seen at start.
 * A new mapping where the account has another proves that the other has gone unseen.
 *
 * Invariant: the spans are sorted, not empty, and do not overlap. Under the lock, which is held for
 * a search and a memmove, with signals blocked, and never while an event is told.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include "preload/heap.h"
#include "preload/preload.h"
#include "preload/resolve.h"
#include "sys/sys.h"

#define SPANS_MAX   65536u /* about as many as the kernel allows */
#define PAGE_BYTES  4096u
#define SPAN_KIND   1
#define LINE_BYTES  512u
#define USER_HIGH   (1ull << 47) /* beyond: the kernel's own page */
#define ARENA_WORDS "memfd:stele-arena"

struct mapping_span {
	uintptr_t start;
	uintptr_t end;
};

static struct mapping_span spans[SPANS_MAX];
static uint32_t span_count;
static uint32_t mapping_taken; /* the lock */

static uint64_t mapping_lock(void)
{
	uint64_t signals = stele__sys_signals_block();

	while (!stele__cas_u32(&mapping_taken, 0, 1))
		stele__pause();
	return signals;
}

static void mapping_unlock(uint64_t signals)
{
	stele__store_release(&mapping_taken, 0); /* pairs with mapping_lock's CAS */
	stele__sys_signals_restore(signals);
}

/* The first span that ends behind an address. */
static uint32_t span_find(uintptr_t address)
{
	uint32_t low = 0, high = span_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (spans[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool span_insert(uintptr_t start, uintptr_t end)
{
	uint32_t at = span_find(start);

	if (start >= end || span_count == SPANS_MAX)
		return false;
	memmove(&spans[at + 1], &spans[at], (span_count - at) * sizeof(spans[0]));
	spans[at] = (struct mapping_span){start, end};
	span_count++;
	return true;
}

static void span_remove(uint32_t at)
{
	span_count--;
	memmove(&spans[at], &spans[at + 1], (span_count - at) * sizeof(spans[0]));
}

/* What one span loses to [start, end): out of the account it goes, and its rests come in. */
struct mapping_cut {
	struct mapping_span whole;
	bool found, low_rest, high_rest;
};

static struct mapping_cut mapping_cut(uintptr_t start, uintptr_t end)
{
	struct mapping_cut cut = {.found = false};
	uint64_t signals = mapping_lock();
	uint32_t at = span_find(start);

	if (at < span_count && spans[at].start < end) {
		cut.found = true;
		cut.whole = spans[at];
		span_remove(at);
		cut.low_rest = span_insert(cut.whole.start, start);
		cut.high_rest = span_insert(end, cut.whole.end);
	}
	mapping_unlock(signals);
	return cut;
}

static void mapping_tell(uintptr_t start, uintptr_t end)
{
	stele_span_alloc((const void *)start, end - start, SPAN_KIND);
}

/* All that is in [start, end) is going. Returns what of the range was in use, from its first to its
 * last byte. */
static struct mapping_span mapping_drop(uintptr_t start, uintptr_t end)
{
	struct mapping_span used = {0, 0};

	for (uintptr_t from = start; from < end;) {
		struct mapping_cut cut = mapping_cut(from, end);
		struct mapping_span *w = &cut.whole;

		if (!cut.found)
			break;
		stele_span_free((const void *)w->start, w->end - w->start);
		if (cut.low_rest)
			mapping_tell(w->start, from);
		if (cut.high_rest)
			mapping_tell(end, w->end);
		if (!used.end)
			used.start = w->start > start ? w->start : start;
		used.end = w->end < end ? w->end : end;
		from = w->end;
	}
	return used;
}

static bool mapping_enter(uintptr_t start, uintptr_t end)
{
	uint64_t signals = mapping_lock();
	uint32_t at = span_find(start);
	bool entered = (at == span_count || spans[at].start >= end) && span_insert(start, end);

	mapping_unlock(signals);
	return entered;
}

static void mapping_add(uintptr_t start, uintptr_t end)
{
	mapping_drop(start, end);
	if (mapping_enter(start, end))
		mapping_tell(start, end);
}

/* The call that was to take it away has failed. */
static void mapping_revive(struct mapping_span used)
{
	if (used.end)
		mapping_add(used.start, used.end);
}

static uintptr_t mapping_round(uintptr_t bytes)
{
	return (bytes + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1);
}

/* Is it a range that the kernel would look at? */
static bool mapping_is_range(uintptr_t start, size_t bytes)
{
	return bytes && start % PAGE_BYTES == 0 && mapping_round(bytes) >= bytes &&
	       start + mapping_round(bytes) > start;
}

#define MMAP(name, offset_type)                                                                    \
	STELE_EXPORT void *name(void *at, size_t bytes, int protection, int flags, int fd,         \
				offset_type offset)                                                \
	{                                                                                          \
		uintptr_t wanted = (uintptr_t)at;                                                  \
		struct mapping_span used = {0, 0};                                                 \
		void *result;                                                                      \
                                                                                                   \
		if (!stele_enabled())                                                              \
			return STELE_REAL(name)(at, bytes, protection, flags, fd, offset);         \
		if ((flags & MAP_FIXED) && !(flags & 0x100000 /* MAP_FIXED_NOREPLACE */) &&        \
		    mapping_is_range(wanted, bytes))                                               \
			used = mapping_drop(wanted, wanted + mapping_round(bytes));                \
		result = STELE_REAL(name)(at, bytes, protection, flags, fd, offset);               \
		if (result != MAP_FAILED)                                                          \
			mapping_add((uintptr_t)result, (uintptr_t)result + mapping_round(bytes));  \
		else                                                                               \
			mapping_revive(used);                                                      \
		return result;                                                                     \
	}

MMAP(mmap, off_t)
MMAP(mmap64, off64_t)

STELE_EXPORT int munmap(void *at, size_t bytes)
{
	uintptr_t start = (uintptr_t)at;
	struct mapping_span used;
	int result;

	if (!stele_enabled() || !mapping_is_range(start, bytes))
		return STELE_REAL(munmap)(at, bytes);
	used = mapping_drop(start, start + mapping_round(bytes));
	result = STELE_REAL(munmap)(at, bytes);
	if (result < 0)
		mapping_revive(used);
	return result;
}

STELE_EXPORT void *mremap(void *at, size_t old_bytes, size_t bytes, int flags, ...)
{
	uintptr_t start = (uintptr_t)at, target;
	struct mapping_span used = {0, 0}, overrun = {0, 0};
	va_list list;
	void *result;

	va_start(list, flags);
	target = (uintptr_t)va_arg(list, void *);
	va_end(list);
	if (!stele_enabled())
		return STELE_REAL(mremap)(at, old_bytes, bytes, flags, (void *)target);
	if (mapping_is_range(start, old_bytes) && !(flags & 4 /* MREMAP_DONTUNMAP */))
		used = mapping_drop(start, start + mapping_round(old_bytes));
	if ((flags & MREMAP_FIXED) && mapping_is_range(target, bytes))
		overrun = mapping_drop(target, target + mapping_round(bytes));
	result = STELE_REAL(mremap)(at, old_bytes, bytes, flags, (void *)target);
	if (result != MAP_FAILED) {
		mapping_add((uintptr_t)result, (uintptr_t)result + mapping_round(bytes));
	} else {
		mapping_revive(used);
		mapping_revive(overrun);
	}
	return result;
}

/* What exists -------------------------------------------------------------------------------- */

/* Hexadecimal digits up to something else; returns where that is. */
static const char *mapping_number(const char *text, uintptr_t *ret_number)
{
	uintptr_t number = 0;

	for (;; text++) {
		unsigned digit = (unsigned)*text - '0';

		if (digit > 9)
			digit = (unsigned)*text - 'a' < 6 ? (unsigned)*text - 'a' + 10 : 16;
		if (digit > 15)
			break;
		number = number << 4 | digit;
	}
	*ret_number = number;
	return text;
}

/* One line of /proc/self/maps. The stack of the first thread is noted for later. */
static void mapping_line(const char *line, struct mapping_span *stack)
{
	struct mapping_span span;
	const char *at = mapping_number(line, &span.start);

	if (*at != '-')
		return;
	at = mapping_number(at + 1, &span.end);
	if (span.start >= span.end || span.end > USER_HIGH || strstr(at, ARENA_WORDS))
		return;
	if (strstr(at, "[stack]"))
		*stack = span;
	if (mapping_enter(span.start, span.end))
		stele_span_exists((const void *)span.start, span.end - span.start, SPAN_KIND);
}

/* Reads without memory of libc's, and without a descriptor that stays. */
void stele__mapping_start(void)
{
	struct mapping_span stack = {0, 0};
	char line[LINE_BYTES], bytes[PAGE_BYTES];
	size_t length = 0;
	int64_t got;
	int fd = stele__sys_open_ro("/proc/self/maps");

	if (fd < 0)
		return;
	while ((got = stele__sys_read(fd, bytes, sizeof(bytes))) > 0) {
		for (int64_t i = 0; i < got; i++) {
			if (bytes[i] != '\n') {
				line[length] = bytes[i];
				length += length + 1 < sizeof(line);
				continue;
			}
			line[length] = '\0';
			length = 0;
			mapping_line(line, &stack);
		}
	}
	stele__sys_close(fd);
	if (stack.end)
		stele_stack_exists((const void *)stack.start, stack.end - stack.start);
}
