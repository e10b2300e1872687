/* SPDX-License-Identifier: MIT */
/* stele/fiber.h: fibers that run, wait for each other, and end. */
#include "stele/fiber.h"

#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fiber/scheduler.h"
#include "support/listen.h"
#include "support/tap.h"

#define MANY   1500
#define ROUNDS 2000

static const struct stele_fiber_options one = {.workers = 1}, four = {.workers = 4};

static atomic_uint counted;

static void count(void *arg)
{
	(void)arg;
	counted++;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Beginning and end --------------------------------------------------------------------------- */

static void make_many(void *arg)
{
	struct stele_fiber *f[100];

	(void)arg;
	for (int i = 0; i < MANY / 100; i++) {
		for (int k = 0; k < 100; k++)
			f[k] = stele_fiber_spawn(count, NULL);
		for (int k = 0; k < 100; k++)
			stele_fiber_join(f[k]);
	}
	for (int i = 0; i < MANY; i++)
		stele_fiber_detach(stele_fiber_spawn(count, NULL));
}

static void all_fibers_run_before_run_returns(void)
{
	for (unsigned workers = 1; workers <= 4; workers++) {
		struct stele_fiber_options options = {.workers = workers};

		counted = 0;
		CHECK_EQ(stele_fiber_run(&options, make_many, NULL), 0);
		CHECK_EQ(counted, 2 * MANY);
	}
}

static int run_again;

static void run_within(void *arg)
{
	(void)arg;
	run_again = stele_fiber_run(NULL, count, NULL);
	errno = 0;
	CHECK(stele_fiber_spawn_with(1000, NULL, count, NULL) == NULL);
	CHECK_EQ(errno, EINVAL);
	CHECK(stele_fiber_self() != NULL);
}

static void misuse_is_refused(void)
{
	struct stele_fiber_options options = {.stack_limit = 128u << 20};

	errno = 0;
	CHECK(stele_fiber_spawn(count, NULL) == NULL);
	CHECK_EQ(errno, ESRCH);
	CHECK(stele_fiber_self() == NULL);
	CHECK_EQ(stele_fiber_run(&options, count, NULL), -EINVAL);
	CHECK_EQ(stele_fiber_run(NULL, run_within, NULL), 0);
	CHECK_EQ(run_again, -EBUSY);
}

/* What a fiber keeps -------------------------------------------------------------------------- */

/* In functions of their own: within one the compiler asks once where errno is. */
static __attribute__((noinline)) void set_errno(int error)
{
	errno = error;
}

static __attribute__((noinline)) int get_errno(void)
{
	return errno;
}

static void keep_errno(void *arg)
{
	int mine = (int)(intptr_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		set_errno(mine);
		stele_fiber_yield();
		if (get_errno() != mine)
			counted++;
	}
}

static void keep_rounding(void *arg)
{
	int mine = (int)(intptr_t)arg;

	fesetround(mine);
	for (int i = 0; i < ROUNDS; i++) {
		stele_fiber_yield();
		if (fegetround() != mine)
			counted++;
	}
}

static void keep_all(void *arg)
{
	(void)arg;
	for (int i = 1; i <= 8; i++)
		stele_fiber_detach(stele_fiber_spawn(keep_errno, (void *)(intptr_t)i));
#if defined(__x86_64__)
	stele_fiber_detach(stele_fiber_spawn(keep_rounding, (void *)(intptr_t)FE_UPWARD));
	stele_fiber_detach(stele_fiber_spawn(keep_rounding, (void *)(intptr_t)FE_TOWARDZERO));
	stele_fiber_detach(stele_fiber_spawn(keep_rounding, (void *)(intptr_t)FE_TONEAREST));
#else
	(void)keep_rounding;
#endif
}

static void errno_and_rounding_stay_with_the_fiber(void)
{
	counted = 0;
	CHECK_EQ(stele_fiber_run(&four, keep_all, NULL), 0);
	CHECK_EQ(counted, 0);
}

/* Parking ------------------------------------------------------------------------------------- */

struct pair {
	struct stele_fiber *other[2];
	int turn;
};

static void take_turns(void *arg)
{
	struct pair *p = arg;
	struct stele_fiber *peer;
	int me;

	while (!__atomic_load_n(&p->other[0], __ATOMIC_ACQUIRE) ||
	       !__atomic_load_n(&p->other[1], __ATOMIC_ACQUIRE))
		stele_fiber_yield();
	me = stele_fiber_self() == p->other[1];
	peer = p->other[!me];
	for (int i = 0; i < ROUNDS; i++) {
		while (__atomic_load_n(&p->turn, __ATOMIC_ACQUIRE) != me)
			stele_fiber_park(STELE_WAIT_CONDITION, p);
		__atomic_store_n(&p->turn, !me, __ATOMIC_RELEASE);
		stele_fiber_unpark(peer);
		counted++;
	}
}

static void park_pairs(void *arg)
{
	static struct pair pairs[8];

	(void)arg;
	memset(pairs, 0, sizeof(pairs));
	for (int i = 0; i < 8; i++)
		for (int k = 0; k < 2; k++) {
			struct stele_fiber *f = stele_fiber_spawn(take_turns, &pairs[i]);

			__atomic_store_n(&pairs[i].other[k], f, __ATOMIC_RELEASE);
		}
	for (int i = 0; i < 8; i++)
		for (int k = 0; k < 2; k++)
			stele_fiber_join(pairs[i].other[k]);
}

static void no_unpark_is_lost(void)
{
	counted = 0;
	CHECK_EQ(stele_fiber_run(&four, park_pairs, NULL), 0);
	CHECK_EQ(counted, 8 * 2 * ROUNDS);
}

static struct stele_fiber *waits_for_thread;

static void *unpark_it(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++) {
		usleep(100);
		counted++;
		stele_fiber_unpark(waits_for_thread);
	}
	return NULL;
}

