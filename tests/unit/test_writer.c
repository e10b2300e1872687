/* SPDX-License-Identifier: MIT */
/* The public recording interface, down to the records that it leaves in the arena. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/attached.h"
#include "support/tap.h"

#define RECORDS_MAX 8192

struct taken {
	struct stele_record records[RECORDS_MAX];
	uint64_t count;
};

static struct stele_arena *arena;
static struct taken taken;

static void keep(void *arg, const struct stele_record *r)
{
	struct taken *t = arg;

	if (t->count < RECORDS_MAX)
		t->records[t->count++] = *r;
}

/* All new records of the calling thread, in order. */
static void take_mine(void)
{
	struct stele_ring *mine = stele__thread.ring;
	struct stele_ring *ring;

	taken.count = 0;
	for (uint32_t i = 0; (ring = attached_ring(arena, mine->slot, mine->incarnation, i)); i++)
		attached_take(ring, keep, &taken);
}

static unsigned kind_of(uint64_t i)
{
	return stele__record_kind(taken.records[i].header);
}

static void thread_enters_with_its_first_event(void)
{
	take_mine();
	CHECK(taken.count >= 2);
	CHECK_EQ(kind_of(0), STELE_KIND_THREAD_BEGIN);
	CHECK_EQ(taken.records[0].a, 1);
	CHECK_EQ(taken.records[0].b, STELE_THREAD_MAIN);
	CHECK_EQ(kind_of(1), STELE_KIND_IMAGE_BEGIN);
	CHECK_EQ(kind_of(2), STELE_KIND_MODULE_LOAD);
}

static void wait_is_named_by_its_token(void)
{
	stele_interval wait;

	take_mine();
	wait = stele_block(STELE_WAIT_MUTEX, &taken);
	stele_wake(wait);
	take_mine();
	CHECK_EQ(taken.count, 2);
	CHECK_EQ(kind_of(0), STELE_KIND_GO_BLOCK);
	CHECK_EQ((uint32_t)taken.records[0].a, STELE_WAIT_MUTEX);
	CHECK_EQ(taken.records[0].b, (uintptr_t)&taken);
	CHECK(stele__dictionary_get(arena, (uint32_t)(taken.records[0].a >> 32)));
	CHECK_EQ(kind_of(1), STELE_KIND_GO_WAKE);
	CHECK_EQ(taken.records[1].a, wait);
	CHECK(stele__record_time(taken.records[1].header) >=
	      stele__record_time(taken.records[0].header));
}

static void errno_is_kept(void)
{
	errno = 1234;
	stele_syscall_end(stele_syscall_begin(0, 1), -1);
	stele_log(0, "key", "text");
	stele_thread_set_name("tester");
	stele_modules_changed(false);
	CHECK_EQ(errno, 1234);
}

/* This frame pointer is there, so the caller's caller must be in the stack. */
static __attribute__((noinline)) stele_interval stack_inner(void)
{
	stele_interval wait = stele_block(STELE_WAIT_SLEEP, NULL);

	__asm__ volatile("");
	return wait;
}

static uint64_t time_of(uint64_t i)
{
	return stele__record_time(taken.records[i].header);
}

/*
 * One runs when the other has left, and there is nothing between the two: the clock is not read
 * again. Where something is, or another thread told of the goroutine last, it is.
 */
static void switch_of_goroutines_is_one_moment(void)
{
	struct stele_proc p = {.index = 0};
	struct stele_goroutine a = {0}, b = {0};
	static const uint8_t want[] = {
		STELE_KIND_PROC_START, STELE_KIND_GO_CREATE, STELE_KIND_GO_CREATE,
		STELE_KIND_GO_START,   STELE_KIND_GO_PARK,   STELE_KIND_GO_START,
		STELE_KIND_GO_UNBLOCK, STELE_KIND_GO_STOP,   STELE_KIND_GO_START,
		STELE_KIND_GO_STOP,    STELE_KIND_GO_START,
	};

	take_mine();
	stele_sched_acquire(&p);
	stele_sched_create(&a, NULL);
	stele_sched_create(&b, NULL);
	stele_sched_start(&p, &a, NULL, NULL);
	stele_sched_park(&a, STELE_WAIT_CHANNEL_RECEIVE, NULL);
	stele_sched_start(&p, &b, NULL, NULL);
	stele_sched_ready(&a);
	stele_sched_yield(&b, STELE_WAIT_YIELD);
	stele_sched_start(&p, &a, NULL, NULL);
	stele_sched_yield(&a, STELE_WAIT_YIELD);
	b.teller = &b; /* another thread's */
	stele_sched_start(&p, &b, NULL, NULL);
	take_mine();
	if (!CHECK_EQ(taken.count, sizeof(want)))
		return;
	for (uint64_t i = 0; i < sizeof(want); i++) {
		CHECK_EQ(kind_of(i), want[i]);
		CHECK(i == 0 || time_of(i) >= time_of(i - 1));
	}
	CHECK(time_of(3) > time_of(2)); /* behind a creation */
	CHECK_EQ(time_of(5), time_of(4));
	CHECK_EQ(time_of(8), time_of(7));
	CHECK(time_of(10) > time_of(9));
}

