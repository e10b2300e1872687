/* SPDX-License-Identifier: MIT */
/*
 * Drains of one arena, each with its own sink and its own choice of events. Each reads every ring;
 * the writers get back what all have read. One alone does that by itself.
 *
 * Threads: one at a time.
 */
#ifndef STELE_DRAIN_TEAM_H
#define STELE_DRAIN_TEAM_H

#include "drain/drain.h"

#define STELE_TEAM_MAX 16

struct stele_team {
	struct stele_drain *drains[STELE_TEAM_MAX]; /* made with `shared` if there are several */
	size_t count;
};

/* As the functions of one drain: all are ticked; the most that one has taken, or an error. */
int64_t stele__team_tick(struct stele_team *team);
/* The first error. */
int stele__team_finish(struct stele_team *team, const struct stele_ending *ending);
void stele__team_free(struct stele_team *team);

#endif
