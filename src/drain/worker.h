/* SPDX-License-Identifier: MIT */
/* A thread of the recorder's own. */
#ifndef STELE_DRAIN_WORKER_H
#define STELE_DRAIN_WORKER_H

#include <pthread.h>

#include "base/compiler.h"

/* 0 or -errno; -ENOSYS: the program was not linked with threads. */
int stele__worker_start(pthread_t *ret_thread, void *(*run)(void *), void *arg);
void stele__worker_join(pthread_t thread);

#endif
