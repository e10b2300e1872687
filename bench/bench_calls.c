/* SPDX-License-Identifier: MIT */
/*
 * A request and its answer over a socket of this machine, both ends in one thread: five calls,
 * each of which goes through enough of the kernel to find the caches used by something else, and
 * five frames at the innermost. The same calls come from two places in turn, as those of servers
 * do. Prints the least CPU time of a request, in ns, of so many rounds.
 *
 * usage: bench_calls [ROUNDS]
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define REQUESTS 10000
#define NOINLINE __attribute__((noinline))

static int client, server, epoll;
static char bytes[4096];

static NOINLINE ssize_t get(int fd)
{
	return recv(fd, bytes, sizeof(bytes), 0);
}

static NOINLINE ssize_t put(int fd, size_t count)
{
	return send(fd, bytes, count, 0);
}

static NOINLINE ssize_t answer(void)
{
	struct epoll_event event;

	return epoll_wait(epoll, &event, 1, 1000) == 1 && get(server) > 0 ? put(server, 1000) : -1;
}

static NOINLINE bool request(void)
{
	return put(client, 100) > 0 && answer() > 0 && get(client) > 0;
}

static NOINLINE void serve(int requests)
{
	for (int i = 0; i < requests; i++) {
		if (request())
			continue;
		perror("bench_calls");
		exit(1);
	}
}

static void connect_both(void)
{
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr *any = (struct sockaddr *)&address;
	socklen_t size = sizeof(address);
	struct epoll_event event = {.events = EPOLLIN};

	client = socket(AF_INET, SOCK_STREAM, 0);
	epoll = epoll_create1(0);
	if (bind(listener, any, size) || listen(listener, 1) || getsockname(listener, any, &size) ||
	    connect(client, any, size)) {
		perror("bench_calls: a socket of this machine");
		exit(1);
	}
	server = accept(listener, NULL, NULL);
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	epoll_ctl(epoll, EPOLL_CTL_ADD, server, &event);
}

static double cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 12;
	double least = 1e12;

	connect_both();
	for (long round = 0; round < rounds; round++) {
		double begin, each;

		serve(REQUESTS / 10);
		begin = cpu_ns();
		serve(REQUESTS);
		each = (cpu_ns() - begin) / REQUESTS;
		if (each < least)
			least = each;
	}
	printf("%.0f\n", least);
	return 0;
}
