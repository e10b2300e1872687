/* SPDX-License-Identifier: MIT */
/*
 * Names of descriptors: by the path that they were opened with, if it is absolute; of others, when
 * they are used for the first time, by /proc/self/fd and the socket calls that tell addresses. And
 * the interposers that see what a descriptor stands for change. One that libc closes by itself,
 * unseen, keeps its name until the next is put in its place by a call that is seen.
 */
#include "preload/file.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "preload/resolve.h"

#define FILE_NAME_MAX	600
#define PORT_EPHEMERAL	32768 /* and above: the kernel's choice, which says nothing */
#define SOCKET_TEXT_MAX 160

uint64_t stele__files_told[STELE_FILES_MAX / 64];

/* One way: a filter of system calls is never taken back, and children inherit it. */
static bool file_stopped;

/* Text in a buffer; what finds no room is left out. */
struct file_text {
	char *at, *end;
};

static void text_put(struct file_text *text, const char *from, size_t bytes)
{
	if (bytes > (size_t)(text->end - text->at))
		bytes = (size_t)(text->end - text->at);
	memcpy(text->at, from, bytes);
	text->at += bytes;
}

static void text_word(struct file_text *text, const char *word)
{
	text_put(text, word, strlen(word));
}

static void text_number(struct file_text *text, unsigned number)
{
	char digits[10];
	size_t i = sizeof(digits);

	do
		digits[--i] = (char)('0' + number % 10);
	while (number /= 10);
	text_put(text, digits + i, sizeof(digits) - i);
}

static void text_ipv4(struct file_text *text, const uint8_t *address)
{
	for (int i = 0; i < 4; i++) {
		if (i)
			text_word(text, ".");
		text_number(text, address[i]);
	}
}

/* Eight groups, none left out; an IPv4 address as such. */
static void text_ipv6(struct file_text *text, const uint8_t *address)
{
	static const char digit[] = "0123456789abcdef";
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (memcmp(address, mapped, sizeof(mapped)) == 0) {
		text_ipv4(text, address + sizeof(mapped));
		return;
	}
	text_word(text, "[");
	for (int i = 0; i < 16; i += 2) {
		unsigned group = (unsigned)address[i] << 8 | address[i + 1];

		if (i)
			text_word(text, ":");
		for (int shift = 12; shift >= 0; shift -= 4)
			if (group >> shift || !shift)
				text_put(text, &digit[group >> shift & 15], 1);
	}
	text_word(text, "]");
}

static void text_address(struct file_text *text, const struct sockaddr_storage *address,
			 socklen_t bytes, bool with_port)
{
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;
	const struct sockaddr_un *un = (const void *)address;
	size_t path = bytes > offsetof(struct sockaddr_un, sun_path)
			      ? bytes - offsetof(struct sockaddr_un, sun_path)
			      : 0;

	switch (address->ss_family) {
	case AF_INET:
		text_ipv4(text, (const uint8_t *)&in->sin_addr);
		break;
	case AF_INET6:
		text_ipv6(text, in6->sin6_addr.s6_addr);
		break;
	case AF_UNIX:
		text_word(text, "unix:");
		if (path && !un->sun_path[0]) {
			text_word(text, "@");
			text_put(text, un->sun_path + 1, path - 1);
		} else {
			text_put(text, un->sun_path, strnlen(un->sun_path, path));
		}
		return;
	default:
		text_word(text, "socket");
		return;
	}
	if (!with_port)
		return;
	text_word(text, ":");
	text_number(text, ntohs(in->sin_port)); /* at the same place in both */
}

static bool address_has_port(const struct sockaddr_storage *address)
{
	uint16_t port = ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);

	return (address->ss_family == AF_INET || address->ss_family == AF_INET6) && port &&
	       port < PORT_EPHEMERAL;
}

static bool address_is_named(const struct sockaddr_storage *address, socklen_t bytes)
{
	return address->ss_family != AF_UNIX || bytes > offsetof(struct sockaddr_un, sun_path);
}

