/* SPDX-License-Identifier: MIT */
/* The object heap: what it hands out, what it refuses, and what it tells the tracer. */
#include "fiber/objects.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fiber/classes.h"
#include "fiber/pages.h"
#include "support/attached.h"
#include "support/tap.h"

#define HELD   2000
#define STEPS  200000
#define HANDED 256

static uint64_t next_random(uint64_t *state, uint64_t below)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (*state >> 33) % below;
}

static void sizes_are_no_larger_than_they_must_be(void)
{
	for (size_t bytes = 0; bytes <= STELE__CLASS_BYTES_MAX; bytes++) {
		unsigned class = stele__class_of(bytes);
		uint32_t size = stele__class_bytes(class);

		if (!CHECK(class >= 1 && class < STELE__CLASSES && size >= bytes) ||
		    !CHECK(class == 1 || stele__class_bytes(class - 1) < bytes) ||
		    !CHECK(bytes <= 128 || (size - bytes) * 8 < size))
			break;
	}
	for (unsigned class = 1; class < STELE__CLASSES; class ++) {
		uint32_t size = stele__class_bytes(class);
		uint32_t bytes = stele__class_pages(class) * STELE__PAGE_BYTES;

		CHECK_EQ(size % (class == 1 ? 8 : 16), 0);
		CHECK(bytes - bytes / (size + 1) * (size + 1) <= bytes / 8);
	}
}

/* Mostly small; some have a span of their own. */
static size_t some_bytes(uint64_t *state)
{
	switch (next_random(state, 64)) {
	case 0:
		return next_random(state, 300000);
	case 1 ... 8:
		return next_random(state, 20000);
	default:
		return next_random(state, 300);
	}
}

struct held {
	unsigned char *object;
	size_t bytes;
	unsigned char fill;
};

static bool held_is_whole(const struct held *h)
{
	for (size_t i = 0; i < h->bytes; i += i < 64 ? 1 : 61)
		if (h->object[i] != h->fill)
			return false;
	return true;
}

/* Objects are nobody else's, aligned, and keep what is in them. */
static void *use_heap(void *arg)
{
	uint64_t state = (uint64_t)(uintptr_t)arg;
	struct held *held = calloc(HELD, sizeof(*held));
	bool good = held != NULL;

	for (unsigned step = 0; good && step < STEPS; step++) {
		struct held *h = &held[next_random(&state, HELD)];
		size_t bytes = some_bytes(&state);

		good = !h->object || held_is_whole(h);
		if (h->object && next_random(&state, 4)) {
			stele__heap_free(h->object);
			h->object = NULL;
			continue;
		}
		/* What is kept. */
		h->bytes = !h->object ? 0 : h->bytes < bytes ? h->bytes : bytes;
		h->object = stele__heap_realloc(h->object, bytes);
		good = good && h->object && (uintptr_t)h->object % (bytes > 8 ? 16 : 8) == 0 &&
		       stele__heap_size(h->object) >= bytes && held_is_whole(h);
		h->bytes = bytes;
		h->fill = (unsigned char)step;
		if (h->object)
			memset(h->object, h->fill, bytes);
	}
	for (unsigned i = 0; held && i < HELD; i++)
		stele__heap_free(held[i].object);
	free(held);
	return good ? arg : NULL;
}

static void objects_are_nobody_elses(void)
{
	pthread_t threads[3];
	void *result;

	for (uintptr_t i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, use_heap, (void *)(i + 1));
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], &result);
		CHECK(result);
	}
	CHECK(stele__heap_alloc(SIZE_MAX) == NULL);
	CHECK(stele__heap_alloc(1ull << 40) == NULL);
	stele__heap_free(NULL);
}

static _Atomic(void *) handed[HANDED];

static void *take_and_free(void *arg)
{
	for (unsigned i = 0; i < STEPS; i++) {
		_Atomic(void *) *place = &handed[i % HANDED];
		unsigned char *object;

		while (!(object = atomic_load(place)))
			sched_yield();
		atomic_store(place, NULL);
		if (object[0] != (unsigned char)i || object[39] != (unsigned char)i)
			arg = NULL;
		stele__heap_free(object);
	}
	return arg;
}

