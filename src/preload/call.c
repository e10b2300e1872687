/* SPDX-License-Identifier: MIT */
/*
 * The interposers that calls.def declares, and fcntl, which blocks only for some commands.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "preload/cpu.h"
#include "preload/file.h"
#include "preload/preload.h"
#include "preload/resolve.h"

/* What libc calls where the kernel has no such call, or the headers are older than the call. */
#ifndef SYS_poll
#define SYS_poll SYS_ppoll
#endif
#ifndef SYS_select
#define SYS_select SYS_pselect6
#endif
#ifndef SYS_epoll_wait
#define SYS_epoll_wait SYS_epoll_pwait
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

/* Not all of them are in the headers of every libc. */
#define CALL(type, name, params, args, number, fd)	  type name params;
#define PLAIN(type, name, params, args, number, argument) type name params;
#define WAIT(type, name, params, args, why, object)	  type name params;
#include "preload/calls.def"
#undef CALL
#undef PLAIN
#undef WAIT

/* What is around the real function: how the call begins, and what is done before its end is told.
 */
#define RECORDED(type, name, params, args, begin, in_the_end)                                      \
	STELE_EXPORT type name params                                                              \
	{                                                                                          \
		stele_interval call;                                                               \
		type result;                                                                       \
                                                                                                   \
		if (!stele__recording())                                                           \
			return STELE_REAL(name) args;                                              \
		call = begin;                                                                      \
		result = STELE_REAL(name) args;                                                    \
		in_the_end;                                                                        \
		stele_syscall_end(call, result < 0 ? -errno : result);                             \
		return result;                                                                     \
	}

#define CALL(type, name, params, args, number, fd)                                                 \
	RECORDED(type, name, params, args, stele__file_call(number, fd), )
#define PLAIN(type, name, params, args, number, argument)                                          \
	RECORDED(type, name, params, args, stele_syscall_begin(number, (uint64_t)(argument)), )

#define WAIT(type, name, params, args, why, object)                                                \
	STELE_EXPORT type name params                                                              \
	{                                                                                          \
		stele_interval wait;                                                               \
		type result;                                                                       \
                                                                                                   \
		if (!stele__recording())                                                           \
			return STELE_REAL(name) args;                                              \
		wait = stele_block(STELE_WAIT_##why, object);                                      \
		result = STELE_REAL(name) args;                                                    \
		stele_wake(wait);                                                                  \
		return result;                                                                     \
	}

#include "preload/calls.def"

int __connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t bytes);

/* What comes is something new, whatever its number stood for. */
RECORDED(int, accept, (int fd, __SOCKADDR_ARG address, socklen_t *bytes), (fd, address, bytes),
	 stele__file_call(SYS_accept, fd), stele__file_forget(result))
RECORDED(int, accept4, (int fd, __SOCKADDR_ARG address, socklen_t *bytes, int flags),
	 (fd, address, bytes, flags), stele__file_call(SYS_accept4, fd), stele__file_forget(result))

/* Only then it is known what it is connected to: told within the call. */
static void call_connected(int fd)
{
	stele__file_forget(fd);
	stele__file_note(fd);
}

RECORDED(int, connect, (int fd, __CONST_SOCKADDR_ARG address, socklen_t bytes),
	 (fd, address, bytes), stele_syscall_begin_file(SYS_connect, fd), call_connected(fd))
RECORDED(int, __connect, (int fd, __CONST_SOCKADDR_ARG address, socklen_t bytes),
	 (fd, address, bytes), stele_syscall_begin_file(SYS_connect, fd), call_connected(fd))

static bool call_fcntl_blocks(int command)
{
	return command == F_SETLKW || command == F_OFD_SETLKW;
}

/* The optional argument is an int or a pointer; passed on as the wider of them, as libc does. */
#define FCNTL(name)                                                                                \
	STELE_EXPORT int name(int fd, int command, ...)                                            \
	{                                                                                          \
		stele_interval call;                                                               \
		va_list list;                                                                      \
		void *argument;                                                                    \
		int result;                                                                        \
                                                                                                   \
		va_start(list, command);                                                           \
		argument = va_arg(list, void *);                                                   \
		va_end(list);                                                                      \
		if (!call_fcntl_blocks(command) || !stele__recording())                            \
			return STELE_REAL(name)(fd, command, argument);                            \
		call = stele__file_call(SYS_fcntl, fd);                                            \
		result = STELE_REAL(name)(fd, command, argument);                                  \
		stele_syscall_end(call, result < 0 ? -errno : result);                             \
		return result;                                                                     \
	}

FCNTL(fcntl)
FCNTL(fcntl64)
