/* SPDX-License-Identifier: MIT */
/* stele/fiber.h: mutexes, conditions, groups and channels. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "stele/fiber.h"
#include "support/tap.h"

#define FIBERS 16
#define ROUNDS 3000

static void run(void (*entry)(void *))
{
	for (unsigned workers = 1; workers <= 4; workers += 1 + workers % 2) {
		struct stele_fiber_options options = {.workers = workers};

		CHECK_EQ(stele_fiber_run(&options, entry, NULL), 0);
	}
}

static void spawn_all(int count, void (*entry)(void *), struct stele_wait_group *group)
{
	stele_wait_group_add(group, count);
	for (int i = 0; i < count; i++)
		stele_fiber_detach(stele_fiber_spawn(entry, (void *)(intptr_t)i));
}

static struct stele_mutex mutex;
static struct stele_wait_group group;
static long plain;

static void add_under_lock(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		if (i % 5 || !stele_mutex_trylock(&mutex))
			stele_mutex_lock(&mutex);
		plain++;
		if (i % 100 == 0)
			stele_fiber_yield(); /* with the lock held */
		stele_mutex_unlock(&mutex);
	}
	stele_wait_group_done(&group);
}

static void add_all(void *arg)
{
	(void)arg;
	plain = 0;
	spawn_all(FIBERS, add_under_lock, &group);
	stele_wait_group_wait(&group);
	CHECK_EQ(plain, FIBERS * ROUNDS);
}

static void a_mutex_excludes(void)
{
	run(add_all);
}

/* A ring of ten, of which producers and consumers wait for places. */
static struct stele_condition filled, emptied;
static int held;
static long produced, consumed;

static void produce(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		stele_mutex_lock(&mutex);
		while (held == 10)
			stele_condition_wait(&emptied, &mutex);
		held++;
		produced++;
		stele_condition_signal(&filled);
		stele_mutex_unlock(&mutex);
	}
	stele_wait_group_done(&group);
}

static void consume(void *arg)
{
	(void)arg;
	for (;;) {
		stele_mutex_lock(&mutex);
		while (held == 0 && consumed < FIBERS / 2 * ROUNDS)
			stele_condition_wait(&filled, &mutex);
		if (held == 0)
			break;
		held--;
		if (++consumed == FIBERS / 2 * ROUNDS)
			stele_condition_broadcast(&filled);
		stele_condition_signal(&emptied);
		stele_mutex_unlock(&mutex);
	}
	stele_mutex_unlock(&mutex);
	stele_wait_group_done(&group);
}

static void produce_and_consume(void *arg)
{
	(void)arg;
	produced = consumed = 0;
	spawn_all(FIBERS / 2, produce, &group);
	spawn_all(FIBERS / 2, consume, &group);
	stele_wait_group_wait(&group);
	CHECK_EQ(produced, FIBERS / 2 * ROUNDS);
	CHECK_EQ(consumed, produced);
}

static void conditions_wake_whoever_waits(void)
{
	run(produce_and_consume);
}

/* Channels ------------------------------------------------------------------------------------ */

struct value {
	uint64_t sender, number, padding;
};

static struct stele_channel *channel;
static atomic_ulong received, sum;

static void send_values(void *arg)
{
	struct value v = {.sender = (uint64_t)(intptr_t)arg};

	for (v.number = 1; v.number <= ROUNDS; v.number++)
		CHECK(stele_channel_send(channel, &v));
	stele_wait_group_done(&group);
}

static struct stele_wait_group receivers;

/* Of each sender in its order. */
static void receive_values(void *arg)
{
	uint64_t last[FIBERS] = {0};
	struct value v;

	(void)arg;
	while (stele_channel_receive(channel, &v)) {
		CHECK(v.sender < FIBERS && v.number > last[v.sender]);
		last[v.sender] = v.number;
		received++;
		sum += v.number;
	}
	stele_wait_group_done(&receivers);
}

static void pass_with_capacity(size_t capacity)
{
	received = sum = 0;
	channel = stele_channel_new(sizeof(struct value), capacity);
	spawn_all(FIBERS, send_values, &group);
	spawn_all(3, receive_values, &receivers);
	stele_wait_group_wait(&group);
	stele_channel_close(channel);
	stele_wait_group_wait(&receivers);
	CHECK_EQ(received, FIBERS * ROUNDS);
	CHECK_EQ(sum, (uint64_t)FIBERS * ROUNDS * (ROUNDS + 1) / 2);
	stele_channel_free(channel);
}

static void pass_all(void *arg)
{
	static const size_t capacities[] = {0, 1, 7, 1000};

	(void)arg;
	for (size_t i = 0; i < 4; i++)
		pass_with_capacity(capacities[i]);
}

static void channels_pass_each_value_once_and_in_order(void)
{
	run(pass_all);
}

static void send_until_closed(void *arg)
{
	int v = 1;

	(void)arg;
	while (stele_channel_send(channel, &v))
		received++;
	stele_wait_group_done(&group);
}

static void close_on_all(void *arg)
{
	int v = 7;

	(void)arg;
	received = 0;
	channel = stele_channel_new(sizeof(int), 2);
	spawn_all(5, send_until_closed, &group);
	while (received < 2)
		stele_fiber_yield();
	stele_channel_close(channel);
	stele_wait_group_wait(&group);
	CHECK_EQ(received, 2);
	CHECK(stele_channel_receive(channel, &v) && v == 1);
	CHECK(stele_channel_receive(channel, &v) && v == 1);
	v = 7;
	CHECK(!stele_channel_receive(channel, &v));
	CHECK_EQ(v, 7);
	CHECK(!stele_channel_send(channel, &v));
	stele_channel_free(channel);
}

static void a_closed_channel_gives_what_it_holds(void)
{
	run(close_on_all);
}

static void impossible_channels_are_refused(void)
{
	CHECK(!stele_channel_new(SIZE_MAX / 2, 3));
	CHECK(!stele_channel_new(SIZE_MAX, 1));
}

TAP_MAIN(TEST(a_mutex_excludes), TEST(conditions_wake_whoever_waits),
	 TEST(channels_pass_each_value_once_and_in_order),
	 TEST(a_closed_channel_gives_what_it_holds), TEST(impossible_channels_are_refused))
