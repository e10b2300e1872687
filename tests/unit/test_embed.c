/* SPDX-License-Identifier: MIT */
#include "stele/stele.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "stele/read.h"
#include "stele/runtime.h"
#include "support/tap.h"

#define RESTARTS 10000
#define BUFFER	 (8u << 20)

/* A trace in memory ------------------------------------------------------------------------- */

struct taken {
	uint8_t *data;
	size_t bytes, room;
	size_t fail_after; /* 0: never */
};

static int taken_write(void *arg, const void *data, size_t bytes)
{
	struct taken *t = arg;

	if (t->fail_after && t->bytes + bytes > t->fail_after)
		return -ENOSPC;
	if (t->bytes + bytes > t->room) {
		t->room = (t->bytes + bytes) * 2;
		t->data = realloc(t->data, t->room);
	}
	memcpy(t->data + t->bytes, data, bytes);
	t->bytes += bytes;
	return 0;
}

struct found {
	int verdict;
	uint64_t logs, objects, waits;
	int64_t first, last; /* values of "n" */
	uint64_t gaps;
	struct stele_recording recording;
};

static void found_log(struct found *f, const struct stele_event *event)
{
	char text[24] = "";
	int64_t value;

	f->logs++;
	if (event->name.bytes != 1)
		return;
	memcpy(text, event->text.data, event->text.bytes < 23 ? event->text.bytes : 23);
	value = strtoll(text, NULL, 10);
	if (f->first < 0)
		f->first = value;
	else
		f->gaps += value != f->last + 1;
	f->last = value;
}

static struct found find(const void *data, size_t bytes)
{
	const struct stele_event *event;
	struct found f = {.first = -1, .last = -1};
	struct stele_reader *reader;
	int got = stele_reader_open_memory(data, bytes, NULL, &reader);

	while (got >= 0 && (got = stele_reader_next(reader, &event)) > 0) {
		if (event->kind == STELE_EVENT_LOG)
			found_log(&f, event);
		f.objects += event->kind == STELE_EVENT_EXPERIMENTAL;
		f.waits += event->kind == STELE_EVENT_TRANSITION &&
			   event->to == STELE_STATE_WAITING && event->from == STELE_STATE_RUNNING;
		if (event->kind == STELE_EVENT_SYNC)
			stele_recording_add(&f.recording, reader);
	}
	if (got < 0 && stele_reader_diag(reader))
		printf("# %s\n", stele_reader_diag(reader)->text);
	f.verdict = got;
	stele_reader_close(reader);
	return f;
}

static int start_into(struct taken *taken)
{
	const struct stele_output output = {.write = taken_write, .arg = taken};
	const struct stele_start_options options = {
		.outputs = &output, .output_count = 1, .buffer_bytes = BUFFER};

	return stele_start(&options);
}

/* Tests ------------------------------------------------------------------------------------- */

static void embed_refuses_what_does_not_fit(void)
{
	struct taken taken = {0};
	const struct stele_output both = {.path = "x", .write = taken_write}, closed = {.fd = 987},
				  nowhere = {.path = "/no/such/place"},
				  good = {.write = taken_write, .arg = &taken};
	struct stele_start_options o = {.output_count = 1, .buffer_bytes = BUFFER};

	CHECK_EQ(stele_stop(NULL), -EINVAL);
	CHECK_EQ(stele_start(NULL), -EINVAL);
	CHECK_EQ(stele_start(&o), -EINVAL);
	o.outputs = &both;
	CHECK_EQ(stele_start(&o), -EINVAL);
	o.outputs = &closed;
	CHECK_EQ(stele_start(&o), -EBADF);
	o.outputs = &nowhere;
	CHECK_EQ(stele_start(&o), -ENOENT);
	o.outputs = &good;
	o.reentry = 9;
	CHECK_EQ(stele_start(&o), -EINVAL);
	o.reentry = STELE_NEST;
	o.version = 24;
	CHECK(stele_start(&o) < 0);
	CHECK(!stele_enabled());
	CHECK_EQ(stele_stop(NULL), -EINVAL);
	free(taken.data);
}

