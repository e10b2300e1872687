/* SPDX-License-Identifier: MIT */
/*
 * Two threads that want one processor for 300 ms each, at the same time; then each sleeps for
 * 100 ms by a system call that nobody sees. Prints how long each had the processor, by the kernel's
 * account.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define RUN_NS 300000000

static pthread_barrier_t both;

static long running_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Not by libc's syscall(), where futexes are looked for. */
static void sleep_unseen(const struct timespec *time)
{
#ifdef __x86_64__
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(SYS_nanosleep), "D"(time), "S"(NULL)
			 : "rcx", "r11", "memory");
#else
	syscall(SYS_nanosleep, time, NULL);
#endif
}

static void *rival(void *arg)
{
	const struct timespec tenth = {0, 100000000};

	pthread_barrier_wait(&both);
	while (running_ns() < RUN_NS)
		;
	sleep_unseen(&tenth);
	*(long *)arg = running_ns();
	return NULL;
}

int main(void)
{
	pthread_t threads[2];
	cpu_set_t one, all;
	long ran[2];
	int first = 0;

	sched_getaffinity(0, sizeof(all), &all);
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		return 77;
	pthread_barrier_init(&both, NULL, 2);
	for (int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, rival, &ran[i]))
			return 1;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	printf("%ld %ld\n", ran[0], ran[1]);
	return 0;
}