static void wait_for_thread(void *arg)
{
	pthread_t thread;

	(void)arg;
	waits_for_thread = stele_fiber_self();
	pthread_create(&thread, NULL, unpark_it, NULL);
	while (counted < 100)
		stele_fiber_park(STELE_WAIT_UNSPECIFIED, NULL);
	pthread_join(thread, NULL);
}

static void threads_outside_wake_fibers(void)
{
	struct stele_fiber_options options = {.workers = 2, .woken_from_outside = true};

	counted = 0;
	CHECK_EQ(stele_fiber_run(&options, wait_for_thread, NULL), 0);
	CHECK_EQ(counted, 100);
}

/* Sleeping ------------------------------------------------------------------------------------ */

static int slept[5];
static atomic_int slept_count;

static void sleep_for(void *arg)
{
	int turn = (int)(intptr_t)arg;

	stele_fiber_sleep((uint64_t)turn * 20000000u);
	slept[slept_count++] = turn;
}

static void sleep_all(void *arg)
{
	(void)arg;
	for (int i = 0; i < 5; i++) /* 3, 1, 4, 2, 5 */
		stele_fiber_detach(stele_fiber_spawn(sleep_for, (void *)(intptr_t)(i * 3 % 5 + 1)));
}

static void sleepers_wake_in_their_order(void)
{
	uint64_t begin = now_ns();

	slept_count = 0;
	CHECK_EQ(stele_fiber_run(&four, sleep_all, NULL), 0);
	CHECK(now_ns() - begin >= 100000000);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(slept[i], i + 1);
}

/* Calls that block ---------------------------------------------------------------------------- */

static int pipes[2];

static void read_slowly(void *arg)
{
	char c;

	(void)arg;
	for (int i = 0; i < 20; i++) {
		ssize_t n;

		stele_fiber_blocking_begin(SYS_read);
		n = read(pipes[0], &c, 1);
		set_errno(77);
		stele_fiber_blocking_end(n);
		CHECK_EQ(get_errno(), 77);
		counted += n == 1;
	}
}

/* With one worker it can only run, and write, if the reader's is taken. */
static void write_when_read(void *arg)
{
	struct stele_fiber *reader = stele_fiber_spawn(read_slowly, NULL);

	(void)arg;
	for (int i = 0; i < 20; i++) {
		stele_fiber_sleep(1000000);
		CHECK_EQ(write(pipes[1], "x", 1), 1);
	}
	stele_fiber_join(reader);
}

static void a_call_that_blocks_leaves_its_worker_to_others(void)
{
	if (!CHECK_EQ(pipe(pipes), 0))
		return;
	for (unsigned workers = 1; workers <= 3; workers += 2) {
		struct stele_fiber_options options = {.workers = workers};

		counted = 0;
		CHECK_EQ(stele_fiber_run(&options, write_when_read, NULL), 0);
		CHECK_EQ(counted, 20);
	}
	close(pipes[0]);
	close(pipes[1]);
}

