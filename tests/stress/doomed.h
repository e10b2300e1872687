/* SPDX-License-Identifier: MIT */
/* What a doomed program and whoever ends it share: a file that both have mapped. */
#ifndef STELE_TESTS_DOOMED_H
#define STELE_TESTS_DOOMED_H

#include <stdatomic.h>
#include <stdint.h>

#define DOOMED_THREADS 2

struct doomed {
	atomic_uint ready; /* threads that work */
	atomic_int pid;
	/* Of each thread: samples whose recording has returned, and has begun. */
	atomic_ulong committed[DOOMED_THREADS], begun[DOOMED_THREADS];
};

#endif
