/* SPDX-License-Identifier: MIT */
/*
 * A pipeline whose middle stage is slow because all of its fibers need one lock: what a trace is to
 * show. Each item is a task, and each stage of it a region.
 *
 * usage: contention [ITEMS]
 */
#include <stdio.h>
#include <stdlib.h>

#include <stele/fiber.h>

#define FIBERS 8 /* of each stage */

struct item {
	stele_task_id task;
	unsigned number, sum;
};

struct stage {
	const char *name;
	unsigned work;
	struct stele_mutex *lock; /* NULL: needs none */
	struct stele_channel *in, *out;
	struct stele_wait_group running;
};

static struct stele_mutex table_lock;
static struct stage stages[] = {
	{.name = "parse", .work = 2000},
	{.name = "look up", .work = 4000, .lock = &table_lock},
	{.name = "format", .work = 2000},
};
#define STAGES (sizeof(stages) / sizeof(stages[0]))

static unsigned work(unsigned seed, unsigned steps)
{
	for (unsigned i = 0; i < steps; i++)
		seed = seed * 1664525u + 1013904223u;
	return seed;
}

static void run_stage(void *arg)
{
	struct stage *s = arg;
	struct item item;

	while (stele_channel_receive(s->in, &item)) {
		stele_region_begin(s->name, item.task);
		if (s->lock)
			stele_mutex_lock(s->lock);
		item.sum = work(item.sum + item.number, s->work);
		if (s->lock) {
			stele_fiber_yield(); /* the mistake: others come, and find it locked */
			stele_mutex_unlock(s->lock);
		}
		stele_region_end(s->name, item.task);
		stele_channel_send(s->out, &item);
	}
	stele_wait_group_done(&s->running);
}

/* When the last fiber of a stage has ended, so has the next one's input. */
static void watch_stage(void *arg)
{
	struct stage *s = arg;

	stele_wait_group_wait(&s->running);
	stele_channel_close(s->out);
}

static void feed(void *arg)
{
	unsigned count = *(unsigned *)arg;

	for (unsigned i = 0; i < count; i++) {
		struct item item = {.task = stele_task_begin("item", 0), .number = i};

		stele_channel_send(stages[0].in, &item);
	}
	stele_channel_close(stages[0].in);
}

static void pipeline(void *arg)
{
	struct stele_channel *channels[STAGES + 1];
	unsigned done = 0, sum = 0;
	struct item item;

	for (size_t i = 0; i <= STAGES; i++)
		channels[i] = stele_channel_new(sizeof(struct item), 16);
	for (size_t i = 0; i < STAGES; i++) {
		stages[i].in = channels[i];
		stages[i].out = channels[i + 1];
		stele_wait_group_add(&stages[i].running, FIBERS);
		for (unsigned k = 0; k < FIBERS; k++)
			stele_fiber_detach(
				stele_fiber_spawn_with(0, stages[i].name, run_stage, &stages[i]));
		stele_fiber_detach(stele_fiber_spawn_with(0, "watch", watch_stage, &stages[i]));
	}
	stele_fiber_detach(stele_fiber_spawn_with(0, "feed", feed, arg));
	while (stele_channel_receive(channels[STAGES], &item)) {
		stele_task_end(item.task);
		sum += item.sum;
		done++;
	}
	printf("%u items, sum %u\n", done, sum);
	for (size_t i = 0; i <= STAGES; i++)
		stele_channel_free(channels[i]);
}

int main(int argc, char **argv)
{
	unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000;

	return stele_fiber_run(NULL, pipeline, &count) < 0;
}
