/* SPDX-License-Identifier: MIT */
/*
 * Drains that die and others that go on: of a random process, with deaths at random moments, the
 * trace has the same events as without.
 */
#include "support/randomprocess.h"
#include "support/tap.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "drain/carry.h"
#include "format/spec.h"
#include "stele/read.h"

#define STEPS	  3000
#define TIDS_MAX  2000
#define TYPES_MAX 100

/* The last word: what is alive ends with the image. */
static void process_exec(struct process *p)
{
	/* The first image replaces none; the second one does. */
	for (unsigned i = 0; i < 2; i++) {
		struct synthetic_thread t = synthetic_thread(&p->s, p->tids++, ++p->gos, 0);

		synthetic_emit(&p->s, &t, STELE_KIND_IMAGE_BEGIN, 1, 0, 0);
		stele__drain_tick(p->s.drain);
	}
}

/* The drain dies after it has written, and before it can give anything back. */
static void process_lose_drain(struct process *p)
{
	size_t bytes = p->s.arena->data_bump;
	void *before = malloc(bytes);

	if (!before)
		abort();
	memcpy(before, p->s.arena, bytes);
	stele__drain_tick(p->s.drain);
	memcpy(p->s.arena, before, bytes);
	free(before);
	synthetic_take_over(&p->s);
}

/*
 * `deaths`: of the drain; 0: it lives. It is looked at again at the same moment: what it has not
 * taken yet decides whether it cuts. In the first generation a new drain knows nothing, and may
 * find the dead before the old one would have.
 */
static void process_run(struct process *p, uint64_t deaths)
{
	uint64_t chance = 77 + deaths;

	for (unsigned i = 0; i < STEPS; i++) {
		process_step(p);
		if (i % 500 == 499)
			process_pause(p);
		if (i % 8)
			continue;
		/* A random number of the process itself would change what it does. */
		chance = chance * 6364136223846793005ull + 1442695040888963407ull;
		if (i > 600 && deaths && (chance >> 33) % (STEPS / 8 / deaths) == 0)
			process_lose_drain(p);
		else
			stele__drain_tick(p->s.drain);
		stele__drain_tick(p->s.drain);
	}
	process_exec(p);
	CHECK_EQ(synthetic_finish(&p->s), 0);
	CHECK(synthetic_is_valid(&p->s));
}

/*
 * What a trace says, thread by thread. A drain that goes on reads the threads in another order, so
 * processors have other numbers, and their count is told by another thread.
 */
struct story {
	uint64_t threads[TIDS_MAX]; /* a hash of each one's events, in order; [0]: nobody's, in none
				     */
	uint64_t types[TYPES_MAX];  /* by address: size and name */
	int64_t events;
};

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

static uint64_t event_hash(const struct stele_event *e)
{
	/* Of one time: within a step. Nobody's: all the states at a cut, a nanosecond apart each.
	 */
	uint64_t time = e->thread < TIDS_MAX ? (uint64_t)(e->time + 500) / 1000 : 0;
	uint64_t hash = mix(e->kind, time);

	hash = mix(hash, e->goroutine);
	hash = mix(hash, e->resource << 16 | e->from << 8 | e->to);
	hash = mix(hash, e->task);
	if (e->resource == STELE_RESOURCE_GOROUTINE)
		hash = mix(hash, e->resource_id);
	if (e->kind == STELE_EVENT_EXPERIMENTAL)
		hash = mix(hash, e->value[0]);
	for (size_t i = 0; i < e->text.bytes; i++)
		hash = mix(hash, (uint8_t)e->text.data[i]);
	return hash;
}

/* A type keeps its address; another one gets another. */
static void tell_type(struct stele_reader *reader, uint64_t id, struct story *story)
{
	struct stele_heap_type type;
	uint64_t hash;

	CHECK_EQ(stele_reader_type(reader, id, &type), 0);
	CHECK(type.address < TYPES_MAX);
	if (type.address >= TYPES_MAX)
		return;
	hash = mix(type.size + 1,
		   type.name.bytes ? (uint8_t)type.name.data[type.name.bytes - 1] : 0);
	CHECK(!story->types[type.address] || story->types[type.address] == hash);
	story->types[type.address] = hash;
}

