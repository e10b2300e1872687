/* SPDX-License-Identifier: MIT */
#include "supervise/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stele/version.h"
#include "supervise/quota.h"
#include "supervise/recorder.h"
#include "supervise/summary.h"
#include "supervise/tracefile.h"

#define SNAPSHOT_TRIES 10000 /* names that are taken, passed over at once */

int stele__snapshot_number(const char *pattern, uint64_t number, char *ret_text, size_t bytes)
{
	size_t at = 0;

	for (const char *p = pattern; *p; p++) {
		char piece[24] = {p[0]};

		if (p[0] == '%' && p[1] == 'n') {
			snprintf(piece, sizeof(piece), "%llu", (unsigned long long)number);
			p++;
		} else if (p[0] == '%' && p[1]) {
			piece[1] = *++p;
		}
		if (at + strlen(piece) >= bytes)
			return -ENAMETOOLONG;
		memcpy(ret_text + at, piece, strlen(piece));
		at += strlen(piece);
	}
	ret_text[at] = '\0';
	return 0;
}

/* The pattern of this recording's names; text is room for one. */
static const char *snapshot_pattern(const struct stele_snapshots *s, char *text, size_t bytes)
{
	const char *program = s->options->argv[0], *slash = strrchr(program, '/');

	if (s->options->output)
		return s->options->output;
	snprintf(text, bytes, "%s.%%p.%%n.trace", slash ? slash + 1 : program);
	return text;
}

/* The next name that is free. */
static int snapshot_open(struct stele_snapshots *s, const char *pattern,
			 struct stele_tracefile *output)
{
	char numbered[PATH_MAX], path[PATH_MAX];
	int error = -EEXIST;

	for (int i = 0; i < SNAPSHOT_TRIES && error == -EEXIST; i++) {
		error = stele__snapshot_number(pattern, ++s->tried, numbered, sizeof(numbered));
		if (error == 0)
			error = stele__tracefile_name(numbered, "", s->pid, path, sizeof(path));
		if (error == 0)
			error = stele__tracefile_open(path, false, output);
	}
	return error;
}

static int snapshot_fill(struct stele_snapshots *s, const struct stele_recalls *recalls,
			 struct stele_tracefile *output)
{
	const struct stele_sink sink = {.write = stele__tracefile_write, .arg = output};
	uint64_t bytes;
	int error = stele__recalls_write(recalls, &sink);

	bytes = output->bytes;
	if (error == 0)
		error = stele__tracefile_finish(output, bytes);
	if (error < 0)
		stele__tracefile_discard(output);
	else
		s->bytes += bytes;
	return error;
}

static void snapshot_tell(const struct stele_snapshots *s, const struct stele_tracefile *output,
			  const struct stele_recalls *recalls, const char *reason, int removed)
{
	char size[64], gone[64] = "", many[64] = "";

	if (removed > 0)
		snprintf(gone, sizeof(gone), "; %d older removed", removed);
	if (recalls->count > 1)
		snprintf(many, sizeof(many), " of %zu processes", recalls->count);
	stele__recorder_say(s->options, STELE_SAY_NOTICE,
			    "snapshot %s (%s, the last %.1f s%s): %s%s", output->path,
			    stele__summary_bytes(output->bytes, size, sizeof(size)),
			    (double)stele__recalls_ns(recalls) / 1e9, many, reason, gone);
}

/* Whoever asks may be in another directory. */
static void snapshot_remember(struct stele_snapshots *s, const char *path)
{
	if (!realpath(path, s->last))
		snprintf(s->last, sizeof(s->last), "%s", path);
}

/* By the name of the options: the sentence is ours to say. */
static int snapshot_numbered(struct stele_snapshots *s, const struct stele_recalls *recalls,
			     const char *reason)
{
	const struct stele_quota quota = {s->options->flight.keep, s->options->flight.keep_bytes};
	struct stele_tracefile output;
	char text[PATH_MAX];
	const char *pattern = snapshot_pattern(s, text, sizeof(text));
	int error = snapshot_open(s, pattern, &output), removed;

	if (error == 0)
		error = snapshot_fill(s, recalls, &output);
	if (error < 0) {
		stele__recorder_say(s->options, STELE_SAY_ERROR,
				    "cannot write a snapshot as '%s': %s", pattern,
				    stele_strerror(error));
		return error;
	}
	snapshot_remember(s, output.path);
	removed = stele__quota_apply(&quota, pattern, output.path);
	if (removed > 0)
		s->removed += (uint64_t)removed;
	snapshot_tell(s, &output, recalls, reason, removed);
	return 0;
}

static int snapshot_named(struct stele_snapshots *s, const struct stele_recalls *recalls,
			  const char *path)
{
	struct stele_tracefile output;
	int error = stele__tracefile_open(path, s->options->force, &output);

	if (error == 0)
		error = snapshot_fill(s, recalls, &output);
	if (error == 0)
		snapshot_remember(s, output.path);
	return error;
}

int stele__snapshot_write(struct stele_snapshots *s, struct stele_recalls *recalls,
			  const char *path, const char *reason)
{
	int error;

	stele__recalls_label(recalls, reason);
	error = path ? snapshot_named(s, recalls, path) : snapshot_numbered(s, recalls, reason);
	s->written += error == 0;
	s->failed += error < 0;
	return error;
}
