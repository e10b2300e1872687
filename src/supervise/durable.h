/* SPDX-License-Identifier: MIT */
/*
 * Files that shall survive a crash of the machine: a thread of its own has the system write them to
 * their disk once a second, which may take long and must not hold up the drain.
 */
#ifndef STELE_SUPERVISE_DURABLE_H
#define STELE_SUPERVISE_DURABLE_H

#include <pthread.h>

#include "base/compiler.h"

struct stele_durable {
	int first, second; /* descriptors, in this order */
	uint32_t stop;
	bool running;
	pthread_t thread;
};

/* The descriptors stay open until stele__durable_stop. -errno. */
int stele__durable_start(struct stele_durable *durable, int first, int second);
void stele__durable_stop(struct stele_durable *durable);

#endif