static uint64_t types_of(const struct story *story)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < TYPES_MAX; i++)
		sum += story->types[i];
	return sum;
}

static void tell_story(const struct synthetic *s, struct story *ret_story)
{
	struct stele_reader *reader = NULL;
	const struct stele_event *e;

	memset(ret_story, 0, sizeof(*ret_story));
	CHECK_EQ(stele_reader_open_memory(s->out, s->out_bytes, NULL, &reader), 0);
	while (stele_reader_next(reader, &e) == 1) {
		if (e->kind == STELE_EVENT_METRIC)
			continue;
		ret_story->events++;
		if (e->type == STELE_EV_HEAP_OBJECT_ALLOC)
			tell_type(reader, e->value[1], ret_story);
		ret_story->threads[e->thread < TIDS_MAX ? e->thread : 0] += event_hash(e);
	}
	stele_reader_close(reader);
}

static void check_stats(const struct synthetic *a, const struct synthetic *b)
{
	struct stele_drain_stats x, y;

	stele__drain_stats(a->drain, &x);
	stele__drain_stats(b->drain, &y);
	CHECK_EQ(x.records, y.records);
	CHECK_EQ(x.threads, y.threads);
	CHECK_EQ(x.generations, y.generations);
	CHECK_EQ(x.abandoned, y.abandoned);
	CHECK_EQ(x.late_discarded, y.late_discarded);
	CHECK_EQ(x.object_bytes, y.object_bytes);
	CHECK(x.dropped[0][1] > 0);
	CHECK_EQ(x.dropped[0][1], y.dropped[0][1]);
}

static void drain_that_goes_on_writes_what_the_dead_one_would_have(void)
{
	static const unsigned versions[] = {23, 25, 26};
	int64_t events = 0;

	for (uint64_t seed = 1; seed <= 60; seed++) {
		static struct process whole, broken;
		static struct story one, other;
		unsigned version = versions[seed % 3];

		whole = (struct process){.s.keep = true};
		process_open(&whole, version, seed);
		process_run(&whole, 0);
		broken = (struct process){.s.keep = true};
		process_open(&broken, version, seed);
		process_run(&broken, 1 + seed / 2);
		CHECK(whole.tids < TIDS_MAX);
		tell_story(&whole.s, &one);
		tell_story(&broken.s, &other);
		CHECK(one.events > STEPS / 2);
		CHECK_EQ(one.events, other.events);
		CHECK_BYTES(one.threads, sizeof(one.threads), other.threads, sizeof(other.threads));
		CHECK_EQ(types_of(&one), types_of(&other));
		check_stats(&whole.s, &broken.s);
		events += one.events;
		synthetic_close(&whole.s);
		synthetic_close(&broken.s);
	}
	printf("# %lld events compared\n", (long long)events);
}

static void drain_keeps_what_it_has_not_written(void)
{
	struct process p;

	p = (struct process){.s.keep = true};
	process_open(&p, 23, 5);
	thread_begin(&p, 0);
	for (unsigned i = 0; i < 20; i++)
		synthetic_emit(&p.s, &p.threads[0], STELE_KIND_LOG, 0, 0, 0);
	stele__drain_tick(p.s.drain);
	CHECK_EQ(p.threads[0].ring->tail, 0);
	stele__drain_cut(p.s.drain);
	CHECK_EQ(p.threads[0].ring->tail, p.threads[0].ring->head);
	CHECK_EQ(synthetic_finish(&p.s), 0);
	synthetic_close(&p.s);
}

/* It would be gone if the drain died before the generation is whole. */
static void drain_gives_nothing_back_with_its_last_generation(void)
{
	struct process p;
	uint64_t tail;

	p = (struct process){.s.keep = true};
	process_open(&p, 23, 5);
	thread_begin(&p, 0);
	stele__drain_cut(p.s.drain);
	tail = p.threads[0].ring->tail;
	synthetic_emit(&p.s, &p.threads[0], STELE_KIND_LOG, 0, 0, 0);
	CHECK_EQ(synthetic_finish(&p.s), 0);
	CHECK_EQ(p.threads[0].ring->tail, tail);
	CHECK_EQ(p.threads[0].slot->state, STELE_SLOT_LIVE);
	synthetic_close(&p.s);
}

