/* SPDX-License-Identifier: MIT */
/*
 * The claim "an event emitted at any instruction of another event's emission is in the arena
 * exactly once and in order", by brute force: an emission is single-stepped with the trap flag, and
 * at its k-th instruction the trap handler emits; for every k, in several states of the writer.
 *
 * Each run has a thread of its own, so that it begins with a slot that was never used; afterwards
 * the thread's rings are read as a drain would, and given back.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena/arena.h"
#include "record/thread.h"
#include "stele/runtime.h"
#include "stele/version.h"
#include "support/attached.h"
#include "support/stepped.h"

#ifndef STEPPED_POSSIBLE

int main(void)
{
	printf("1..0 # SKIP single-stepping needs plain x86-64 code\n");
	return 0;
}

#else

#define ID_MAX 65536

enum injection { INJECT_NONE, INJECT_ONE, INJECT_TWO, INJECT_MANY, INJECT__COUNT };
enum state {
	STATE_FRESH,  /* the thread has no slot yet */
	STATE_MIDDLE, /* room all around */
	STATE_LAP,    /* the next record is the last of its lap */
	STATE_FULL,   /* the next event has to replace the ring */
	STATE_CAP,    /* the largest ring is full: the event is lost and counted */
	STATE__COUNT
};

static const char *const state_names[] = {"no slot yet", "middle of a ring", "end of a lap",
					  "ring full, grows", "largest ring full, drops"};
/* How many events a nested emission makes: MANY fills and replaces the smallest ring. */
static const unsigned injection_events[] = {0, 1, 2, 150};

struct run {
	enum state state;
	enum injection injection;
	uint64_t at[2];	 /* instructions at which to inject; 0: never */
	bool with_stack; /* emit an event that captures and interns a stack */
	/* results */
	uint64_t instructions;
	uint64_t emitted;
	struct stele_slot *slot;
};

static struct run *current;
static stele_name name, filler;
static uint64_t next_id;

static void emit_id(void)
{
	/* One instruction: a handler may come between any two. */
	stele_counter(name, (int64_t)__atomic_fetch_add(&next_id, 1, __ATOMIC_RELAXED));
}

static void emit_filler(void)
{
	stele_counter(filler, 0);
}

static bool on_instruction(uint64_t instruction)
{
	if (instruction == current->at[0] || instruction == current->at[1])
		for (unsigned i = 0; i < injection_events[current->injection]; i++)
			emit_id();
	return current->injection == INJECT_NONE || instruction < current->at[0] ||
	       instruction < current->at[1];
}

static void advance_tail(void)
{
	struct stele_ring *ring = stele__thread.ring;

	stele__store_release(&ring->tail, ring->head);
}

/* Brings the calling thread's ring into the state. */
static void set_up(const struct run *run)
{
	struct stele_ring *ring;

	if (run->state == STATE_FRESH)
		return;
	emit_filler();
	if (run->state == STATE_CAP)
		while (stele__thread.ring->size_class < stele__arena->ring_class_max)
			emit_filler();
	ring = stele__thread.ring;
	if (run->state == STATE_MIDDLE)
		return;
	advance_tail();
	if (run->state == STATE_LAP) {
		while ((ring->head & ring->mask) != ring->mask) {
			emit_filler();
			advance_tail();
		}
		return;
	}
	/* Full for events that may be dropped. */
	while (ring->head - ring->tail <= stele__ring_room(ring, false))
		emit_filler();
}

static void *run_thread(void *arg)
{
	struct run *run = arg;

	stele_thread_begin(0, NULL);
	if (run->state == STATE_FRESH) {
		/* Forget the slot again: it is given back by the reader of this run. */
		stele__slot_give(stele__arena, stele__thread_slot(stele__thread.ring));
		stele__ring_give(stele__arena, stele__thread.ring);
		stele__thread.ring = NULL;
	}
	set_up(run);
	next_id = 0;
	stepped_begin();
	if (run->with_stack)
		stele_wake(stele_block(STELE_WAIT_MUTEX, run));
	else
		emit_id();
	run->instructions = stepped_end();
	run->emitted = next_id;
	run->slot = stele__thread.ring ? stele__thread_slot(stele__thread.ring) : NULL;
	return NULL;
}

/* Reading back ----------------------------------------------------------------------------- */

struct tally {
	uint8_t seen[ID_MAX];
	uint64_t counters, last_time;
	const char *fault;
};

static struct tally tally;

static struct stele_ring *ring_with_sequence(const struct stele_slot *slot, uint32_t sequence)
{
	struct stele_ring *found = NULL;

	for (uint32_t i = 0; i < stele__arena->ring_bump; i++) {
		struct stele_ring *ring = stele__arena_ring(stele__arena, i);

		if (ring->state == STELE_RING_FREE || ring->sequence != sequence ||
		    ring->slot != stele__slot_index(stele__arena, slot) ||
		    ring->incarnation != slot->incarnation)
			continue;
		if (ring->state != STELE_RING_LIVE || found)
			tally.fault = "a ring that is not live, or two with one sequence";
		found = ring;
	}
	return found;
}

