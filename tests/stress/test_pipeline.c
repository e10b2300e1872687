/* SPDX-License-Identifier: MIT */
/*
 * The real writer and the real drain at full speed, in one process: threads come and go, handlers
 * emit inside waits and emissions, the arena is small. Every event is in the trace or counted as
 * lost, and the reader accepts the trace.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "drain/drain.h"
#include "stele/read.h"
#include "support/attached.h"
#include "support/tap.h"

#define WAVES	8
#define THREADS 6
#define ROUNDS	3000

static struct stele_arena *arena;
static struct stele_drain *drain;
static atomic_bool stop;
static atomic_ulong logs;

static uint8_t *out;
static size_t out_bytes, out_max;

static int pipeline_write(void *arg, const void *data, size_t bytes)
{
	(void)arg;
	if (bytes > out_max - out_bytes) {
		out_max = (out_max + bytes) * 2;
		out = realloc(out, out_max);
		if (!out)
			abort();
	}
	memcpy(out + out_bytes, data, bytes);
	out_bytes += bytes;
	return 0;
}

static void emit_log(void)
{
	stele_log(0, "key", "value");
	atomic_fetch_add(&logs, 1);
}

static void handler(int signal)
{
	(void)signal;
	emit_log();
}

static void *worker(void *arg)
{
	stele_thread_begin((stele_goroutine_id)(uintptr_t)arg, (void *)worker);
	for (unsigned i = 0; i < ROUNDS; i++) {
		stele_interval wait = stele_block(STELE_WAIT_MUTEX, &arena);
		stele_interval call;

		if (i % 100 == 0)
			pthread_kill(pthread_self(), SIGUSR1);
		stele_wake(wait);
		stele_region_begin("region", 0);
		call = stele_syscall_begin(0, 1);
		stele_syscall_end(call, 0);
		stele_region_end("region", 0);
		emit_log();
	}
	stele_thread_end();
	return NULL;
}

static void *drainer(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		stele__drain_tick(drain);
		usleep(200);
	}
	return NULL;
}

static void waves(void)
{
	for (unsigned wave = 0; wave < WAVES; wave++) {
		pthread_t threads[THREADS];

		for (unsigned i = 0; i < THREADS; i++)
			pthread_create(&threads[i], NULL, worker,
				       (void *)(uintptr_t)stele_goroutine_create((void *)worker));
		for (unsigned i = 0; i < THREADS; i++) {
			pthread_kill(threads[i], SIGUSR1);
			pthread_join(threads[i], NULL);
		}
	}
}

/* Logs in the trace, or -1 with what is wrong on stdout. */
static int64_t trace_logs(void)
{
	const struct stele_event *event;
	struct stele_reader *reader;
	int64_t count = 0;
	int got = stele_reader_open_memory(out, out_bytes, NULL, &reader);

	while (got >= 0 && (got = stele_reader_next(reader, &event)) > 0)
		count += event->kind == STELE_EVENT_LOG;
	if (got < 0)
		printf("# %s\n", stele_reader_diag(reader)->text);
	stele_reader_close(reader);
	return got < 0 ? -1 : count;
}

static void pipeline_loses_nothing_uncounted(void)
{
	const struct stele_drain_options options = {
		.version = 23, .sink = {pipeline_write, NULL}, .generation_ns = 50000000};
	const struct stele_ending ending = {.known = true};
	struct sigaction action = {.sa_handler = handler};
	struct stele_drain_stats stats;
	pthread_t thread;
	int64_t count;
	uint64_t dropped = 0;

	arena = attached_arena(8u << 20, STELE_ON_FULL_DROP);
	CHECK_EQ(stele__drain_new(arena, &options, &drain), 0);
	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&thread, NULL, drainer, NULL);
	waves();
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	CHECK_EQ(stele__drain_finish(drain, &ending), 0);
	stele__drain_stats(drain, &stats);
	for (unsigned i = 0; i < STELE__LOSS_COUNT; i++)
		dropped += stats.dropped[i][STELE_CLASS_USER];
	count = trace_logs();
	printf("# %llu records, %llu generations, %llu lost, %llu bridged, %llu unexplained\n",
	       (unsigned long long)stats.records, (unsigned long long)stats.generations,
	       (unsigned long long)dropped, (unsigned long long)stats.bridged,
	       (unsigned long long)stats.unexplained);
	CHECK(count > 0);
	CHECK_EQ(stats.events_by_kind[STELE_KIND_LOG], count);
	CHECK(atomic_load(&logs) - (uint64_t)count <= dropped + stats.no_slot);
	CHECK_EQ(stats.unexplained, 0);
	CHECK_EQ(stats.abandoned, 0);
	stele__drain_free(drain);
	free(out);
}

TAP_MAIN(TEST(pipeline_loses_nothing_uncounted))