static void embed_writes_the_same_to_all_outputs(void)
{
	char path[] = "/tmp/stele-embed-XXXXXX";
	struct taken taken = {0}, failing = {.fail_after = 100};
	int fd = mkstemp(path), other = fd >= 0 ? open("/tmp", O_TMPFILE | O_RDWR, 0600) : -1;
	const struct stele_output outputs[] = {{.path = path},
					       {.write = taken_write, .arg = &failing},
					       {.fd = other},
					       {.write = taken_write, .arg = &taken}};
	const struct stele_start_options options = {
		.outputs = outputs, .output_count = 4, .buffer_bytes = BUFFER};
	struct stele_stopped stopped;
	uint8_t *copy;
	struct found f;

	CHECK_EQ(stele_start(&options), 0);
	CHECK_EQ(stele_start(&options), -EBUSY);
	CHECK(stele_enabled());
	for (int i = 0; i < 1000; i++)
		stele_log(0, "key", "value");
	CHECK_EQ(stele_stop(&stopped), -ENOSPC); /* of the one that failed */
	CHECK(!stele_enabled());
	CHECK_EQ(stopped.error, -ENOSPC);
	CHECK_EQ(stopped.lost, 0);
	CHECK_EQ(stopped.bytes, taken.bytes);
	f = find(taken.data, taken.bytes);
	CHECK_EQ(f.verdict, 0);
	CHECK_EQ(f.logs, 1000);
	CHECK(f.recording.complete && f.recording.interrupted);
	copy = malloc(taken.bytes + 1);
	CHECK_EQ(pread(fd, copy, taken.bytes + 1, 0), taken.bytes);
	CHECK(!memcmp(copy, taken.data, taken.bytes));
	CHECK_EQ(pread(other, copy, taken.bytes + 1, 0), taken.bytes);
	CHECK(!memcmp(copy, taken.data, taken.bytes));
	CHECK(fcntl(other, F_GETFD) >= 0); /* it is ours */
	free(copy);
	free(taken.data);
	free(failing.data);
	close(fd);
	close(other);
	unlink(path);
}

static void embed_leaves_out_what_is_not_wanted(void)
{
	struct taken taken = {0};
	const struct stele_output output = {.write = taken_write, .arg = &taken};
	const struct stele_start_options options = {.outputs = &output,
						    .output_count = 1,
						    .leave_out = STELE_NO_ANNOTATIONS,
						    .version = 26};
	struct found f;

	CHECK_EQ(stele_start(&options), 0);
	stele_log(0, "key", "value");
	stele_wake(stele_block(STELE_WAIT_SLEEP, NULL));
	CHECK_EQ(stele_stop(NULL), 0);
	f = find(taken.data, taken.bytes);
	CHECK_EQ(f.verdict, 0);
	CHECK_EQ(f.logs, 0);
	CHECK(!memcmp(taken.data, "go 1.26", 7));
	free(taken.data);
}

#define CHOICES	      4
#define CHOICE_ROUNDS 600 /* short-lived threads, more than there are slots */
#define CHOICE_EVENTS 300

static void *tell_of_everything(void *arg)
{
	stele_thread_begin(0, (void *)tell_of_everything);
	for (int i = 0; i < CHOICE_EVENTS; i++) {
		stele_interval wait = stele_block(STELE_WAIT_MUTEX, arg);

		stele_wake(wait);
		stele_log(0, "key", "value");
		stele_object_alloc(&((char *)arg)[i], 1);
	}
	stele_thread_end();
	return NULL;
}

static void tell_of_everything_in_turn(int threads)
{
	static char objects[CHOICE_EVENTS];

	for (int i = 0; i < threads; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, tell_of_everything, objects))
			abort();
		pthread_join(thread, NULL);
		/* Nobody waits for an embedded drain; here it shall not be left behind. */
		if (i % 20 == 0)
			usleep(100000);
	}
}

