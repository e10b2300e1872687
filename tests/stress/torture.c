/* SPDX-License-Identifier: MIT */
/*
 * A program that does to itself what is hard to record: threads that come, go, are cancelled and
 * refused, waits left by siglongjmp, handlers that wait and annotate, children of all kinds, exec
 * from any thread, and an end in the middle of everything.
 *
 *   torture SEED MILLISECONDS THREADS END [MODE...]
 *
 * END is return, exit, _exit, kill, abort, main (pthread_exit in it) or hold (until killed from
 * outside). Modes: storm (signals), churn, jump, cancel, refuse, children, exec, stop, close,
 * root (chroot, setuid), many (as many threads as may be).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "stele/trace.h"

#define WORKERS_MAX 64
#define BATCH	    8
#define STACK_BYTES (128u << 10)

static struct {
	unsigned seed;
	long ms;
	int threads;
	const char *end;
	bool storm, churn, jump, cancel, refuse, children, exec, stop, close, root, many;
} want;

static char **arguments;
static struct timespec begun;
static pthread_mutex_t locks[3] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
				   PTHREAD_MUTEX_INITIALIZER};
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;
static int pipes[2] = {-1, -1};
static pthread_t workers[WORKERS_MAX];
static _Thread_local sigjmp_buf back;
static _Thread_local volatile sig_atomic_t may_jump;

static long elapsed_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - begun.tv_sec) * 1000 + (now.tv_nsec - begun.tv_nsec) / 1000000;
}

static bool time_left(void)
{
	return elapsed_ms() < want.ms;
}

static void nap(long ns)
{
	const struct timespec time = {0, ns};

	nanosleep(&time, NULL);
}

static void in_ns(struct timespec *ret_until, clockid_t clock, long ns)
{
	clock_gettime(clock, ret_until);
	ret_until->tv_nsec += ns;
	ret_until->tv_sec += ret_until->tv_nsec / 1000000000;
	ret_until->tv_nsec %= 1000000000;
}

/* Everything in a handler; and every so often it does not come back. */
static void on_signal(int number)
{
	int saved_errno = errno;
	char byte = 'x';

	stele_log(0, "signal", "handled");
	if (write(pipes[1], &byte, 1) < 0 && errno == EBADF)
		stele_log(0, "pipe", "closed");
	sem_post(&semaphore);
	if (number == SIGUSR2)
		nap(1000);
	errno = saved_errno;
	if (may_jump) {
		may_jump = 0;
		siglongjmp(back, 1);
	}
}

static void wait_for_condition(unsigned *seed)
{
	struct timespec until;

	in_ns(&until, CLOCK_REALTIME, rand_r(seed) % 300000);
	pthread_mutex_lock(&locks[0]);
	pthread_cond_timedwait(&condition, &locks[0], &until);
	pthread_mutex_unlock(&locks[0]);
}

static void wait_for_semaphore(unsigned *seed)
{
	struct timespec until;

	in_ns(&until, CLOCK_REALTIME, rand_r(seed) % 300000);
	sem_timedwait(&semaphore, &until);
}

static void fight(unsigned *seed)
{
	pthread_mutex_t *lock = &locks[1 + rand_r(seed) % 2];

	pthread_mutex_lock(lock);
	if (rand_r(seed) % 4 == 0)
		nap(rand_r(seed) % 20000);
	pthread_mutex_unlock(lock);
	pthread_cond_broadcast(&condition);
}

static void talk(unsigned *seed)
{
	char bytes[16];
	struct pollfd ready = {.fd = pipes[0], .events = POLLIN};

	if (write(pipes[1], "hello", 5) == 5 && poll(&ready, 1, 1) == 1)
		(void)!read(pipes[0], bytes, 1 + rand_r(seed) % sizeof(bytes));
}

static void annotate(unsigned *seed)
{
	stele_task_id task = stele_task_begin("task", 0);

	stele_region_begin("region", task);
	for (unsigned i = rand_r(seed) % 50; i; i--)
		stele_log(task, "key", "value");
	if (rand_r(seed) % 2)
		stele_region_end("region", task);
	stele_task_end(task);
	stele_counter(stele_name_intern("counter"), (int64_t)rand_r(seed));
}

