/* SPDX-License-Identifier: MIT */
/*
 * Programs that are ended at random moments under load: everything whose recording had returned is
 * in the trace, once and in order; the trace is valid and says how the program ended. Recorders are
 * killed, too: then 'stele recover' makes the trace of what they left.
 *
 *   test_blackbox STELE DOOMED [ENDS]
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"
#include "stele/read.h"
#include "stress/doomed.h"
#include "support/tap.h"

#define LIFE_US_MAX 30000

/* Writing the last generation and the names takes about as long. */
#define LAST_US_MAX 10000

enum recorder_end { LIVES, DIES_FIRST, DIES_WITH_IT, DIES_LAST };

static const struct way {
	const char *name;
	const char *how; /* argument of doomed */
	int signal;
	int status;
	enum recorder_end recorder;
} ways[] = {
	{"SIGKILL", "wait", SIGKILL, 0, LIVES},
	{"SIGTERM", "wait", SIGTERM, 0, LIVES},
	{"SIGSEGV", "segv", SIGSEGV, 0, LIVES},
	{"abort", "abort", SIGABRT, 0, LIVES},
	{"_exit", "exit", 0, 3, LIVES},
	{"want of memory", "hog", SIGKILL, 0, LIVES},
	{"SIGKILL after its recorder's", "wait", SIGKILL, 0, DIES_FIRST},
	{"SIGKILL of both", "wait", SIGKILL, 0, DIES_WITH_IT},
	{"SIGKILL before its recorder's", "wait", SIGKILL, 0, DIES_LAST},
};

static const char *stele_program, *doomed_program;
static int ends = 180;
static char place[] = "/tmp/stele-blackbox-XXXXXX";
static char shared_path[PATH_MAX], trace_path[PATH_MAX], arena_path[PATH_MAX];
static struct doomed *shared;
static uint64_t samples;    /* found in all */
static unsigned recoveries; /* traces that were made of what was left */
static const char *cgroup;
static bool recovered; /* this one was */

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

/* A control group with little memory, for the kernel to kill in. NULL: there can be none here. */
static const char *make_cgroup(void)
{
	static const char *const limits[][2] = {
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"},
		{"/sys/fs/cgroup", "memory.max"},
	};
	static char path[128];

	for (size_t i = 0; i < STELE_ARRAY_LENGTH(limits); i++) {
		char file[PATH_MAX];
		int fd;
		bool limited;

		snprintf(path, sizeof(path), "%s/stele-blackbox-%d", limits[i][0], (int)getpid());
		if (mkdir(path, 0700))
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, limits[i][1]);
		fd = open(file, O_WRONLY);
		limited = fd >= 0 && write(fd, "16777216", 8) == 8;
		if (fd >= 0)
			close(fd);
		if (limited)
			return path;
		rmdir(path);
	}
	return NULL;
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

static pid_t record(const struct way *way, const char *life)
{
	static char arena[PATH_MAX + 16];
	pid_t pid = fork();

	if (pid == 0) {
		snprintf(arena, sizeof(arena), "--arena=%s", arena_path);
		execl(stele_program, "stele", "record", "-q", "-f", "--on-full=block",
		      "--buffer-size=4M", way->recorder == LIVES ? "-q" : arena, "-o", trace_path,
		      "--", doomed_program, shared_path, way->how, life,
		      cgroup ? cgroup : (char *)NULL, (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* 0: it was done, or there was nothing to do. */
static int recover(void)
{
	int status = 0;
	pid_t pid;

	if (access(arena_path, F_OK))
		return 0;
	pid = fork();
	if (pid == 0) {
		execl(stele_program, "stele", "recover", "-q", arena_path, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	unlink(arena_path);
	recovered = true;
	return status;
}

/* It is not our child. */
static void wait_for_end(int pidfd)
{
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};

	poll(&ended, 1, 10000);
	close(pidfd);
}

static void kill_both(const struct way *way, pid_t recorder)
{
	pid_t program = atomic_load(&shared->pid);
	int pidfd = (int)syscall(SYS_pidfd_open, program, 0);

	if (way->recorder == DIES_FIRST) {
		kill(recorder, SIGKILL);
		pause_us((unsigned)random() % LIFE_US_MAX);
	}
	kill(program, way->signal);
	if (way->recorder == DIES_LAST)
		pause_us((unsigned)random() % LAST_US_MAX);
	if (way->recorder != LIVES)
		kill(recorder, SIGKILL);
	wait_for_end(pidfd);
}

/* Returns the recorder's exit status. */
static int live_and_die(const struct way *way, unsigned life_us)
{
	char life[16];
	int status = 0;
	pid_t recorder;

	snprintf(life, sizeof(life), "%u", life_us);
	share();
	recorder = record(way, life);
	if (!strcmp(way->how, "wait")) {
		while (atomic_load(&shared->ready) < DOOMED_THREADS)
			pause_us(100);
		pause_us(life_us);
		kill_both(way, recorder);
	}
	waitpid(recorder, &status, 0);
	recovered = false;
	if (way->recorder != LIVES && recover())
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
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
	recoveries += recovered;
	good = good && CHECK(f->recording.complete) && CHECK(!f->recording.interrupted) &&
	       CHECK_EQ(f->recording.recovered, recovered) &&
	       CHECK_EQ(f->recording.ending_known, !recovered);
	if (!recovered)
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
		int status;

		if (!strcmp(way->how, "hog") && !cgroup)
			continue;
		status = live_and_die(way, life_us);
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
	CHECK(recoveries > 0);
	printf("# %u traces recovered\n", recoveries);
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
	snprintf(arena_path, sizeof(arena_path), "%s/arena", place);
	snprintf(trace_path, sizeof(trace_path), "%s/x.trace", place);
	cgroup = make_cgroup();
	failed = tap_run(tests, STELE_ARRAY_LENGTH(tests), NULL);
	unlink(shared_path);
	unlink(trace_path);
	unlink(arena_path);
	rmdir(place);
	if (cgroup)
		rmdir(cgroup);
	return failed;
}
