/* SPDX-License-Identifier: MIT */
/*
 * A program with children of every kind; each process tells its pid in a log, and counts with a
 * name that it may have from its parent.
 *
 *   forks fork|spawn|vfork|clone     one child, which tells and works with two threads
 *   forks exec                 a child that executes this program in its place
 *   forks daemon               a grandchild, of which nobody is the parent, works for half a second
 *   forks many N               N children at once
 *   forks closed               a child that closes every descriptor first
 *   forks killed               a child that kills itself
 *   forks tell                 no child
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "stele/trace.h"

static stele_name counter;
static char *self;

static void pass_time(long ms)
{
	const struct timespec time = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

static void *work(void *arg)
{
	stele_region_begin("work", 0);
	pass_time(1);
	free(malloc(100));
	stele_region_end("work", 0);
	return arg;
}

static void tell(void)
{
	pthread_t threads[2];
	char text[24];

	snprintf(text, sizeof(text), "%d", (int)getpid());
	stele_log(0, "pid", text);
	stele_counter(counter, getpid());
	for (int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, work, NULL))
			abort();
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

static int execute(void)
{
	char word[] = "tell";
	char *const arguments[] = {self, word, NULL};

	execv(self, arguments);
	return 127;
}

static int clone_child(void *arg)
{
	(void)arg;
	return execute();
}

static int child(const char *how)
{
	if (!strcmp(how, "exec"))
		return execute();
	if (!strcmp(how, "closed"))
		syscall(SYS_close_range, 0u, ~0u, 0u);
	tell();
	if (!strcmp(how, "killed"))
		kill(getpid(), SIGKILL);
	return 0;
}

static void daemonise(void)
{
	if (fork() != 0)
		return;
	setsid();
	if (fork() == 0) {
		tell();
		pass_time(500);
		tell();
	}
	_exit(0);
}

/* Returns how many children there are to wait for. */
static int give_birth(const char *how, int count)
{
	static char stack[65536] __attribute__((aligned(16)));
	extern char **environ;
	char word[] = "tell";
	char *const arguments[] = {self, word, NULL};
	pid_t pid;

	if (!strcmp(how, "tell"))
		return 0;
	if (!strcmp(how, "daemon")) {
		daemonise();
		return 1;
	}
	if (!strcmp(how, "spawn"))
		return posix_spawn(&pid, self, NULL, NULL, arguments, environ) == 0;
	if (!strcmp(how, "clone"))
		return clone(clone_child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD,
			     NULL) > 0;
	if (!strcmp(how, "vfork")) {
		if (vfork() == 0)
			_exit(execute());
		return 1;
	}
	for (int i = 0; i < count; i++)
		if (fork() == 0)
			_exit(child(how));
	return count;
}

int main(int argc, char **argv)
{
	int children;

	if (argc < 2)
		return 2;
	self = argv[0];
	counter = stele_name_intern("pids");
	tell();
	children = give_birth(argv[1], argc > 2 ? (int)strtol(argv[2], NULL, 10) : 1);
	while (children-- > 0)
		wait(NULL);
	return 5;
}
