/* SPDX-License-Identifier: MIT */
/*
 * Programs that are ended at random moments under load: everything whose recording had returned is
 * in the trace, once and in order; the trace is valid and says how the program ended.
 *
 *   test_blackbox STELE DOOMED [ENDS]
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"
#include "stele/read.h"
#include "stress/doomed.h"
#include "support/tap.h"

#define LIFE_US_MAX 30000

static const struct way {
	const char *name;
	const char *how; /* argument of doomed */
	int signal;
	int status;
} ways[] = {
	{"SIGKILL", "wait", SIGKILL, 0}, {"SIGTERM", "wait", SIGTERM, 0},
	{"SIGSEGV", "segv", SIGSEGV, 0}, {"abort", "abort", SIGABRT, 0},
	{"_exit", "exit", 0, 3},
};

static const char *stele_program, *doomed_program;
static int ends = 100;
static char place[] = "/tmp/stele-blackbox-XXXXXX";
static char shared_path[PATH_MAX], trace_path[PATH_MAX];
static struct doomed *shared;
static uint64_t samples; /* found in all */

/* What a trace holds of the threads' samples. */
struct found {
	unsigned long next[DOOMED_THREADS];
	struct stele_recording recording;
	int verdict;
	char complaint[240];
};

static void pause_us(unsigned us)
{
	const struct timespec time = {us / 1000000, (long)(us % 1000000) * 1000};

	nanosleep(&time, NULL);
}

static void share(void)
{
	int fd = open(shared_path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || ftruncate(fd, sizeof(*shared)))
		abort();
	if (shared)
		munmap(shared, sizeof(*shared));
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		abort();
	close(fd);
}

static pid_t record(const char *how, const char *life)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl(stele_program, "stele", "record", "-q", "-f", "--on-full=block",
		      "--buffer-size=4M", "-o", trace_path, "--", doomed_program, shared_path, how,
		      life, (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* Returns the recorder's exit status. */
static int live_and_die(const struct way *way, unsigned life_us)
{
	char life[16];
	int status = 0;
	pid_t recorder;

	snprintf(life, sizeof(life), "%u", life_us);
	share();
	recorder = record(way->how, life);
	if (!strcmp(way->how, "wait")) {
		while (atomic_load(&shared->ready) < DOOMED_THREADS)
			pause_us(100);
		pause_us(life_us);
		kill(atomic_load(&shared->pid), way->signal);
	}
	waitpid(recorder, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void found_sample(struct found *f, const struct stele_event *event)
{
	unsigned thread = (unsigned)(event->name.data[8] - '0');
	char text[32] = "";

	if (event->text.bytes < sizeof(text))
		memcpy(text, event->text.data, event->text.bytes);
	if (thread >= DOOMED_THREADS || strtoul(text, NULL, 10) != f->next[thread])
		snprintf(f->complaint, sizeof(f->complaint), "thread %u: sample %s comes after %lu",
			 thread, text, f->next[thread]);
	else
		f->next[thread]++;
}

static void found_read(struct found *f)
{
	const struct stele_event *event;
	struct stele_reader *reader;
	int got = stele_reader_open(trace_path, NULL, &reader);

	while (got >= 0 && (got = stele_reader_next(reader, &event)) > 0) {
		if (event->kind == STELE_EVENT_SYNC)
			stele_recording_add(&f->recording, reader);
		if (event->kind == STELE_EVENT_LOG && event->name.bytes == 9 &&
		    !memcmp(event->name.data, "samples ", 8) && !*f->complaint)
			found_sample(f, event);
	}
	if (got < 0 && stele_reader_diag(reader))
		snprintf(f->complaint, sizeof(f->complaint), "%s", stele_reader_diag(reader)->text);
	f->verdict = got;
	stele_reader_close(reader);
}

static bool found_is_whole(const struct found *f, const struct way *way, int status)
{
	bool good = CHECK_EQ(f->verdict, 0) && CHECK_STR(f->complaint, "");

	good = good && CHECK_EQ(status, way->signal ? 128 + way->signal : way->status);
	for (unsigned i = 0; i < DOOMED_THREADS; i++) {
		good = good && CHECK(f->next[i] >= atomic_load(&shared->committed[i])) &&
		       CHECK(f->next[i] <= atomic_load(&shared->begun[i]));
		samples += f->next[i];
	}
	good = good && CHECK(f->recording.complete) && CHECK(f->recording.ending_known) &&
	       CHECK(!f->recording.interrupted);
	good = good && CHECK_EQ(f->recording.signal, way->signal) &&
	       CHECK_EQ(f->recording.exit_status, way->status);
	/* An emission may have been under way in each thread, and that is all that may be gone. */
	return good && CHECK(f->recording.lost_events <= 2 * DOOMED_THREADS);
}

static void all_that_was_committed_survives(void)
{
	unsigned seed = (unsigned)time(NULL) ^ (unsigned)getpid();
	unsigned done[STELE_ARRAY_LENGTH(ways)] = {0};

	printf("# seed %u\n", seed);
	srandom(seed);
	for (int i = 0; i < ends; i++) {
		const struct way *way = &ways[(unsigned)i % STELE_ARRAY_LENGTH(ways)];
		unsigned life_us = (unsigned)random() % LIFE_US_MAX;
		struct found f = {.verdict = -1};
		int status = live_and_die(way, life_us);

		found_read(&f);
		if (!found_is_whole(&f, way, status)) {
			printf("# end %d, by %s after %u us; found %lu and %lu, committed %lu and "
			       "%lu\n",
			       i, way->name, life_us, f.next[0], f.next[1],
			       atomic_load(&shared->committed[0]),
			       atomic_load(&shared->committed[1]));
			return;
		}
		done[i % (int)STELE_ARRAY_LENGTH(ways)]++;
	}
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(ways); i++)
		printf("# %u ends by %s\n", done[i], ways[i].name);
	printf("# %" PRIu64 " samples, none missing, none twice\n", samples);
}

static const struct tap_test tests[] = {TEST(all_that_was_committed_survives)};

int main(int argc, char **argv)
{
	int failed;

	if (argc < 3 || !mkdtemp(place))
		return 2;
	stele_program = argv[1];
	doomed_program = argv[2];
	if (argc > 3)
		ends = (int)strtol(argv[3], NULL, 10);
	snprintf(shared_path, sizeof(shared_path), "%s/shared", place);
	snprintf(trace_path, sizeof(trace_path), "%s/x.trace", place);
	failed = tap_run(tests, STELE_ARRAY_LENGTH(tests), NULL);
	unlink(shared_path);
	unlink(trace_path);
	rmdir(place);
	return failed;
}
