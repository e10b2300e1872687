/* SPDX-License-Identifier: MIT */
/*
 * How long the drain takes for a record, from full rings to a sink that forgets.
 *
 *	bench_drain [object|log|wait|syscall]
 */
#include <stdlib.h>
#include <string.h>

#include "bench/timer.h"
#include "drain/drain.h"
#include "sys/sys.h"

#define ROUNDS 40

static int sink_forget(void *arg, const void *data, size_t bytes)
{
	(void)data;
	*(uint64_t *)arg += bytes;
	return 0;
}

struct bench {
	struct stele_arena *arena;
	struct stele_ring *ring;
	uint64_t stack;
	uint32_t string;
};

static uint64_t put(struct bench *b, enum stele_kind kind, uint64_t x, uint64_t y, uint64_t z)
{
	uint64_t h = b->ring->head;
	struct stele_record *r = stele__ring_record(b->ring, h);

	r->a = x;
	r->b = y;
	r->c = z;
	r->header = stele__record_header(bench_ticks() & ((1ull << STELE_TIME_BITS) - 1), kind,
					 stele__record_lap(h, b->ring->shift));
	b->ring->head = h + 1;
	return stele__token(b->ring->sequence, h);
}

static void put_objects(struct bench *b, unsigned i)
{
	put(b, i & 1 ? STELE_KIND_OBJECT_FREE : STELE_KIND_OBJECT_ALLOC,
	    0x555500000000 + (i & ~1u) * 16, 48, b->stack);
}

static void put_logs(struct bench *b, unsigned i)
{
	(void)i;
	put(b, STELE_KIND_LOG, 0, (uint64_t)b->string << 32 | b->string, b->stack);
}

static void put_waits(struct bench *b, unsigned i)
{
	static uint64_t token;

	if (i & 1)
		put(b, STELE_KIND_GO_WAKE, token, 0, 0);
	else
		token = put(b, STELE_KIND_GO_BLOCK, b->stack << 32 | 1, 0, 0x7000);
}

static void put_calls(struct bench *b, unsigned i)
{
	static uint64_t token;

	if (i & 1)
		put(b, STELE_KIND_SYSCALL_END, token, 0, 0);
	else
		token = put(b, STELE_KIND_SYSCALL_BEGIN, b->stack << 32 | 1, 0, 0x7000);
}

static void bench_open(struct bench *b)
{
	struct stele_arena_options options = {
		.bytes = 64u << 20, .clock = STELE_CLOCK_TSC, .events = UINT32_MAX};
	const uint64_t pcs[] = {0x401000, 0x402000, 0x403000};
	int fd = stele__sys_memfd("bench");
	struct stele_slot *slot;

	if (fd < 0 || stele__arena_create(fd, &options, &b->arena) < 0)
		exit(1);
	slot = stele__slot_take(b->arena);
	b->ring = stele__ring_take(b->arena, 5);
	if (!slot || !b->ring)
		exit(1);
	slot->tid = 1;
	slot->goroutine = 1;
	b->ring->slot = stele__slot_index(b->arena, slot);
	b->ring->incarnation = slot->incarnation;
	b->stack = stele__dictionary_intern(b->arena, STELE_ENTRY_STACK, 0, 0, 3, pcs, sizeof(pcs),
					    NULL, 0);
	b->string =
		stele__dictionary_intern(b->arena, STELE_ENTRY_STRING, 0, 0, 4, "text", 4, NULL, 0);
	put(b, STELE_KIND_THREAD_BEGIN, 1, 0, 0);
	slot->state = STELE_SLOT_LIVE;
	b->ring->state = STELE_RING_LIVE;
}

/* ns a record, and bytes. */
static void bench_kind(const char *name, void (*fill)(struct bench *, unsigned))
{
	uint64_t bytes = 0;
	struct stele_drain_options options = {.version = 23, .sink = {sink_forget, &bytes}};
	struct stele_drain_stats stats;
	struct stele_drain *drain;
	double ns[ROUNDS];
	struct bench b;
	char line[64];

	bench_open(&b);
	if (stele__drain_new(b.arena, &options, &drain) < 0)
		exit(1);
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t begin;
		int64_t taken;

		for (unsigned i = 0; i < b.ring->mask - 8; i++)
			fill(&b, i);
		begin = bench_now_ns();
		taken = stele__drain_tick(drain);
		ns[round] = (double)(bench_now_ns() - begin) / (double)taken;
	}
	stele__drain_cut(drain);
	stele__drain_stats(drain, &stats);
	snprintf(line, sizeof(line), "drain.%s_ns", name);
	bench_print(line, bench_median(ns, ROUNDS));
	snprintf(line, sizeof(line), "drain.%s_bytes", name);
	bench_print(line, (double)stats.bytes / (double)stats.events);
	stele__drain_free(drain);
	stele__arena_unmap(b.arena);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*fill)(struct bench *, unsigned);
	} kinds[] = {
		{"object", put_objects},
		{"log", put_logs},
		{"wait", put_waits},
		{"syscall", put_calls},
	};

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (argc < 2 || strcmp(argv[1], kinds[i].name) == 0)
			bench_kind(kinds[i].name, kinds[i].fill);
	return 0;
}
