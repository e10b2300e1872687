/* SPDX-License-Identifier: MIT */
/*
 * Texts that outlive their generation: names of open tasks, regions and stop-the-world ranges.
 * Counted references; a text without one is freed, so memory follows what is open.
 */
#ifndef STELE_READ_KEPT_H
#define STELE_READ_KEPT_H

#include "base/compiler.h"
#include "stele/read.h"

struct stele__kept_text {
	char *data;
	uint32_t bytes;
	uint32_t references; /* of a free entry: index of the next free one */
};

/* Handles are indices; 0 is the empty text, which needs no references. */
struct stele__kept {
	struct stele__kept_text *texts;
	uint32_t count, capacity;
	uint32_t free_first;
};

void stele__kept_done(struct stele__kept *kept);

/* Copies the text; the caller holds the one reference. */
int stele__kept_add(struct stele__kept *kept, const void *data, uint32_t bytes,
		    uint32_t *ret_handle);

STELE_INLINE void stele__kept_hold(struct stele__kept *kept, uint32_t handle)
{
	if (handle)
		kept->texts[handle].references++;
}

void stele__kept_release(struct stele__kept *kept, uint32_t handle);

STELE_INLINE struct stele_string stele__kept_text(const struct stele__kept *kept, uint32_t handle)
{
	if (!handle)
		return (struct stele_string){"", 0};
	return (struct stele_string){kept->texts[handle].data, kept->texts[handle].bytes};
}

bool stele__kept_equal(const struct stele__kept *kept, uint32_t a, uint32_t b);

#endif
