/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "arena/arena.h"
#include "base/error.h"
#include "support/tap.h"
#include "sys/sys.h"

static const struct stele_arena_options small = {
	.bytes = STELE_ARENA_BYTES_MIN, .events = STELE_EVENTS_ALL, .stack_frames_max = 32};

static struct stele_arena *arena_make(const struct stele_arena_options *options, int *ret_fd)
{
	struct stele_arena *arena = NULL;

	*ret_fd = stele__sys_memfd("test");
	CHECK_EQ(stele__arena_create(*ret_fd, options, &arena), 0);
	return arena;
}

static void arena_can_be_mapped_again(void)
{
	int fd;
	struct stele_arena *first = arena_make(&small, &fd);
	struct stele_arena *second = NULL;

	CHECK_EQ(stele__arena_map(fd, &second), 0);
	first->births = 7;
	CHECK_EQ(second->births, 7);
	stele__arena_unmap(first);
	stele__arena_unmap(second);
	close(fd);
}

static void arena_refuses_another_build(void)
{
	int fd;
	struct stele_arena *a = arena_make(&small, &fd);
	struct stele_arena *b = NULL;

	a->fingerprint[0] ^= 1;
	CHECK_EQ(stele__arena_map(fd, &b), STELE_E_MISMATCH);
	a->fingerprint[0] ^= 1;
	a->version++;
	CHECK_EQ(stele__arena_map(fd, &b), STELE_E_MISMATCH);
	CHECK(!b);
	stele__arena_unmap(a);
	close(fd);
}

static void arena_refuses_what_is_none(void)
{
	int fd = stele__sys_memfd("none");
	struct stele_arena *a = NULL;

	CHECK_EQ(stele__arena_map(fd, &a), STELE_E_CORRUPT);
	CHECK_EQ(stele__sys_truncate(fd, 1 << 20), 0);
	CHECK_EQ(stele__arena_map(fd, &a), STELE_E_CORRUPT);
	CHECK_EQ(stele__arena_map(-1, &a), -EBADF);
	close(fd);
}

/* Each 64-bit word of the control block's constant part, spoilt in turn. */
static void arena_survives_any_spoilt_header_word(void)
{
	static const uint64_t values[] = {0, 1, 4096, UINT32_MAX, UINT64_MAX, 1ull << 40};
	int fd;
	struct stele_arena *a = arena_make(&small, &fd);

	for (size_t word = 0; word < offsetof(struct stele_arena, clock) / 8; word++)
		for (size_t v = 0; v < STELE_ARRAY_LENGTH(values); v++) {
			uint64_t *at = (uint64_t *)a + word;
			uint64_t saved = *at;
			struct stele_arena *b = NULL;

			*at = values[v];
			if (stele__arena_map(fd, &b) == 0) {
				CHECK(stele__arena_is_valid(b, a->bytes));
				stele__sys_unmap(b, STELE_ARENA_BYTES_MIN);
			}
			*at = saved;
		}
	stele__arena_unmap(a);
	close(fd);
}

static void arena_size_has_limits(void)
{
	struct stele_arena_options tiny = small;
	struct stele_arena *a = NULL;
	int fd = stele__sys_memfd("tiny");

	tiny.bytes = STELE_ARENA_BYTES_MIN - 1;
	CHECK_EQ(stele__arena_create(fd, &tiny, &a), STELE_E_LIMIT);
	CHECK(!a);
	close(fd);
}

static void rings_are_clean_and_run_out(void)
{
	int fd;
	struct stele_arena *a = arena_make(&small, &fd);
	struct stele_ring *taken[4096];
	uint32_t count = 0;

	while (count < 4096 && (taken[count] = stele__ring_take(a, 0))) {
		CHECK_EQ(stele__ring_record(taken[count], 0)->header, 0);
		stele__ring_record(taken[count], taken[count]->mask)->header = ~0ull;
		taken[count]->head = taken[count]->mask + 1;
		count++;
	}
	CHECK(count >= 16);
	CHECK(count < 4096);
	for (uint32_t i = 0; i < count; i++)
		stele__ring_give(a, taken[i]);
	for (uint32_t i = 0; i < count; i++) {
		struct stele_ring *ring = stele__ring_take(a, 0);

		if (!CHECK(ring))
			break;
		CHECK_EQ(stele__ring_record(ring, ring->mask)->header, 0);
		CHECK_EQ(ring->head, 0);
	}
	CHECK(!stele__ring_take(a, 0));
	stele__arena_unmap(a);
	close(fd);
}

