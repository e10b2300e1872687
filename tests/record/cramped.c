/* SPDX-License-Identifier: MIT */
/*
 * Programs that a signal of ours could hurt, as told; each ends with 0 if it was not.
 *
 *   fiber    runs on a page of its own making, without an alternate signal stack, below which
 *            nothing may be written: a signal's frame would not fit
 *   own      sees no alternate stack but the one that it sets; and none again when it takes it away
 *   handler  has a handler that wants an alternate stack, in threads that have none: it runs on
 *            their own; in one that was there before the handler it has room
 *   threads  hundreds of threads, one after the other: none leaves memory behind
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))
#define PAGE	 4096

#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%d: %s\n", __LINE__, #condition);                         \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

static volatile unsigned long sum;

static long running_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1000000000 + now.tv_nsec;
}

/* No frame of this is larger than a few words. */
NOINLINE static void burn(void)
{
	for (int i = 0; i < 100000; i++)
		sum += (unsigned long)i;
}

NOINLINE static void burn_ms(long ms)
{
	long end = running_ns() + ms * 1000000;

	while (running_ns() < end)
		burn();
}

/* fiber ------------------------------------------------------------------------------------ */

static ucontext_t fiber, fiber_caller;

/* Without a call into libc, which might have no room itself. */
NOINLINE static void fiber_run(void)
{
	for (int i = 0; i < 3000; i++)
		burn();
}

static void run_fiber(void)
{
	char *pages =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT(pages != MAP_FAILED && mprotect(pages, PAGE, PROT_NONE) == 0);
	getcontext(&fiber);
	fiber.uc_stack.ss_sp = pages + PAGE;
	fiber.uc_stack.ss_size = PAGE / 4; /* below which there is the rest of the page */
	fiber.uc_link = &fiber_caller;
	makecontext(&fiber, fiber_run, 0);
	EXPECT(swapcontext(&fiber_caller, &fiber) == 0);
}

/* own -------------------------------------------------------------------------------------- */

static char own_room[65536];
static volatile sig_atomic_t own_where; /* 1: the handler ran on own_room, 2: elsewhere */

static void own_handle(int number)
{
	const char *here = (const char *)&number;

	own_where = here >= own_room && here < own_room + sizeof(own_room) ? 1 : 2;
}

static bool has_none(void)
{
	stack_t now = {.ss_flags = 77};

	return sigaltstack(NULL, &now) == 0 && now.ss_flags == SS_DISABLE;
}

static void *own_thread(void *unused)
{
	EXPECT(has_none());
	burn_ms(100);
	EXPECT(has_none());
	return unused;
}

static void run_own(void)
{
	const struct sigaction action = {.sa_handler = own_handle, .sa_flags = SA_ONSTACK};
	const stack_t none = {.ss_flags = SS_DISABLE};
	const stack_t own = {.ss_sp = own_room, .ss_size = sizeof(own_room)};
	stack_t before = {.ss_flags = 77};
	pthread_t thread;

	EXPECT(has_none());
	EXPECT(sigaltstack(&own, &before) == 0 && before.ss_flags == SS_DISABLE);
	burn_ms(50);
	EXPECT(sigaltstack(&none, &before) == 0 && before.ss_sp == own_room);
	EXPECT(has_none());
	burn_ms(50);
	EXPECT(pthread_create(&thread, NULL, own_thread, NULL) == 0);
	EXPECT(pthread_join(thread, NULL) == 0);
	EXPECT(sigaltstack(&own, &before) == 0 && before.ss_flags == SS_DISABLE);
	EXPECT(sigaction(SIGUSR1, &action, NULL) == 0);
	EXPECT(raise(SIGUSR1) == 0 && own_where == 1);
	EXPECT(sigaltstack(NULL, &before) == 0 && before.ss_sp == own_room);
}

/* handler ---------------------------------------------------------------------------------- */

static __thread const char *handler_frame;
static __thread volatile sig_atomic_t handler_near;

static void handler_handle(int number)
{
	const char *here = (const char *)&number;

	char room[32 * PAGE];

	memset(room, 1, sizeof(room));
	__asm__ volatile("" : : "r"(room) : "memory");
	handler_near = here < handler_frame && handler_frame - here < 64 * PAGE;
}

/* Deep in the thread's stack, so that what lies next to it in memory is not close. */
NOINLINE static void handler_raise(void)
{
	char deep[128 * PAGE];

	memset(deep, 1, sizeof(deep));
	__asm__ volatile("" : : "r"(deep) : "memory");
	handler_frame = deep;
	EXPECT(raise(SIGUSR1) == 0 && handler_near);
}

static void *handler_thread(void *unused)
{
	burn_ms(50);
	handler_raise();
	return unused;
}

static pthread_barrier_t handler_is_set;

static void *handler_early_thread(void *unused)
{
	pthread_barrier_wait(&handler_is_set);
	burn_ms(50);
	EXPECT(raise(SIGUSR1) == 0);
	burn_ms(50);
	return unused;
}

static void run_handler(void)
{
	const struct sigaction action = {.sa_handler = handler_handle, .sa_flags = SA_ONSTACK};
	struct sigaction now;
	pthread_t before, after;

	EXPECT(pthread_barrier_init(&handler_is_set, NULL, 2) == 0);
	EXPECT(pthread_create(&before, NULL, handler_early_thread, NULL) == 0);
	EXPECT(sigaction(SIGUSR1, &action, NULL) == 0);
	EXPECT(sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_flags & SA_ONSTACK);
	handler_raise();
	pthread_barrier_wait(&handler_is_set);
	EXPECT(pthread_join(before, NULL) == 0);
	EXPECT(pthread_create(&after, NULL, handler_thread, NULL) == 0);
	EXPECT(pthread_join(after, NULL) == 0);
	burn_ms(50);
	handler_raise();
}

/* threads ---------------------------------------------------------------------------------- */

static long mapped_pages(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long pages = 0;

	EXPECT(file && fscanf(file, "%ld", &pages) == 1);
	fclose(file);
	return pages;
}

static void *threads_one(void *unused)
{
	burn();
	return unused;
}

static void threads_some(int count)
{
	pthread_t threads[8];

	while (count--) {
		for (int i = 0; i < 8; i++)
			EXPECT(pthread_create(&threads[i], NULL, threads_one, NULL) == 0);
		for (int i = 0; i < 8; i++)
			EXPECT(pthread_join(threads[i], NULL) == 0);
	}
}

static void run_threads(void)
{
	long before;

	threads_some(20);
	before = mapped_pages();
	threads_some(100);
	/* libc keeps stacks, and an arena of malloc here and there; 800 stacks of ours would be
	 * 52,000. */
	EXPECT(mapped_pages() - before < 6000);
}

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (!strcmp(what, "fiber"))
		run_fiber();
	else if (!strcmp(what, "own"))
		run_own();
	else if (!strcmp(what, "handler"))
		run_handler();
	else if (!strcmp(what, "threads"))
		run_threads();
	else
		return 2;
	return 0;
}
