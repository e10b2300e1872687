/* SPDX-License-Identifier: MIT */
/* Races of the object heap with the beginning of a recording, forced at the places where they are.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "fiber/objects.h"
#include "record/attach.h"
#include "support/attached.h"
#include "support/tap.h"

#define A_WHILE_US 50000

extern void (*stele__point_hook)(const char *name);
void (*stele__point_hook)(const char *name);

/* The thread that is held at a place, and how it is let go. */
static const char *held_at;
static __thread bool holdable;
static sem_t is_held, go_on, is_ready, begin;

static void hold(const char *name)
{
	if (!holdable || strcmp(name, held_at) != 0)
		return;
	holdable = false;
	sem_post(&is_held);
	sem_wait(&go_on);
}

static void *object;
static atomic_bool told;

static void *allocate(void *arg)
{
	(void)arg;
	holdable = true;
	object = stele__heap_alloc(40);
	return NULL;
}

static void *release(void *arg)
{
	(void)arg;
	/* While others are told of, a thread that was not in the heap yet would have to wait. */
	stele__heap_free(stele__heap_alloc(40));
	sem_post(&is_ready);
	sem_wait(&begin);
	holdable = true;
	stele__heap_free(object);
	return NULL;
}

static void *tell(void *arg)
{
	holdable = arg != NULL;
	stele__heap_tell();
	atomic_store(&told, true);
	return NULL;
}

static pthread_t start(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, arg))
		abort();
	return thread;
}

static pthread_t start_release(void)
{
	pthread_t thread = start(release, NULL);

	sem_wait(&is_ready);
	return thread;
}

/* What was recorded of the object, in order: one letter each. */
static char story[16];
static uint64_t story_times[16];
static size_t story_length;

static void story_add(void *arg, const struct stele_record *r)
{
	static const char letters[] = {[STELE_KIND_OBJECT] = 'e',
				       [STELE_KIND_OBJECT_ALLOC] = 'a',
				       [STELE_KIND_OBJECT_FREE] = 'f'};
	unsigned kind = stele__record_kind(r->header);
	uint64_t time = stele__record_time(r->header);
	size_t at;

	(void)arg;
	if (kind < STELE_KIND_OBJECT || kind > STELE_KIND_OBJECT_FREE ||
	    r->a != (uint64_t)(uintptr_t)object || story_length + 1 == sizeof(story))
		return;
	for (at = story_length++; at > 0 && story_times[at - 1] > time; at--) {
		story[at] = story[at - 1];
		story_times[at] = story_times[at - 1];
	}
	story[at] = letters[kind];
	story_times[at] = time;
}

static const char *story_of_object(struct stele_arena *a)
{
	for (uint32_t i = 0; i < a->ring_bump; i++)
		attached_take(stele__arena_ring(a, i), story_add, NULL);
	return story;
}

static struct stele_arena *recording;

/* To begin is to tell what there is: first of all, while there is nothing. */
static __attribute__((constructor)) void prepare_recording(void)
{
	recording = attached_arena(16 << 20, STELE_ON_FULL_DROP);
	stele__attach_pause();
}

static void begin_recording(void)
{
	stele__attach_resume();
}

static void end_recording(void)
{
	stele__attach_pause();
	story_length = 0;
	memset(story, 0, sizeof(story));
}

/* Recording begins while a thread is held; nothing is told before that is let go. */
static pthread_t tell_around_the_held(void)
{
	pthread_t teller;

	sem_wait(&is_held);
	begin_recording();
	atomic_store(&told, false);
	teller = start(tell, NULL);
	usleep(A_WHILE_US);
	CHECK(!atomic_load(&told));
	sem_post(&go_on);
	return teller;
}

/* It has asked whether anything is recorded, and is in the heap: nothing is told before it is out.
 */
static void allocation_of_before_is_told(void)
{
	pthread_t allocator, teller;

	held_at = "heap.asked";
	allocator = start(allocate, NULL);
	teller = tell_around_the_held();
	pthread_join(allocator, NULL);
	pthread_join(teller, NULL);
	stele__heap_free(object);
	CHECK_STR(story_of_object(recording), "ef");
	end_recording();
}

static void release_of_before_is_nobodys(void)
{
	pthread_t releaser, teller;

	object = stele__heap_alloc(40);
	held_at = "heap.unmarking";
	releaser = start_release();
	sem_post(&begin);
	teller = tell_around_the_held();
	pthread_join(releaser, NULL);
	pthread_join(teller, NULL);
	CHECK_STR(story_of_object(recording), "");
	end_recording();
}

/* Whoever frees what is just being told waits until it was. */
static void release_follows_the_telling(void)
{
	pthread_t releaser, teller;

	object = stele__heap_alloc(40);
	held_at = "heap.telling";
	releaser = start_release();
	begin_recording();
	teller = start(tell, &held_at);
	sem_wait(&is_held);
	sem_post(&begin);
	usleep(A_WHILE_US);
	sem_post(&go_on);
	pthread_join(teller, NULL);
	pthread_join(releaser, NULL);
	CHECK_STR(story_of_object(recording), "ef");
	end_recording();
}

static const struct tap_test tests[] = {TEST(allocation_of_before_is_told),
					TEST(release_of_before_is_nobodys),
					TEST(release_follows_the_telling)};

int main(void)
{
	stele__point_hook = hold;
	sem_init(&is_held, 0, 0);
	sem_init(&go_on, 0, 0);
	sem_init(&is_ready, 0, 0);
	sem_init(&begin, 0, 0);
	return tap_run(tests, STELE_ARRAY_LENGTH(tests), NULL);
}
