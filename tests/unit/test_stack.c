/* SPDX-License-Identifier: MIT */
/*
 * Stacks of fibers: that they grow, shrink and end. With GUARDS_MAPPED, as where the kernel has no
 * guard pages that cost no mapping.
 */
#include "fiber/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fiber/objects.h"
#include "stele/fiber.h"
#include "support/listen.h"
#include "support/tap.h"

#define KB(n) ((size_t)(n) << 10)

static const struct stele_fiber_options one = {.workers = 1};

/*
 * So many bytes deep, in frames of whatever size they have; what is on the stack is checked on the
 * way back.
 */
static __attribute__((noinline)) unsigned dig_to(uintptr_t end)
{
	volatile unsigned char block[1000];
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	unsigned wrong = 0;

	for (unsigned i = 0; i < sizeof(block); i++)
		block[i] = (unsigned char)(here + i);
	if (here > end)
		wrong = dig_to(end);
	for (unsigned i = 0; i < sizeof(block); i++)
		wrong += block[i] != (unsigned char)(here + i);
	return wrong;
}

static unsigned dig(size_t bytes)
{
	return dig_to((uintptr_t)__builtin_frame_address(0) - bytes);
}

/* Growing ------------------------------------------------------------------------------------- */

static void grow_step_by_step(void *arg)
{
	struct stele_fiber_stack s;
	size_t last;

	(void)arg;
	stele_fiber_measure_stack(&s);
	CHECK_EQ(s.limit, KB(256));
	CHECK(s.bytes <= KB(32));
	for (size_t depth = KB(4); depth < KB(200); depth += KB(4)) {
		last = s.bytes;
		CHECK_EQ(dig(depth), 0);
		stele_fiber_measure_stack(&s);
		CHECK(s.bytes >= last && s.bytes <= KB(256));
		CHECK(s.bytes >= depth && s.peak == s.bytes);
	}
	CHECK_EQ(s.bytes, KB(256));
}

static void a_stack_grows_where_it_is(void)
{
	CHECK_EQ(stele_fiber_run(&one, grow_step_by_step, NULL), 0);
}

static void grow_at_once(void *arg)
{
	volatile char block[200 << 10];

	(void)arg;
	block[0] = 1;
	block[sizeof(block) - 1] = 2;
	CHECK_EQ(block[0] + block[sizeof(block) - 1], 3);
}

static void grow_far(void *arg)
{
	struct stele_fiber_stack s;

	(void)arg;
	CHECK_EQ(dig(KB(40 << 10)), 0);
	stele_fiber_measure_stack(&s);
	CHECK_EQ(s.bytes, KB(64 << 10));
}

static void spawn_far(void *arg)
{
	(void)arg;
	stele_fiber_join(stele_fiber_spawn_with(64u << 20, NULL, grow_far, NULL));
	stele_fiber_join(stele_fiber_spawn(grow_at_once, NULL));
}

static void a_stack_grows_up_to_64_mib(void)
{
	CHECK_EQ(stele_fiber_run(&one, spawn_far, NULL), 0);
}

static volatile sig_atomic_t signals;

static void dig_in_handler(int number)
{
	(void)number;
	signals++;
	CHECK_EQ(dig(KB(8)), 0);
}

/* Handlers on the alternate stack come while a stack grows, and do not disturb it. */
static void grow_among_signals(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 200; i++) {
		alarm(0);
		raise(SIGUSR1);
		CHECK_EQ(dig(KB(i)), 0);
		stele_fiber_yield();
	}
}

static void signals_do_not_disturb_growing(void)
{
	struct sigaction action = {.sa_handler = dig_in_handler, .sa_flags = SA_ONSTACK}, old;

	sigaction(SIGUSR1, &action, &old);
	CHECK_EQ(stele_fiber_run(&one, grow_among_signals, NULL), 0);
	CHECK_EQ(signals, 200);
	sigaction(SIGUSR1, &old, NULL);
}

/* Shrinking ----------------------------------------------------------------------------------- */

static void shrink_in_park(void *arg)
{
	struct stele_fiber_stack before, after;
	volatile unsigned kept[64];

	(void)arg;
	for (unsigned i = 0; i < 64; i++)
		kept[i] = i;
	dig(KB(200));
	stele_fiber_measure_stack(&before);
	stele_fiber_sleep(1000);
	stele_fiber_measure_stack(&after);
	CHECK_EQ(before.bytes, KB(256));
	CHECK_EQ(after.bytes, KB(32));
	CHECK_EQ(after.peak, KB(256));
	for (unsigned i = 0; i < 64; i++)
		CHECK_EQ(kept[i], i);
	CHECK_EQ(dig(KB(200)), 0);
}

