/* SPDX-License-Identifier: MIT */
/*
 * When the threads of a process get a processor and lose it: context switches, as the kernel's
 * perf_event_open tells them without privilege, of one's own processes (perf_event_paranoid of 2 or
 * less). There is a buffer for each processor, for the threads that the process has and those that
 * they make.
 */
#ifndef STELE_SUPERVISE_PERFSWITCH_H
#define STELE_SUPERVISE_PERFSWITCH_H

#include "drain/drain.h"

struct stele_perfswitch;

/* 0 or -errno: -EACCES and -EPERM, it is not permitted. */
int stele__perfswitch_open(int pid, struct stele_perfswitch **ret_switches);
/* Accepts NULL. */
void stele__perfswitch_close(struct stele_perfswitch *switches);

/* For the drain. They live as long. */
struct stele_switches stele__perfswitch_source(struct stele_perfswitch *switches);

#endif
