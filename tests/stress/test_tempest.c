/* SPDX-License-Identifier: MIT */
/*
 * All at once, from the writer to the reader: threads emit events of every kind while timers
 * interrupt them as fast as the machine delivers signals; the handlers emit every kind, too. Some
 * threads jump out of their handlers, some are cancelled in the middle of an emission, some exit
 * from a handler. Generations are cut every 10 ms. Each handler asks whether it might switch to
 * another fiber, as a preemptive scheduler would: not within an emission.
 *
 *   test_tempest [THREADS [SECONDS]]
 *
 * Each event is in the trace once and in order; what is missing was abandoned by its thread.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "drain/drain.h"
#include "drain/liveness.h"
#include "format/spec.h"
#include "stele/read.h"
#include "stele/trace.h"
#include "support/attached.h"
#include "support/tap.h"

#ifdef __SANITIZE_THREAD__ /* its own share of each event is longer than the time between two */
#define TIMER_NS 1000000
#else
#define TIMER_NS 20000
#endif
/* The sanitizers' runtimes do not bear being jumped out of. */
#if defined(__SANITIZE_THREAD__) || defined(STELE_ASAN)
#define ROLES 1
#else
#define ROLES ROLE__COUNT
#endif

#define THREADS_MAX   64
#define LIVES_MAX     65536 /* threads, one after the other in a place */
#define JUMPS_MAX     30    /* a thread that leaves more behind is cut off */
#define LIFE_US	      200000
#define LATE_NS	      200000000
#define GENERATION_NS 10000000

enum role { ROLE_STEADY, ROLE_JUMPS, ROLE_IS_CANCELLED, ROLE_EXITS, ROLE__COUNT };
enum source { IN_LOOP, IN_HANDLER, SOURCES };
enum what { A_SAMPLE, A_LOG, A_REGION, A_TASK, A_WAIT, A_CALL, AN_OBJECT, A_SPAN, A_STACK, WHATS };

struct life {
	enum role role;
	uint64_t samples[SOURCES]; /* begun; only this thread adds */
	uint64_t jumps;
	/* the reader's */
	uint64_t next[SOURCES], missing;
};

/* A thread that runs; reused by the next when it has been joined. */
struct place {
	pthread_t thread;
	timer_t timer;
	struct life *life;
	char *memory; /* addresses of its own, never touched */
	stele_goroutine_id g;
	sigjmp_buf back;
	atomic_bool may_jump, over, emits;
	uint64_t deadline_ns;
};

static struct life lives[LIVES_MAX];
static atomic_uint life_count;
static struct place places[THREADS_MAX];
static __thread struct place *me;
static stele_name sample_name;
static struct stele_drain *drain;
static atomic_bool stop_drain, stop_steady;
static atomic_ulong begun[WHATS], signals;
static atomic_ulong switches_allowed, switches_refused, switches_refused_in_vain;
static uint64_t found[WHATS];
static char complaint[240];
static FILE *trace; /* as large as it gets: not a pipe, at which the drain would wait */

static void count(enum what what)
{
	atomic_fetch_add_explicit(&begun[what], 1, memory_order_relaxed);
}

/* Each handler's addresses are its own, so that pairs stay pairs. */
static void emit_memory(enum source source)
{
	char *memory = me->memory + source * 65536;

	count(AN_OBJECT);
	stele_object_alloc(memory, 64);
	count(A_SPAN);
	stele_span_alloc(memory, 8192, 1);
	count(A_STACK);
	stele_stack_alloc(memory + 16384, 8192);
	stele_stack_free(memory + 16384, 8192);
	stele_span_free(memory, 8192);
	stele_object_free(memory);
}

static void emit_sample(enum source source)
{
	uint64_t who = (uint64_t)(me->life - lives);
	uint64_t n = __atomic_fetch_add(&me->life->samples[source], 1, __ATOMIC_RELAXED);

	count(A_SAMPLE);
	stele_counter(sample_name, (int64_t)(who << 40 | (uint64_t)source << 39 | n));
}

