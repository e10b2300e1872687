/* SPDX-License-Identifier: MIT */
/*
 * A parent and its child, who wait for each other in all the ways that processes have: the child
 * holds a lock in shared memory for 200 ms, posts a semaphore after 100 ms, signals its parent
 * after 100 ms, and wakes it by a futex. Then the child serves one request on a socket, for which
 * it waits 100 ms for the lock that its parent has. Prints the pids.
 */
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

struct kin {
	pthread_mutex_t lock;
	sem_t posted, taken;
	int word;
};

static struct kin *kin;

static void milliseconds(long ms)
{
	const struct timespec time = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

static void handle(int number)
{
	(void)number;
}

NOINLINE static void post(void)
{
	milliseconds(100);
	sem_post(&kin->posted);
	__asm__ volatile(""); /* no tail call */
}

NOINLINE static void hold(long ms)
{
	pthread_mutex_lock(&kin->lock);
	sem_post(&kin->taken);
	milliseconds(ms);
	pthread_mutex_unlock(&kin->lock);
	__asm__ volatile("");
}

NOINLINE static void notify(pid_t parent)
{
	milliseconds(100);
	kill(parent, SIGURG);
	__asm__ volatile("");
}

NOINLINE static void wake(void)
{
	milliseconds(100);
	__atomic_store_n(&kin->word, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &kin->word, FUTEX_WAKE, 1, NULL, NULL, 0);
	__asm__ volatile("");
}

/* What it reads, it sends back, when it has had the lock. */
NOINLINE static void serve(int connection)
{
	char letter;

	if (read(connection, &letter, 1) != 1)
		exit(4);
	pthread_mutex_lock(&kin->lock);
	pthread_mutex_unlock(&kin->lock);
	if (write(connection, &letter, 1) != 1)
		exit(5);
}

static void child(pid_t parent, int listener)
{
	post();
	hold(200);
	notify(parent);
	wake();
	serve(accept(listener, NULL, NULL));
}

static int listen_at(struct sockaddr_un *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(name->sun_path, sizeof(name->sun_path), "kin-%d.socket", (int)getpid());
	if (bind(fd, (struct sockaddr *)name, sizeof(*name)) || listen(fd, 1))
		exit(6);
	return fd;
}

/* While it has the lock, so that the child has to wait. */
NOINLINE static void request(const struct sockaddr_un *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char letter = 'x';

	if (connect(fd, (const struct sockaddr *)name, sizeof(*name)))
		exit(7);
	pthread_mutex_lock(&kin->lock);
	if (write(fd, &letter, 1) != 1)
		exit(8);
	milliseconds(100);
	pthread_mutex_unlock(&kin->lock);
	if (read(fd, &letter, 1) != 1)
		exit(9);
}

static void kin_init(void)
{
	pthread_mutexattr_t shared;

	kin = mmap(NULL, sizeof(*kin), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (kin == MAP_FAILED)
		exit(2);
	pthread_mutexattr_init(&shared);
	pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&kin->lock, &shared);
	sem_init(&kin->posted, 1, 0);
	sem_init(&kin->taken, 1, 0);
}

int main(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	pid_t parent = getpid(), pid;
	int status, listener = listen_at(&name);

	kin_init();
	signal(SIGURG, handle);
	pid = fork();
	if (pid == 0) {
		child(parent, listener);
		return 0;
	}
	printf("%d %d\n", (int)parent, (int)pid);
	fflush(stdout);
	sem_wait(&kin->posted);
	sem_wait(&kin->taken);
	pthread_mutex_lock(&kin->lock);
	pthread_mutex_unlock(&kin->lock);
	poll(NULL, 0, 5000);
	while (!__atomic_load_n(&kin->word, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &kin->word, FUTEX_WAIT, 0, NULL, NULL, 0);
	request(&name);
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 3;
}
