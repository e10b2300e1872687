/* SPDX-License-Identifier: MIT */
/*
 * What is the same in traces of several processes, and what only has the same number: the ids of a
 * trace that holds all of them. Inputs are numbered from 0.
 */
#ifndef STELE_SURGERY_SAMENESS_H
#define STELE_SURGERY_SAMENESS_H

#include "analyze/keymap.h"
#include "stele/read.h"

#define STELE__SAMENESS_ADDRESS_BITS 47 /* a program's addresses are below */

struct stele__sameness {
	uint64_t inputs;
	struct stele__keymap threads; /* by id: those of all inputs that have it, owned */
	struct stele__keymap memory;  /* by hash: places in shared memory, owned */
	struct stele__keymap objects; /* by hash: addresses that are such places, owned */
};

void stele__sameness_init(struct stele__sameness *same, uint64_t inputs);
void stele__sameness_done(struct stele__sameness *same);

/* Goroutines, procs, tasks. */
STELE_INLINE uint64_t stele__sameness_number(const struct stele__sameness *same, uint64_t input,
					     uint64_t id)
{
	return id * same->inputs + input;
}

/* A thread of this input. STELE_NO_ID: no memory. */
uint64_t stele__sameness_thread(struct stele__sameness *same, uint64_t input, uint64_t id);
/* A thread that this input knows of, which may be another process's. */
uint64_t stele__sameness_named_thread(const struct stele__sameness *same, uint64_t input,
				      uint64_t id);

/* A record STELE_DATA_SHARED: 0 or -ENOMEM. */
int stele__sameness_learn(struct stele__sameness *same, uint64_t input,
			  const struct stele_data_item *item);
/* What others wait for, or give up. */
uint64_t stele__sameness_object(const struct stele__sameness *same, uint64_t input,
				uint64_t address);

#endif