static void small_rings_are_left_when_large_ones_have_taken_the_rest(void)
{
	int fd, rings = 0;
	struct stele_arena *a = arena_make(&small, &fd);

	while (stele__ring_take(a, a->ring_class_max))
		rings++;
	CHECK(rings > 0);
	for (rings = 0; stele__ring_take(a, 0);)
		rings++;
	CHECK(rings >= (int)((a->bytes - a->data) / 8 / STELE_RING_BYTES_MIN));
	stele__arena_unmap(a);
	close(fd);
}

static void slots_keep_counting_incarnations(void)
{
	int fd;
	struct stele_arena *a = arena_make(&small, &fd);
	struct stele_slot *slot = stele__slot_take(a);
	uint32_t incarnation = slot->incarnation;

	slot->tid = 99;
	stele__slot_give(a, slot);
	CHECK_EQ(stele__slot_take(a), slot);
	CHECK_EQ(slot->incarnation, incarnation + 1);
	CHECK_EQ(slot->tid, 0);
	stele__arena_unmap(a);
	close(fd);
}

/* Two threads take and give from one list: nobody may own what another owns. */
static struct stele_arena *shared;

static void *pool_hammer(void *arg)
{
	uint64_t me = (uint64_t)(uintptr_t)arg;

	for (int i = 0; i < 100000; i++) {
		struct stele_slot *slots[3];

		for (int k = 0; k < 3; k++) {
			slots[k] = stele__slot_take(shared);
			if (slots[k])
				slots[k]->goroutine = me;
		}
		for (int k = 0; k < 3; k++) {
			if (slots[k] && slots[k]->goroutine != me)
				return (void *)1;
			if (slots[k])
				stele__slot_give(shared, slots[k]);
		}
	}
	return NULL;
}

static void pool_never_gives_one_slot_to_two(void)
{
	pthread_t threads[3];
	int fd;

	shared = arena_make(&small, &fd);
	for (uintptr_t i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, pool_hammer, (void *)(i + 1));
	for (int i = 0; i < 3; i++) {
		void *fault = NULL;

		pthread_join(threads[i], &fault);
		CHECK(!fault);
	}
	CHECK(shared->slot_bump <= 9);
	stele__arena_unmap(shared);
	close(fd);
}

static uint32_t intern(struct stele_arena *a, const char *text)
{
	size_t bytes = strlen(text);

	return stele__dictionary_intern(a, STELE_ENTRY_STRING, 0, 0, (uint32_t)bytes, text, bytes,
					NULL, 0);
}

static void dictionary_stores_each_once(void)
{
	int fd;
	struct stele_arena *a = arena_make(&small, &fd);
	uint32_t hello = intern(a, "hello");
	uint32_t empty = intern(a, "");
	const struct stele_entry *e = stele__dictionary_get(a, hello);

	CHECK(hello != STELE_ENTRY_NONE && hello != STELE_ENTRY_FULL);
	CHECK_EQ(intern(a, "hello"), hello);
	CHECK(intern(a, "hellp") != hello);
	CHECK(empty != hello);
	if (CHECK(e))
		CHECK_BYTES(e + 1, e->length, "hello", 5);
	CHECK_EQ(intern(a, "dictionary full"), STELE_ENTRY_FULL);
	stele__arena_unmap(a);
	close(fd);
}

static void dictionary_tells_kinds_and_epochs_apart(void)
{
	uint64_t pcs[2] = {1, 2};
	int fd;
	struct stele_arena *a = arena_make(&small, &fd);
	uint32_t one = stele__dictionary_intern(a, STELE_ENTRY_STACK, 0, 1, 2, pcs, 16, NULL, 0);
	uint32_t two = stele__dictionary_intern(a, STELE_ENTRY_STACK, 0, 2, 2, pcs, 16, NULL, 0);
	uint32_t cut = stele__dictionary_intern(a, STELE_ENTRY_STACK, STELE_STACK_TRUNCATED, 1, 2,
						pcs, 16, NULL, 0);

	CHECK(one != two && one != cut && two != cut);
	CHECK_EQ(stele__dictionary_get(a, two)->epoch, 2);
	stele__arena_unmap(a);
	close(fd);
}

