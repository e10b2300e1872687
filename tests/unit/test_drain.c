/* SPDX-License-Identifier: MIT */
/* The drain on synthetic records: the plain cases. Interleavings and losses: test_drain_orders.c.
 */
#include "support/synthetic.h"
#include "support/tap.h"

#include <stdlib.h>

#include "format/spec.h"

static const unsigned versions[] = {23, 25, 26};

/* Creation, a wait, a system call, annotations, names, memory, the ends: all of a pthread's life.
 */
static void drain_tells_the_life_of_threads(void)
{
	for (unsigned v = 0; v < 3; v++) {
		struct synthetic s = {0};
		struct synthetic_thread a, b;
		struct stele_drain_stats stats;
		uint64_t pcs[] = {0x401001, 0x401fff, 0x402000};
		uint64_t stack, token, key;

		synthetic_open(&s, STELE_ARENA_BYTES_MIN, versions[v], v == 1 ? 3 : 1);
		stack = synthetic_stack(&s, pcs, 3);
		key = synthetic_string(&s, "key");
		a = synthetic_thread(&s, 100, 1, STELE_THREAD_MAIN);
		synthetic_emit(&s, &a, STELE_KIND_IMAGE_BEGIN, 100, 0, 0);
		synthetic_emit(&s, &a, STELE_KIND_GO_CREATE, 2, 0x500001, stack);
		b = synthetic_thread(&s, 101, 2, STELE_THREAD_CREATED);
		synthetic_emit(&s, &b, STELE_KIND_THREAD_NAME, key, 0, 0);
		token = synthetic_emit(&s, &a, STELE_KIND_GO_BLOCK,
				       stack << 32 | STELE_WAIT_CODE_JOIN, 0, 0x7000);
		stele__drain_tick(s.drain);
		stele__drain_cut(s.drain);
		synthetic_emit(&s, &b, STELE_KIND_TASK_BEGIN, 1, 0, stack << 32 | key);
		synthetic_emit(&s, &b, STELE_KIND_REGION_BEGIN, 1, 0, stack << 32 | key);
		synthetic_emit(&s, &b, STELE_KIND_LOG, 1, key << 32 | key, stack);
		synthetic_emit(&s, &b, STELE_KIND_COUNTER, key, (uint64_t)-5, 0);
		synthetic_emit(&s, &b, STELE_KIND_REGION_END, 1, 0, stack << 32 | key);
		synthetic_emit(&s, &b, STELE_KIND_TASK_END, 1, 0, stack);
		synthetic_emit(&s, &b, STELE_KIND_OBJECT_ALLOC, 0x55550010, 48, stack);
		synthetic_emit(&s, &b, STELE_KIND_OBJECT_FREE, 0x55550010, 0, stack);
		synthetic_emit(&s, &b, STELE_KIND_SPAN_ALLOC, 0x7f0000000000, 8192, 1);
		synthetic_emit(&s, &b, STELE_KIND_STACK_ALLOC, 0x7f0000002000, 8192, 2);
		synthetic_emit(&s, &b, STELE_KIND_THREAD_END, 0, 0, 0);
		synthetic_emit(&s, &a, STELE_KIND_GO_WAKE, token, 0, 0);
		token = synthetic_emit(&s, &a, STELE_KIND_SYSCALL_BEGIN, stack << 32 | 1, 2,
				       0x7000);
		stele__drain_cut(s.drain);
		synthetic_emit(&s, &a, STELE_KIND_SYSCALL_END, token, 0, 0);
		CHECK_EQ(synthetic_finish(&s), 0);
		CHECK(synthetic_is_valid(&s));
		stele__drain_stats(s.drain, &stats);
		CHECK_EQ(stats.records, 20);
		CHECK_EQ(stats.bridged, 0);
		CHECK_EQ(stats.unexplained, 0);
		CHECK_EQ(stats.generations, 3);
		CHECK_EQ(stats.valid_bytes, s.out_bytes);
		CHECK_EQ(synthetic_count(&s, STELE_EV_GO_CREATE), 1);
		CHECK_EQ(synthetic_count(&s, STELE_EV_GO_SYSCALL_END), 1);
		CHECK_EQ(synthetic_count(&s, STELE_EV_GO_DESTROY), 2);
		CHECK_EQ(synthetic_count(&s, STELE_EV_USER_LOG), 2);
		CHECK_EQ(synthetic_count(&s, STELE_EV_HEAP_OBJECT_ALLOC), 1);
		synthetic_close(&s);
	}
}

/* Both within one tick: the thread that ends the task is read first, whichever that is. */
static void drain_lets_a_task_end_on_a_thread_that_it_reads_first(void)
{
	for (unsigned first = 0; first < 2; first++) {
		struct synthetic s = {0};
		struct synthetic_thread threads[2];

		synthetic_open(&s, STELE_ARENA_BYTES_MIN, 23, 1);
		for (uint32_t i = 0; i < 2; i++)
			threads[i] = synthetic_thread(&s, 100 + i, 1 + i, 0);
		synthetic_emit(&s, &threads[first], STELE_KIND_TASK_BEGIN, 7, 0, 0);
		synthetic_emit(&s, &threads[!first], STELE_KIND_TASK_END, 7, 0, 0);
		stele__drain_tick(s.drain);
		/* It has ended, so it cannot begin again here. */
		synthetic_emit(&s, &threads[first], STELE_KIND_TASK_BEGIN, 7, 0, 0);
		CHECK_EQ(synthetic_finish(&s), 0);
		CHECK(synthetic_is_valid(&s));
		CHECK_EQ(synthetic_count(&s, STELE_EV_USER_TASK_BEGIN), 1);
		CHECK_EQ(synthetic_count(&s, STELE_EV_USER_TASK_END), 1);
		synthetic_close(&s);
	}
}

TAP_MAIN(TEST(drain_tells_the_life_of_threads),
	 TEST(drain_lets_a_task_end_on_a_thread_that_it_reads_first))