static void a_parked_stack_shrinks(void)
{
	CHECK_EQ(stele_fiber_run(&one, shrink_in_park, NULL), 0);
}

static void grow_and_park(void *arg)
{
	struct stele_fiber_stack s;
	unsigned shrunk = 0;

	(void)arg;
	for (unsigned i = 0; i < 100; i++) {
		dig(KB(200));
		stele_fiber_sleep(1000);
		stele_fiber_measure_stack(&s);
		shrunk += s.bytes < KB(256);
	}
	CHECK(shrunk >= 1 && shrunk < 10); /* the test may take longer than a second */
}

static void what_grows_again_is_left_alone(void)
{
	CHECK_EQ(stele_fiber_run(&one, grow_and_park, NULL), 0);
}

/* The kernel ---------------------------------------------------------------------------------- */

static int zeros;

/* The call itself lies below the array, so that the stack has grown over it before. */
static void read_large(void *arg)
{
	char block[64 << 10];

	(void)arg;
	CHECK_EQ(read(zeros, block, sizeof(block)), sizeof(block));
}

/* Not so without a call: EFAULT, or fine behind a touch. */
static void read_directly(void *arg)
{
#if defined(__x86_64__)
	char block[64 << 10];
	long n;

	__asm__ volatile("syscall"
			 : "=a"(n)
			 : "a"(SYS_read), "D"(zeros), "S"(block), "d"(sizeof(block))
			 : "rcx", "r11", "memory");
#if !defined(STELE_ASAN) && !defined(STELE_TSAN) /* which write around it */
	CHECK_EQ(n, -EFAULT);
#endif
	stele_fiber_touch(block, sizeof(block));
	__asm__ volatile("syscall"
			 : "=a"(n)
			 : "a"(SYS_read), "D"(zeros), "S"(block), "d"(sizeof(block))
			 : "rcx", "r11", "memory");
	CHECK_EQ(n, sizeof(block));
#endif
	(void)arg;
}

static void read_small(void *arg)
{
	char block[12 << 10];
	ssize_t n;

	(void)arg;
	stele_fiber_blocking_begin(SYS_read);
	n = read(zeros, block, sizeof(block));
	stele_fiber_blocking_end(n);
	CHECK_EQ(n, sizeof(block));
}

static void read_all(void *arg)
{
	(void)arg;
	stele_fiber_join(stele_fiber_spawn(read_large, NULL));
	stele_fiber_join(stele_fiber_spawn(read_directly, NULL));
	stele_fiber_join(stele_fiber_spawn(read_small, NULL));
}

static void the_kernel_fills_arrays_on_stacks(void)
{
	zeros = open("/dev/zero", O_RDONLY);
	CHECK_EQ(stele_fiber_run(&one, read_all, NULL), 0);
	close(zeros);
}

static struct stele_channel *channel;

/* Somebody else's thread writes into this stack, where it has not grown yet. */
static void receive_large(void *arg)
{
	struct {
		char bytes[40 << 10];
	} value;

	(void)arg;
	CHECK(stele_channel_receive(channel, &value));
	for (size_t i = 0; i < sizeof(value); i += 1000)
		CHECK_EQ(value.bytes[i], 'v');
}

static void send_large(void *arg)
{
	struct stele_fiber *f;
	static char value[40 << 10];

	(void)arg;
	memset(value, 'v', sizeof(value));
	channel = stele_channel_new(sizeof(value), 0);
	f = stele_fiber_spawn(receive_large, NULL);
	stele_fiber_yield();
	CHECK(stele_channel_send(channel, value));
	stele_fiber_join(f);
	stele_channel_free(channel);
}

static void values_come_to_stacks_that_have_not_grown(void)
{
	CHECK_EQ(stele_fiber_run(&one, send_large, NULL), 0);
}

/* The end ------------------------------------------------------------------------------------- */

static void dig_for_ever(void *arg)
{
	(void)arg;
	dig_to(0);
}

static void overflow(void *arg)
{
	(void)arg;
	stele_fiber_join(stele_fiber_spawn_with(64 << 10, "digger", dig_for_ever, NULL));
}

