/* SPDX-License-Identifier: MIT */
/*
 * CPU samples: each thread has a timer of its own running time, whose signal's handler tells what
 * it interrupted. The signal is ours: the program neither blocks nor takes nor sees it. Only if
 * they are wanted (stele_cpu_hz); else nothing here does anything.
 */
#ifndef STELE_PRELOAD_CPU_H
#define STELE_PRELOAD_CPU_H

#include <signal.h>

#include "preload/preload.h"

/* Once in a process image: the handler; the calling thread. */
void stele__cpu_start(void) STELE_HIDDEN;

/* In the child of a fork, recorded or not. */
void stele__cpu_forked(void) STELE_HIDDEN;

/* The calling thread begins, ends. */
void stele__cpu_thread_begin(void) STELE_HIDDEN;
void stele__cpu_thread_end(void) STELE_HIDDEN;

/* The set without our signal; `room` may hold it. NULL stays NULL. */
const sigset_t *stele__cpu_without(const sigset_t *set, sigset_t *room) STELE_HIDDEN;

#endif