static void late_record_is_found_by_the_drain_that_goes_on(void)
{
	struct process p;
	struct synthetic_thread *t = &p.threads[0];
	uint64_t token, time;

	p = (struct process){.s.keep = true};
	process_open(&p, 23, 5);
	thread_begin(&p, 0);
	token = synthetic_reserve(t);
	time = p.s.now;
	synthetic_emit(&p.s, t, STELE_KIND_LOG, 0, 0, 0);
	stele__drain_tick(p.s.drain);
	p.s.now += 100000000;
	stele__drain_tick(p.s.drain);
	stele__drain_cut(p.s.drain);
	CHECK_EQ(t->ring->tail, 1);
	synthetic_take_over(&p.s);
	synthetic_fill(&p.s, t, token, time, STELE_KIND_LOG, 0, 0, 0);
	CHECK_EQ(synthetic_finish(&p.s), 0);
	CHECK(synthetic_is_valid(&p.s));
	CHECK_EQ(synthetic_count(&p.s, STELE_EV_USER_LOG), 2);
	synthetic_close(&p.s);
}

/* One that cannot be replaced by a larger one. */
static void drain_cuts_before_a_ring_is_full(void)
{
	struct process p;

	p = (struct process){.s.keep = true};
	process_open(&p, 23, 5);
	p.s.arena->ring_class_max = 0;
	thread_begin(&p, 0);
	for (unsigned i = 0; i < 5000; i++) {
		CHECK(p.threads[0].ring->head - p.threads[0].ring->tail < 100);
		synthetic_emit(&p.s, &p.threads[0], STELE_KIND_LOG, 0, 0, 0);
		if (i % 16 == 0)
			stele__drain_tick(p.s.drain);
	}
	CHECK_EQ(synthetic_finish(&p.s), 0);
	CHECK_EQ(synthetic_count(&p.s, STELE_EV_USER_LOG), 5000);
	synthetic_close(&p.s);
}

/* Each thread counts; what is found must go up. */
static bool counters_go_up(const struct synthetic *s)
{
	struct stele_reader *reader = NULL;
	const struct stele_event *e;
	long last[THREADS_MAX] = {0};
	bool good = true;

	CHECK_EQ(stele_reader_open_memory(s->out, s->out_bytes, NULL, &reader), 0);
	while (stele_reader_next(reader, &e) == 1) {
		char text[24] = "";
		long value;

		if (e->kind != STELE_EVENT_LOG)
			continue;
		memcpy(text, e->text.data, e->text.bytes < 23 ? e->text.bytes : 23);
		value = strtol(text, NULL, 10);
		good = good && value > last[e->thread % THREADS_MAX];
		last[e->thread % THREADS_MAX] = value;
	}
	stele_reader_close(reader);
	return good;
}

#define MOMENTS_MAX 12

/* Pages of any moments, and a file of another one. */
static bool crash(struct process *p, void *const *moments, const size_t *written, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += 4096)
		memcpy((char *)p->s.arena + at, (char *)moments[next_random(p, MOMENTS_MAX)] + at,
		       bytes - at < 4096 ? bytes - at : 4096);
	p->s.out_bytes = written[next_random(p, MOMENTS_MAX)];
	return synthetic_restart(&p->s);
}

