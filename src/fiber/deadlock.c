/* SPDX-License-Identifier: MIT */
/*
 * All fibers wait, and nobody is left to wake one: each is resumed once more, to print where it is,
 * and the process ends.
 */
#include <dlfcn.h>
#include <execinfo.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "fiber/scheduler.h"

#define FRAMES_MAX  64
#define SHOW_MAX    100 /* fibers; more say no more */
#define EXIT_STATUS 2

static const char *const waits[] = {
	[STELE_WAIT_UNSPECIFIED] = "waits",
	[STELE_WAIT_MUTEX] = "waits for a mutex",
	[STELE_WAIT_CONDITION] = "waits for a condition or group",
	[STELE_WAIT_JOIN] = "waits for a fiber to end",
	[STELE_WAIT_SLEEP] = "sleeps",
	[STELE_WAIT_CHANNEL_SEND] = "waits to send",
	[STELE_WAIT_CHANNEL_RECEIVE] = "waits to receive",
};

static void say_address(struct stele__message *m, const void *at)
{
	Dl_info info;

	if (!dladdr(at, &info) || !info.dli_fname) {
		stele__say_number(m, (uintptr_t)at, 16);
		return;
	}
	stele__say(m, info.dli_sname ? info.dli_sname : info.dli_fname);
	stele__say(m, "+");
	stele__say_number(
		m, (uintptr_t)at - (uintptr_t)(info.dli_sname ? info.dli_saddr : info.dli_fbase),
		16);
}

void stele__say_fiber(struct stele__message *m, const struct stele_fiber *f)
{
	stele__say(m, "fiber ");
	stele__say_number(m, f->id, 10);
	if (f->name) {
		stele__say(m, " \"");
		stele__say(m, f->name);
		stele__say(m, "\"");
	}
	stele__say(m, ", entry ");
	say_address(m, (const void *)(uintptr_t)f->entry);
	stele__say(m, ", made at ");
	say_address(m, f->creator);
}

void stele__fiber_show(const struct stele_fiber *f)
{
	struct stele__message m = {0};
	void *pcs[FRAMES_MAX];
	int count = backtrace(pcs, FRAMES_MAX);
	const char *why = f->why < STELE_ARRAY_LENGTH(waits) ? waits[f->why] : NULL;

	stele__say(&m, "\n");
	stele__say_fiber(&m, f);
	stele__say(&m, ": ");
	stele__say(&m, why ? why : waits[STELE_WAIT_UNSPECIFIED]);
	stele__say(&m, "\n");
	stele__say_end(&m);
	for (int i = 2; i < count; i++) { /* not this function, nor how the fiber came here */
		stele__say(&m, "    ");
		say_address(&m, (const char *)pcs[i] - 1);
		stele__say(&m, "\n");
		stele__say_end(&m);
	}
}

struct deadlock {
	struct stele__sched_thread *thread;
	unsigned count;
};

static void deadlock_show(struct stele_fiber *f, void *arg)
{
	struct deadlock *d = arg;

	if (f->state != STELE__FIBER_WAITING || d->count++ >= SHOW_MAX)
		return;
	f->show = true;
	d->thread->current = f;
	stele__context_switch(&d->thread->loop, &f->context, false);
	d->thread->current = NULL;
}

void stele__deadlock(struct stele__sched_thread *t)
{
	struct deadlock d = {t, 0};
	struct stele__message m = {0};

	stele__say(&m, "stele: deadlock: all ");
	stele__say_number(&m, stele__load_relaxed(&stele__sched.live), 10);
	stele__say(&m, " fibers wait, and none is left to wake another\n");
	stele__say_end(&m);
	stele__fiber_each(deadlock_show, &d);
	if (d.count > SHOW_MAX) {
		stele__say(&m, "\nand ");
		stele__say_number(&m, d.count - SHOW_MAX, 10);
		stele__say(&m, " more\n");
		stele__say_end(&m);
	}
	stele__say(&m, "\nnames of FILE+OFFSET: addr2line -f -e FILE OFFSET\n");
	stele__say_end(&m);
	exit(EXIT_STATUS);
}