static void emit_all(enum source source)
{
	stele_task_id task;
	stele_interval interval;

	emit_sample(source);
	count(A_LOG);
	stele_log(0, "key", "value");
	count(A_TASK);
	task = stele_task_begin("task", 0);
	count(A_REGION);
	stele_region_begin("region", task);
	count(A_WAIT);
	interval = stele_block(STELE_WAIT_MUTEX, me);
	emit_sample(source);
	stele_wake(interval);
	emit_memory(source);
	count(A_CALL);
	interval = stele_syscall_begin(0, 1);
	stele_syscall_end(interval, 0);
	stele_region_end("region", task);
	stele_task_end(task);
}

/*
 * Once, and again at the end of the handler: a timer that has fired again by then would let the
 * interrupted emission get on by one instruction at a time.
 */
static void arm(timer_t timer)
{
	const struct itimerspec once = {.it_value.tv_nsec = TIMER_NS};

	timer_settime(timer, 0, &once, NULL);
}

/* Who jumps leaves emissions behind that are never finished. */
static void ask_for_switch(void)
{
	if (me->life->role != ROLE_STEADY)
		return;
	if (!stele_busy())
		atomic_fetch_add_explicit(&switches_allowed, 1, memory_order_relaxed);
	else if (atomic_load(&me->emits))
		atomic_fetch_add_explicit(&switches_refused, 1, memory_order_relaxed);
	else
		atomic_fetch_add_explicit(&switches_refused_in_vain, 1, memory_order_relaxed);
}

static void on_signal(int number)
{
	(void)number;
	if (!me)
		return;
	ask_for_switch();
	atomic_fetch_add_explicit(&signals, 1, memory_order_relaxed);
	emit_all(IN_HANDLER);
	arm(me->timer);
	if (me->life->role == ROLE_JUMPS && atomic_exchange(&me->may_jump, false)) {
		me->life->jumps++;
		siglongjmp(me->back, 1);
	}
	if (me->life->role == ROLE_EXITS && stele__sys_monotonic_ns() > me->deadline_ns)
		pthread_exit(NULL);
}

static timer_t start_timer(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
	timer_t timer;

	event._sigev_un._tid = (pid_t)stele__sys_tid();
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	return timer;
}

static bool is_over(const struct place *p)
{
	switch (p->life->role) {
	case ROLE_STEADY:
		return atomic_load(&stop_steady);
	case ROLE_JUMPS:
		return p->life->jumps >= JUMPS_MAX || stele__sys_monotonic_ns() > p->deadline_ns;
	default:
		return false; /* somebody else ends it */
	}
}

/* The drain has no more of the processors than each of many threads: leave it some time. */
static void give_way(void)
{
	const struct stele_ring *ring = stele__load_relaxed(&stele__thread.ring);

	if (ring && stele__load_relaxed(&ring->head) - stele__load_relaxed(&ring->tail) >
			    (ring->mask + 1) / 2)
		usleep(1000);
}

static void *live(void *arg)
{
	struct place *p = arg;
	bool cancelled = p->life->role == ROLE_IS_CANCELLED;

	stele_thread_begin(p->g, (void *)live);
	p->timer = start_timer();
	me = p;
	arm(p->timer);
	sigsetjmp(p->back, 1);
	if (cancelled)
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	while (!is_over(p)) {
		atomic_store(&p->emits, true);
		emit_all(IN_LOOP);
		atomic_store(&p->emits, false);
		give_way();
		atomic_store(&p->may_jump, true);
	}
	me = NULL;
	stele_thread_end();
	atomic_store(&p->over, true);
	return NULL;
}

static void begin_life(struct place *p, enum role role)
{
	unsigned number = atomic_fetch_add(&life_count, 1);

	p->life = &lives[number];
	p->life->role = role;
	p->memory = (char *)0x700000000000 + (uint64_t)number * 131072;
	p->deadline_ns = stele__sys_monotonic_ns() + LIFE_US * 1000ull;
	atomic_store(&p->over, false);
	p->g = stele_goroutine_create((void *)live);
	if (pthread_create(&p->thread, NULL, live, p))
		abort();
}

static void end_life(struct place *p)
{
	if (p->life->role == ROLE_IS_CANCELLED)
		pthread_cancel(p->thread);
	pthread_join(p->thread, NULL);
	timer_delete(p->timer);
}