/* A wait that a handler may leave for good. The sleep keeps no state that this could break. */
static void jump_away(unsigned *seed)
{
	volatile int deep = (int)(rand_r(seed) % 3);

	if (sigsetjmp(back, 1) == 0) {
		may_jump = 1;
		if (deep == 0)
			nap(200000);
		else if (deep == 1)
			poll(NULL, 0, 1);
		else
			for (int i = 0; i < 20; i++)
				stele_log(0, "jump", "soon");
		may_jump = 0;
	}
}

static void *nothing(void *arg)
{
	return arg;
}

static void *brief(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	fight(&seed);
	if (rand_r(&seed) % 3 == 0)
		pthread_exit(arg);
	return arg;
}

static void *forever(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (;;) {
		if (seed % 3 == 0)
			nap(50000000);
		else if (seed % 3 == 1)
			sem_wait(&semaphore);
		else
			wait_for_condition(&seed);
		pthread_testcancel();
	}
	return NULL;
}

static bool create(pthread_t *thread, void *(*start)(void *), void *arg, bool detached)
{
	pthread_attr_t attributes;
	bool done;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	if (detached)
		pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	done = pthread_create(thread, &attributes, start, arg) == 0;
	pthread_attr_destroy(&attributes);
	return done;
}

static void come_and_go(unsigned *seed)
{
	pthread_t threads[BATCH];
	int count = 0;
	bool detached = rand_r(seed) % 4 == 0;

	while (count < BATCH && create(&threads[count], rand_r(seed) % 2 ? brief : nothing,
				       (void *)(uintptr_t)rand_r(seed), detached))
		count++;
	while (count-- > 0 && !detached)
		pthread_join(threads[count], NULL);
}

/* wait_for_condition may be cancelled with the lock held: threads of this kind take seed % 3 < 2 */
static void cancel(unsigned *seed)
{
	pthread_t threads[BATCH];
	int count = 0;

	while (count < BATCH &&
	       create(&threads[count], forever,
		      (void *)(uintptr_t)(rand_r(seed) / 3 * 3 % 30000 + rand_r(seed) % 2), false))
		count++;
	nap(rand_r(seed) % 300000);
	for (int i = 0; i < count; i++)
		pthread_cancel(threads[i]);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

/* No address space holds such a stack: the creation is announced, and then fails. */
static void be_refused(void)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, SIZE_MAX / 4 & ~(size_t)0xfff);
	if (pthread_create(&thread, &attributes, nothing, NULL) == 0)
		abort();
	pthread_attr_destroy(&attributes);
}

static void have_children(unsigned *seed)
{
	char *const argv[] = {(char *)"true", NULL};
	pid_t pid = 0;

	switch (rand_r(seed) % 3) {
	case 0:
		pid = fork();
		if (pid == 0)
			_exit(0);
		break;
	case 1:
		pid = vfork();
		if (pid == 0)
			_exit(0);
		break;
	default:
		if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, NULL) != 0)
			pid = 0;
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void execute(void)
{
	char seed[16], left[16];

	snprintf(seed, sizeof(seed), "%u", want.seed + 1);
	snprintf(left, sizeof(left), "%ld", want.ms - elapsed_ms());
	arguments[1] = seed;
	arguments[2] = left;
	/* Handlers do not outlive exec, and the storm would kill the next image. */
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	execv("/proc/self/exe", arguments);
}

static void *work(void *arg)
{
	unsigned seed = want.seed * 977 + (unsigned)(uintptr_t)arg;

	while (time_left()) {
		switch (rand_r(&seed) % 16) {
		case 0:
			wait_for_condition(&seed);
			break;
		case 1:
			wait_for_semaphore(&seed);
			break;
		case 2 ... 4:
			fight(&seed);
			break;
		case 5 ... 6:
			talk(&seed);
			break;
		case 7 ... 9:
			annotate(&seed);
			break;
		case 10:
			if (want.churn)
				come_and_go(&seed);
			break;
		case 11:
			if (want.cancel)
				cancel(&seed);
			break;
		case 12:
			if (want.refuse)
				be_refused();
			break;
		case 13:
			if (want.children)
				have_children(&seed);
			break;
		case 14:
			if (want.jump)
				jump_away(&seed);
			break;
		case 15:
			if (want.exec && rand_r(&seed) % 64 == 0)
				execute();
			if (want.stop && rand_r(&seed) % 512 == 0)
				raise(SIGSTOP);
			break;
		}
	}
	return NULL;
}

