/* SPDX-License-Identifier: MIT */
#include "supervise/rendezvous.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define RENDEZVOUS_BACKLOG 8

/* The directory; made if `create`. 0 or -errno. */
static int rendezvous_directory(bool create, char *path, size_t bytes)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	int n;

	if (runtime && *runtime == '/')
		n = snprintf(path, bytes, "%s/stele", runtime);
	else
		n = snprintf(path, bytes, "/tmp/stele-%u", (unsigned)geteuid());
	if (n < 0 || (size_t)n >= bytes)
		return -ENAMETOOLONG;
	if (create && mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	return st.st_uid == geteuid() && !(st.st_mode & 077) ? 0 : -EPERM;
}

static int rendezvous_address(const char *path, struct sockaddr_un *ret_address)
{
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret_address->sun_path))
		return -ENAMETOOLONG;
	memcpy(ret_address->sun_path, path, strlen(path));
	return 0;
}

static int rendezvous_socket(const char *path, struct sockaddr_un *ret_address)
{
	int error = rendezvous_address(path, ret_address);
	int fd = error < 0 ? error : socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	return fd < 0 && error == 0 ? -errno : fd;
}

static int rendezvous_listen(const char *path)
{
	struct sockaddr_un address;
	int fd = rendezvous_socket(path, &address);
	int error = 0;

	if (fd < 0)
		return fd;
	unlink(path);
	/* The directory keeps others out until the mode is set. */
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || chmod(path, 0600) < 0 ||
	    listen(fd, RENDEZVOUS_BACKLOG) < 0)
		error = -errno;
	if (error < 0) {
		close(fd);
		return error;
	}
	return fd;
}

int stele__rendezvous_open(int program, struct stele_rendezvous *ret_place)
{
	char directory[PATH_MAX / 2];
	int error = rendezvous_directory(true, directory, sizeof(directory));

	if (error < 0)
		return error;
	ret_place->program = program;
	ret_place->recorder = (int)getpid();
	snprintf(ret_place->path, sizeof(ret_place->path), "%s/%d-%d", directory, program,
		 ret_place->recorder);
	return rendezvous_listen(ret_place->path);
}

void stele__rendezvous_close(int fd, const struct stele_rendezvous *place)
{
	if (fd < 0)
		return;
	unlink(place->path);
	close(fd);
}

bool stele__rendezvous_is_trusted(int fd)
{
	struct ucred who;
	socklen_t bytes = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes) == 0 &&
	       (who.uid == geteuid() || who.uid == 0);
}

/* A name in the directory. False: it is none of a place. */
static bool rendezvous_parse(const char *directory, const char *name,
			     struct stele_rendezvous *ret_place)
{
	struct stele_rendezvous *place = ret_place;
	char end;

	return sscanf(name, "%d-%d%c", &place->program, &place->recorder, &end) == 2 &&
	       place->program > 0 && place->recorder > 0 &&
	       snprintf(place->path, sizeof(place->path), "%s/%s", directory, name) <
		       (int)sizeof(place->path);
}

static bool rendezvous_is_stale(const struct stele_rendezvous *place)
{
	return kill(place->recorder, 0) < 0 && errno == ESRCH;
}

int stele__rendezvous_list(struct stele_rendezvous *places, size_t max)
{
	char path[PATH_MAX / 2];
	int error = rendezvous_directory(false, path, sizeof(path));
	DIR *directory = error < 0 ? NULL : opendir(path);
	struct stele_rendezvous place;
	struct dirent *entry;
	size_t count = 0;

	if (error == -ENOENT)
		return 0;
	if (!directory)
		return error < 0 ? error : -errno;
	while ((entry = readdir(directory)) != NULL && count < max) {
		if (!rendezvous_parse(path, entry->d_name, &place))
			continue;
		if (rendezvous_is_stale(&place))
			unlink(place.path);
		else
			places[count++] = place;
	}
	closedir(directory);
	return (int)count;
}

static int rendezvous_dial(const struct stele_rendezvous *place)
{
	struct sockaddr_un address;
	int fd = rendezvous_socket(place->path, &address), error;

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
		if (stele__rendezvous_is_trusted(fd))
			return fd;
		errno = EPERM;
	}
	error = -errno;
	close(fd);
	return error == -ECONNREFUSED || error == -ENOENT ? -ESRCH : error;
}

#define RENDEZVOUS_PLACES_MAX 256

int stele__rendezvous_connect(int pid, struct stele_rendezvous *ret_place)
{
	struct stele_rendezvous *places = malloc(RENDEZVOUS_PLACES_MAX * sizeof(*places));
	int count, fd = -ESRCH;

	if (!places)
		return -ENOMEM;
	count = stele__rendezvous_list(places, RENDEZVOUS_PLACES_MAX);
	for (int i = 0; i < count; i++) {
		if (places[i].program != pid && places[i].recorder != pid)
			continue;
		*ret_place = places[i];
		fd = rendezvous_dial(ret_place);
		break;
	}
	free(places);
	return count < 0 ? count : fd;
}

int stele__rendezvous_ask(int fd, const char *request, char *answer, size_t bytes)
{
	char text[STELE_RENDEZVOUS_BYTES_MAX + 1];
	bool refused;
	ssize_t n;

	*answer = '\0';
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	do {
		n = recv(fd, text, sizeof(text) - 1, 0);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n == 0 || errno == ECONNRESET ? -EPIPE : -errno;
	text[n] = '\0';
	refused = strncmp(text, "error ", 6) == 0;
	if (!refused && strncmp(text, "ok ", 3) != 0)
		return -EPROTO;
	snprintf(answer, bytes, "%s", text + (refused ? 6 : 3));
	return refused ? -EREMOTEIO : 0;
}