static void machine_that_goes_down_leaves_no_record_of_an_older_lap(void)
{
	unsigned gone_on = 0;

	for (uint64_t seed = 1; seed <= 60; seed++) {
		void *moments[MOMENTS_MAX];
		size_t written[MOMENTS_MAX], bytes;
		static struct process p;
		uint64_t count = 0;

		p = (struct process){.s.keep = true};
		process_open(&p, 23, seed);
		for (unsigned i = 0; i < 3; i++)
			thread_begin(&p, i);
		bytes = p.s.arena->data_bump;
		for (unsigned m = 0; m < MOMENTS_MAX; m++) {
			for (unsigned i = 0; i < 300; i++) {
				synthetic_emit(&p.s, &p.threads[i % 3], STELE_KIND_COUNTER, p.name,
					       ++count, 0);
				if (i % 60 == 0)
					stele__drain_cut(p.s.drain);
				else if (i % 20 == 0)
					stele__drain_tick(p.s.drain);
			}
			written[m] = p.s.out_bytes;
			moments[m] = malloc(bytes);
			if (!moments[m])
				abort();
			memcpy(moments[m], p.s.arena, bytes);
		}
		if (crash(&p, moments, written, bytes)) {
			gone_on++;
			CHECK_EQ(synthetic_finish(&p.s), 0);
			CHECK(synthetic_is_valid(&p.s));
			CHECK(counters_go_up(&p.s));
		}
		for (unsigned m = 0; m < MOMENTS_MAX; m++)
			free(moments[m]);
		synthetic_close(&p.s);
	}
	CHECK(gone_on > 20);
	printf("# %u of 60\n", gone_on);
}

/* Bytes of the file are others than were written: a reason, or a drain that copes. */
static void damaged_carry_is_refused_or_survived(void)
{
	static struct process p;
	unsigned refused = 0, survived = 0;
	struct stele_carry carry;
	size_t written;
	uint8_t *copy;
	void *arena;

	p = (struct process){.s.keep = true};
	process_open(&p, 25, 11);
	process_run(&p, 0);
	written = p.s.out_bytes;
	copy = malloc(written);
	arena = malloc(p.s.arena->data_bump);
	if (!copy || !arena)
		abort();
	CHECK_EQ(stele__carry_find(p.s.out, written, &carry), 0);
	CHECK(carry.bytes - carry.begin > 2000);
	memcpy(copy, p.s.out, written);
	memcpy(arena, p.s.arena, p.s.arena->data_bump);
	for (unsigned i = 0; i < 2000; i++) {
		memcpy(p.s.out, copy, written);
		p.s.out_bytes = written;
		memcpy(p.s.arena, arena, ((struct stele_arena *)arena)->data_bump);
		for (uint64_t n = 1 + next_random(&p, 4); n > 0; n--)
			p.s.out[carry.bytes - 1 - next_random(&p, 2000)] ^=
				(uint8_t)(1u << next_random(&p, 8));
		if (!synthetic_restart(&p.s)) {
			refused++;
			continue;
		}
		synthetic_finish(&p.s);
		survived++;
	}
	printf("# %u refused, %u survived\n", refused, survived);
	CHECK(refused > 10 && survived > 10);
	free(copy);
	free(arena);
	synthetic_close(&p.s);
}

/* Any prefix of a file is what a death in the middle of a write leaves. */
static void any_prefix_of_a_trace_can_be_gone_on_from(void)
{
	static struct process p;
	struct stele_carry carry;
	uint64_t wholes = 0, last = 0;

	p = (struct process){.s.keep = true};
	process_open(&p, 26, 9);
	process_run(&p, 0);
	for (size_t bytes = 0; bytes <= p.s.out_bytes; bytes++) {
		int error = stele__carry_find(p.s.out, bytes, &carry);

		CHECK_EQ(error, bytes < STELE_HEADER_BYTES ? STELE_E_UNSUPPORTED : 0);
		CHECK(carry.bytes <= bytes && carry.bytes >= last && carry.begin <= carry.bytes);
		wholes += carry.bytes != last;
		last = carry.bytes;
	}
	CHECK(wholes >= 5);
	synthetic_close(&p.s);
}

TAP_MAIN(TEST(drain_that_goes_on_writes_what_the_dead_one_would_have),
	 TEST(drain_keeps_what_it_has_not_written),
	 TEST(late_record_is_found_by_the_drain_that_goes_on),
	 TEST(drain_cuts_before_a_ring_is_full),
	 TEST(drain_gives_nothing_back_with_its_last_generation),
	 TEST(machine_that_goes_down_leaves_no_record_of_an_older_lap),
	 TEST(damaged_carry_is_refused_or_survived),
	 TEST(any_prefix_of_a_trace_can_be_gone_on_from))
