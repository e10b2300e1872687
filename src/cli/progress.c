/* SPDX-License-Identifier: MIT */
#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define FIRST_NS 1000000000u
#define NEXT_NS	 100000000u
#define BAR	 30

static uint64_t progress_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void stele__progress_begin(struct stele_progress *progress, uint64_t total)
{
	*progress = (struct stele_progress){.total = total};
	if (total && isatty(STDERR_FILENO))
		progress->begin_ns = progress_now();
}

void stele__progress_show(struct stele_progress *progress, uint64_t done)
{
	uint64_t now;
	unsigned filled, percent;

	if (!progress->begin_ns)
		return;
	now = progress_now();
	if (now - progress->begin_ns < FIRST_NS || now - progress->shown_ns < NEXT_NS)
		return;
	progress->shown_ns = now;
	if (done > progress->total)
		done = progress->total;
	percent = (unsigned)(100.0 * (double)done / (double)progress->total);
	filled = percent * BAR / 100;
	fprintf(stderr, "\r[%.*s%*s] %3u %%  %" PRIu64 " of %" PRIu64 " MB", (int)filled,
		"==============================", (int)(BAR - filled), "", percent, done / 1000000,
		progress->total / 1000000);
	fflush(stderr);
}

void stele__progress_end(struct stele_progress *progress)
{
	if (progress->begin_ns && progress->shown_ns)
		fputs("\r\033[K", stderr);
	progress->begin_ns = 0;
}
