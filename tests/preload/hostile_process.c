/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>

#include "preload/hostile.h"

extern char **environ;

static pthread_mutex_t process_mutex = PTHREAD_MUTEX_INITIALIZER;

static int process_wait(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void *process_identity(void *arg)
{
	usleep(1);
	return arg;
}

/* A child that goes on as if nothing had happened: threads, locks, reads, another child. */
static int process_child_life(void)
{
	pthread_t thread;
	pid_t pid;

	pthread_mutex_lock(&process_mutex);
	pthread_create(&thread, NULL, process_identity, NULL);
	pthread_join(thread, NULL);
	pthread_mutex_unlock(&process_mutex);
	pid = fork();
	if (pid == 0)
		_exit(20);
	return process_wait(pid) + 1;
}

static void process_lock(void)
{
	pthread_mutex_lock(&process_mutex);
	usleep(1);
}

static void process_unlock(void)
{
	usleep(1);
	pthread_mutex_unlock(&process_mutex);
}

static void *process_forker(void *arg)
{
	int sum = 0;

	for (int i = 0; i < 10; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(process_child_life());
		sum += process_wait(pid);
	}
	*(int *)arg = sum;
	return NULL;
}

/* Forks from several threads at once, with atfork handlers that wait. */
static int processes_fork(void)
{
	pthread_t threads[4];
	int sums[4];

	pthread_atfork(process_lock, process_unlock, process_unlock);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, process_forker, &sums[i]);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		printf("sum %d\n", sums[i]);
	}
	return 0;
}

static int process_exec(const char *name)
{
	char *const arguments[] = {(char *)(uintptr_t) "hostile", (char *)(uintptr_t)name, NULL};

	execve("/proc/self/exe", arguments, environ);
	return 126;
}

/* Bury the parent's frame under other calls while it is lent to the child. */
static __attribute__((noinline)) void process_trample(int depth)
{
	volatile char bytes[512];

	memset((char *)bytes, 0x5a, sizeof(bytes));
	if (depth)
		process_trample(depth - 1);
}

static int processes_vfork(void)
{
	volatile int i;
	pid_t pid;

	for (i = 0; i < 50; i++) {
		pid = vfork();
		if (pid == 0) {
			process_trample(5);
			write(-1, "", 0);
			_exit(i);
		}
		if (process_wait(pid) != i)
			return 1;
	}
	pid = vfork();
	if (pid == 0) {
		pid = vfork();
		if (pid == 0)
			_exit(9);
		_exit(process_wait(pid) + 1);
	}
	printf("nested %d\n", process_wait(pid));
	errno = UNTOUCHED;
	pid = vfork();
	if (pid == 0)
		_exit(process_exec("child"));
	usleep(1);
	printf("executed %d, errno kept %d\n", process_wait(pid), errno == UNTOUCHED);
	return 0;
}

static int process_clone_body(void *arg)
{
	usleep(1);
	return *(int *)arg + process_child_life();
}

static int process_lent_body(void *arg)
{
	process_trample(5);
	usleep(1);
	return *(int *)arg + 1;
}

static int processes_others(void)
{
	static char stack[256 << 10] __attribute__((aligned(16)));
	char *const arguments[] = {(char *)(uintptr_t) "hostile", (char *)(uintptr_t) "child",
				   NULL};
	int own = 4;
	char line[64] = "";
	FILE *pipe;
	pid_t pid = 0;

	SHOW(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ));
	printf("spawned %d\n", process_wait(pid));
	SHOW(posix_spawn(NULL, "/proc/self/exe", NULL, NULL, arguments, environ));
	printf("waited %d\n", process_wait(-1));
	SHOW(posix_spawn(&pid, "/does/not/exist", NULL, NULL, arguments, environ));
	SHOW(posix_spawnp(&pid, "true", NULL, NULL, arguments, environ));
	printf("spawned %d\n", process_wait(pid));
	SHOW(WEXITSTATUS(system("exit 6")));
	pipe = popen("echo popen", "r");
	printf("%s", fgets(line, sizeof(line), pipe));
	SHOW(pclose(pipe));
	pid = clone(process_clone_body, stack + sizeof(stack), SIGCHLD, &own);
	printf("cloned %d\n", process_wait(pid));
	pid = clone(process_lent_body, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD,
		    &own);
	printf("lent %d\n", process_wait(pid));
	SHOW(clone(process_clone_body, NULL, SIGCHLD, &own));
	return 0;
}

/* Detached by the book: fork, setsid, fork, close everything, tell the one who waits. */
static int processes_daemon(void)
{
	int pipes[2];
	char answer[32] = "";
	pid_t pid;

	pipe(pipes);
	pid = fork();
	if (pid == 0) {
		setsid();
		pid = fork();
		if (pid != 0)
			_exit(0);
		dup2(pipes[1], 0);
		closefrom(1);
		dprintf(0, "daemon %d", process_child_life());
		_exit(0);
	}
	close(pipes[1]);
	printf("parent %d\n", process_wait(pid));
	while (read(pipes[0], answer + strlen(answer), sizeof(answer) - strlen(answer) - 1) > 0)
		;
	printf("%s\n", answer);
	pid = fork();
	if (pid == 0) {
		SHOW(daemon(1, 1));
		exit(0);
	}
	printf("daemon's parent %d\n", process_wait(pid));
	usleep(100000);
	return 0;
}

/* All descriptors closed and used anew: none of ours may be among them. */
static int processes_closed(void)
{
	int out = dup2(1, 100), pipes[2];
	char byte = 0;

	close(0);
	close(1);
	close(2);
	closefrom(101);
	for (int i = 3; i < 100; i++)
		close(i);
	pipe(pipes);
	dprintf(out, "pipe %d %d\n", pipes[0], pipes[1]);
	write(pipes[1], "x", 1);
	read(pipes[0], &byte, 1);
	usleep(1);
	dprintf(out, "byte %c\n", byte);
	return 0;
}

static int processes_exec(void)
{
	usleep(1);
	return process_exec("child");
}

/*
 * The plugin opens its neighbour by its bare name, which only the plugin's own RUNPATH finds, and
 * asks for the function behind its own by RTLD_NEXT.
 */
static int processes_plugin(void)
{
	for (int i = 0; i < 3; i++) {
		void *plugin = dlopen(getenv("HOSTILE_PLUGIN"), RTLD_NOW | RTLD_LOCAL);
		int (*run)(void) = plugin ? (int (*)(void))dlsym(plugin, "plugin_run") : NULL;

		if (!run) {
			printf("%s\n", dlerror());
			return 1;
		}
		printf("plugin %d\n", run());
		SHOW(dlclose(plugin));
	}
	printf("missing: %d\n", dlopen("libhostile_none.so", RTLD_NOW) == NULL);
	printf("said: %d\n", dlerror() != NULL);
	printf("again: %d\n", dlerror() != NULL);
	printf("main: %d\n", dlopen(NULL, RTLD_NOW) != NULL);
	printf("next: %d\n", dlsym(RTLD_NEXT, "usleep") != NULL);
	printf("none: %d\n", dlsym(RTLD_DEFAULT, "nobody_has_this") == NULL);
	return 0;
}

const struct hostile hostile_processes[] = {
	{"fork", processes_fork},     {"vfork", processes_vfork},
	{"others", processes_others}, {"daemon", processes_daemon},
	{"closed", processes_closed}, {"exec", processes_exec},
	{"plugin", processes_plugin}, {NULL, NULL},
};