static void embed_gives_each_output_its_own_choice(void)
{
	static const unsigned leave_out[CHOICES] = {0, STELE_NO_MEMORY, STELE_NO_ANNOTATIONS,
						    STELE_NO_MEMORY | STELE_NO_LOCKS};
	const uint64_t told = CHOICE_ROUNDS * CHOICE_EVENTS;
	struct taken taken[CHOICES] = {{0}};
	struct stele_output outputs[CHOICES];
	const struct stele_start_options options = {
		.outputs = outputs, .output_count = CHOICES, .buffer_bytes = BUFFER};
	struct stele_stopped stopped;

	for (int i = 0; i < CHOICES; i++)
		outputs[i] = (struct stele_output){
			.write = taken_write, .arg = &taken[i], .leave_out = leave_out[i]};
	outputs[1].leave_out = 64;
	CHECK_EQ(stele_start(&options), -EINVAL);
	outputs[1].leave_out = leave_out[1];
	CHECK_EQ(stele_start(&options), 0);
	tell_of_everything_in_turn(CHOICE_ROUNDS);
	CHECK_EQ(stele_stop(&stopped), 0);
	CHECK_EQ(stopped.lost, 0);
	for (int i = 0; i < CHOICES; i++) {
		struct found f = find(taken[i].data, taken[i].bytes);

		CHECK_EQ(f.verdict, 0);
		CHECK(f.recording.complete);
		CHECK_EQ(f.recording.lost_events, 0);
		CHECK_EQ(f.logs, leave_out[i] & STELE_NO_ANNOTATIONS ? 0 : told);
		CHECK_EQ(f.objects, leave_out[i] & STELE_NO_MEMORY ? 0 : told);
		CHECK_EQ(f.waits, leave_out[i] & STELE_NO_LOCKS ? 0 : told);
		free(taken[i].data);
	}
}

/* Threads that tell all the time, whether anybody listens or not ------------------------------ */

static atomic_bool stop;
static atomic_long said;

static void *tell(void *arg)
{
	(void)arg;
	stele_thread_begin(0, (void *)tell);
	while (!atomic_load(&stop)) {
		stele_interval wait = stele_block(STELE_WAIT_MUTEX, &stop);

		stele_region_begin("region", 0);
		stele_log(0, "key", "value");
		atomic_fetch_add(&said, 1);
		stele_region_end("region", 0);
		stele_wake(wait);
	}
	stele_thread_end();
	return NULL;
}

static void embed_starts_and_stops_among_busy_threads(void)
{
	pthread_t threads[3];
	uint64_t logs = 0, lost = 0;

	atomic_store(&stop, false);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, tell, NULL);
	for (int round = 0; round < 100; round++) {
		struct taken taken = {0};
		struct stele_stopped stopped;
		struct found f;

		CHECK_EQ(start_into(&taken), 0);
		usleep(2000);
		CHECK_EQ(stele_stop(&stopped), 0);
		f = find(taken.data, taken.bytes);
		CHECK_EQ(f.verdict, 0);
		CHECK_EQ(f.recording.total[7], 0); /* nothing unexplained */
		logs += f.logs;
		lost += stopped.lost;
		free(taken.data);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	printf("# %" PRIu64 " logs in 100 recordings, %" PRIu64 " events lost\n", logs, lost);
	CHECK(logs > 1000);
}