/*
 * "10.0.0.1:80 - 10.0.0.2", "0.0.0.0:80", "unix:/run/x". Ports that the kernel chose are left out,
 * unless there is no other: else each connection of a server had a name of its own. False: a
 * stream that is not connected yet.
 */
static bool text_socket(struct file_text *text, int fd)
{
	struct sockaddr_storage local, peer;
	socklen_t local_bytes = sizeof(local), peer_bytes = sizeof(peer), bytes = sizeof(int);
	bool has_peer, chosen;
	int type = 0, listens = 0;

	if (getsockname(fd, (struct sockaddr *)&local, &local_bytes))
		return false;
	has_peer = getpeername(fd, (struct sockaddr *)&peer, &peer_bytes) == 0;
	if (!has_peer) {
		getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes);
		bytes = sizeof(int);
		getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes);
		text_address(text, &local, local_bytes, true);
		return type != SOCK_STREAM || listens;
	}
	if (local.ss_family == AF_UNIX) {
		text_address(text, address_is_named(&local, local_bytes) ? &local : &peer,
			     address_is_named(&local, local_bytes) ? local_bytes : peer_bytes,
			     false);
		return true;
	}
	chosen = !address_has_port(&local) && !address_has_port(&peer);
	text_address(text, &local, local_bytes, chosen || address_has_port(&local));
	text_word(text, " - ");
	text_address(text, &peer, peer_bytes, chosen || address_has_port(&peer));
	return true;
}

/* What the link says, without what is different for each: "pipe", "eventfd", a path. */
static void text_link(struct file_text *text, const char *link, size_t bytes)
{
	static const char anonymous[] = "anon_inode:";
	const char *end = memchr(link, ':', bytes);

	if (bytes > sizeof(anonymous) && memcmp(link, anonymous, sizeof(anonymous) - 1) == 0) {
		bool brackets = link[sizeof(anonymous) - 1] == '[' && link[bytes - 1] == ']';

		text_put(text, link + sizeof(anonymous) - 1 + brackets,
			 bytes - (sizeof(anonymous) - 1) - 2 * brackets);
	} else if (link[0] != '/' && end) {
		text_put(text, link, (size_t)(end - link));
	} else {
		text_put(text, link, bytes);
	}
}

static void file_told(int fd)
{
	__atomic_fetch_or(&stele__files_told[fd / 64], 1ull << fd % 64, __ATOMIC_RELAXED);
}

bool stele__file_describe(int fd, char *name, size_t room)
{
	static const char proc[] = "/proc/self/fd/";
	int saved_errno = errno;
	char path[sizeof(proc) + 10], link[FILE_NAME_MAX];
	struct file_text at = {path, path + sizeof(path) - 1};
	struct file_text text = {name, name + room - 1};
	bool lasts = true;
	ssize_t bytes;

	*name = '\0';
	if (stele__load_relaxed(&file_stopped) || !stele_files_wanted())
		return false;
	text_word(&at, proc);
	text_number(&at, (unsigned)fd);
	*at.at = 0;
	bytes = readlink(path, link, sizeof(link));
	if (bytes <= 0) {
		text_word(&text, ""); /* not open, or there is no /proc */
	} else if (bytes > 7 && memcmp(link, "socket:", 7) == 0) {
		if (text.end > name + SOCKET_TEXT_MAX)
			text.end = name + SOCKET_TEXT_MAX;
		lasts = text_socket(&text, fd);
	} else {
		text_link(&text, link, (size_t)bytes);
	}
	*text.at = 0;
	errno = saved_errno;
	return lasts;
}

void stele__file_tell(int fd)
{
	char name[FILE_NAME_MAX + 1];

	if (stele__load_relaxed(&file_stopped) || !stele_files_wanted())
		return;
	if (stele__file_describe(fd, name, sizeof(name)))
		file_told(fd);
	stele_file(fd, name);
}

