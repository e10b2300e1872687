/* SPDX-License-Identifier: MIT */
/*
 * Which addresses of a process lie in memory that it shares with others, by /proc/PID/maps. What
 * was mapped is read again when an address is in none of it, but not too often: a process may have
 * thousands of mappings.
 */
#ifndef STELE_SUPERVISE_SHAREDMEMORY_H
#define STELE_SUPERVISE_SHAREDMEMORY_H

#include "base/compiler.h"

struct stele_mapped;

struct stele_sharedmemory {
	uint32_t pid, images;	     /* what was read is of this program in this process */
	struct stele_mapped *mapped; /* by address */
	size_t count, max;
	uint64_t again_ns; /* CLOCK_MONOTONIC: not before */
	char name[64];	   /* of the last one found */
};

/*
 * A text that stands for the memory in all processes that share it, and the address' offset in it;
 * NULL: it is private, or not known. images: which program of the process, as they are executed one
 * after the other. Lives until the next call.
 */
const char *stele__sharedmemory_find(struct stele_sharedmemory *memory, uint32_t pid,
				     uint32_t images, uint64_t address, uint64_t *ret_offset);

void stele__sharedmemory_done(struct stele_sharedmemory *memory);

#endif