static unsigned count_files(const char *path)
{
	DIR *directory = opendir(path);
	unsigned count = 0;

	while (directory && readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static unsigned long pages_resident(void)
{
	unsigned long size = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (file && fscanf(file, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	if (file)
		fclose(file);
	return resident;
}

static void restart(unsigned times)
{
	stele_name name = 0;
	int64_t n = 0;

	for (unsigned i = 0; i < times; i++) {
		struct taken taken = {0};
		struct found f;

		if (!CHECK_EQ(start_into(&taken), 0))
			return;
		if (!name)
			name = stele_name_intern("n");
		for (int k = 0; k < 10; k++)
			stele_counter(name, n++);
		CHECK_EQ(stele_stop(NULL), 0);
		stele_counter(name, n); /* to no effect */
		f = find(taken.data, taken.bytes);
		CHECK_EQ(f.verdict, 0);
		CHECK(f.logs == 10 && f.gaps == 0 && f.last == n - 1);
		free(taken.data);
		if (tap_now.reports)
			return;
	}
}

/* qemu-user keeps memory of each thread that there was, and cannot fork among threads. */
static bool is_emulated(void)
{
	const char *value = getenv("STELE_EMULATED");

	return value && *value == '1';
}

static void embed_leaks_nothing_in_ten_thousand_recordings(void)
{
	unsigned files, tasks;
	unsigned long pages;

	if (is_emulated())
		SKIP("the emulator leaks");
	restart(100);
	files = count_files("/proc/self/fd");
	tasks = count_files("/proc/self/task");
	pages = pages_resident();
	restart(RESTARTS);
	CHECK_EQ(count_files("/proc/self/fd"), files);
	CHECK_EQ(count_files("/proc/self/task"), tasks);
	printf("# %lu pages, then %lu after %d recordings\n", pages, pages_resident(), RESTARTS);
#ifndef STELE_ASAN /* which keeps for a while what was freed */
	CHECK(pages_resident() < pages + 1024);
#endif
}

static void embed_lets_a_child_record_for_itself(void)
{
#ifdef __SANITIZE_THREAD__
	SKIP("ThreadSanitizer allows no thread in a child");
#endif
	struct taken mine = {0};
	struct found f;
	int status;
	pid_t child;

	if (is_emulated())
		SKIP("the emulator cannot fork among threads");
	CHECK_EQ(start_into(&mine), 0);
	stele_log(0, "key", "parent");
	child = fork();
	if (child == 0) {
		struct taken own = {0};

		if (stele_enabled() || start_into(&own))
			_exit(1);
		stele_log(0, "key", "child");
		stele_log(0, "key", "child");
		if (stele_stop(NULL))
			_exit(2);
		f = find(own.data, own.bytes);
		_exit(f.verdict == 0 && f.logs == 2 ? 0 : 3);
	}
	stele_log(0, "key", "parent");
	waitpid(child, &status, 0);
	CHECK_EQ(status, 0);
	CHECK_EQ(stele_stop(NULL), 0);
	f = find(mine.data, mine.bytes);
	CHECK_EQ(f.verdict, 0);
	CHECK_EQ(f.logs, 2);
	free(mine.data);
}

/* Between two recordings, too, the arena is the parent's: the child went on in the parent's ring.
 */
static void embed_keeps_a_child_out_of_its_parents_rings(void)
{
	struct taken first = {0}, second = {0};
	struct found f;
	int status, pipe_ends[2];
	char byte = 0;
	pid_t child;

#ifdef __SANITIZE_THREAD__
	SKIP("ThreadSanitizer allows no thread in a child");
#endif
	if (is_emulated())
		SKIP("the emulator cannot fork among threads");
	CHECK_EQ(pipe(pipe_ends), 0);
	CHECK_EQ(start_into(&first), 0);
	stele_log(0, "key", "parent");
	CHECK_EQ(stele_stop(NULL), 0);
	child = fork();
	if (child == 0) {
		struct taken own = {0};
		ssize_t got = read(pipe_ends[0], &byte, 1); /* the parent records again */

		if (got != 1 || start_into(&own))
			_exit(1);
		for (int i = 0; i < 50; i++)
			stele_log(0, "key", "child");
		if (stele_stop(NULL))
			_exit(2);
		f = find(own.data, own.bytes);
		_exit(f.verdict == 0 && f.logs == 50 ? 0 : 3);
	}
	CHECK_EQ(start_into(&second), 0);
	CHECK_EQ(write(pipe_ends[1], &byte, 1), 1);
	waitpid(child, &status, 0);
	CHECK_EQ(status, 0);
	stele_log(0, "key", "parent");
	CHECK_EQ(stele_stop(NULL), 0);
	f = find(second.data, second.bytes);
	CHECK_EQ(f.verdict, 0);
	CHECK_EQ(f.logs, 1);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	free(first.data);
	free(second.data);
}

TAP_MAIN(TEST(embed_refuses_what_does_not_fit), TEST(embed_writes_the_same_to_all_outputs),
	 TEST(embed_leaves_out_what_is_not_wanted), TEST(embed_gives_each_output_its_own_choice),
	 TEST(embed_starts_and_stops_among_busy_threads),
	 TEST(embed_leaks_nothing_in_ten_thousand_recordings),
	 TEST(embed_lets_a_child_record_for_itself),
	 TEST(embed_keeps_a_child_out_of_its_parents_rings))
