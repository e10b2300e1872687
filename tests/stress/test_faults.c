/* SPDX-License-Identifier: MIT */
/*
 * Each thing that the system may refuse is refused once, at the first, the second … call, until a
 * run passes that meets no refusal. Whatever is refused, the program runs on, what is written is a
 * valid trace, what is missing in it is counted, and a failure is said.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "drain/drain.h"
#include "format/spec.h"
#include "stele/read.h"
#include "stele/trace.h"
#include "supervise/session.h"
#include "support/attached.h"
#include "support/faults.h"
#include "support/tap.h"

#define PATIENCE_S	30
#define ROUNDS		300
#define THREADS		3
#define PROGRAMS_STATUS 7

static char place[] = "/tmp/stele-faults-XXXXXX";
static char trace_path[PATH_MAX];

static void complain(const char *what, int64_t value)
{
	if (!*faults->complaint)
		snprintf(faults->complaint, sizeof(faults->complaint), "%.200s (%" PRId64 ")", what,
			 value);
}

/* What a trace says, and whether it is one */
struct sound {
	int verdict;
	uint64_t logs;
	struct stele_recording recording;
};

static struct sound sound_read(const void *data, size_t bytes)
{
	const struct stele_event *event;
	struct stele_reader *reader = NULL;
	struct sound s = {0};
	int got = data ? stele_reader_open_memory(data, bytes, NULL, &reader)
		       : stele_reader_open(trace_path, NULL, &reader);

	while (got >= 0 && (got = stele_reader_next(reader, &event)) > 0) {
		s.logs += event->kind == STELE_EVENT_LOG;
		if (event->kind == STELE_EVENT_SYNC)
			stele_recording_add(&s.recording, reader);
	}
	if (got < 0 && reader && stele_reader_diag(reader))
		complain(stele_reader_diag(reader)->text, got);
	s.verdict = got;
	stele_reader_close(reader);
	return s;
}

/* The writer and the drain in one process ----------------------------------------------------- */

static uint8_t *out;
static size_t out_bytes, out_room;
static uint64_t emitted;

static int faults_write(void *arg, const void *data, size_t bytes)
{
	(void)arg;
	if (bytes > out_room - out_bytes)
		return -ENOSPC;
	memcpy(out + out_bytes, data, bytes);
	out_bytes += bytes;
	return 0;
}

static void *emit(void *arg)
{
	stele_thread_begin((stele_goroutine_id)(uintptr_t)arg, (void *)emit);
	for (unsigned i = 0; i < ROUNDS; i++) {
		char key[32];
		stele_interval wait = stele_block(STELE_WAIT_MUTEX, key);

		stele_wake(wait);
		snprintf(key, sizeof(key), "key %u", i);
		__atomic_fetch_add(&emitted, 1, __ATOMIC_RELAXED);
		stele_log(0, key, "value");
		stele_object_alloc(key, 16);
		stele_object_free(key);
	}
	stele_thread_end();
	return NULL;
}

static void emit_on_threads(void)
{
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_t thread;
		stele_goroutine_id g = stele_goroutine_create((void *)emit);

		if (__real_pthread_create(&thread, NULL, emit, (void *)(uintptr_t)g))
			abort();
		pthread_join(thread, NULL);
	}
}

static void pipeline_judge(struct stele_drain *drain, int error)
{
	struct stele_drain_stats stats;
	uint64_t uncounted;
	struct sound sound;

	faults->kind = FAULT_NONE; /* the reader is not meant */
	stele__drain_stats(drain, &stats);
	if (stats.valid_bytes > out_bytes)
		complain("more is valid than there is", (int64_t)stats.valid_bytes);
	if (stats.valid_bytes <= STELE_HEADER_BYTES)
		return;
	sound = sound_read(out, stats.valid_bytes);
	uncounted = emitted - sound.logs - stats.no_slot;
	for (unsigned i = 0; i < STELE__LOSS_COUNT; i++)
		uncounted -= stats.dropped[i][STELE_CLASS_USER];
	if (error == 0 && (int64_t)uncounted > 0)
		complain("logs are missing and not counted", (int64_t)uncounted);
}

