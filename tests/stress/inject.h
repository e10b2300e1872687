/* SPDX-License-Identifier: MIT */
/*
 * Operations that emit events, interrupted at each of their instructions by emissions of three
 * kinds, in every state of the writer; and one of them at each pair of instructions, in a row and
 * one within the other. Each run begins with a slot that was never used; afterwards its rings are
 * read as a drain would, and given back.
 */
#ifndef STELE_TESTS_INJECT_H
#define STELE_TESTS_INJECT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stele/trace.h"
#include "support/attached.h"
#include "support/breakpoint.h"

#ifdef STEPPED_POSSIBLE

#define ID_MAX	   65536
#define EVENTS_MAX 4
#define MANY	   150 /* fills and replaces the smallest ring */

/* What is interrupted ------------------------------------------------------------------------ */

struct operation {
	const char *name;
	void (*run)(void);
	uint8_t kinds[EVENTS_MAX]; /* what it makes, in this order; 0: no more */
	bool for_slots; /* without a slot it does nothing, and with an injected event's it does */
};

#define OPERATION(name, ...)                                                                       \
	static void op_##name(void)                                                                \
	{                                                                                          \
		__VA_ARGS__;                                                                       \
	}

static stele_name name, filler;
static uint64_t text_number;

/* A text that the dictionary does not know yet. */
static const char *new_text(void)
{
	static char text[32];
	char *at = text + sizeof(text) - 1;

	for (uint64_t n = ++text_number; n; n /= 10)
		*--at = (char)('0' + n % 10);
	return at;
}

/* In which state of the writer --------------------------------------------------------------- */

enum state {
	STATE_FRESH,  /* the thread has no slot yet */
	STATE_MIDDLE, /* room all around; no stack is known */
	STATE_WARM,   /* the same, and the operation was made before: its stack is known */
	STATE_LAP,    /* the next record is the last of its lap */
	STATE_FULL,   /* the next event has to replace the ring */
	STATE_CLOSED, /* the ring is closed and has no successor: a replacement was interrupted */
	STATE_CAP,    /* the largest ring is full: the event is lost and counted */
	STATE_ARENA,  /* the ring is full and there is no memory for another */
	STATE_ENDED,  /* the thread has said good-bye */
	STATE__COUNT
};

static const char *const state_names[] = {
	"no slot yet",	"middle of a ring", "stack known",
	"end of a lap", "ring full, grows", "closed, no successor",
	"largest full", "no memory left",   "thread ended"};

static struct {
	uint64_t bump;
	uint64_t heads[STELE_RING_CLASSES];
} arena_kept;

static void arena_empty(void)
{
	arena_kept.bump = stele__recorder.arena->data_bump;
	stele__recorder.arena->data_bump = stele__recorder.arena->bytes;
	for (unsigned i = 0; i < STELE_RING_CLASSES; i++) {
		arena_kept.heads[i] = stele__recorder.arena->free_rings[i].head;
		stele__recorder.arena->free_rings[i].head = 0;
	}
}

static void arena_refill(void)
{
	stele__recorder.arena->data_bump = arena_kept.bump;
	for (unsigned i = 0; i < STELE_RING_CLASSES; i++)
		stele__recorder.arena->free_rings[i].head = arena_kept.heads[i];
}

static void emit_filler(void)
{
	stele_counter(filler, 0);
}

static void advance_tail(void)
{
	struct stele_ring *ring = stele__thread.ring;

	stele__store_release(&ring->tail, ring->head);
}

static void fill(void)
{
	struct stele_ring *ring = stele__thread.ring;

	while (ring->head - ring->tail <= stele__ring_room(ring, true))
		stele_goroutine_cancel(1); /* a state event may use all of it */
}

static void set_up(enum state state, const struct operation *operation)
{
	if (state == STATE_FRESH)
		return;
	stele_thread_begin(0, NULL);
	if (state == STATE_WARM)
		operation->run();
	if (state == STATE_ENDED)
		stele_thread_end();
	if (state == STATE_CAP)
		while (stele__thread.ring->size_class < stele__recorder.arena->ring_class_max)
			emit_filler();
	advance_tail();
	if (state == STATE_LAP)
		while ((stele__thread.ring->head & stele__thread.ring->mask) !=
		       stele__thread.ring->mask) {
			emit_filler();
			advance_tail();
		}
	if (state == STATE_FULL || state == STATE_CAP || state == STATE_ARENA)
		fill();
	if (state == STATE_CLOSED)
		stele__thread.ring->head |= STELE_HEAD_CLOSED;
	if (state == STATE_ARENA)
		arena_empty();
}