static void dictionary_full_is_counted(void)
{
	char text[1024];
	int fd;
	struct stele_arena *a = arena_make(&small, &fd);
	uint32_t id = 0;

	memset(text, 'x', sizeof(text));
	for (uint32_t i = 0; i < 100000 && id != STELE_ENTRY_FULL; i++) {
		memcpy(text, &i, sizeof(i));
		id = stele__dictionary_intern(a, STELE_ENTRY_STRING, 0, 0, sizeof(text), text,
					      sizeof(text), NULL, 0);
	}
	CHECK_EQ(id, STELE_ENTRY_FULL);
	CHECK(a->dictionary_full >= 1);
	CHECK(a->heap_bump <= a->heap_bytes);
	stele__arena_unmap(a);
	close(fd);
}

static void dictionary_copy_keeps_ids(void)
{
	int fds[2];
	struct stele_arena *from = arena_make(&small, &fds[0]), *to = arena_make(&small, &fds[1]);
	uint32_t first = stele__dictionary_string(from, "first"), last = 0;
	char text[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "text %d", i);
		last = stele__dictionary_string(from, text);
	}
	from->module_epoch = 3;
	CHECK_EQ(stele__dictionary_copy(to, from), 0);
	CHECK_EQ(to->module_epoch, 3);
	CHECK_EQ(stele__dictionary_string(to, "first"), first);
	CHECK_EQ(stele__dictionary_string(to, "text 999"), last);
	CHECK(stele__dictionary_string(to, "another") > last);
	to->heap_bytes -= 4096;
	CHECK_EQ(stele__dictionary_copy(to, from), -EINVAL);
	to->heap_bytes += 4096;
	stele__arena_unmap(from);
	stele__arena_unmap(to);
	close(fds[0]);
	close(fds[1]);
}

static void dictionary_get_believes_no_id(void)
{
	int fd;
	struct stele_arena *a = arena_make(&small, &fd);
	uint32_t id = intern(a, "victim");
	struct stele_entry *e = stele__arena_entry(a, id);

	CHECK(!stele__dictionary_get(a, 0));
	CHECK(!stele__dictionary_get(a, UINT32_MAX));
	CHECK(!stele__dictionary_get(a, (uint32_t)(a->heap_bump / 16)));
	e->length = UINT32_MAX;
	CHECK(!stele__dictionary_get(a, id));
	e->length = 1000; /* reaches behind what is used */
	CHECK(!stele__dictionary_get(a, id));
	stele__arena_unmap(a);
	close(fd);
}

static void *dictionary_hammer(void *arg)
{
	uint32_t *ids = arg;

	for (uint32_t i = 0; i < 2000; i++) {
		char text[16];

		snprintf(text, sizeof(text), "string %u", i);
		ids[i] = intern(shared, text);
	}
	return NULL;
}

static void dictionary_agrees_across_threads(void)
{
	static uint32_t ids[2][2000];
	pthread_t threads[2];
	int fd;

	shared = arena_make(&small, &fd);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, dictionary_hammer, ids[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(memcmp(ids[0], ids[1], sizeof(ids[0])), 0);
	stele__arena_unmap(shared);
	close(fd);
}

TAP_MAIN(TEST(arena_can_be_mapped_again), TEST(arena_refuses_another_build),
	 TEST(arena_refuses_what_is_none), TEST(arena_survives_any_spoilt_header_word),
	 TEST(arena_size_has_limits), TEST(rings_are_clean_and_run_out),
	 TEST(small_rings_are_left_when_large_ones_have_taken_the_rest),
	 TEST(slots_keep_counting_incarnations), TEST(pool_never_gives_one_slot_to_two),
	 TEST(dictionary_stores_each_once), TEST(dictionary_tells_kinds_and_epochs_apart),
	 TEST(dictionary_full_is_counted), TEST(dictionary_copy_keeps_ids),
	 TEST(dictionary_get_believes_no_id), TEST(dictionary_agrees_across_threads))
