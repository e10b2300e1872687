/* SPDX-License-Identifier: MIT */
#include "supervise/durable.h"

#include <limits.h>
#include <unistd.h>

#include "base/atomic.h"
#include "sys/sys.h"

#define DURABLE_NS 1000000000u

static void *durable_run(void *arg)
{
	struct stele_durable *durable = arg;

	while (!stele__load_acquire(&durable->stop)) {
		fdatasync(durable->first);
		fdatasync(durable->second);
		stele__sys_futex_wait(&durable->stop, 0, DURABLE_NS);
	}
	return NULL;
}

int stele__durable_start(struct stele_durable *durable, int first, int second)
{
	int error;

	*durable = (struct stele_durable){.first = first, .second = second};
	error = -pthread_create(&durable->thread, NULL, durable_run, durable);
	durable->running = error == 0;
	return error;
}

void stele__durable_stop(struct stele_durable *durable)
{
	if (!durable->running)
		return;
	stele__store_release(&durable->stop, 1); /* pairs with durable_run */
	stele__sys_futex_wake(&durable->stop, INT_MAX);
	pthread_join(durable->thread, NULL);
	durable->running = false;
}
