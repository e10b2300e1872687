/* SPDX-License-Identifier: MIT */
/* Threads that lose their processor: what the trace says of them is true, and always a trace. */
#include "support/randomprocess.h"
#include "support/tap.h"

#include <stdlib.h>
#include <string.h>

#include "stele/read.h"

#define SWITCHES_MAX 4096

/* What the kernel will tell at the drain's next look. */
struct kernel {
	struct stele_switch told[SWITCHES_MAX], given[SWITCHES_MAX];
	size_t count;
};

static size_t kernel_take(void *arg, const struct stele_switch **ret_switches, uint64_t *ret_lost)
{
	struct kernel *k = arg;
	size_t count = k->count;

	memcpy(k->given, k->told, count * sizeof(k->told[0]));
	k->count = 0;
	*ret_switches = k->given;
	*ret_lost = 0;
	return count;
}

static void kernel_tell(struct kernel *k, uint64_t ns, uint32_t tid, enum stele_switch_kind kind)
{
	if (k->count < SWITCHES_MAX)
		k->told[k->count++] = (struct stele_switch){ns, tid, kind};
}

/* One thread, which is known. */
struct one {
	struct kernel kernel;
	struct synthetic s;
	struct synthetic_thread t;
};

static struct one *one_open(void)
{
	struct one *o = calloc(1, sizeof(*o));

	o->s.switches = (struct stele_switches){kernel_take, &o->kernel};
	synthetic_open(&o->s, ARENA_BYTES, 26, 1);
	o->t = synthetic_thread(&o->s, 100, 1, 0);
	return o;
}

static void one_close(struct one *o)
{
	synthetic_close(&o->s);
	free(o);
}

/* So much later. */
static void one_pass(struct one *o, uint64_t ns)
{
	o->s.now += ns;
}

static void one_switch(struct one *o, enum stele_switch_kind kind)
{
	kernel_tell(&o->kernel, o->s.now, o->t.tid, kind);
}

/* For how long the goroutine was in this state; its newest reason for it. */
static int64_t one_spent(const struct one *o, unsigned state, char *reason, size_t bytes)
{
	struct stele_reader *reader = NULL;
	const struct stele_event *e;
	int64_t since = 0, spent = 0;
	unsigned now = STELE_STATE_NOT_EXIST;

	CHECK_EQ(stele_reader_open_memory(o->s.out, o->s.out_bytes, NULL, &reader), 0);
	while (stele_reader_next(reader, &e) == 1) {
		if (e->kind != STELE_EVENT_TRANSITION || e->resource != STELE_RESOURCE_GOROUTINE)
			continue;
		if (now == state)
			spent += e->time - since;
		if (e->to == state && e->from != state)
			snprintf(reason, bytes, "%.*s", (int)e->name.bytes, e->name.data);
		now = e->to;
		since = e->time;
	}
	stele_reader_close(reader);
	return spent;
}

static void whoever_is_preempted_is_runnable(void)
{
	struct one *o = one_open();
	char reason[32] = "";
	struct stele_drain_stats stats;

	one_pass(o, 1000000);
	one_switch(o, STELE_SWITCH_PREEMPTED);
	one_pass(o, 8000000);
	one_switch(o, STELE_SWITCH_IN);
	one_pass(o, 1000000);
	CHECK_EQ(synthetic_finish(&o->s), 0);
	CHECK(synthetic_is_valid(&o->s));
	CHECK(llabs(one_spent(o, STELE_STATE_RUNNABLE, reason, sizeof(reason)) - 8000000) < 100);
	CHECK(strcmp(reason, "preempted") == 0);
	stele__drain_stats(o->s.drain, &stats);
	CHECK_EQ(stats.bridged, 0);
	CHECK_EQ(stats.switches, 2);
	one_close(o);
}

static void whoever_blocks_without_a_word_waits_in_the_kernel(void)
{
	struct one *o = one_open();
	char reason[32] = "";

	one_pass(o, 1000000);
	one_switch(o, STELE_SWITCH_BLOCKED);
	stele__drain_tick(o->s.drain);
	one_pass(o, 8000000);
	stele__drain_tick(o->s.drain);
	one_switch(o, STELE_SWITCH_IN);
	one_pass(o, 1000000);
	CHECK_EQ(synthetic_finish(&o->s), 0);
	CHECK(synthetic_is_valid(&o->s));
	CHECK(llabs(one_spent(o, STELE_STATE_WAITING, reason, sizeof(reason)) - 8000000) < 100);
	CHECK(strcmp(reason, "kernel") == 0);
	one_close(o);
}

/* The wait says more than the switches within it. */
static void within_waits_and_calls_they_say_nothing(void)
{
	for (int call = 0; call < 2; call++) {
		struct one *o = one_open();
		char reason[32] = "";
		uint64_t token = synthetic_emit(
			&o->s, &o->t, call ? STELE_KIND_SYSCALL_BEGIN : STELE_KIND_GO_BLOCK,
			STELE_WAIT_CODE_SLEEP, 0, 0);

		one_switch(o, STELE_SWITCH_BLOCKED);
		one_pass(o, 1000000);
		one_switch(o, STELE_SWITCH_IN);
		one_pass(o, 1000);
		one_switch(o, STELE_SWITCH_PREEMPTED);
		one_pass(o, 1000);
		one_switch(o, STELE_SWITCH_IN);
		synthetic_emit(&o->s, &o->t, call ? STELE_KIND_SYSCALL_END : STELE_KIND_GO_WAKE,
			       token, 0, 0);
		CHECK_EQ(synthetic_finish(&o->s), 0);
		CHECK(synthetic_is_valid(&o->s));
		CHECK_EQ(one_spent(o, STELE_STATE_RUNNABLE, reason, sizeof(reason)), call ? 0 : 1);
		CHECK(strcmp(reason, "preempted") != 0);
		one_close(o);
	}
}

