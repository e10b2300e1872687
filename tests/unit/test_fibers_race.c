/* SPDX-License-Identifier: MIT */
/* Races of the scheduler, forced at the places where they are. */
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "fiber/scheduler.h"
#include "support/tap.h"

#define ROUNDS	    8
#define HELD_FOR_US 50000
#define THREADS	    6

extern void (*stele__point_hook)(const char *name);
void (*stele__point_hook)(const char *name);

static const struct stele_fiber_options options = {.workers = THREADS};
static struct stele_fiber *yields;
static atomic_bool runs, held, hold;

/* The thread that has put `yields` back into its queue does nothing more for a while. */
static void hold_it(const char *name)
{
	struct stele__sched_thread *t = stele__thread_self();

	if (!hold || strcmp(name, "sched.put") != 0 || !t || t->current)
		return;
	hold = false;
	held = true;
	usleep(HELD_FOR_US);
}

static void busy(void *arg)
{
	(void)arg;
	usleep(2000);
}

static void yield_once(void *arg)
{
	(void)arg;
	runs = true;
	hold = true;
	stele_fiber_yield();
}

/* This one's thread takes the other's fiber, and runs it to its end. */
static void end_behind_it(void *arg)
{
	struct stele_fiber *all[THREADS];

	(void)arg;
	/* So that all threads there can be are there, and idle. */
	for (int i = 0; i < THREADS; i++)
		all[i] = stele_fiber_spawn(busy, NULL);
	for (int i = 0; i < THREADS; i++)
		stele_fiber_join(all[i]);
	yields = stele_fiber_spawn(yield_once, NULL);
	stele_fiber_detach(yields);
	while (!held)
		;
}

/* Found as a read of the memory of a thread that had ended. */
static void whoever_wakes_others_wakes_none_that_has_ended(void)
{
	stele__point_hook = hold_it;
	for (int i = 0; i < ROUNDS; i++) {
		runs = held = hold = false;
		CHECK_EQ(stele_fiber_run(&options, end_behind_it, NULL), 0);
		CHECK(runs && held);
	}
	stele__point_hook = NULL;
}

TAP_MAIN(TEST(whoever_wakes_others_wakes_none_that_has_ended))