static void run_pipeline(void)
{
	const struct stele_drain_options options = {.version = 23, .sink = {faults_write, NULL}};
	const struct stele_ending ending = {.known = true};
	struct stele_arena_options shape = attached_options(4u << 20);
	struct stele_arena *arena = NULL;
	struct stele_drain *drain = NULL;
	char path[64];
	int fd = stele__sys_memfd("faults");
	int error = fd < 0 ? fd : stele__arena_create(fd, &shape, &arena);

	out_room = 4u << 20;
	out = __real_malloc(out_room);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (error == 0)
		error = stele_attach(path); /* or nothing is recorded */
	if (error == 0)
		error = stele__drain_new(arena, &options, &drain);
	emit_on_threads();
	if (error == 0) {
		stele__drain_tick(drain);
		stele__drain_cut(drain);
	}
	emit_on_threads();
	if (error == 0) {
		error = stele__drain_finish(drain, &ending);
		pipeline_judge(drain, error);
		stele__drain_free(drain);
	}
}

/* stele record -------------------------------------------------------------------------------- */

static unsigned errors_said;

static void session_say(void *arg, enum stele_say level, const char *sentence)
{
	(void)arg;
	(void)sentence;
	errors_said += level != STELE_SAY_DETAIL;
}

static void session_judge(const struct stele_session_result *result)
{
	struct stat file;
	bool there = stat(trace_path, &file) == 0;

	faults->kind = FAULT_NONE;
	if (result->status != PROGRAMS_STATUS && result->status != STELE_SESSION_FAILED)
		complain("the program's status is lost", result->status);
	if (!faults->happened && (!result->recorded || result->status != PROGRAMS_STATUS))
		complain("nothing was refused, and nothing recorded", result->status);
	if (result->status == STELE_SESSION_FAILED && !errors_said)
		complain("it failed without a word", 0);
	if (result->recorded != there)
		complain(there ? "a file is left that is none" : "there is no file", 0);
	if (result->recorded && sound_read(NULL, 0).verdict < 0)
		complain("the trace is not valid", 0);
	if (result->recorded && result->cut_short && !errors_said)
		complain("the trace was cut short without a word", 0);
}

static void run_session(void)
{
	static char shell[] = "sh", option[] = "-c", script[] = "sleep 0.01; exit 7";
	char *command[] = {shell, option, script, NULL};
	struct stele_session_options options = {.argv = command,
						.output = trace_path,
						.version = 23,
						.events = STELE_EVENTS_ALL & ~STELE_EVENTS_MEMORY,
						.arena_bytes = 1 << 20,
						.say = session_say};
	struct stele_session_result result;

	unlink(trace_path);
	stele__session_run(&options, &result);
	session_judge(&result);
	unlink(trace_path);
}

/* All of it ----------------------------------------------------------------------------------- */

/* In a process of its own. False: it crashed, hung, or complained. */
static bool run_apart(void (*run)(void), enum fault kind, uint64_t at)
{
	int status = 0;
	pid_t child;

	memset(faults, 0, sizeof(*faults));
	faults->kind = FAULT_NONE;
	fflush(stdout);
	child = __real_fork();
	if (child == 0) {
		alarm(PATIENCE_S);
		faults->kind = kind;
		faults->at = at;
		run();
		faults->kind = FAULT_NONE;
		_exit(0);
	}
	waitpid(child, &status, 0);
	if (status == 0 && !*faults->complaint)
		return true;
	printf("# %s fails at call %" PRIu64 ": %s, status 0x%x\n", fault_names[kind], at,
	       faults->complaint, (unsigned)status);
	return false;
}

static uint64_t refuse_each(void (*run)(void), enum fault kind)
{
	uint64_t at = 1, runs = 0;

	for (;; at++) {
		if (!CHECK(run_apart(run, kind, at)))
			return runs;
		if (!faults->happened)
			return runs;
		runs++;
	}
}

static void refuse_all(void (*run)(void))
{
	uint64_t total = 0;

	CHECK(run_apart(run, FAULT_NONE, 0));
	for (unsigned kind = 0; kind < FAULT__COUNT; kind++) {
		uint64_t runs = refuse_each(run, kind);

		if (runs)
			printf("#   %s: %" PRIu64 "\n", fault_names[kind], runs);
		total += runs;
	}
	printf("# %" PRIu64 " refusals\n", total);
	CHECK(total > 20);
}

static void writer_and_drain_survive_each_refusal(void)
{
	refuse_all(run_pipeline);
}

static void recorder_survives_each_refusal(void)
{
	refuse_all(run_session);
}

static const struct tap_test tests[] = {
	TEST(writer_and_drain_survive_each_refusal),
	TEST(recorder_survives_each_refusal),
};

int main(int argc, char **argv)
{
	int failed;

	if (!mkdtemp(place))
		return 2;
	snprintf(trace_path, sizeof(trace_path), "%s/x.trace", place);
	faults_share();
	failed = tap_run(tests, STELE_ARRAY_LENGTH(tests), argc > 1 ? argv[1] : NULL);
	rmdir(place);
	return failed;
}