/* Places whose threads do not stay get new ones until the time is up. */
static void keep_going(unsigned threads, unsigned seconds)
{
	uint64_t end = stele__sys_monotonic_ns() + seconds * 1000000000ull;

	for (unsigned i = 0; i < threads; i++)
		begin_life(&places[i], i % ROLES);
	while (stele__sys_monotonic_ns() < end && atomic_load(&life_count) < LIVES_MAX - threads) {
		usleep(5000);
		for (unsigned i = 0; i < threads; i++) {
			struct place *p = &places[i];

			if (p->life->role == ROLE_STEADY ||
			    stele__sys_monotonic_ns() < p->deadline_ns)
				continue;
			end_life(p);
			begin_life(p, p->life->role);
		}
	}
	atomic_store(&stop_steady, true);
	for (unsigned i = 0; i < threads; i++)
		end_life(&places[i]);
}

/* The drain ----------------------------------------------------------------------------------- */

static int tempest_write(void *arg, const void *data, size_t bytes)
{
	(void)arg;
	return fwrite(data, 1, bytes, trace) == bytes ? 0 : -EIO;
}

static int64_t tempest_read(void *arg, void *buffer, size_t bytes)
{
	(void)arg;
	return (int64_t)fread(buffer, 1, bytes, trace);
}

static int64_t tempest_threads(void *arg, uint32_t *tids, size_t max)
{
	(void)arg;
	return stele__liveness_threads(getpid(), tids, max);
}

static bool tempest_exists(void *arg, uint32_t tid)
{
	(void)arg;
	return stele__liveness_exists(getpid(), tid);
}

static void *drainer(void *arg)
{
	const struct stele_ending ending = {.known = true};

	(void)arg;
	while (!atomic_load(&stop_drain))
		if (stele__drain_tick(drain) < 100)
			usleep(200);
	stele__drain_finish(drain, &ending);
	return NULL;
}

/* What is in the trace ------------------------------------------------------------------------ */

static void found_sample(const struct stele_event *event)
{
	char text[32] = "";
	uint64_t value, who, n;
	enum source source;

	memcpy(text, event->text.data, event->text.bytes < 31 ? event->text.bytes : 31);
	value = strtoull(text, NULL, 10);
	who = value >> 40;
	source = value >> 39 & 1;
	n = value & ((1ull << 39) - 1);
	if (who >= LIVES_MAX || n < lives[who].next[source]) {
		snprintf(complaint, sizeof(complaint), "sample %s is there twice or out of order",
			 text);
		return;
	}
	lives[who].missing += n - lives[who].next[source];
	lives[who].next[source] = n + 1;
}

static void found_event(const struct stele_event *event)
{
	switch (event->type) {
	case STELE_EV_USER_LOG:
		if (event->name.bytes == 3) {
			found[A_LOG]++;
		} else {
			found[A_SAMPLE]++;
			found_sample(event);
		}
		break;
	case STELE_EV_USER_TASK_BEGIN:
		found[A_TASK]++;
		break;
	case STELE_EV_USER_REGION_BEGIN:
		found[A_REGION]++;
		break;
	case STELE_EV_HEAP_OBJECT_ALLOC:
		found[AN_OBJECT]++;
		break;
	case STELE_EV_SPAN_ALLOC:
		found[A_SPAN]++;
		break;
	case STELE_EV_GOROUTINE_STACK_ALLOC:
		found[A_STACK]++;
		break;
	default:
		break;
	}
}

static void find_all(void)
{
	const struct stele_event *event;
	struct stele_reader *reader;
	int got;

	rewind(trace);
	got = stele_reader_open_stream(tempest_read, NULL, NULL, &reader);
	while (got >= 0 && (got = stele_reader_next(reader, &event)) > 0)
		found_event(event);
	if (got < 0)
		snprintf(complaint, sizeof(complaint), "%s", stele_reader_diag(reader)->text);
	stele_reader_close(reader);
}

/* What must be so ------------------------------------------------------------------------------ */

/* Waits and calls become several events or, bridged, none: they are the reader's to judge. */
static uint64_t life_missing(const struct life *l)
{
	return l->missing + l->samples[0] - l->next[0] + l->samples[1] - l->next[1];
}

