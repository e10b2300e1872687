/* SPDX-License-Identifier: MIT */
/*
 * Before recording, and before there is even an allocator.
 *
 * Finding the real malloc asks the dynamic linker, which may allocate: from static memory here. And
 * between the program's first allocation and the first event lies the start of libc; what is
 * allocated in that time is remembered, since its free will be seen.
 */
#include <string.h>

#include "base/atomic.h"
#include "preload/heap.h"
#include "stele/runtime.h"

#define OBJECTS_MAX 4096u
#define ALIGNMENT   16u

char stele__early_memory[STELE_EARLY_BYTES] __attribute__((aligned(64)));

static uint64_t early_used;

struct early_object {
	const void *address; /* NULL: free cell */
	size_t bytes;
};

static struct early_object objects[OBJECTS_MAX];
static uint32_t objects_used; /* cells ever taken: those behind have never been touched */

/* Before each block lies its size, for stele__early_move. */
void *stele__early_alloc(size_t alignment, size_t bytes)
{
	uint64_t used, begin;

	if (alignment < ALIGNMENT)
		alignment = ALIGNMENT;
	if (bytes > STELE_EARLY_BYTES || alignment > 64)
		return NULL;
	do {
		used = stele__load_relaxed(&early_used);
		begin = (used + sizeof(size_t) + alignment - 1) & ~(uint64_t)(alignment - 1);
		if (begin + bytes > STELE_EARLY_BYTES)
			return NULL;
	} while (!stele__cas_u64(&early_used, used, begin + bytes));
	memcpy(stele__early_memory + begin - sizeof(size_t), &bytes, sizeof(bytes));
	return stele__early_memory + begin;
}

void *stele__early_move(const void *p, size_t bytes, void *(*allocate)(size_t))
{
	void *moved = allocate(bytes);
	size_t old;

	memcpy(&old, (const char *)p - sizeof(old), sizeof(old));
	if (moved)
		memcpy(moved, p, old < bytes ? old : bytes);
	return moved;
}

void stele__early_note(const void *object, size_t bytes)
{
	uint32_t used;

	for (uint32_t i = 0; i < stele__load_relaxed(&objects_used); i++) {
		if (!stele__load_relaxed(&objects[i].address) &&
		    stele__cas_u64((uint64_t *)&objects[i].address, 0, (uintptr_t)object)) {
			objects[i].bytes = bytes;
			return;
		}
	}
	do {
		used = stele__load_relaxed(&objects_used);
		if (used == OBJECTS_MAX)
			return; /* its free will be one too many */
	} while (!stele__cas_u32(&objects_used, used, used + 1));
	objects[used].bytes = bytes;
	stele__store_release(&objects[used].address, object);
}

void stele__early_forget(const void *object)
{
	for (uint32_t i = stele__load_relaxed(&objects_used); i > 0; i--) {
		if (stele__load_relaxed(&objects[i - 1].address) == object) {
			stele__store_relaxed(&objects[i - 1].address, NULL);
			return;
		}
	}
}

void stele__early_tell(void)
{
	for (uint32_t i = 0; i < stele__load_relaxed(&objects_used); i++)
		if (stele__load_acquire(&objects[i].address))
			stele_object_exists(objects[i].address, objects[i].bytes);
}
