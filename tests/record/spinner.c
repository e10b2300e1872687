/* SPDX-License-Identifier: MIT */
/*
 * Runs, much of its time in one function and less in another, in as many threads as it is told, and
 * prints how long they ran by the kernel's account, and how long in the two. What it does about
 * signals beside:
 *
 *   plain N   nothing
 *   block N   all signals are blocked in each thread
 *   own N     it handles the recorder's signal itself, waits for all signals, has a signalfd of all
 *   exec N    it executes itself: plain N
 *   fork N    the same in a child, after which the parent runs
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))
#define RUN_NS	 700000000
#define THREADS	 16

static bool blocks;
static long total_ns, hot_ns, warm_ns, interrupted;
static __thread volatile unsigned long sum;

static long running_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1000000000 + now.tv_nsec;
}

NOINLINE static void hot(int turns)
{
	for (int i = 0; i < turns; i++)
		sum += (unsigned long)i;
	__asm__ volatile("");
}

NOINLINE static void warm(int turns)
{
	for (int i = 0; i < turns; i++)
		sum -= (unsigned long)i; /* lest compilers make one function of two */
	__asm__ volatile("");
}

/*
 * Waits now and then, as servers do: a signal may come at any moment. No two rounds take the same
 * time: samples come at the kernel's ticks, which would always meet the same part of equal rounds.
 */
static void spin(void)
{
	const struct timespec moment = {0, 1000};
	unsigned seed = (unsigned)pthread_self();
	long from, between, to;

	while ((from = running_ns()) < RUN_NS) {
		int turns = rand_r(&seed) % 200000;

		hot(3 * turns);
		between = running_ns();
		warm(turns);
		to = running_ns();
		__atomic_fetch_add(&hot_ns, between - from, __ATOMIC_RELAXED);
		__atomic_fetch_add(&warm_ns, to - between, __ATOMIC_RELAXED);
		if (nanosleep(&moment, NULL) < 0 || poll(NULL, 0, 0) < 0)
			__atomic_fetch_add(&interrupted, 1, __ATOMIC_RELAXED);
	}
}

static void *spin_thread(void *unused)
{
	sigset_t all;

	sigfillset(&all);
	if (blocks)
		pthread_sigmask(SIG_SETMASK, &all, NULL);
	spin();
	__atomic_fetch_add(&total_ns, running_ns(), __ATOMIC_RELAXED);
	return unused;
}

static void handle(int number)
{
	(void)number;
	_exit(90);
}

/* All of it succeeds, as if nobody else had the signal. */
static int take_signal(void)
{
	const int number = SIGRTMAX - 2;
	struct sigaction action = {.sa_handler = handle}, old;
	const struct timespec none = {0, 0};
	struct signalfd_siginfo info;
	sigset_t all;
	int fd;

	sigfillset(&all);
	if (sigaction(number, &action, &old) < 0 || old.sa_handler != SIG_DFL)
		return 91;
	if (signal(number, SIG_DFL) == SIG_ERR)
		return 92;
	if (sigprocmask(SIG_BLOCK, &all, NULL) < 0)
		return 93;
	fd = signalfd(-1, &all, SFD_NONBLOCK);
	for (int i = 0; i < 300; i++) {
		hot(300000);
		if (sigtimedwait(&all, NULL, &none) != -1 || errno != EAGAIN)
			return 94;
		if (read(fd, &info, sizeof(info)) != -1 || errno != EAGAIN)
			return 95;
	}
	return 0;
}

static int run(int count)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, spin_thread, NULL))
			return 96;
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	printf("%ld ns, hot %ld, warm %ld, %ld calls interrupted\n", total_ns + running_ns(),
	       hot_ns, warm_ns, interrupted);
	return 0;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "plain";
	int count = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 1, status = 0;
	pid_t child;

	if (count < 1 || count > THREADS)
		return 97;
	blocks = strcmp(how, "block") == 0;
	if (!strcmp(how, "own"))
		status = take_signal();
	if (!strcmp(how, "exec")) {
		for (int i = 0; i < 100; i++)
			hot(300000);
		execl("/proc/self/exe", argv[0], "plain", argv[2], (char *)NULL);
		return 98;
	}
	if (!strcmp(how, "fork")) {
		child = fork();
		if (child == 0)
			return run(count);
		if (child < 0 || waitpid(child, &status, 0) != child || status)
			return 99;
	}
	return status ? status : run(count);
}
