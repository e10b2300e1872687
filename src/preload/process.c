/* SPDX-License-Identifier: MIT */
/*
 * Children. They are counted and not recorded: libstele's switch lies in a page that a forked
 * child finds zeroed, so it is off from its first instruction, in its atfork handlers too.
 * A child that executes a program loads us again and finds the arena to be its parent's.
 */
#include <errno.h>
#include <pty.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <unistd.h>

#include "preload/cpu.h"
#include "preload/file.h"
#include "preload/held.h"
#include "preload/preload.h"
#include "preload/resolve.h"
#include "preload/uring.h"
#include "sys/sys.h"

/* Not in all headers. */
pid_t __fork(void);
pid_t _Fork(void);
int __clone(int (*routine)(void *), void *stack, int flags, void *argument, ...);

/* vfork.S */
void *stele__vfork_prepare(void);
int stele__vfork_finish(long result);

static void process_child(struct stele_fork *state)
{
	stele__file_forget_all();
	stele__held_forget_orders();
	stele__uring_forget_all();
	stele_fork_child(state);
	stele__cpu_forked();
}

#define FORK(name, params, args)                                                                   \
	STELE_EXPORT pid_t name params                                                             \
	{                                                                                          \
		struct stele_fork state;                                                           \
		pid_t pid;                                                                         \
                                                                                                   \
		if (!stele__recording())                                                           \
			return STELE_REAL(name) args;                                              \
		stele_fork_prepare(&state);                                                        \
		pid = STELE_REAL(name) args;                                                       \
		if (pid == 0)                                                                      \
			process_child(&state);                                                     \
		else                                                                               \
			stele_fork_parent(&state, pid);                                            \
		return pid;                                                                        \
	}

FORK(fork, (void), ())
FORK(__fork, (void), ())
FORK(_Fork, (void), ())
FORK(forkpty, (int *master, char *name, const struct termios *settings, const struct winsize *size),
     (master, name, settings, size))

/* The parent ends inside. It can fail on either side of its fork: only the pid tells. */
STELE_EXPORT int daemon(int keep_directory, int keep_files)
{
	struct stele_fork state;
	uint32_t parent;
	int result;

	if (!stele__recording())
		return STELE_REAL(daemon)(keep_directory, keep_files);
	parent = stele__sys_pid();
	stele_fork_prepare(&state);
	result = STELE_REAL(daemon)(keep_directory, keep_files);
	if (stele__sys_pid() == parent)
		stele_fork_parent(&state, -1);
	else
		process_child(&state);
	return result;
}

/*
 * What vfork.S does next: NULL, the system call itself; else this function's turn, from a jump. The
 * child of another preload's (or a sanitizer's) vfork is that one's business.
 */
void *stele__vfork_prepare(void)
{
	if (!stele__recording() || !stele__resolve_is_libc(STELE_REAL_vfork))
		return (void *)STELE_REAL(vfork);
	stele_vfork_begin();
	return NULL;
}

/* In the parent, when the child has gone. */
int stele__vfork_finish(long result)
{
	stele_vfork_end((int)result);
	if (result >= 0)
		return (int)result;
	errno = (int)-result;
	return -1;
}

/* CLONE_VM without CLONE_VFORK is a thread of somebody's own: nothing to do, its first event shows
 * it. The optional arguments are passed on whether they were given or not, as libc does. */
#define CLONE(name)                                                                                \
	STELE_EXPORT int name(int (*routine)(void *), void *stack, int flags, void *argument, ...) \
	{                                                                                          \
		bool lends = (flags & CLONE_VM) && (flags & CLONE_VFORK);                          \
		void *parent_tid, *tls, *child_tid;                                                \
		va_list list;                                                                      \
		int pid;                                                                           \
                                                                                                   \
		va_start(list, argument);                                                          \
		parent_tid = va_arg(list, void *);                                                 \
		tls = va_arg(list, void *);                                                        \
		child_tid = va_arg(list, void *);                                                  \
		va_end(list);                                                                      \
		if (!stele__recording() || ((flags & CLONE_VM) && !lends))                         \
			return STELE_REAL(name)(routine, stack, flags, argument, parent_tid, tls,  \
						child_tid);                                        \
		if (lends)                                                                         \
			stele_vfork_begin();                                                       \
		pid = STELE_REAL(name)(routine, stack, flags, argument, parent_tid, tls,           \
				       child_tid);                                                 \
		if (lends)                                                                         \
			stele_vfork_end(pid);                                                      \
		else if (pid > 0)                                                                  \
			stele_child(pid);                                                          \
		return pid;                                                                        \
	}

CLONE(clone)
CLONE(__clone)

#define SPAWN(name)                                                                                \
	STELE_EXPORT int name(pid_t *restrict pid, const char *restrict path,                      \
			      const posix_spawn_file_actions_t *restrict actions,                  \
			      const posix_spawnattr_t *restrict attributes,                        \
			      char *const arguments[restrict], char *const environment[restrict])  \
	{                                                                                          \
		pid_t child = 0;                                                                   \
		int error;                                                                         \
                                                                                                   \
		if (!stele__recording())                                                           \
			return STELE_REAL(name)(pid, path, actions, attributes, arguments,         \
						environment);                                      \
		error = STELE_REAL(name)(&child, path, actions, attributes, arguments,             \
					 environment);                                             \
		if (error == 0)                                                                    \
			stele_child(child);                                                        \
		if (pid && child)                                                                  \
			*pid = child;                                                              \
		return error;                                                                      \
	}

SPAWN(posix_spawn)
SPAWN(posix_spawnp)
