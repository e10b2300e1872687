/* SPDX-License-Identifier: MIT */
/*
 * Which objects a sampled recording holds, and which of those are alive.
 *
 * Bytes are sampled, by a Poisson process of one in heap_sample_bytes on each thread: the distance
 * to the next sampled byte is drawn from the exponential distribution. An object is recorded if at
 * least one of its bytes was sampled, hence with probability p = 1 - exp(-bytes / sample_bytes),
 * independently of all others, and stands for 1/p objects of its size. Sums weighted so are
 * unbiased, for each site and size. Design: docs/design/heap.md.
 */
#ifndef STELE_RECORD_SAMPLE_H
#define STELE_RECORD_SAMPLE_H

#include "base/compiler.h"

/* Live sampled objects that can be remembered. Beyond, objects are left out and counted. */
#define STELE_SAMPLE_BUCKETS (1u << 15)
#define STELE_SAMPLE_CELLS   8u

/* Is this new object sampled? Then it is remembered until stele__sample_free. */
bool stele__sample_alloc(const void *object, size_t bytes) STELE_HIDDEN;

/* Was it? Then it is forgotten. */
bool stele__sample_free(const void *object) STELE_HIDDEN;

/* A draw from the exponential distribution of this mean; `random` is any word, all bits used. */
uint64_t stele__sample_distance(uint64_t random, uint64_t mean) STELE_HIDDEN;

#endif
