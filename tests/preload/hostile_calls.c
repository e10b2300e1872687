/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "preload/hostile.h"

static char call_buffer[256];

/* Every one of them fails, and says how. */
static int calls_fail(void)
{
	struct iovec v = {call_buffer, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	struct mmsghdr mm = {.msg_hdr = m};
	struct timespec wrong = {.tv_nsec = -1};
	struct epoll_event e;
	fd_set set;

	FD_ZERO(&set);
	SHOW(read(-1, call_buffer, 1));
	SHOW(write(-1, call_buffer, 1));
	SHOW(pread(-1, call_buffer, 1, 0));
	SHOW(pwrite(-1, call_buffer, 1, 0));
	SHOW(readv(-1, &v, 1));
	SHOW(writev(-1, &v, 1));
	SHOW(preadv(-1, &v, 1, 0));
	SHOW(pwritev2(-1, &v, 1, 0, 0));
	SHOW(recv(-1, call_buffer, 1, 0));
	SHOW(recvfrom(-1, call_buffer, 1, 0, NULL, NULL));
	SHOW(recvmsg(-1, &m, 0));
	SHOW(recvmmsg(-1, &mm, 1, 0, NULL));
	SHOW(send(-1, call_buffer, 1, 0));
	SHOW(sendto(-1, call_buffer, 1, 0, NULL, 0));
	SHOW(sendmsg(-1, &m, 0));
	SHOW(sendmmsg(-1, &mm, 1, 0));
	SHOW(accept(-1, NULL, NULL));
	SHOW(accept4(-1, NULL, NULL, 0));
	SHOW(connect(-1, NULL, 0));
	SHOW(poll(NULL, 1, 0));
	SHOW(ppoll(NULL, 0, &wrong, NULL));
	SHOW(select(-1, NULL, NULL, NULL, NULL));
	SHOW(pselect(0, &set, NULL, NULL, &wrong, NULL));
	SHOW(epoll_wait(-1, &e, 1, 0));
	SHOW(epoll_pwait(-1, &e, 1, 0, NULL));
	SHOW(getaddrinfo(NULL, NULL, NULL, NULL));
	SHOW(getnameinfo(NULL, 0, NULL, 0, NULL, 0, 0));
	SHOW(gethostbyname2("localhost", 12345) != NULL);
	SHOW(wait(NULL));
	SHOW(wait4(-1, NULL, 0, NULL));
	SHOW(waitpid(1, NULL, 0));
	SHOW(waitid(P_ALL, 0, NULL, WEXITED));
	SHOW(fsync(-1));
	SHOW(fdatasync(-1));
	SHOW(msync((void *)1, 1, MS_SYNC));
	SHOW(sendfile(-1, -1, NULL, 1));
	SHOW(splice(-1, NULL, -1, NULL, 1, 0));
	SHOW(copy_file_range(-1, NULL, -1, NULL, 1, 0));
	SHOW(flock(-1, LOCK_EX));
	SHOW(fcntl(-1, F_GETFL));
	SHOW(fcntl(-1, F_SETLKW, NULL));
	SHOW(lockf(-1, F_LOCK, 1));
	SHOW(nanosleep(&wrong, NULL));
	SHOW(clock_nanosleep(CLOCK_MONOTONIC, 0, &wrong, NULL));
	SHOW(sigtimedwait(NULL, NULL, &wrong));
	SHOW(kill(getpid(), 9999));
	SHOW(sigqueue(getpid(), 9999, (union sigval){0}));
	return 0;
}

static int calls_succeed(void)
{
	struct pollfd p = {.events = POLLIN};
	struct epoll_event e = {.events = EPOLLIN};
	struct flock whole = {.l_type = F_WRLCK};
	struct timespec none = {0};
	int pair[2], epoll = epoll_create1(0);
	FILE *file = tmpfile();
	sigset_t set;
	int number;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	p.fd = pair[1];
	epoll_ctl(epoll, EPOLL_CTL_ADD, pair[1], &e);
	SHOW(poll(&p, 1, 0));
	SHOW(send(pair[0], "hello", 5, 0));
	SHOW(poll(&p, 1, -1));
	SHOW(epoll_wait(epoll, &e, 1, -1));
	SHOW(recv(pair[1], call_buffer, sizeof(call_buffer), 0));
	SHOW(write(pair[0], "you", 3));
	SHOW(read(pair[1], call_buffer + 5, 3));
	printf("%s\n", call_buffer);
	SHOW(fcntl(pair[0], F_SETFL, O_NONBLOCK));
	SHOW(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
	SHOW(read(pair[0], call_buffer, 1));
	SHOW(fcntl(fileno(file), F_SETLKW, &whole));
	SHOW(fcntl(fileno(file), F_DUPFD, 100));
	SHOW(fsync(fileno(file)));
	SHOW(nanosleep(&none, NULL));
	SHOW(usleep(1));
	SHOW(sleep(0));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	SHOW(kill(getpid(), SIGUSR1));
	SHOW(sigwait(&set, &number));
	printf("signal %d\n", number);
	SHOW(sigqueue(getpid(), SIGUSR1, (union sigval){0}));
	SHOW(sigwait(&set, &number));
	printf("signal %d\n", number);
	return 0;
}

static void call_handler(int number)
{
	(void)number;
}

static void call_alarm(int us)
{
	struct itimerval timer = {.it_value.tv_usec = us};

	setitimer(ITIMER_REAL, &timer, NULL);
}

static int calls_interrupted(void)
{
	struct sigaction action = {.sa_handler = call_handler};
	struct timespec second = {.tv_sec = 1};
	struct pollfd p = {.events = POLLIN};
	sigset_t none;
	int pipes[2];

	pipe(pipes);
	p.fd = pipes[0];
	sigemptyset(&none);
	sigaction(SIGALRM, &action, NULL);
	call_alarm(20000);
	SHOW(read(pipes[0], call_buffer, 1));
	call_alarm(20000);
	SHOW(poll(&p, 1, -1));
	call_alarm(20000);
	SHOW(nanosleep(&second, NULL));
	call_alarm(20000);
	SHOW(pause());
	call_alarm(20000);
	SHOW(sigsuspend(&none));
	return 0;
}

static pthread_mutex_t call_mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile sig_atomic_t call_handled;
static int call_pipe[2];

/* Does what a handler may do, and what many do all the same. */
static void call_busy_handler(int number)
{
	char byte = (char)number;
	int saved = errno;

	write(call_pipe[1], &byte, 1);
	read(call_pipe[0], &byte, 1);
	if (pthread_mutex_trylock(&call_mutex) == 0)
		pthread_mutex_unlock(&call_mutex);
	call_handled++;
	errno = saved;
}

static int calls_in_handlers(void)
{
	struct sigaction action = {.sa_handler = call_busy_handler, .sa_flags = SA_RESTART};
	struct itimerval fast = {.it_value.tv_usec = 100, .it_interval.tv_usec = 100};
	int pair[2], wrong = 0;

	pipe(call_pipe);
	pipe(pair);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &fast, NULL);
	for (int i = 0; call_handled < 500; i++) {
		char byte = (char)i, back = 0;
		char *p = malloc((size_t)i % 1000 + 1);

		errno = UNTOUCHED;
		wrong += write(pair[1], &byte, 1) != 1 || read(pair[0], &back, 1) != 1;
		pthread_mutex_lock(&call_mutex);
		wrong += back != byte || errno != UNTOUCHED;
		pthread_mutex_unlock(&call_mutex);
		free(p);
	}
	memset(&fast, 0, sizeof(fast));
	setitimer(ITIMER_REAL, &fast, NULL);
	printf("wrong %d\n", wrong);
	return wrong != 0;
}

const struct hostile hostile_calls[] = {
	{"fail", calls_fail},
	{"succeed", calls_succeed},
	{"interrupted", calls_interrupted},
	{"handlers", calls_in_handlers},
	{NULL, NULL},
};