void stele__file_forget(int fd)
{
	if ((unsigned)fd < STELE_FILES_MAX)
		__atomic_fetch_and(&stele__files_told[fd / 64], ~(1ull << fd % 64),
				   __ATOMIC_RELAXED);
}

void stele__file_stop(void)
{
	stele__store_relaxed(&file_stopped, true);
}

void stele__file_forget_all(void)
{
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(stele__files_told); i++)
		stele__store_relaxed(&stele__files_told[i], 0);
}

/*
 * A descriptor that was just opened is told of by the path that the program gave, if that says
 * where it leads by itself: to ask the kernel costs more than to open.
 */
static int file_opened(int fd, const char *path, int flags)
{
	int saved_errno = errno;

	if (fd < 0 || fd >= STELE_FILES_MAX || !stele__recording())
		return fd;
	if (path[0] == '/' && (flags & O_TMPFILE) != O_TMPFILE && stele_files_wanted() &&
	    !stele__load_relaxed(&file_stopped)) {
		file_told(fd);
		stele_file(fd, path);
	} else {
		stele__file_forget(fd);
	}
	errno = saved_errno;
	return fd;
}

/* ---- what changes ---- */

static bool open_has_mode(int flags)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

#define OPENS(name, params, last, call)                                                            \
	STELE_EXPORT int name params                                                               \
	{                                                                                          \
		mode_t mode = 0;                                                                   \
		va_list list;                                                                      \
                                                                                                   \
		if (open_has_mode(flags)) {                                                        \
			va_start(list, last);                                                      \
			mode = va_arg(list, mode_t);                                               \
			va_end(list);                                                              \
		}                                                                                  \
		return file_opened(call, path, flags);                                             \
	}

OPENS(open, (const char *path, int flags, ...), flags, STELE_REAL(open)(path, flags, mode))
OPENS(open64, (const char *path, int flags, ...), flags, STELE_REAL(open64)(path, flags, mode))
OPENS(openat, (int at, const char *path, int flags, ...), flags,
      STELE_REAL(openat)(at, path, flags, mode))
OPENS(openat64, (int at, const char *path, int flags, ...), flags,
      STELE_REAL(openat64)(at, path, flags, mode))

/* As _FORTIFY_SOURCE calls them. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);

STELE_EXPORT int __open_2(const char *path, int flags)
{
	return file_opened(STELE_REAL(__open_2)(path, flags), path, flags);
}

STELE_EXPORT int __open64_2(const char *path, int flags)
{
	return file_opened(STELE_REAL(__open64_2)(path, flags), path, flags);
}

/* The descriptor of what is closed, known before. */
#define CLOSES(type, name, params, args, fd)                                                       \
	STELE_EXPORT type name params                                                              \
	{                                                                                          \
		if (stele__recording())                                                            \
			stele__file_forget(fd);                                                    \
		return STELE_REAL(name) args;                                                      \
	}

int __close(int fd); /* as libstdc++ and old programs call it */

CLOSES(int, close, (int fd), (fd), fd)
CLOSES(int, __close, (int fd), (fd), fd)
CLOSES(int, dup2, (int from, int to), (from, to), to)
CLOSES(int, dup3, (int from, int to, int flags), (from, to, flags), to)
CLOSES(int, closedir, (DIR * directory), (directory), dirfd(directory))
CLOSES(FILE *, freopen, (const char *restrict path, const char *restrict mode, FILE *restrict file),
       (path, mode, file), fileno(file))
CLOSES(FILE *, freopen64,
       (const char *restrict path, const char *restrict mode, FILE *restrict file),
       (path, mode, file), fileno(file))

STELE_EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	if (stele__recording())
		for (unsigned fd = first; fd <= last && fd < STELE_FILES_MAX; fd++)
			stele__file_forget((int)fd);
	return STELE_REAL(close_range)(first, last, flags);
}

STELE_EXPORT void closefrom(int first)
{
	if (stele__recording())
		for (int fd = first < 0 ? 0 : first; fd < STELE_FILES_MAX; fd++)
			stele__file_forget(fd);
	STELE_REAL(closefrom)(first);
}