static void touch_nothing(void *arg)
{
	*(volatile int *)arg = 1;
}

static void fault(void *arg)
{
	(void)arg;
	stele_fiber_join(stele_fiber_spawn(touch_nothing, (void *)64));
}

static int run_overflow(void)
{
	signal(SIGSEGV, SIG_DFL); /* not a sanitizer's */
	return stele_fiber_run(&one, overflow, NULL);
}

static int run_fault(void)
{
	signal(SIGSEGV, SIG_DFL);
	return stele_fiber_run(&one, fault, NULL);
}

static void an_overflow_names_the_fiber_and_is_a_sigsegv(void)
{
	int status = 0;
	const char *text = child_says(run_overflow, &status);

	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGSEGV);
	CHECK(strstr(text, "stack overflow: fiber "));
	CHECK(strstr(text, "\"digger\""));
	CHECK(strstr(text, "limit of 64 KiB"));
	if (tap_now.reports)
		printf("# %s\n", text);
}

static void other_faults_are_what_they_always_were(void)
{
	int status = 0;
	const char *text = child_says(run_fault, &status);

	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGSEGV);
	CHECK(!strstr(text, "stele:"));
}

/* Many ---------------------------------------------------------------------------------------- */

#ifdef STELE_TSAN
#define PARKED 2000 /* each is a thread for it */
#else
#define PARKED 20000
#endif
#define TOO_MANY 40000

static struct stele_mutex gate;
static unsigned passed;

static void wait_at_gate(void *arg)
{
	(void)arg;
	stele_mutex_lock(&gate);
	passed++;
	stele_mutex_unlock(&gate);
}

/* As many as asked for, or as there can be. */
static void park_many(void *arg)
{
	unsigned *count = arg, made;
	static struct stele_fiber *f[TOO_MANY];

	stele_mutex_lock(&gate);
	for (made = 0; made < *count; made++) {
		f[made] = stele_fiber_spawn(wait_at_gate, NULL);
		if (!f[made]) {
			CHECK_EQ(errno, ENOMEM);
			break;
		}
	}
	*count = made;
	stele_fiber_yield();
	stele_mutex_unlock(&gate);
	for (unsigned i = 0; i < made; i++)
		stele_fiber_join(f[i]);
}

static void many_fibers_park_at_once(void)
{
	struct stele__heap_stats stats;
	unsigned count = PARKED;

	passed = 0;
	CHECK_EQ(stele_fiber_run(&one, park_many, &count), 0);
	CHECK_EQ(count, PARKED);
	CHECK_EQ(passed, PARKED);
	stele__heap_stats(&stats);
	CHECK(stats.used < 400u << 20); /* and the stacks went back */
}

#ifdef GUARDS_MAPPED
int __wrap_stele__sys_guard_install(void *at, uint64_t bytes);
int __wrap_stele__sys_guard_install(void *at, uint64_t bytes)
{
	(void)at;
	(void)bytes;
	return -EINVAL;
}

/* 65,530 mappings are usual, and each stack takes two. */
static void too_many_fibers_are_refused(void)
{
	unsigned count = TOO_MANY;
	long mappings = 0;
	FILE *f = fopen("/proc/sys/vm/max_map_count", "r");

	if (!f || fscanf(f, "%ld", &mappings) != 1 || mappings != 65530)
		SKIP("this machine allows another number of mappings");
	fclose(f);
	passed = 0;
	CHECK_EQ(stele_fiber_run(&one, park_many, &count), 0);
	CHECK(count > 25000 && count < 33000);
	CHECK_EQ(passed, count);
	passed = 0;
	count = 1000;
	CHECK_EQ(stele_fiber_run(&one, park_many, &count), 0);
	CHECK_EQ(passed, 1000);
}
#endif

TAP_MAIN(TEST(a_stack_grows_where_it_is), TEST(a_stack_grows_up_to_64_mib),
	 TEST(signals_do_not_disturb_growing), TEST(a_parked_stack_shrinks),
	 TEST(what_grows_again_is_left_alone), TEST(the_kernel_fills_arrays_on_stacks),
	 TEST(values_come_to_stacks_that_have_not_grown),
	 TEST(an_overflow_names_the_fiber_and_is_a_sigsegv),
	 TEST(other_faults_are_what_they_always_were),
#ifdef GUARDS_MAPPED
	 TEST(too_many_fibers_are_refused),
#endif
	 TEST(many_fibers_park_at_once))