/* All that the ring still holds, also what set_up declared read. */
static void tally_ring(struct stele_ring *ring)
{
	uint64_t head = ring->head & ~STELE_HEAD_CLOSED;
	uint64_t from = head > ring->mask + 1 ? head - ring->mask - 1 : 0;

	for (uint64_t at = from; at < head; at++) {
		struct stele_record *r = stele__ring_record(ring, at);

		if ((r->header & 1) != stele__record_lap(at, ring->shift))
			tally.fault = "a record was reserved and not written";
		if (stele__record_time(r->header) < tally.last_time)
			tally.fault = "time runs backwards";
		tally.last_time = stele__record_time(r->header);
		if (stele__record_kind(r->header) != STELE_KIND_COUNTER || r->a == filler)
			continue;
		if (r->a != name || r->b >= ID_MAX || tally.seen[r->b]++)
			tally.fault = "an event is torn or there twice";
		tally.counters++;
	}
}

static void give_back(struct run *run)
{
	struct stele_ring *ring;

	for (uint32_t i = 0; (ring = ring_with_sequence(run->slot, i)); i++)
		stele__ring_give(stele__arena, ring);
	stele__slot_give(stele__arena, run->slot);
}

static uint64_t dropped(const struct stele_slot *slot)
{
	uint64_t sum = 0;

	for (int cause = 0; cause < STELE__LOSS_COUNT; cause++)
		for (int class = 0; class < STELE__CLASS_COUNT; class ++)
			sum += slot->dropped[cause][class];
	return sum;
}

/* NULL, or what is wrong. */
static const char *run_check(struct run *run)
{
	struct stele_ring *ring;

	memset(&tally, 0, sizeof(tally));
	if (!run->slot)
		return "the thread has no slot";
	for (uint32_t i = 0; (ring = ring_with_sequence(run->slot, i)); i++)
		tally_ring(ring);
	if (tally.fault)
		return tally.fault;
	if (tally.counters + dropped(run->slot) != run->emitted)
		return "events there and events counted as lost are not the events emitted";
	if (run->state != STATE_CAP && dropped(run->slot))
		return "an event was dropped although there was room";
	return NULL;
}

static const char *run_once(struct run *run)
{
	pthread_t thread;
	const char *fault;

	current = run;
	if (pthread_create(&thread, NULL, run_thread, run))
		return "no thread";
	pthread_join(thread, NULL);
	fault = run_check(run);
	if (run->slot)
		give_back(run);
	return fault;
}

/* Every instruction; with `pairs`, every pair of a fixed distance as well. */
static bool inject_everywhere(enum state state, enum injection injection, bool with_stack,
			      uint64_t *runs, uint64_t *instructions)
{
	struct run dry = {.state = state, .with_stack = with_stack};
	const char *fault = run_once(&dry);
	uint64_t distance = 7;

	for (uint64_t k = 1; !fault && k <= dry.instructions; k++) {
		struct run run = {.state = state,
				  .injection = injection,
				  .with_stack = with_stack,
				  .at = {k, injection == INJECT_TWO ? k + distance : 0}};

		fault = run_once(&run);
		(*runs)++;
		if (fault)
			printf("# instruction %lu of %lu: %s\n", (unsigned long)k,
			       (unsigned long)dry.instructions, fault);
	}
	*instructions = dry.instructions;
	return !fault;
}

int main(void)
{
	uint64_t runs = 0;
	int failed = 0;
	int number = 0;

	attached_arena(4 << 20, STELE_ON_FULL_DROP)->ring_class_max = 1; /* soon at its largest */
	name = stele_name_intern("id");
	filler = stele_name_intern("filler");
	stepped_install(on_instruction);
	printf("1..%d\n", STATE__COUNT * (INJECT__COUNT - 1) + INJECT__COUNT - 1);
	for (int state = 0; state < STATE__COUNT; state++)
		for (int injection = INJECT_ONE; injection < INJECT__COUNT; injection++) {
			uint64_t count = 0;
			bool ok = inject_everywhere(state, injection, false, &runs, &count);

			failed += !ok;
			printf("%s %d - %s, %u nested events at each of %lu instructions\n",
			       ok ? "ok" : "not ok", ++number, state_names[state],
			       injection_events[injection], (unsigned long)count);
		}
	for (int injection = INJECT_ONE; injection < INJECT__COUNT; injection++) {
		uint64_t count = 0;
		bool ok = inject_everywhere(STATE_MIDDLE, injection, true, &runs, &count);

		failed += !ok;
		printf("%s %d - a wait with its stack, %u nested events at each of %lu "
		       "instructions\n",
		       ok ? "ok" : "not ok", ++number, injection_events[injection],
		       (unsigned long)count);
	}
	printf("# %lu runs\n", (unsigned long)runs);
	return failed != 0;
}

#endif