static bool state_loses(enum state state)
{
	return state == STATE_CAP || state == STATE_ARENA;
}

/* What interrupts it -------------------------------------------------------------------------- */

enum injection { INJECT_ONE, INJECT_MANY, INJECT_STACK, INJECT__COUNT };
static const char *const injection_names[] = {"an event", "150 events", "an event with its stack"};
static enum injection injection;
static uint64_t next_id, injected_others;
/* A step of a path. */
struct place {
	const struct breakpoint_path *path; /* NULL: nowhere */
	uint32_t index;
};
/* Where the injected emission is to be interrupted in its turn, or what comes after it is. */
static struct place within, afterwards;

static void emit_id(void)
{
	stele_counter(name, (int64_t)next_id++);
}

static void inject_last(void)
{
	emit_id();
}

static void inject(void)
{
	if (within.path)
		breakpoint_arm(within.path, within.index, inject_last);
	switch (injection) {
	case INJECT_STACK:
		stele_log(0, "injected", new_text());
		injected_others++;
		break;
	case INJECT_MANY:
		for (unsigned i = 0; i < MANY; i++)
			emit_id();
		break;
	default:
		emit_id();
		break;
	}
	if (afterwards.path)
		breakpoint_arm(afterwards.path, afterwards.index, inject_last);
}

/* Reading back ----------------------------------------------------------------------------- */

static struct tally {
	uint8_t seen[ID_MAX];
	uint64_t ids, others, last_time;
	uint32_t kinds; /* of the operation, met so far */
	const char *fault;
} tally;

static void tally_begin(void)
{
	memset(tally.seen, 0, next_id < ID_MAX ? next_id : ID_MAX);
	tally.ids = tally.others = tally.last_time = tally.kinds = 0;
	tally.fault = NULL;
}

static struct stele_ring *ring_with_sequence(const struct stele_slot *slot, uint32_t sequence)
{
	struct stele_ring *found = NULL;

	for (uint32_t i = 0; i < stele__recorder.arena->ring_bump; i++) {
		struct stele_ring *ring = stele__arena_ring(stele__recorder.arena, i);

		if (ring->state == STELE_RING_FREE || ring->sequence != sequence ||
		    ring->slot != stele__slot_index(stele__recorder.arena, slot) ||
		    ring->incarnation != slot->incarnation)
			continue;
		if (ring->state != STELE_RING_LIVE || found)
			tally.fault = "a ring that is not live, or two with one sequence";
		found = ring;
	}
	return found;
}

static void tally_record(const struct stele_record *r, const struct operation *operation)
{
	unsigned kind = stele__record_kind(r->header);

	if (stele__record_time(r->header) < tally.last_time)
		tally.fault = "time runs backwards";
	tally.last_time = stele__record_time(r->header);
	if (kind == STELE_KIND_COUNTER && r->a == name) {
		if (r->b >= ID_MAX || tally.seen[r->b]++)
			tally.fault = "an event is torn or there twice";
		tally.ids++;
	} else if (kind == STELE_KIND_LOG && injection == INJECT_STACK && injected_others &&
		   tally.others < injected_others &&
		   (operation->kinds[tally.kinds] != STELE_KIND_LOG ||
		    (uint32_t)r->b != stele__dictionary_string(stele__recorder.arena, "key"))) {
		tally.others++;
	} else if (tally.kinds < EVENTS_MAX && operation->kinds[tally.kinds] == kind) {
		tally.kinds++;
	} else if (kind != STELE_KIND_THREAD_BEGIN) {
		tally.fault = "there is an event that nobody emitted";
	}
}

/* From where the run began. */
static void tally_ring(struct stele_ring *ring, uint64_t from, const struct operation *operation)
{
	uint64_t head = ring->head & ~STELE_HEAD_CLOSED;

	for (uint64_t at = from; at < head; at++) {
		struct stele_record *r = stele__ring_record(ring, at);

		if ((r->header & 1) != stele__record_lap(at, ring->shift))
			tally.fault = "a record was reserved and not written";
		else
			tally_record(r, operation);
	}
}

