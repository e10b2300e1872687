/* SPDX-License-Identifier: MIT */
/*
 * Bytes are a program for a traced process: threads that are born, emit any record, leave holes,
 * replace rings, die. Whatever they do, the drain writes a trace that the reader accepts.
 *
 * The drain, too, may die, and another one goes on with what it kept. Or a flight recorder keeps
 * the newest generation alone.
 *
 *   byte 0: header version, keep, flight    then commands: op arg …
 */
#include <stdlib.h>
#include <string.h>

#include "drain/flight.h"
#include "support/synthetic.h"

#define THREADS_MAX 6
#define HOLES_MAX   16

struct fuzz_hole {
	unsigned thread;
	uint64_t token, time;
	struct stele_ring *ring;
	uint32_t incarnation;
};

struct fuzz_process {
	struct synthetic s;
	struct synthetic_thread threads[THREADS_MAX];
	bool alive[THREADS_MAX];
	uint64_t tokens[8];
	unsigned token_count;
	struct fuzz_hole holes[HOLES_MAX];
	unsigned hole_count;
	uint32_t stack, string;
	const uint8_t *at, *end;
};

static uint8_t fuzz_byte(struct fuzz_process *p)
{
	return p->at < p->end ? *p->at++ : 0;
}

/* Ids and words: mostly small, so that records speak of the same things. */
static uint64_t fuzz_word(struct fuzz_process *p)
{
	uint8_t b = fuzz_byte(p);

	if (b < 0xc0)
		return b % 12;
	if (b < 0xe0)
		return p->tokens[b % 8];
	if (b < 0xf0)
		return (uint64_t)p->stack << 32 | (b & 1 ? p->string : b % 16u);
	return b < 0xf8 ? 1ull << (b * 7 % 64) : UINT64_MAX;
}

static struct synthetic_thread *fuzz_thread(struct fuzz_process *p, unsigned i)
{
	if (!p->alive[i]) {
		uint64_t flags = fuzz_byte(p), g = fuzz_word(p);

		p->threads[i] = synthetic_thread(&p->s, 100 + i / 2, g,
						 flags < 32 ? UINT64_MAX : flags & 1);
		p->alive[i] = true;
	}
	return &p->threads[i];
}

static bool fuzz_has_room(const struct synthetic_thread *t)
{
	return t->ring->head - t->ring->tail < t->ring->mask;
}

static void fuzz_emit(struct fuzz_process *p, struct synthetic_thread *t)
{
	enum stele_kind kind = fuzz_byte(p) % STELE__KIND_COUNT;
	uint64_t a = fuzz_word(p), b = fuzz_word(p), c = fuzz_word(p);

	if (fuzz_has_room(t))
		p->tokens[p->token_count++ % 8] = synthetic_emit(&p->s, t, kind, a, b, c);
}

static void fuzz_reserve(struct fuzz_process *p, unsigned i, struct synthetic_thread *t)
{
	if (!fuzz_has_room(t) || p->hole_count == HOLES_MAX)
		return;
	p->holes[p->hole_count++] = (struct fuzz_hole){i, synthetic_reserve(t), p->s.now, t->ring,
						       t->slot->incarnation};
}

static void fuzz_fill(struct fuzz_process *p)
{
	struct fuzz_hole hole;
	struct synthetic_thread was;
	enum stele_kind kind;
	uint64_t a, b;

	if (!p->hole_count)
		return;
	hole = p->holes[--p->hole_count];
	if (!p->alive[hole.thread] || p->threads[hole.thread].slot->incarnation != hole.incarnation)
		return;
	was = p->threads[hole.thread];
	was.ring = hole.ring;
	kind = fuzz_byte(p) % STELE__KIND_COUNT;
	a = fuzz_word(p);
	b = fuzz_word(p);
	synthetic_fill(&p->s, &was, hole.token, hole.time, kind, a, b, fuzz_word(p));
}

/* Threads 2n and 2n + 1 share an id: its death is theirs both. */
static void fuzz_die(struct fuzz_process *p, unsigned i)
{
	if (!p->alive[i])
		return;
	synthetic_die(&p->s, &p->threads[i]);
	p->alive[i] = false;
}

/* A thread whose id another has taken over is no more. */
static void fuzz_supersede(struct fuzz_process *p, unsigned i)
{
	if (!p->alive[i])
		fuzz_die(p, i ^ 1);
}

static void fuzz_command(struct fuzz_process *p)
{
	uint8_t op = fuzz_byte(p);
	unsigned i = op / 16 % THREADS_MAX;

	switch (op % 16) {
	case 0:
		stele__drain_cut(p->s.drain);
		break;
	case 1:
		p->s.now += fuzz_byte(p) * 10000000ull;
		break;
	case 2:
		fuzz_die(p, i);
		break;
	case 3:
		fuzz_fill(p);
		break;
	case 4:
		stele__drain_tick(p->s.drain);
		break;
	case 5:
		fuzz_supersede(p, i);
		fuzz_reserve(p, i, fuzz_thread(p, i));
		break;
	case 6:
		fuzz_supersede(p, i);
		if (fuzz_thread(p, i)->ring->sequence < 6)
			synthetic_replace(&p->s, &p->threads[i], fuzz_byte(p) % 2, op & 128);
		break;
	case 7:
		if (p->s.keep)
			synthetic_take_over(&p->s);
		break;
	default:
		fuzz_supersede(p, i);
		fuzz_emit(p, fuzz_thread(p, i));
		break;
	}
}

static int fuzz_write(void *arg, const void *data, size_t bytes)
{
	struct synthetic *s = arg;
	uint8_t *out = realloc(s->out, s->out_bytes + bytes);

	if (!out)
		abort();
	memcpy(out + s->out_bytes, data, bytes);
	s->out = out;
	s->out_bytes += bytes;
	return 0;
}

/* What the flight recorder has in the end is a trace. */
static bool fuzz_land(struct synthetic *s, struct stele_flight *flight)
{
	const struct stele_sink sink = {.write = fuzz_write, .arg = s};
	struct stele_recall *recall;
	bool landed = stele__flight_recall(flight, &recall) == 0;

	if (landed) {
		stele__recall_label(recall, "landed");
		stele__recall_write(recall, &sink);
		stele__recall_free(recall);
	}
	stele__flight_free(flight);
	return landed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const unsigned versions[] = {23, 25, 26};
	const uint64_t pcs[] = {0x401001, 0x402000};
	const struct stele_flight_limits limits = {.bytes = 1};
	struct fuzz_process p = {.at = data, .end = data + bytes};
	struct stele_flight *flight = NULL;
	struct stele_sink sink;
	uint8_t first;

	if (bytes > 2000)
		return 0;
	first = fuzz_byte(&p);
	p.s.keep = first / 3 % 2;
	p.s.excerpts = !p.s.keep && first / 6 % 2;
	if (p.s.excerpts && stele__flight_new(&limits, &flight) == 0) {
		sink = stele__flight_sink(flight);
		p.s.sink = &sink;
	}
	synthetic_open(&p.s, STELE_ARENA_BYTES_MIN, versions[first % 3], 1);
	p.stack = synthetic_stack(&p.s, pcs, 2);
	p.string = synthetic_string(&p.s, "text");
	while (p.at < p.end && p.s.arena->ring_bump < 24)
		fuzz_command(&p);
	if (synthetic_finish(&p.s) != 0 || (flight && !fuzz_land(&p.s, flight)) ||
	    !synthetic_is_valid(&p.s))
		abort();
	synthetic_close(&p.s);
	return 0;
}
