/* SPDX-License-Identifier: MIT */
#include "cli/within.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/verdict.h"
#include "stele/version.h"

int stele__within_cut(struct stele__source *source, const struct stele_reader *reader, int64_t from,
		      int64_t to, struct stele_output *output,
		      struct stele__excerpt_result *ret_result)
{
	const struct stele__excerpt_window window = {from, to, stele__outfile_write, output};
	const struct stele_event *event;
	struct stele__excerpt *excerpt;
	int r = stele__excerpt_new(&window, reader, &excerpt);

	if (r < 0)
		return r;
	while (r == 0 && stele__source_next(source, &event) > 0)
		r = stele__excerpt_add(excerpt, event);
	if (r >= 0)
		r = stele__excerpt_finish(excerpt, ret_result);
	stele__excerpt_free(excerpt);
	return r;
}

/* Cuts into `fd`; 0 or an exit code. */
static int within_fill(const char *path, int64_t from, int64_t to, int fd, int *ret_damage)
{
	struct stele_output *output = calloc(1, sizeof(*output));
	struct stele__excerpt_result result;
	struct stele__source *source;
	struct stele_reader *reader;
	int exit = output ? stele__source_open(path, NULL, &source, &reader) : STELE_EXIT_IO;
	int r, closed;

	if (exit) {
		free(output);
		return exit;
	}
	*output = (struct stele_output){.name = "the window", .fd = fd};
	r = stele__within_cut(source, reader, from, to, output, &result);
	closed = stele__outfile_close(output);
	if (r < 0 && !closed)
		stele__complain("%s: %s", path, stele_strerror(r));
	stele__verdict_complain(path, stele_reader_diag(reader));
	*ret_damage = stele__verdict_exit(reader, NULL, false);
	if (closed || r < 0) {
		exit = closed ? closed : STELE_EXIT_IO;
	} else if (!result.events) {
		stele__complain("%s: nothing lies in the window; the trace ends at %.6fs", path,
				(double)result.last / 1e9);
		exit = *ret_damage ? *ret_damage : STELE_EXIT_FINDINGS;
	}
	stele__source_close(source);
	free(output);
	return exit;
}

int stele__within_open(const char *path, int64_t from, int64_t to,
		       struct stele__source **ret_source, struct stele_reader **ret_reader,
		       int *ret_damage)
{
	int fd = memfd_create("stele-window", MFD_CLOEXEC), own = dup(fd), exit;
	char name[32];

	*ret_damage = STELE_EXIT_OK;
	if (fd < 0 || own < 0) {
		stele__complain("no memory for the window");
		exit = STELE_EXIT_IO;
	} else {
		exit = within_fill(path, from, to, fd, ret_damage); /* which closes it */
		fd = -1;
	}
	snprintf(name, sizeof(name), "/proc/self/fd/%d", own);
	if (!exit)
		exit = stele__source_open(name, NULL, ret_source, ret_reader);
	if (fd >= 0)
		close(fd);
	if (own >= 0)
		close(own);
	return exit;
}
