/* SPDX-License-Identifier: MIT */
/*
 * Makes the n-th call of one function fail, for programs that are linked with --wrap for each of
 * them (tests/stress/meson.build has the list). Shared with child processes.
 */
#ifndef STELE_TESTS_FAULTS_H
#define STELE_TESTS_FAULTS_H

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

/* X(function, its type, parameters, arguments, what stands for its failure) */
#define FAULTS(X)                                                                                  \
	X(stele__sys_map_shared, void *, (int fd, uint64_t bytes, int *ret_error),                 \
	  (fd, bytes, ret_error), (*ret_error = -ENOMEM, NULL))                                    \
	X(stele__sys_map_private, void *, (uint64_t bytes, int *ret_error), (bytes, ret_error),    \
	  (*ret_error = -ENOMEM, NULL))                                                            \
	X(stele__sys_map_over, int, (void *at, uint64_t bytes), (at, bytes), -ENOMEM)              \
	X(stele__sys_small_pages, int, (void *at, uint64_t bytes), (at, bytes), -EINVAL)           \
	X(stele__sys_populate, int, (void *at, uint64_t bytes), (at, bytes), -ENOMEM)              \
	X(stele__sys_wipe_on_fork, int, (void *at, uint64_t bytes), (at, bytes), -EINVAL)          \
	X(stele__sys_read_memory, int, (void *to, const void *from, uint64_t bytes),               \
	  (to, from, bytes), -EFAULT)                                                              \
	X(stele__sys_memfd, int, (const char *name), (name), -EMFILE)                              \
	X(stele__sys_open_rw, int, (const char *path), (path), -EMFILE)                            \
	X(stele__sys_truncate, int, (int fd, uint64_t bytes), (fd, bytes), -ENOSPC)                \
	X(stele__sys_seal_size, int, (int fd), (fd), -EINVAL)                                      \
	X(stele__sys_size, int64_t, (int fd), (fd), -EIO)                                          \
	X(stele__sys_futex_wait, int, (const uint32_t *word, uint32_t seen, uint64_t timeout_ns),  \
	  (word, seen, timeout_ns), -EINTR)                                                        \
	X(malloc, void *, (size_t bytes), (bytes), (errno = ENOMEM, NULL))                         \
	X(calloc, void *, (size_t count, size_t bytes), (count, bytes), (errno = ENOMEM, NULL))    \
	X(realloc, void *, (void *at, size_t bytes), (at, bytes), (errno = ENOMEM, NULL))          \
	X(pthread_create, int,                                                                     \
	  (pthread_t * thread, const pthread_attr_t *settings, void *(*routine)(void *),           \
	   void *arg),                                                                             \
	  (thread, settings, routine, arg), EAGAIN)                                                \
	X(fork, pid_t, (void), (), (errno = EAGAIN, -1))                                           \
	X(write, ssize_t, (int fd, const void *data, size_t bytes), (fd, data, bytes),             \
	  (errno = ENOSPC, -1))                                                                    \
	X(pipe2, int, (int *ends, int flags), (ends, flags), (errno = EMFILE, -1))                 \
	X(signalfd, int, (int fd, const sigset_t *mask, int flags), (fd, mask, flags),             \
	  (errno = EMFILE, -1))

enum fault {
#define X(name, type, params, args, failure) FAULT_##name,
	FAULTS(X)
#undef X
		FAULT__COUNT,
	FAULT_NONE = FAULT__COUNT
};

static const char *const fault_names[] = {
#define X(name, type, params, args, failure) #name,
	FAULTS(X)
#undef X
};

struct faults {
	enum fault kind;
	uint64_t at;	/* the call that fails, from 1 */
	uint64_t calls; /* of that function so far */
	bool happened;
	char complaint[240]; /* of who judges */
};

static struct faults *faults;

static inline bool fault_now(enum fault kind)
{
	if (!faults || faults->kind != kind)
		return false;
	if (__atomic_add_fetch(&faults->calls, 1, __ATOMIC_RELAXED) != faults->at)
		return false;
	faults->happened = true;
	return true;
}

#define X(name, type, params, args, failure)                                                       \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return fault_now(FAULT_##name) ? (failure) : __real_##name args;                   \
	}
FAULTS(X)
#undef X

/* Before the first fork. */
static inline void faults_share(void)
{
	faults = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (faults == MAP_FAILED)
		_exit(2);
}

#endif