static void stack_names_the_callers(void)
{
	const struct stele_entry *e;
	const uint64_t *pcs;

	take_mine();
	stele_wake(stack_inner());
	take_mine();
	e = stele__dictionary_get(arena, (uint32_t)(taken.records[0].a >> 32));
	if (!CHECK(e) || !CHECK(e->length >= 2))
		return;
	pcs = (const void *)(e + 1);
	/* The test program links the recorder statically, so its own frames are in it as well. */
	for (uint32_t i = 0; i < e->length; i++)
		if (pcs[i] - (uint64_t)(uintptr_t)&stack_names_the_callers < 4096)
			return;
	CHECK(!"this function is in the stack");
}

static void annotations_carry_their_strings(void)
{
	stele_task_id task;

	take_mine();
	task = stele_task_begin("request", 0);
	stele_region_begin("parse", task);
	stele_log(task, "url", "/index");
	stele_region_end("parse", task);
	stele_task_end(task);
	stele_counter(stele_name_intern("bytes"), -5);
	take_mine();
	CHECK_EQ(taken.count, 6);
	CHECK_EQ(kind_of(0), STELE_KIND_TASK_BEGIN);
	CHECK_EQ(kind_of(1), STELE_KIND_REGION_BEGIN);
	CHECK_EQ((uint32_t)taken.records[1].c, (uint32_t)taken.records[3].c);
	CHECK_EQ(taken.records[2].b >> 32, stele_name_intern("/index"));
	CHECK_EQ((uint32_t)taken.records[2].b, stele_name_intern("url"));
	CHECK_EQ(taken.records[5].b, (uint64_t)-5);
}

static void full_ring_grows_and_keeps_everything(void)
{
	stele_name name = stele_name_intern("count");
	uint64_t first;

	take_mine();
	for (int i = 0; i < 5000; i++)
		stele_counter(name, i);
	take_mine();
	CHECK_EQ(taken.count, 5000);
	first = taken.records[0].b;
	for (uint64_t i = 0; i < taken.count; i++)
		CHECK_EQ(taken.records[i].b, first + i);
}

/* A server's CPU time went into waking the drain, each 64 records. */
static void *emit_a_little(void *unused)
{
	stele_name name;
	uint32_t struck;

	stele_thread_begin(0, NULL);
	name = stele_name_intern("count");
	struck = arena->bell;
	CHECK_EQ(stele__thread.ring->size_class, 0);
	for (int i = 0; i < 100; i++)
		stele_counter(name, i);
	CHECK_EQ(stele__thread.ring->size_class, 1);
	CHECK_EQ(arena->bell, struck);
	return unused;
}

static void small_ring_grows_before_it_wakes_the_drain(void)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, emit_a_little, NULL), 0);
	pthread_join(thread, NULL);
}

static void *fill_to_the_cap(void *arg)
{
	struct stele_slot *slot;
	uint64_t *state_lost = arg;

	stele_thread_begin(0, NULL);
	for (int i = 0; i < 200000; i++)
		stele_counter(stele_name_intern("n"), i);
	slot = stele__thread_slot(stele__thread.ring);
	CHECK(slot->dropped[STELE_LOSS_RING_FULL][STELE_CLASS_USER] > 0);
	CHECK_EQ(slot->dropped[STELE_LOSS_RING_FULL][STELE_CLASS_STATE], 0);
	stele_wake(stele_block(STELE_WAIT_MUTEX, NULL));
	*state_lost = slot->dropped[STELE_LOSS_RING_FULL][STELE_CLASS_STATE];
	return NULL;
}

static void state_events_have_a_reserve(void)
{
	uint64_t state_lost = 1;
	pthread_t thread;

	pthread_create(&thread, NULL, fill_to_the_cap, &state_lost);
	pthread_join(thread, NULL);
	CHECK_EQ(state_lost, 0);
}

/* A handler may have waited in between, and seen a newer tail than the emission it interrupted. */
static void room_made_meanwhile_is_not_waited_for(void)
{
	struct stele_ring *ring = stele__thread.ring;
	struct stele_slot *slot = stele__arena_slot(arena, ring->slot);
	uint64_t full_tail = ring->tail;
	uint64_t waited = slot->waited_count;

	stele_wake(stele_block(STELE_WAIT_MUTEX, NULL));
	take_mine();
	ring->tail_seen = ring->tail;
	CHECK_EQ(stele__ring_make_room(ring, full_tail), STELE_ROOM_MADE);
	CHECK(stele__thread.ring == ring);
	CHECK_EQ(slot->waited_count, waited);
}