static void check_counts(const struct stele_drain_stats *stats)
{
	uint64_t gaps = 0, ends = atomic_load(&life_count), jumps = 0;

	for (unsigned i = 0; i < ends; i++) {
		const struct life *l = &lives[i];
		/* An emission of the loop may have been under way at a jump or an end, and one of
		 * its handler when a thread is cancelled. */
		uint64_t ended_in = l->role == ROLE_IS_CANCELLED ? 2 : l->role == ROLE_EXITS;

		if (life_missing(l) > l->jumps + ended_in && CHECK(complaint[0] == '\0'))
			snprintf(complaint, sizeof(complaint),
				 "life %u, role %u, %" PRIu64 " jumps: %" PRIu64 " samples missing",
				 i, (unsigned)l->role, l->jumps, life_missing(l));
		gaps += life_missing(l);
		jumps += l->jumps;
	}
	CHECK_STR(complaint, "");
	CHECK(gaps <= stats->abandoned + 2 * ends);
	for (unsigned what = 0; what < WHATS; what++)
		if (what != A_WAIT && what != A_CALL) {
			CHECK(found[what] <= atomic_load(&begun[what]));
			CHECK(found[what] + jumps + 2 * ends >= atomic_load(&begun[what]));
		}
	printf("# %" PRIu64 " jumps, %" PRIu64 " emissions abandoned, %" PRIu64
	       " samples begun and not there\n",
	       jumps, stats->abandoned, gaps);
}

static void check_stats(const struct stele_drain_stats *stats)
{
	CHECK_EQ(stats->no_slot, 0);
	CHECK_EQ(stats->dictionary_full, 0);
	CHECK_EQ(stats->unexplained, 0);
	CHECK_EQ(stats->late_discarded, 0);
	for (unsigned i = 0; i < STELE__LOSS_COUNT; i++)
		for (unsigned k = 0; k < STELE__CLASS_COUNT; k++)
			if (!CHECK_EQ(stats->dropped[i][k], 0))
				printf("#   cause %u, class %u\n", i, k);
	if (ROLES == 1)
		CHECK_EQ(stats->abandoned, 0);
}

static unsigned threads = 4, seconds = 2;

static void tempest_loses_and_breaks_nothing(void)
{
	const struct stele_drain_options options = {
		.version = 23,
		.sink = {tempest_write, NULL},
		.liveness = {tempest_threads, tempest_exists, NULL},
		.late_ns = LATE_NS,
		.generation_ns = GENERATION_NS};
	struct stele_arena_options shape = attached_options(256u << 20);
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct stele_drain_stats stats;
	struct stele_arena *arena;
	pthread_t drains;

	shape.on_full = STELE_ON_FULL_BLOCK;
	shape.stack_frames_max = 3; /* or each interrupted instruction makes new ones: it fills */
	arena = attached_arena_with(&shape);
	arena->ring_class_max = 4; /* so that there is room for all, and threads have to wait */
	sample_name = stele_name_intern("sample");
	trace = tmpfile();
	if (!CHECK(trace))
		return;
	CHECK_EQ(stele__drain_new(arena, &options, &drain), 0);
	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&drains, NULL, drainer, NULL);
	keep_going(threads, seconds);
	atomic_store(&stop_drain, true);
	pthread_join(drains, NULL);
	find_all();
	fclose(trace);
	stele__drain_stats(drain, &stats);
	printf("# %u threads for %u s, %u in all: %" PRIu64 " events, %lu signals (%lu a second), "
	       "%" PRIu64 " generations\n",
	       threads, seconds, atomic_load(&life_count), stats.events, atomic_load(&signals),
	       atomic_load(&signals) / seconds, stats.generations);
	CHECK_STR(complaint, "");
	CHECK(atomic_load(&signals) > 100);
	printf("# %lu switches of fibers would have been allowed, %lu were refused\n",
	       atomic_load(&switches_allowed), atomic_load(&switches_refused));
	CHECK(atomic_load(&switches_refused) > 0 || atomic_load(&signals) < 10000);
	CHECK_EQ(atomic_load(&switches_refused_in_vain), 0);
	check_stats(&stats);
	check_counts(&stats);
	stele__drain_free(drain);
}

static const struct tap_test tests[] = {TEST(tempest_loses_and_breaks_nothing)};

int main(int argc, char **argv)
{
	if (argc > 1)
		threads = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		seconds = (unsigned)strtoul(argv[2], NULL, 10);
	if (threads < 1 || threads > THREADS_MAX || seconds < 1)
		return 2;
	return tap_run(tests, STELE_ARRAY_LENGTH(tests), NULL);
}