/* Also if the kernel's word that it runs was lost. */
static void whoever_tells_something_runs(void)
{
	struct one *o = one_open();
	char reason[32] = "";
	uint64_t token;

	one_pass(o, 1000000);
	one_switch(o, STELE_SWITCH_PREEMPTED);
	one_pass(o, 1000000);
	token = synthetic_emit(&o->s, &o->t, STELE_KIND_GO_BLOCK, STELE_WAIT_CODE_SLEEP, 0, 0);
	one_pass(o, 5000000);
	synthetic_emit(&o->s, &o->t, STELE_KIND_GO_WAKE, token, 0, 0);
	one_pass(o, 3000000);
	CHECK_EQ(synthetic_finish(&o->s), 0);
	CHECK(synthetic_is_valid(&o->s));
	CHECK(llabs(one_spent(o, STELE_STATE_RUNNABLE, reason, sizeof(reason)) - 1000000) < 2000);
	CHECK(llabs(one_spent(o, STELE_STATE_WAITING, reason, sizeof(reason)) - 5000000) < 2000);
	CHECK(llabs(one_spent(o, STELE_STATE_RUNNING, reason, sizeof(reason)) - 4000000) < 5000);
	one_close(o);
}

/* Of what happens behind the drain's look at the clock the kernel has not told yet. */
static void records_wait_for_what_the_kernel_tells_of_before_them(void)
{
	struct one *o = one_open();
	char reason[32] = "";

	one_pass(o, 1000000);
	o->s.first = o->s.now; /* the tick is of before the wait below */
	one_pass(o, 1000000);
	synthetic_emit(&o->s, &o->t, STELE_KIND_GO_BLOCK, STELE_WAIT_CODE_SLEEP, 0, 0);
	stele__drain_tick(o->s.drain);
	kernel_tell(&o->kernel, o->s.now - 901000, o->t.tid, STELE_SWITCH_PREEMPTED);
	kernel_tell(&o->kernel, o->s.now - 401000, o->t.tid, STELE_SWITCH_IN);
	CHECK_EQ(synthetic_finish(&o->s), 0);
	CHECK(synthetic_is_valid(&o->s));
	CHECK(llabs(one_spent(o, STELE_STATE_RUNNABLE, reason, sizeof(reason)) - 500000) < 100);
	one_close(o);
}

static void process_switches(struct process *p, struct kernel *k)
{
	for (uint64_t n = next_random(p, 6); n > 0; n--)
		kernel_tell(k, p->s.now - next_random(p, 3000) + next_random(p, 1000),
			    100 + (uint32_t)next_random(p, p->tids - 90),
			    (enum stele_switch_kind)next_random(p, 3));
}

static void whatever_is_told_the_trace_is_valid(void)
{
	static const unsigned versions[] = {23, 25, 26};
	struct kernel *k = calloc(1, sizeof(*k));
	uint64_t switches = 0;

	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct process p = {.s.keep = seed % 2, .s.switches = {kernel_take, k}};
		struct stele_drain_stats stats;

		k->count = 0;
		process_open(&p, versions[seed % 3], seed);
		for (int i = 0; i < 3000; i++) {
			process_step(&p);
			if (next_random(&p, 2))
				process_switches(&p, k);
			if (next_random(&p, 20) == 0)
				stele__drain_tick(p.s.drain);
			if (next_random(&p, 300) == 0)
				process_pause(&p);
			if (p.s.keep && next_random(&p, 1000) == 0)
				synthetic_take_over(&p.s);
		}
		stele__drain_stats(p.s.drain, &stats);
		switches += stats.switches;
		CHECK_EQ(synthetic_finish(&p.s), 0);
		CHECK(synthetic_is_valid(&p.s));
		synthetic_close(&p.s);
	}
	printf("# %llu switches\n", (unsigned long long)switches);
	free(k);
}

/* It waits in the kernel when the drain dies; the next one hears nothing of it. */
static void another_drain_goes_on_with_whoever_waits(void)
{
	struct one *o = calloc(1, sizeof(*o));
	char reason[32] = "";

	o->s.switches = (struct stele_switches){kernel_take, &o->kernel};
	o->s.keep = true;
	synthetic_open(&o->s, ARENA_BYTES, 26, 1);
	o->t = synthetic_thread(&o->s, 100, 1, 0);
	one_pass(o, 1000000);
	one_switch(o, STELE_SWITCH_BLOCKED);
	stele__drain_cut(o->s.drain);
	synthetic_take_over(&o->s);
	one_pass(o, 1000000);
	synthetic_emit(&o->s, &o->t, STELE_KIND_LABEL, 0, 0, 0);
	one_pass(o, 7000000);
	CHECK_EQ(synthetic_finish(&o->s), 0);
	CHECK(synthetic_is_valid(&o->s));
	CHECK(one_spent(o, STELE_STATE_WAITING, reason, sizeof(reason)) < 2000000);
	one_close(o);
}

TAP_MAIN(TEST(whoever_is_preempted_is_runnable),
	 TEST(whoever_blocks_without_a_word_waits_in_the_kernel),
	 TEST(within_waits_and_calls_they_say_nothing), TEST(whoever_tells_something_runs),
	 TEST(records_wait_for_what_the_kernel_tells_of_before_them),
	 TEST(whatever_is_told_the_trace_is_valid), TEST(another_drain_goes_on_with_whoever_waits))
