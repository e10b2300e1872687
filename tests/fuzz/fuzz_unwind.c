/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as unwind data and as a stack: rows are computed and walks end, whatever is there, and
 * nothing outside of the two is read.
 *
 *	byte 0         bit 0: as they are; else in a frame of good lengths, with one CIE and FDE
 *	bytes 1 .. 8   pc, stack pointer and frame pointer, as places
 *	the rest       unwind data; as many of its bytes as fit are the stack, too
 */
#include <stdlib.h>
#include <string.h>

#include "unwind/cfi.h"
#include "unwind/trail.h"
#include "unwind/unwind.h"

#define HEAD_BYTES  9
#define CODE_BYTES  4096 /* what the FDE says it covers */
#define STACK_BYTES 512
#define FRAMES_MAX  32

struct image {
	uint8_t *data;
	size_t bytes;
};

static void put(struct image *image, const void *from, size_t bytes)
{
	if (bytes)
		memcpy(image->data + image->bytes, from, bytes);
	image->bytes += bytes;
}

static void put_u32(struct image *image, uint64_t value)
{
	uint32_t word = (uint32_t)value;

	put(image, &word, sizeof(word));
}

/*
 * Header, one table entry, a CIE whose version, augmentation and instructions are the input's, an
 * FDE of the right length whose instructions are what is left.
 */
static void image_frame(struct image *image, const uint8_t *from, size_t bytes)
{
	static const uint8_t head[] = {1, 0x1b, 0x03, 0x3b};
	size_t cie = bytes ? from[0] % 48 : 0, pad;

	if (cie + 1 > bytes)
		cie = bytes ? bytes - 1 : 0;
	put(image, head, sizeof(head));
	put_u32(image, 0);
	put_u32(image, 1);
	put_u32(image, 0); /* code begins where the header does */
	put_u32(image, 20 + 8 + cie);
	put_u32(image, 4 + cie);
	put_u32(image, 0);
	put(image, from + (bytes ? 1 : 0), cie);
	from += cie + (bytes ? 1 : 0);
	bytes -= cie + (bytes ? 1 : 0);
	pad = image->bytes;
	put_u32(image, 12 + bytes);
	put_u32(image, pad + 4 - 20);	     /* back to the CIE */
	put_u32(image, -(int64_t)(pad + 8)); /* code, relative to here */
	put_u32(image, CODE_BYTES);
	put(image, from, bytes);
}

static void walk(const struct image *image, const uint8_t *places, const uint8_t *from,
		 size_t bytes)
{
	uint8_t *stack = aligned_alloc(16, STACK_BYTES);
	struct stele_stack_bounds bounds = {(uintptr_t)stack, (uintptr_t)stack + STACK_BYTES};
	struct stele_unwind_start start = {.pc = (uintptr_t)image->data + places[0],
					   .sp = bounds.low + places[1] * 2 / 8 * 8,
					   .fp = bounds.low + places[2] * 2,
					   .own = places[3] & 1};
	static struct stele_trail trail;
	uint64_t pcs[FRAMES_MAX];

	if (!stack)
		return;
	memset(stack, 0, STACK_BYTES);
	if (bytes)
		memcpy(stack, from, bytes < STACK_BYTES ? bytes : STACK_BYTES);
	/* Return addresses lie in the code, or nothing is walked. */
	for (size_t i = places[4] % 4; i < STACK_BYTES / 8; i += 1 + places[5] % 4) {
		uint64_t pc = (uintptr_t)image->data + (places[6] * i) % CODE_BYTES;

		memcpy(stack + i * 8, &pc, sizeof(pc));
	}
	memset(&trail, 0, sizeof(trail));
	for (unsigned round = 0; round < 3; round++) {
		struct stele_unwind_result r =
			stele__unwind(&start, &bounds, pcs, FRAMES_MAX, &trail);

		if (r.kept)
			trail.value = 1;
		stack[places[7] * 2] ^= (uint8_t)round; /* the trail may hold no longer */
	}
	free(stack);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stele_code_range range = {.code = STELE_CODE_PROGRAM, .stays = true};
	struct image image;
	uint8_t *exact;

	if (size < HEAD_BYTES)
		return 0;
	image = (struct image){malloc(size + 64), 0};
	if (!image.data)
		return 0;
	if (data[0] & 1)
		put(&image, data + HEAD_BYTES, size - HEAD_BYTES);
	else
		image_frame(&image, data + HEAD_BYTES, size - HEAD_BYTES);
	exact = realloc(image.data, image.bytes ? image.bytes : 1); /* a byte too many is seen */
	if (!exact)
		exact = image.data;
	image.data = exact;
	range.start = range.data_start = range.eh_frame_hdr = (uintptr_t)exact;
	range.end = range.start + CODE_BYTES;
	range.data_end = range.start + image.bytes;
	for (unsigned i = 1; i < 5; i++)
		stele__cfi_row_in(range.start + data[i] * 4u, &range);
	stele__module_add(&range);
	walk(&image, data + 1, data + HEAD_BYTES, size - HEAD_BYTES);
	stele__module_remove(range.start, range.end);
	free(image.data);
	return 0;
}
