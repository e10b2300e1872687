/* SPDX-License-Identifier: MIT */
/* stele merge: one trace of those of several processes. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/source.h"
#include "cli/verdict.h"
#include "stele/version.h"
#include "surgery/merge.h"

#define MERGE_PROGRESS 16384 /* events from one look at the clock to the next */

static const char merge_help[] =
	"usage: stele merge [-o OUT] [-f] FILE FILE…\n"
	"\n"
	"Writes one trace of those that several processes of this machine left at the same time,\n"
	"as 'stele record --follow-fork' makes them: all threads on one time line. All tools read\n"
	"it. Locks, semaphores and conditions in memory that the processes share are one thing\n"
	"in it, so 'stele why' and the locks of 'stele report' say which process had what another\n"
	"one waited for; and who ended a wait by a signal.\n"
	"\n"
	"FILEs may be compressed by gzip or zstd. The first one is the program that the result is\n"
	"named after, and how that ended is how it ended. Threads keep their ids; goroutines and\n"
	"procs get numbers of their own. Memory of other processes has addresses that no program\n"
	"has. Left out are modules (run 'stele symbolize' before) and what a trace has one of:\n"
	"collections and metrics of a runtime. Traces of Go programs have another numbering, and\n"
	"are refused.\n"
	"\n"
	"options:\n"
	"  -o OUT         the file to write, created for its owner alone; without it, or for -,\n"
	"                 standard output, unless that is a terminal\n"
	"  -f             overwrites OUT if it exists\n"
	"  -h, --help     prints this help\n"
	"\n"
	"exit status: 0 done; 1 the FILEs cannot be merged; 2 wrong usage, or OUT exists; 3 a "
	"FILE\n"
	"is not a trace or damaged (what comes before the damage is in the result); 5 reading or\n"
	"writing failed\n"
	"\n"
	"example:\n"
	"  stele record --follow-fork -o 'db-%p.trace' -- ./server\n"
	"  stele merge -o all.trace db-*.trace && stele why --region=query all.trace\n";

struct merge_command {
	const char *out;
	bool force;
	char **paths;
	size_t count;
	struct stele__source **sources;
	struct stele_reader **readers;
	struct stele__merge_input *inputs;
	struct stele_progress progress;
	uint64_t events; /* since progress was shown */
};

/* What an input's callback gets. */
struct merge_from {
	struct merge_command *command;
	size_t index;
};

static void merge_show(struct merge_command *c)
{
	uint64_t done = 0;

	c->events = 0;
	for (size_t i = 0; i < c->count; i++)
		done += stele_reader_offset(c->readers[i]);
	stele__progress_show(&c->progress, done);
}

static int merge_next(void *arg, const struct stele_event **ret_event)
{
	const struct merge_from *from = arg;
	struct merge_command *c = from->command;

	if (++c->events >= MERGE_PROGRESS)
		merge_show(c);
	return stele__source_next(c->sources[from->index], ret_event);
}

/* 0: not known. */
static uint64_t merge_bytes(const struct merge_command *c)
{
	uint64_t total = 0;
	struct stat st;

	for (size_t i = 0; i < c->count; i++) {
		if (stat(c->paths[i], &st) < 0 || !S_ISREG(st.st_mode))
			return 0;
		total += (uint64_t)st.st_size;
	}
	return total;
}

/* The result is none of the inputs? 0 or an exit code, with the message printed. */
static int merge_check_out(const struct merge_command *c)
{
	struct stat out, in;

	if (!strcmp(c->out, "-") || stat(c->out, &out) < 0 || !S_ISREG(out.st_mode))
		return 0;
	for (size_t i = 0; i < c->count; i++)
		if (stat(c->paths[i], &in) == 0 && in.st_dev == out.st_dev &&
		    in.st_ino == out.st_ino) {
			stele__complain("%s is an input; it is not overwritten", c->out);
			return STELE_EXIT_USAGE;
		}
	return 0;
}

static int merge_open(struct merge_command *c, struct merge_from *from)
{
	for (size_t i = 0; i < c->count; i++) {
		int exit = stele__source_open(c->paths[i], NULL, &c->sources[i], &c->readers[i]);

		if (exit)
			return exit;
		stele__source_hide_progress(c->sources[i]);
		from[i] = (struct merge_from){c, i};
		c->inputs[i] = (struct stele__merge_input){c->readers[i], merge_next, &from[i]};
	}
	return 0;
}

