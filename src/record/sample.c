/* SPDX-License-Identifier: MIT */
/*
 * The set of live sampled objects is a hash table of buckets, a cache line each: an object lies in
 * one of two, or it is not remembered. A free that concerns no sampled object, which is nearly
 * every one, reads two lines and writes nothing. No locks: a cell is taken and left by a CAS, and
 * an address is never in two threads' hands at once.
 */
#include "record/sample.h"

#include "arena/arena.h"
#include "record/thread.h"
#include "sys/sys.h"

#define LN_2	     0.69314718055994530942
#define DISTANCE_MAX (1ull << 62)

struct sample_bucket {
	uint64_t objects[STELE_SAMPLE_CELLS]; /* addresses; 0: free cell */
} __attribute__((aligned(STELE_CACHE_LINE)));

static struct sample_bucket buckets[STELE_SAMPLE_BUCKETS];

/* The natural logarithm of x > 0, within 1e-12: x = m * 2^e, ln m = 2 atanh((m - 1) / (m + 1)).
 * libm may not be used here. */
static double sample_ln(double x)
{
	union {
		double value;
		uint64_t bits;
	} m = {.value = x};
	int exponent = (int)(m.bits >> 52) - 1023;
	double t, square, sum = 0;

	m.bits = (m.bits & ((1ull << 52) - 1)) | 1023ull << 52;
	t = (m.value - 1) / (m.value + 1);
	square = t * t;
	for (int k = 25; k > 0; k -= 2)
		sum = sum * square + 1.0 / k;
	return exponent * LN_2 + 2 * t * sum;
}

uint64_t stele__sample_distance(uint64_t random, uint64_t mean)
{
	double uniform = ((double)(random >> 11) + 0.5) * 0x1p-53;
	double distance = -sample_ln(uniform) * (double)mean;

	return distance < (double)DISTANCE_MAX ? (uint64_t)distance + 1 : DISTANCE_MAX;
}

/* xorshift64*: a handler that draws in between costs randomness of one draw, no more. */
static uint64_t sample_random(void)
{
	uint64_t x = stele__thread.sample_random;

	if (!x) {
		x = stele__sys_monotonic_ns() * 0x9e3779b97f4a7c15ull ^
		    (uint64_t)stele__sys_tid() << 32 ^ (uintptr_t)&stele__thread;
		x |= 1;
	}
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	stele__thread.sample_random = x;
	return x * 0x2545f4914f6cdd1dull;
}

/* Counts the object's bytes down. True: one of them is sampled. */
static bool sample_hits(uint64_t bytes)
{
	uint64_t mean = stele__load_relaxed(&stele__recorder.arena->heap_sample_bytes);
	uint64_t left = stele__thread.sample_left;

	if (STELE_UNLIKELY(!stele__thread.sample_random))
		left = stele__sample_distance(sample_random(), mean);
	if (STELE_LIKELY(bytes < left)) {
		stele__thread.sample_left = left - bytes;
		return false;
	}
	stele__thread.sample_left = stele__sample_distance(sample_random(), mean);
	return true;
}

static struct sample_bucket *sample_bucket(uint64_t address, unsigned choice)
{
	uint64_t hash = (address >> 4) * 0x9e3779b97f4a7c15ull;

	return &buckets[(hash >> (choice ? 20 : 44)) & (STELE_SAMPLE_BUCKETS - 1)];
}

static bool bucket_replace(struct sample_bucket *bucket, uint64_t old, uint64_t new_)
{
	for (unsigned i = 0; i < STELE_SAMPLE_CELLS; i++)
		if (stele__load_relaxed(&bucket->objects[i]) == old &&
		    stele__cas_u64(&bucket->objects[i], old, new_))
			return true;
	return false;
}

static bool sample_remember(uint64_t address)
{
	return bucket_replace(sample_bucket(address, 0), 0, address) ||
	       bucket_replace(sample_bucket(address, 1), 0, address);
}

bool stele__sample_alloc(const void *object, size_t bytes)
{
	struct stele_ring *ring;

	if (!sample_hits(bytes ? bytes : 1))
		return false;
	if (STELE_LIKELY(sample_remember((uintptr_t)object)))
		return true;
	ring = stele__load_relaxed(&stele__thread.ring);
	if (ring)
		stele__local_add(&stele__thread_slot(ring)
					  ->dropped[STELE_LOSS_ARENA_FULL][STELE_CLASS_MEMORY],
				 1);
	return false;
}

bool stele__sample_free(const void *object)
{
	uint64_t address = (uintptr_t)object;

	return bucket_replace(sample_bucket(address, 0), address, 0) ||
	       bucket_replace(sample_bucket(address, 1), address, 0);
}