static void *make_storm(void *arg)
{
	unsigned seed = want.seed + 1;

	while (time_left()) {
		pthread_kill(workers[rand_r(&seed) % (unsigned)want.threads],
			     rand_r(&seed) % 4 ? SIGUSR1 : SIGUSR2);
		if (rand_r(&seed) % 8 == 0)
			nap(20000);
	}
	return arg;
}

static void *idle(void *arg)
{
	while (time_left())
		nap(100000000);
	return arg;
}

/* More threads than there are slots. */
static void crowd(void)
{
	pthread_t thread;

	for (int i = 0; i < 5000 && create(&thread, idle, NULL, true); i++)
		;
}

static void read_mode(const char *mode)
{
	const struct {
		const char *name;
		bool *flag;
	} modes[] = {{"storm", &want.storm},   {"churn", &want.churn},	     {"jump", &want.jump},
		     {"cancel", &want.cancel}, {"refuse", &want.refuse},     {"exec", &want.exec},
		     {"stop", &want.stop},     {"children", &want.children}, {"close", &want.close},
		     {"root", &want.root},     {"many", &want.many}};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(mode, modes[i].name))
			*modes[i].flag = true;
}

/* Somebody must wake a stopped process: a child that does nothing else for as long as we live. */
static void be_continued(void)
{
	pid_t parent = getpid();

	if (fork() != 0)
		return;
	for (int fd = 0; fd < 64; fd++)
		close(fd);
	while (getppid() == parent) {
		kill(parent, SIGCONT);
		nap(10000000);
	}
	_exit(0);
}

static void prepare(void)
{
	const struct sigaction action = {.sa_handler = on_signal};
	pthread_t thread;

	if (want.close)
		for (int fd = 0; fd < 1024; fd++)
			close(fd);
	if (pipe2(pipes, O_NONBLOCK | O_CLOEXEC) != 0)
		abort();
	sem_init(&semaphore, 0, 0);
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	if (want.stop)
		be_continued();
	/* glibc loads its unwinder at the first cancellation: while there is a file system. */
	if (create(&thread, forever, NULL, false)) {
		pthread_cancel(thread);
		pthread_join(thread, NULL);
	}
	if (want.root && (chroot("/proc") != 0 || setuid(12345) != 0))
		stele_log(0, "root", "not ours");
}

static int end(void)
{
	if (!strcmp(want.end, "exit"))
		exit(3);
	if (!strcmp(want.end, "_exit"))
		_exit(3);
	if (!strcmp(want.end, "kill"))
		kill(getpid(), SIGKILL);
	if (!strcmp(want.end, "abort"))
		abort();
	if (!strcmp(want.end, "main"))
		pthread_exit(NULL);
	while (!strcmp(want.end, "hold"))
		nap(1000000);
	return 3;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc < 5)
		return 2;
	arguments = argv;
	want.seed = (unsigned)strtoul(argv[1], NULL, 10);
	want.ms = strtol(argv[2], NULL, 10);
	want.threads = (int)strtol(argv[3], NULL, 10);
	want.end = argv[4];
	if (want.threads < 1 || want.threads > WORKERS_MAX)
		return 2;
	for (int i = 5; i < argc; i++)
		read_mode(argv[i]);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	prepare();
	if (want.many)
		crowd();
	for (int i = 0; i < want.threads; i++)
		/* The threads of the image before may still be going. */
		while (pthread_create(&workers[i], NULL, work, (void *)(uintptr_t)i) != 0)
			nap(1000000);
	if (want.storm)
		pthread_create(&thread, NULL, make_storm, NULL);
	/* Most ends come while the workers are at it. */
	while (elapsed_ms() < want.ms * 3 / 4)
		nap(1000000);
	return end();
}