static void thread_that_finds_no_slot_is_not_announced(void)
{
	static struct stele_slot *slots[65536];
	unsigned count = 0;

	take_mine();
	while ((slots[count] = stele__slot_take(arena)))
		count++;
	CHECK_EQ(stele_goroutine_create(NULL), 0);
	take_mine();
	CHECK_EQ(taken.count, 0);
	while (count > 0)
		stele__slot_give(arena, slots[--count]);
	CHECK(stele_goroutine_create(NULL) != 0);
}

static void child_of_fork_is_off_and_counted(void)
{
	uint64_t children = arena->children;
	struct stele_fork fork_state;
	int status = -1;
	pid_t child;

	take_mine();
	stele_fork_prepare(&fork_state);
	child = fork();
	if (child == 0) {
		stele_fork_child(&fork_state);
		stele_wake(stele_block(STELE_WAIT_MUTEX, NULL));
		_exit(!stele_enabled() && !stele__thread.ring ? 0 : 1);
	}
	stele_fork_parent(&fork_state, child);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	CHECK_EQ(arena->children, children + 1);
	stele_child(child); /* heard of twice, counted once */
	CHECK_EQ(arena->children, children + 1);
	take_mine();
	CHECK_EQ(taken.count, 0);
}

/* qemu-user takes the advice and does not follow it. */
static bool kernel_wipes_on_fork(void)
{
	int error = 0;
	int status = 1;
	uint64_t *page = stele__sys_map_private(4096, &error);
	pid_t child;

	*page = 1;
	if (stele__sys_wipe_on_fork(page, 4096) < 0)
		return false;
	child = fork();
	if (child == 0)
		_exit(*page != 0);
	return waitpid(child, &status, 0) == child && status == 0;
}

static void child_of_a_raw_fork_is_off(void)
{
	int status = -1;
	pid_t child;

	if (!kernel_wipes_on_fork())
		SKIP("MADV_WIPEONFORK has no effect here");
	child = fork(); /* not announced */
	if (child == 0)
		_exit(stele_enabled());
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}

static void lent_thread_records_nothing(void)
{
	take_mine();
	stele_vfork_begin();
	stele_wake(stele_block(STELE_WAIT_MUTEX, NULL));
	stele_vfork_end(0);
	take_mine();
	CHECK_EQ(taken.count, 0);
	stele_wake(stele_block(STELE_WAIT_MUTEX, NULL));
	take_mine();
	CHECK_EQ(taken.count, 2);
}

#define IDLE_THREADS 1000

static pthread_barrier_t idle_barrier;

static void *idle(void *arg)
{
	stele_thread_begin(0, NULL);
	stele_wake(stele_block(STELE_WAIT_MUTEX, NULL));
	pthread_barrier_wait(&idle_barrier);
	pthread_barrier_wait(&idle_barrier);
	return arg;
}

static uint64_t resident_bytes(void)
{
	static unsigned char pages[1 << 16];
	uint64_t resident = 0;

	if (mincore(arena, arena->bytes, pages) != 0)
		return UINT64_MAX;
	for (uint64_t i = 0; i < arena->bytes / 4096; i++)
		resident += pages[i] & 1;
	return resident * 4096;
}

static void thousand_idle_threads_cost_little(void)
{
	static pthread_t threads[IDLE_THREADS];
	pthread_attr_t attr;

	pthread_barrier_init(&idle_barrier, NULL, IDLE_THREADS + 1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	for (int i = 0; i < IDLE_THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], &attr, idle, NULL), 0);
	pthread_barrier_wait(&idle_barrier);
	CHECK(resident_bytes() <= 16 << 20);
	CHECK_EQ(arena->no_slot, 0);
	pthread_barrier_wait(&idle_barrier);
	for (int i = 0; i < IDLE_THREADS; i++)
		pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
	static const struct tap_test tests[] = {
		TEST(thread_enters_with_its_first_event),
		TEST(thousand_idle_threads_cost_little),
		TEST(wait_is_named_by_its_token),
		TEST(errno_is_kept),
		TEST(stack_names_the_callers),
		TEST(annotations_carry_their_strings),
		TEST(full_ring_grows_and_keeps_everything),
		TEST(small_ring_grows_before_it_wakes_the_drain),
		TEST(state_events_have_a_reserve),
		TEST(room_made_meanwhile_is_not_waited_for),
		TEST(thread_that_finds_no_slot_is_not_announced),
		TEST(child_of_fork_is_off_and_counted),
		TEST(child_of_a_raw_fork_is_off),
		TEST(lent_thread_records_nothing),
		TEST(switch_of_goroutines_is_one_moment), /* its stack is unknown from here on */
	};

	arena = attached_arena(STELE_ARENA_BYTES_DEFAULT, STELE_ON_FULL_DROP);
	return tap_run(tests, STELE_ARRAY_LENGTH(tests), argc > 1 ? argv[1] : NULL);
}
