/* SPDX-License-Identifier: MIT */
/*
 * System calls of files and sockets whose names and results the test knows. Numbers of descriptors
 * come again and again: what a call is of must be what the number stood for at that moment.
 *
 *	descriptors DIRECTORY [MILLISECONDS]     with a pause in the middle
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUIRE(cond)                                                                              \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s: %s\n", #cond, strerror(errno));                       \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static void put(const char *name, int bytes)
{
	static const char text[100];
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	REQUIRE(fd >= 0 && bytes <= 100);
	REQUIRE(write(fd, text, (size_t)bytes) == bytes);
	close(fd);
}

/* One number, three files; the second comes by dup2, the third by a stream that is closed. */
static void reuse(void)
{
	char byte;
	FILE *stream;
	int fd, other;

	put("one", 10);
	put("two", 20);
	put("three", 30);
	fd = open("two", O_RDONLY);
	other = open("one", O_RDONLY);
	REQUIRE(read(fd, &byte, 1) == 1);
	REQUIRE(dup2(other, fd) == fd);
	REQUIRE(read(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1);
	close(fd);
	close(other);
	stream = fopen("three", "r");
	REQUIRE(stream && read(fileno(stream), &byte, 1) == 1);
	fclose(stream);
	fd = open("one", O_RDONLY);
	REQUIRE(write(fd, "x", 1) == -1 && errno == EBADF);
	close(fd);
}

static void *answer(void *arg)
{
	int listener = *(int *)arg, connection = accept(listener, NULL, NULL);
	char text[4];

	REQUIRE(connection >= 0 && recv(connection, text, sizeof(text), 0) == 4);
	REQUIRE(send(connection, "ok", 2, 0) == 2);
	close(connection);
	return NULL;
}

static void talk(int family, struct sockaddr *address, socklen_t bytes)
{
	int listener = socket(family, SOCK_STREAM, 0), fd = socket(family, SOCK_STREAM, 0);
	pthread_t thread;
	char text[4];

	REQUIRE(bind(listener, address, bytes) == 0 && listen(listener, 1) == 0);
	REQUIRE(getsockname(listener, address, &bytes) == 0);
	REQUIRE(pthread_create(&thread, NULL, answer, &listener) == 0);
	REQUIRE(connect(fd, address, bytes) == 0);
	REQUIRE(send(fd, "ping", 4, 0) == 4 && recv(fd, text, sizeof(text), 0) == 2);
	REQUIRE(pthread_join(thread, NULL) == 0);
	close(fd);
	close(listener);
}

static void sockets(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "socket"};

	talk(AF_INET, (struct sockaddr *)&in, sizeof(in));
	printf("port %d\n", ntohs(in.sin_port));
	talk(AF_UNIX, (struct sockaddr *)&un, sizeof(un));
}

static void others(void)
{
	uint64_t one = 1;
	int ends[2], event = eventfd(0, 0), status;
	char byte;
	pid_t child;

	REQUIRE(pipe(ends) == 0 && event >= 0);
	REQUIRE(write(ends[1], "x", 1) == 1 && read(ends[0], &byte, 1) == 1);
	REQUIRE(write(event, &one, 8) == 8 && read(event, &one, 8) == 8);
	child = fork();
	if (child == 0)
		_exit(write(ends[1], "yz", 2) != 2);
	REQUIRE(waitpid(child, &status, 0) == child && status == 0);
	REQUIRE(read(ends[0], &byte, 1) == 1);
}

int main(int argc, char **argv)
{
	char byte;
	int kept;

	REQUIRE(argc > 1 && chdir(argv[1]) == 0);
	put("kept", 3);
	kept = open("kept", O_RDONLY);
	REQUIRE(read(kept, &byte, 1) == 1);
	reuse();
	sockets();
	if (argc > 2)
		usleep((useconds_t)atol(argv[2]) * 1000);
	others();
	REQUIRE(read(kept, &byte, 1) == 1);
	return 0;
}
