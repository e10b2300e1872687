/* SPDX-License-Identifier: MIT */
/*
 * An allocator of one's own, told to Stele: cells of one size from a chunk. What there is for the
 * tracer begins with stele_ and is explained in docs/instrument.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stele/runtime.h>

#define CELL_BYTES  64
#define CELLS	    1024
#define CHUNK_BYTES (CELL_BYTES * CELLS)

static char *chunk;
static void *unused[CELLS];
static unsigned unused_count;
static char in_use[CELLS];

/* When recording begins in the midst: what there is. */
static void tell(void)
{
	if (chunk)
		stele_span_exists(chunk, CHUNK_BYTES, 1);
	for (unsigned i = 0; i < CELLS; i++)
		if (in_use[i])
			stele_object_exists(chunk + i * CELL_BYTES, CELL_BYTES);
}

static struct stele_teller teller = {.tell = tell};

static int pool_make(void)
{
	chunk = aligned_alloc(4096, CHUNK_BYTES);
	if (!chunk)
		return -1;
	stele_span_alloc(chunk, CHUNK_BYTES, 1);
	for (unsigned i = 0; i < CELLS; i++)
		unused[unused_count++] = chunk + i * CELL_BYTES;
	stele_teller_add(&teller);
	return 0;
}

static void *pool_alloc(size_t bytes)
{
	void *cell = unused_count ? unused[--unused_count] : NULL;

	if (!cell)
		return NULL;
	in_use[((char *)cell - chunk) / CELL_BYTES] = 1;
	stele_object_alloc(cell, bytes); /* after it was taken */
	return cell;
}

static void pool_free(void *cell)
{
	stele_object_free(cell); /* before somebody else can have it */
	in_use[((char *)cell - chunk) / CELL_BYTES] = 0;
	unused[unused_count++] = cell;
}

int main(void)
{
	void *cells[100];
	unsigned sum = 0;

	if (pool_make() < 0)
		return 1;
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 100; i++) {
			cells[i] = pool_alloc(CELL_BYTES - i % 32);
			memset(cells[i], (int)i, 8);
		}
		for (unsigned i = 0; i < 100; i++) {
			sum += *(unsigned char *)cells[i];
			if (round < 49 || i % 10) /* ten are forgotten */
				pool_free(cells[i]);
		}
	}
	printf("%u cells in use, sum %u\n", CELLS - unused_count, sum);
	return 0;
}