static void objects_come_back_from_other_threads(void)
{
	struct stele__heap_stats before, after;
	pthread_t thread;
	void *result;

	stele__heap_free(stele__heap_alloc(40));
	stele__heap_stats(&before);
	pthread_create(&thread, NULL, take_and_free, &before);
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned char *object = stele__heap_alloc(40);

		memset(object, (int)i, 40);
		while (atomic_load(&handed[i % HANDED]))
			sched_yield();
		atomic_store(&handed[i % HANDED], object);
	}
	pthread_join(thread, &result);
	CHECK(result);
	stele__heap_stats(&after);
	CHECK(after.used <= before.used + (1u << 20)); /* 8 MB went by */
}

static void *allocate_and_leave(void *arg)
{
	void **object = arg;

	stele__heap_free(stele__heap_alloc(100));
	*object = stele__heap_alloc(100);
	return NULL;
}

static void caches_outlive_their_threads(void)
{
	struct stele__heap_stats before, after;
	void *objects[300];

	stele__heap_stats(&before);
	for (unsigned i = 0; i < 300; i++) {
		pthread_t thread;

		pthread_create(&thread, NULL, allocate_and_leave, &objects[i]);
		pthread_join(thread, NULL);
	}
	stele__heap_stats(&after);
	CHECK(after.caches <= before.caches + 1);
	CHECK(after.used <= before.used + (1u << 20));
	for (unsigned i = 0; i < 300; i++)
		stele__heap_free(objects[i]);
}

static void memory_goes_back(void)
{
	struct stele__heap_stats before, after;
	void **objects = malloc(500000 * sizeof(*objects));

	if (!objects)
		abort();
	stele__heap_stats(&before);
	for (unsigned i = 0; i < 500000; i++) {
		objects[i] = stele__heap_alloc(200);
		memset(objects[i], 1, 200);
	}
	stele__heap_stats(&after);
	CHECK(after.used >= 100000000);
	for (unsigned i = 0; i < 500000; i++)
		stele__heap_free(objects[i]);
	stele__heap_stats(&after);
	CHECK(after.used <= before.used + (1u << 20));
	CHECK(after.resident <= 40u << 20);
	CHECK(after.scavenged > 0);
	free(objects);
}

/* Runs it in a child, which must end by SIGABRT with these words. */
static void check_refused(void (*misuse)(void), const char *words)
{
	int ends[2], status = 0;
	char text[200] = "";
	pid_t child;

	if (pipe(ends))
		abort();
	child = fork();
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		misuse();
		_exit(0);
	}
	close(ends[1]);
	if (read(ends[0], text, sizeof(text) - 1) < 0)
		abort();
	close(ends[0]);
	waitpid(child, &status, 0);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(text, words) != NULL);
}

static void free_twice(void)
{
	void *object = stele__heap_alloc(50);

	stele__heap_free(object);
	stele__heap_free(object);
}

static void free_large_twice(void)
{
	void *object = stele__heap_alloc(100000);

	stele__heap_free(object);
	stele__heap_free(object);
}

static void free_inside(void)
{
	stele__heap_free((char *)stele__heap_alloc(50) + 16);
}

static void free_inside_large(void)
{
	stele__heap_free((char *)stele__heap_alloc(100000) + 8192);
}

static void free_anothers(void)
{
	static int elsewhere;

	stele__heap_free(&elsewhere);
}

static void what_is_no_object_is_refused(void)
{
	check_refused(free_twice, "was freed already");
	check_refused(free_large_twice, "is no object of this heap");
	check_refused(free_inside, "lies within an object");
	check_refused(free_inside_large, "lies within an object");
	check_refused(free_anothers, "is no object of this heap");
}

static void child_of_fork_uses_it(void)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		void *objects[100];

		for (unsigned i = 0; i < 100; i++)
			objects[i] = stele__heap_alloc(i * 10);
		for (unsigned i = 0; i < 100; i++)
			stele__heap_free(objects[i]);
		_exit(0);
	}
	waitpid(child, &status, 0);
	CHECK_EQ(status, 0);
}

/* What the tracer is told -------------------------------------------------------------------- */