static void block_often(void *arg)
{
	(void)arg;
	for (int i = 0; i < 300; i++) {
		stele_fiber_blocking_begin(SYS_nanosleep);
		usleep(i % 7 == 0 ? 200 : 1);
		stele_fiber_blocking_end(0);
		counted++;
		if (i % 3 == 0)
			stele_fiber_yield();
	}
}

static void block_all(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++)
		stele_fiber_detach(stele_fiber_spawn(block_often, NULL));
}

static void calls_lose_and_find_workers(void)
{
	struct stele_fiber_options two = {.workers = 2};

	counted = 0;
	CHECK_EQ(stele_fiber_run(&two, block_all, NULL), 0);
	CHECK_EQ(counted, 3000);
}

static void call_for(void *arg)
{
	stele_fiber_blocking_begin(-1);
	usleep((useconds_t)(intptr_t)arg);
	stele_fiber_blocking_end(0);
}

/* The first comes back while the second, to which its worker was given, is in a call with it. */
static void call_within_call(void *arg)
{
	struct stele_fiber *first = stele_fiber_spawn(call_for, (void *)30000);
	struct stele_fiber *second = stele_fiber_spawn(call_for, (void *)90000);

	(void)arg;
	stele_fiber_join(second);
	stele_fiber_join(first);
}

static void a_call_takes_no_worker_that_another_thread_has_left(void)
{
	CHECK_EQ(stele_fiber_run(&one, call_within_call, NULL), 0);
	CHECK_EQ(stele__sched.lost_calls, 0);
}

/* Ends that are none -------------------------------------------------------------------------- */

static void wait_for_nothing(void *arg)
{
	struct stele_channel *c = stele_channel_new(1, 0);
	char value;

	(void)arg;
	stele_channel_receive(c, &value);
}

static void lock_twice(void *arg)
{
	static struct stele_mutex m;

	(void)arg;
	stele_mutex_lock(&m);
	stele_mutex_lock(&m);
}

static void deadlock(void *arg)
{
	(void)arg;
	stele_fiber_detach(stele_fiber_spawn_with(0, "receiver", wait_for_nothing, NULL));
	stele_fiber_join(stele_fiber_spawn_with(0, "locker", lock_twice, NULL));
}

static int run_deadlock(void)
{
	return stele_fiber_run(&four, deadlock, NULL);
}

static void a_deadlock_shows_all_fibers_and_ends_the_process(void)
{
	int status = 0;
	const char *text = child_says(run_deadlock, &status);

	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 2);
	CHECK(strstr(text, "all 3 fibers wait"));
	CHECK(strstr(text, "\"receiver\""));
	CHECK(strstr(text, "waits to receive"));
	CHECK(strstr(text, "\"locker\""));
	CHECK(strstr(text, "waits for a mutex"));
	CHECK(strstr(text, "waits for a fiber to end"));
	CHECK(strstr(text, "addr2line"));
	if (tap_now.reports)
		printf("# %s\n", text);
}

static void wait_and_be_woken_late(void *arg)
{
	(void)arg;
	stele_fiber_sleep(50000000);
}

static void block_and_return(void *arg)
{
	(void)arg;
	stele_fiber_blocking_begin(-1);
	usleep(50000);
	stele_fiber_blocking_end(0);
}

static void wait_for_late_ones(void *arg)
{
	(void)arg;
	stele_fiber_join(stele_fiber_spawn(wait_and_be_woken_late, NULL));
	stele_fiber_join(stele_fiber_spawn(block_and_return, NULL));
}

static void sleep_and_calls_are_no_deadlock(void)
{
	CHECK_EQ(stele_fiber_run(&one, wait_for_late_ones, NULL), 0);
	CHECK_EQ(stele_fiber_run(&four, wait_for_late_ones, NULL), 0);
}

TAP_MAIN(TEST(all_fibers_run_before_run_returns), TEST(misuse_is_refused),
	 TEST(errno_and_rounding_stay_with_the_fiber), TEST(no_unpark_is_lost),
	 TEST(threads_outside_wake_fibers), TEST(sleepers_wake_in_their_order),
	 TEST(a_call_that_blocks_leaves_its_worker_to_others), TEST(calls_lose_and_find_workers),
	 TEST(a_call_takes_no_worker_that_another_thread_has_left),
	 TEST(a_deadlock_shows_all_fibers_and_ends_the_process),
	 TEST(sleep_and_calls_are_no_deadlock))