static uint64_t dropped(const struct stele_slot *slot)
{
	uint64_t sum = 0;

	for (int cause = 0; cause < STELE__LOSS_COUNT; cause++)
		for (int class = 0; class < STELE__CLASS_COUNT; class ++)
			sum += slot->dropped[cause][class];
	return sum;
}

static void give_back(struct stele_slot *slot)
{
	struct stele_ring *ring;

	for (uint32_t i = 0; (ring = ring_with_sequence(slot, i)); i++)
		stele__ring_give(stele__recorder.arena, ring);
	stele__slot_give(stele__recorder.arena, slot);
	stele__thread.ring = NULL;
}

/* One run ------------------------------------------------------------------------------------ */

/* What was there before the run: the rest is the run's. */
struct before {
	uint32_t sequence;
	uint64_t head, lost;
};

static struct before look_before(void)
{
	const struct stele_ring *ring = stele__thread.ring;
	struct before before = {0};

	if (ring) {
		before.sequence = ring->sequence;
		before.head = ring->head & ~STELE_HEAD_CLOSED;
		before.lost = dropped(stele__thread_slot(ring));
	}
	return before;
}

static const char *judge(enum state state, const struct operation *operation,
			 const struct before *before)
{
	struct stele_slot *slot =
		stele__thread.ring ? stele__thread_slot(stele__thread.ring) : NULL;
	uint64_t wanted = next_id + injected_others, lost;
	struct stele_ring *ring;

	tally_begin();
	for (unsigned i = 0; i < EVENTS_MAX && operation->kinds[i]; i++)
		wanted++;
	if (!slot)
		return wanted ? "the thread has no slot" : NULL;
	for (uint32_t i = before->sequence; (ring = ring_with_sequence(slot, i)); i++)
		tally_ring(ring, i == before->sequence ? before->head : 0, operation);
	lost = dropped(slot) - before->lost;
	if (tally.fault)
		return tally.fault;
	/* An end whose beginning was lost is not emitted. */
	if (state_loses(state) ? tally.ids + tally.others + tally.kinds + lost > wanted ||
					 tally.ids + tally.others + tally.kinds + lost + 1 < wanted
			       : tally.ids + tally.others + tally.kinds != wanted || lost)
		return "events there and events lost are not the events emitted";
	return NULL;
}

/* NULL, or what is wrong. at.path NULL: nothing is injected; record not NULL: the path is found. */
static const char *run_once(enum state state, const struct operation *operation, struct place at,
			    struct breakpoint_path *record, bool *ret_missed)
{
	struct before before;
	const char *fault;

	set_up(state, operation);
	before = look_before();
	next_id = injected_others = 0;
	if (record) {
		breakpoint_follow(operation->run, record);
	} else {
		if (at.path)
			breakpoint_arm(at.path, at.index, inject);
		operation->run();
		*ret_missed = breakpoint_disarm();
	}
	if (state == STATE_ARENA)
		arena_refill();
	fault = judge(state, operation, &before);
	if (stele__thread.ring)
		give_back(stele__thread_slot(stele__thread.ring));
	return fault;
}

static struct totals {
	uint64_t instructions, runs, missed;
} totals, all;

static void totals_begin(void)
{
	all.instructions += totals.instructions;
	all.runs += totals.runs;
	totals = (struct totals){0};
}

/* The path of an operation in a state, once caches and tables know what it needs. */
static const char *find_path(enum state state, const struct operation *operation,
			     struct breakpoint_path *path)
{
	const struct place nowhere = {0};
	const char *fault = NULL;
	uint32_t before;

	path->count = 0;
	do {
		before = path->count;
		fault = run_once(state, operation, nowhere, path, NULL);
	} while (!fault && path->count != before);
	return fault;
}

static const char *inject_at_each(enum state state, const struct operation *operation)
{
	static struct breakpoint_path path;
	const char *fault;

	if (state == STATE_FRESH && operation->for_slots)
		return NULL;
	fault = find_path(state, operation, &path);
	totals.instructions += path.count;
	if (fault)
		printf("# %s, %s: %s with nothing injected\n", operation->name, state_names[state],
		       fault);
	for (unsigned kind = 0; kind < INJECT__COUNT; kind++) {
		injection = kind;
		for (uint32_t i = 0; i < path.count && !fault; i++) {
			bool missed;

			fault = run_once(state, operation, (struct place){&path, i}, NULL, &missed);
			totals.runs++;
			totals.missed += missed;
			if (fault)
				printf("# %s, %s: %s at instruction %u of %u: %s\n",
				       operation->name, state_names[state], injection_names[kind],
				       i + 1, path.count, fault);
		}
	}
	return fault;
}