#define TELLERS	     3
#define RECORDS_MAX  (1u << 20)
#define OBJECTS_LIVE 500

static atomic_bool stop_telling;

static void *keep_allocating(void *arg)
{
	static _Atomic(void *) exchanged[64]; /* with each other */
	uint64_t state = (uint64_t)(uintptr_t)arg;
	void *objects[OBJECTS_LIVE] = {0};

	while (!atomic_load(&stop_telling)) {
		void **place = &objects[next_random(&state, OBJECTS_LIVE)];

		stele__heap_free(*place);
		*place = stele__heap_alloc(next_random(&state, 100) ? next_random(&state, 400)
								    : 50000);
		*place = atomic_exchange(&exchanged[next_random(&state, 64)], *place);
		/* All that is told shall fit the rings. */
		if (stele_enabled())
			usleep(1);
	}
	return NULL;
}

static struct stele_record *records;
static size_t record_count;

static void record_keep(void *arg, const struct stele_record *r)
{
	unsigned kind = stele__record_kind(r->header);

	(void)arg;
	if (kind >= STELE_KIND_OBJECT && kind <= STELE_KIND_OBJECT_FREE &&
	    record_count < RECORDS_MAX)
		records[record_count++] = *r;
}

static int record_order(const void *a, const void *b)
{
	uint64_t x = stele__record_time(((const struct stele_record *)a)->header);
	uint64_t y = stele__record_time(((const struct stele_record *)b)->header);

	return x < y ? -1 : x > y;
}

/* By address, then time. */
static int record_order_of_address(const void *a, const void *b)
{
	uint64_t x = ((const struct stele_record *)a)->a, y = ((const struct stele_record *)b)->a;

	return x < y ? -1 : x > y ? 1 : record_order(a, b);
}

static void check_pairs(void)
{
	uint64_t broken = 0, existed = 0, allocated = 0;
	bool live = false;

	qsort(records, record_count, sizeof(*records), record_order_of_address);
	for (size_t i = 0; i < record_count; i++) {
		unsigned kind = stele__record_kind(records[i].header);

		if (i == 0 || records[i].a != records[i - 1].a)
			live = false;
		broken += live != (kind == STELE_KIND_OBJECT_FREE);
		live = kind != STELE_KIND_OBJECT_FREE;
		existed += kind == STELE_KIND_OBJECT;
		allocated += kind == STELE_KIND_OBJECT_ALLOC;
	}
	printf("# %lu existed, %lu allocated\n", (unsigned long)existed, (unsigned long)allocated);
	CHECK(existed > OBJECTS_LIVE && allocated > 1000);
	CHECK_EQ(broken, 0);
}

/* Recording begins while threads allocate, release, and exchange objects. */
static void tracer_is_told_of_each_object_once(void)
{
	struct stele_arena *arena;
	pthread_t threads[TELLERS];

	records = malloc(RECORDS_MAX * sizeof(*records));
	if (!records)
		abort();
	for (uintptr_t i = 0; i < TELLERS; i++)
		pthread_create(&threads[i], NULL, keep_allocating, (void *)(i + 1));
	usleep(50000);
	arena = attached_arena(256 << 20, STELE_ON_FULL_DROP);
	stele__heap_tell();
	usleep(300000);
	atomic_store(&stop_telling, true);
	for (int i = 0; i < TELLERS; i++)
		pthread_join(threads[i], NULL);
	for (uint32_t i = 0; i < arena->ring_bump; i++)
		attached_take(stele__arena_ring(arena, i), record_keep, NULL);
	for (uint32_t i = 0; i < arena->slot_bump; i++)
		CHECK_EQ(arena->no_slot + stele__arena_slot(arena, i)->dropped[0][2], 0);
	check_pairs();
	free(records);
}

TAP_MAIN(TEST(sizes_are_no_larger_than_they_must_be), TEST(objects_are_nobody_elses),
	 TEST(objects_come_back_from_other_threads), TEST(caches_outlive_their_threads),
	 TEST(memory_goes_back), TEST(what_is_no_object_is_refused), TEST(child_of_fork_uses_it),
	 TEST(tracer_is_told_of_each_object_once))
