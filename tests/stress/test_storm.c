/* SPDX-License-Identifier: MIT */
/*
 * Writers, their own signal handlers and a reader at once: every thread emits in a loop while a
 * timer interrupts it as fast as the machine delivers signals, and the handler emits too. A reader
 * takes the records meanwhile. Rings are small, so that they are full, replaced and waited for all
 * the time. In the end every event was taken exactly once and in order, or was counted as lost.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "support/attached.h"
#include "support/tap.h"

#define WRITERS	      3
#define SOURCES	      2 /* the loop, its handler */
#define SECONDS	      2
#define SEQUENCE_BITS 48

struct writer {
	uint64_t emitted[SOURCES];
	uint64_t taken[SOURCES];
	uint64_t next[SOURCES];
	uint64_t dropped;
	uint32_t slot, incarnation;
};

static struct stele_arena *arena;
static stele_name name;
static struct writer writers[WRITERS];
static __thread struct writer *me;
static uint32_t stop, done;
static const char *fault;

static void emit_next(unsigned source)
{
	uint64_t sequence = __atomic_fetch_add(&me->emitted[source], 1, __ATOMIC_RELAXED);
	uint64_t who = (uint64_t)(me - writers) * SOURCES + source;

	stele_counter(name, (int64_t)(who << SEQUENCE_BITS | sequence));
}

static void on_signal(int number)
{
	(void)number;
	if (me)
		emit_next(1);
}

static timer_t start_timer(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
	struct itimerspec rate = {.it_interval.tv_nsec = 20000, .it_value.tv_nsec = 20000};
	timer_t timer;

	event._sigev_un._tid = (pid_t)stele__sys_tid();
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &rate, NULL);
	return timer;
}

static uint64_t slot_dropped(const struct stele_slot *slot)
{
	uint64_t sum = 0;

	for (int cause = 0; cause < STELE__LOSS_COUNT; cause++)
		for (int class = 0; class < STELE__CLASS_COUNT; class ++)
			sum += slot->dropped[cause][class];
	return sum;
}

static void *writer_run(void *arg)
{
	struct writer *w = arg;
	timer_t timer;

	stele_thread_begin(0, NULL);
	w->slot = stele__thread.ring->slot;
	stele__store_release(&w->incarnation, stele__thread.ring->incarnation);
	me = w;
	timer = start_timer();
	while (!stele__load_relaxed(&stop))
		emit_next(0);
	timer_delete(timer);
	me = NULL;
	w->dropped = slot_dropped(stele__thread_slot(stele__thread.ring));
	stele__add_acq_rel(&done, 1);
	return NULL;
}

static void check_record(void *arg, const struct stele_record *r)
{
	uint64_t *last_time = arg;
	uint64_t who = r->b >> SEQUENCE_BITS;
	uint64_t sequence = r->b & ((1ull << SEQUENCE_BITS) - 1);
	struct writer *w;

	if (stele__record_kind(r->header) != STELE_KIND_COUNTER)
		return;
	if (r->a != name || who >= WRITERS * SOURCES) {
		fault = "a record is torn";
		return;
	}
	if (stele__record_time(r->header) < *last_time)
		fault = "time runs backwards";
	*last_time = stele__record_time(r->header);
	w = &writers[who / SOURCES];
	if (sequence < w->next[who % SOURCES])
		fault = "an event was taken twice or out of order";
	w->next[who % SOURCES] = sequence + 1;
	w->taken[who % SOURCES]++;
}

/* Takes what one slot has; `at` is the sequence of the ring that is being read. */
static void take_slot(uint32_t slot, uint32_t incarnation, uint32_t *at, uint64_t *last_time)
{
	struct stele_slot *s = stele__arena_slot(arena, slot);
	struct stele_ring *ring;

	while ((ring = attached_ring(arena, slot, incarnation, *at))) {
		uint64_t head = stele__load_acquire(&ring->head);

		attached_take(ring, check_record, last_time);
		if (!(head & STELE_HEAD_CLOSED) || ring->tail != (head & ~STELE_HEAD_CLOSED))
			break;
		++*at;
	}
	stele__add_acq_rel(&s->tail_futex, 1);
	if (stele__load_acquire(&s->waiting))
		stele__sys_futex_wake(&s->tail_futex, 1);
}

static void take_all(uint32_t at[WRITERS], uint64_t last_time[WRITERS])
{
	stele__store_release(&arena->heartbeat_ns, stele__sys_monotonic_ns());
	for (int i = 0; i < WRITERS; i++)
		if (stele__load_acquire(&writers[i].incarnation))
			take_slot(writers[i].slot, writers[i].incarnation, &at[i], &last_time[i]);
}

static void storm_loses_nothing_uncounted(void)
{
	uint32_t at[WRITERS] = {0};
	uint64_t last_time[WRITERS] = {0};
	pthread_t threads[WRITERS];
	uint64_t begin, handler_events = 0, dropped = 0, events = 0;

	arena->ring_class_max = 2;
	for (int i = 0; i < WRITERS; i++)
		pthread_create(&threads[i], NULL, writer_run, &writers[i]);
	begin = stele__sys_monotonic_ns();
	while (stele__load_acquire(&done) < WRITERS) {
		take_all(at, last_time);
		if (stele__sys_monotonic_ns() - begin > SECONDS * 1000000000ull)
			stele__store_relaxed(&stop, 1);
	}
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	take_all(at, last_time);
	CHECK_STR(fault ? fault : "no fault", "no fault");
	for (int i = 0; i < WRITERS; i++) {
		struct writer *w = &writers[i];

		CHECK_EQ(w->taken[0] + w->taken[1] + w->dropped, w->emitted[0] + w->emitted[1]);
		events += w->emitted[0];
		handler_events += w->emitted[1];
		dropped += w->dropped;
	}
	CHECK(handler_events > 100);
	printf("# %lu events, %lu from handlers, %lu dropped and counted\n", (unsigned long)events,
	       (unsigned long)handler_events, (unsigned long)dropped);
}

int main(int argc, char **argv)
{
	static const struct tap_test tests[] = {TEST(storm_loses_nothing_uncounted)};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	arena = attached_arena(8 << 20, STELE_ON_FULL_BLOCK);
	name = stele_name_intern("storm");
	sigaction(SIGUSR1, &action, NULL);
	return tap_run(tests, STELE_ARRAY_LENGTH(tests), argc > 1 ? argv[1] : NULL);
}