static const enum state inject_paired[] = {STATE_FRESH, STATE_MIDDLE, STATE_FULL};

/* The second one comes within the first injected emission, or behind it. */
static const char *inject_at_pairs(enum state state, const struct operation *operation, bool nested)
{
	static struct breakpoint_path path, inner;
	const char *fault = find_path(state, operation, &path);

	injection = INJECT_ONE;
	if (!fault)
		fault = find_path(STATE_MIDDLE, operation, &inner);
	for (uint32_t i = 0; i < path.count && !fault; i++) {
		const struct breakpoint_path *second = nested ? &inner : &path;

		for (uint32_t k = nested ? 0 : i; k < second->count && !fault; k++) {
			bool missed;

			within = (struct place){nested ? second : NULL, k};
			afterwards = (struct place){nested ? NULL : second, k};
			fault = run_once(state, operation, (struct place){&path, i}, NULL, &missed);
			totals.runs++;
			totals.missed += missed;
		}
	}
	within = afterwards = (struct place){0};
	if (fault)
		printf("# pairs, %s: %s\n", state_names[state], fault);
	return fault;
}

static struct stele_arena *inject_arena(void)
{
	struct stele_arena_options options = attached_options(32 << 20);
	struct stele_arena *arena;

	options.stack_frames_max = 4; /* the dictionary shall last */
	arena = attached_arena_with(&options);
	arena->ring_class_max = 1; /* soon at its largest */
	return arena;
}

static int inject_singly(const struct operation *operations, size_t count, int number)
{
	int failed = 0;

	for (unsigned state = 0; state < STATE__COUNT; state++) {
		const char *fault = NULL;

		totals_begin();
		for (size_t i = 0; i < count; i++)
			if (inject_at_each(state, &operations[i]))
				fault = "a fault";
		failed += fault != NULL;
		printf("%s %d - %s: %zu operations, %lu instructions, %lu runs, %lu went another "
		       "way\n",
		       fault ? "not ok" : "ok", ++number, state_names[state], count,
		       (unsigned long)totals.instructions, (unsigned long)totals.runs,
		       (unsigned long)totals.missed);
	}
	return failed;
}

/* The first operation. */
static int inject_pairs(const struct operation *operations, int number)
{
	int failed = 0;

	for (unsigned i = 0; i < 2 * STELE_ARRAY_LENGTH(inject_paired); i++) {
		const enum state state = inject_paired[i / 2];
		const char *fault;

		totals_begin();
		fault = inject_at_pairs(state, &operations[0], i % 2);
		failed += fault != NULL;
		printf("%s %d - %s: pairs of instructions, %s, %lu runs, %lu went another way\n",
		       fault ? "not ok" : "ok", ++number, state_names[state],
		       i % 2 ? "one within the other" : "in a row", (unsigned long)totals.runs,
		       (unsigned long)totals.missed);
	}
	return failed;
}

/* The exit status. There is an arena. */
static int inject_all(const struct operation *operations, size_t count, bool pairs)
{
	static char lines[BUFSIZ];
	int failed;

	if (stele__thread.ring)
		give_back(stele__thread_slot(stele__thread.ring));
	breakpoint_install();
	setvbuf(stdout, lines, _IOLBF, sizeof(lines));
	name = stele_name_intern("id");
	filler = stele_name_intern("filler");
	printf("1..%d\n", STATE__COUNT + (pairs ? 2 * (int)STELE_ARRAY_LENGTH(inject_paired) : 0));
	failed = inject_singly(operations, count, 0);
	if (pairs)
		failed += inject_pairs(operations, STATE__COUNT);
	totals_begin();
	printf("# %lu instructions in %u states by %u kinds of injection%s: %lu runs\n",
	       (unsigned long)all.instructions, STATE__COUNT, INJECT__COUNT,
	       pairs ? ", and pairs" : "", (unsigned long)all.runs);
	return failed != 0;
}

#endif
#endif