/* What is wrong with the inputs, one by one; the worst exit code. */
static int merge_verdict(const struct merge_command *c)
{
	int exit = STELE_EXIT_OK;

	for (size_t i = 0; i < c->count; i++) {
		int one = stele__verdict_exit(c->readers[i], NULL, false);

		stele__verdict_complain(c->paths[i], stele_reader_diag(c->readers[i]));
		exit = one > exit ? one : exit;
	}
	return exit;
}

static int merge_tell(const struct merge_command *c, int r,
		      const struct stele__merge_result *result)
{
	if (r == -EINVAL && result->why) {
		stele__complain("%s %s", c->paths[result->refused], result->why);
		return STELE_EXIT_FINDINGS;
	}
	if (r < 0) {
		stele__complain("%s", stele_strerror(r));
		return STELE_EXIT_IO;
	}
	fprintf(stderr, "merge: %" PRIu64 " events of %zu traces, over %.6fs", result->events,
		c->count, (double)(result->end - result->begin) / 1e9);
	if (result->left_out)
		fprintf(stderr, "; %" PRIu64 " of runtimes left out", result->left_out);
	fputc('\n', stderr);
	return merge_verdict(c);
}

/* Is any of the inputs a trace? Once they have been read. */
static bool merge_has_trace(const struct merge_command *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (stele_reader_version(c->readers[i]))
			return true;
	return false;
}

/* Nothing is opened for writing before it is known that there is something to write. */
static int merge_write(const struct merge_command *c)
{
	static struct stele_output output; /* too big for the stack */
	struct stele__merge_job job = {c->inputs, c->count, stele__outfile_write, &output};
	struct stele__merge_result result;
	struct stele__merge *merge;
	int r = stele__merge_open(&job, &result, &merge), exit = STELE_EXIT_OK, closed;

	if (r == 0)
		exit = stele__outfile_open(c->out, c->force, NULL, &output);
	if (r == 0 && !exit) {
		r = stele__merge_run(merge);
		closed = stele__outfile_close_if(&output, merge_has_trace(c));
		exit = closed ? closed : merge_tell(c, r, &result);
	} else if (!exit) {
		exit = merge_tell(c, r, &result);
	}
	stele__merge_free(merge);
	return exit;
}

/* An input each: where many processes were recorded, more than a process may have open unasked. */
static void merge_want_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int merge_run(struct merge_command *c)
{
	struct merge_from *from = calloc(c->count, sizeof(*from));
	int exit = merge_check_out(c);

	merge_want_files();
	c->sources = calloc(c->count, sizeof(*c->sources));
	c->readers = calloc(c->count, sizeof(*c->readers));
	c->inputs = calloc(c->count, sizeof(*c->inputs));
	if (!exit && !(from && c->sources && c->readers && c->inputs)) {
		stele__complain("%s", strerror(ENOMEM));
		exit = STELE_EXIT_IO;
	}
	if (!exit)
		exit = merge_open(c, from);
	if (!exit) {
		stele__progress_begin(&c->progress, merge_bytes(c));
		exit = merge_write(c);
		stele__progress_end(&c->progress);
	}
	for (size_t i = 0; c->sources && i < c->count; i++)
		if (c->sources[i])
			stele__source_close(c->sources[i]);
	free(c->sources);
	free(c->readers);
	free(c->inputs);
	free(from);
	return exit;
}

int stele__cmd_merge(int argc, char **argv)
{
	static const struct option names[] = {{"help", no_argument, NULL, 'h'}, {0}};
	struct merge_command c = {.out = "-"};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":o:fh", names, NULL)) != -1) {
		switch (option) {
		case 'o':
			c.out = optarg;
			break;
		case 'f':
			c.force = true;
			break;
		case 'h':
			fputs(merge_help, stdout);
			return STELE_EXIT_OK;
		case ':':
			return stele__usage_error("merge", "'%s' needs a value", argv[optind - 1]);
		default:
			return stele__usage_error("merge", "unknown option '%s'", argv[optind - 1]);
		}
	}
	c.paths = argv + optind;
	c.count = (size_t)(argc - optind);
	if (c.count < 2)
		return stele__usage_error("merge", "two files at least are needed");
	if (c.count > STELE__MERGE_MAX)
		return stele__usage_error("merge", "more than %u files", STELE__MERGE_MAX);
	return merge_run(&c);
}
