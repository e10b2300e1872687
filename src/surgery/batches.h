/* SPDX-License-Identifier: MIT */
/* A trace in memory, a generation at a time: its batches lie together, its tables anywhere among
 * them. */
#ifndef STELE_SURGERY_BATCHES_H
#define STELE_SURGERY_BATCHES_H

#include "format/entry.h"

struct stele__batches {
	const uint8_t *begin, *end;
	const uint8_t *mark; /* its EndOfGeneration; where there is none, its end */
	uint64_t number;     /* 0: there is none */
	uint64_t time;	     /* of its last batch */
};

/* 0, or a negative code, which ends the reading. */
typedef int stele__batches_entry(void *arg, const struct stele_wire_entry *entry);

/*
 * Goes through the generation at `at`, telling of each entry. 1: there is one; 0: none; else the
 * defect, or what `told` returned. ret_generation->end is where reading stopped.
 */
int stele__batches_read(struct stele_cursor at, unsigned version, stele__batches_entry *told,
			void *arg, struct stele__batches *ret_generation);

/* The batch that begins with this entry and ends at `end`. */
typedef void stele__batches_batch(void *arg, const struct stele_wire_entry *batch,
				  const uint8_t *end);

/* From one batch to the next, up to the mark: the entries between two belong to the first. */
void stele__batches_tell(const struct stele__batches *generation, unsigned version,
			 stele__batches_batch *told, void *arg);

#endif
