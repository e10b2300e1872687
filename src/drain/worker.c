/* SPDX-License-Identifier: MIT */
#include "drain/worker.h"

#include <errno.h>

/*
 * libstele.so is loaded into programs without threads, too, on a glibc that keeps them in a library
 * of their own, if it is older than 2.34: so there they are weak, and under the names that every
 * glibc has. Compiled twice: a static archive knows no versions.
 */
#ifdef STELE_SHARED
#if defined(__x86_64__)
#define WORKER_GLIBC "GLIBC_2.2.5"
#else
#define WORKER_GLIBC "GLIBC_2.17"
#endif
__asm__(".symver pthread_create, pthread_create@" WORKER_GLIBC);
__asm__(".symver pthread_join, pthread_join@" WORKER_GLIBC);
#pragma weak pthread_create
#pragma weak pthread_join
#endif

int stele__worker_start(pthread_t *ret_thread, void *(*run)(void *), void *arg)
{
#ifdef STELE_SHARED
	if (!pthread_create)
		return -ENOSYS;
#endif
	return -pthread_create(ret_thread, NULL, run, arg);
}

void stele__worker_join(pthread_t thread)
{
	pthread_join(thread, NULL);
}
