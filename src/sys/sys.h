/* SPDX-License-Identifier: MIT */
/*
 * The OS seam of everything that enters a traced process: each primitive that record/, arena/,
 * drain/ and preload/ need, as a direct system call. Not through libc, whose wrappers are what
 * preload/ interposes, set errno, and are cancellation points.
 *
 * All: async-signal-safe, errno untouched, result >= 0 or -errno. Tests replace this file to make
 * the n-th call fail (tests/support).
 */
#ifndef STELE_SYS_SYS_H
#define STELE_SYS_SYS_H

#include <sys/types.h>

#include "base/compiler.h"

/* Pages. map_shared: NULL on failure (with the error in *ret_error). */
void *stele__sys_map_shared(int fd, uint64_t bytes, int *ret_error);
void *stele__sys_map_copy(int fd, uint64_t bytes, int *ret_error); /* of a file, copied on write */
void *stele__sys_map_private(uint64_t bytes, int *ret_error);
void *stele__sys_reserve(uint64_t bytes, int *ret_error); /* addresses without access */
/* No huge pages there: memory of which only a little will ever be touched. */
int stele__sys_small_pages(void *at, uint64_t bytes);
/* Replaces a mapping by private zero pages at the same addresses. */
int stele__sys_map_over(void *at, uint64_t bytes);
int stele__sys_unmap(void *at, uint64_t bytes);
/* Makes the pages present and writable; -ENOMEM/-EFAULT instead of a later SIGBUS. */
int stele__sys_populate(void *at, uint64_t bytes);
/* Child processes find zeros there (MADV_WIPEONFORK). */
int stele__sys_wipe_on_fork(void *at, uint64_t bytes);

/*
 * Pages whose first touch is a SIGSEGV, whatever mapping they are part of: their content is lost,
 * and they cost no mapping of their own. -EINVAL: the kernel (before 6.13) has no such thing.
 */
int stele__sys_guard_install(void *at, uint64_t bytes);
int stele__sys_guard_remove(void *at, uint64_t bytes); /* of pages that have none, too */
/* Likewise, with a mapping for each: their content is lost. -ENOMEM: no more mappings. */
int stele__sys_guard_map(void *at, uint64_t bytes);
int stele__sys_guard_unmap(void *at, uint64_t bytes);

/* May the kernel read 8 bytes there? 0, -EFAULT. */
int stele__sys_probe(const void *at);
/* Copies memory of this process that may not be there: -EFAULT instead of a SIGSEGV. */
int stele__sys_read_memory(void *to, const void *from, uint64_t bytes);

/* Files. */
int stele__sys_memfd(const char *name);
int stele__sys_open_rw(const char *path);
int stele__sys_open_ro(const char *path);
int stele__sys_truncate(int fd, uint64_t bytes);
int stele__sys_seal_size(int fd);
int64_t stele__sys_size(int fd);
int stele__sys_close(int fd);
int64_t stele__sys_write(int fd, const void *data, uint64_t bytes);
int64_t stele__sys_read(int fd, void *data, uint64_t bytes);
/* Entries of a directory: struct linux_dirent64, which is struct dirent64 of <dirent.h>. */
int64_t stele__sys_list(int fd, void *entries, uint64_t bytes);

/* Threads and processes. */
uint32_t stele__sys_tid(void);
uint32_t stele__sys_pid(void);

/* Waits until *word != seen, a wake, or the timeout. 0, -EAGAIN, -ETIMEDOUT, -EINTR. Shared
 * between processes. */
int stele__sys_futex_wait(const uint32_t *word, uint32_t seen, uint64_t timeout_ns);
int stele__sys_futex_wake(const uint32_t *word, uint32_t count);

/* Signals, as the kernel's 64-bit mask. Blocks all that can be blocked. */
uint64_t stele__sys_signals_block(void);
void stele__sys_signals_restore(uint64_t mask);

/*
 * A timer of the calling thread's running time, which sends it this signal at that distance. Its
 * id, >= 0. It is gone with the process image, not with the thread.
 */
int stele__sys_cpu_timer(int signal, uint64_t interval_ns);
int stele__sys_cpu_timer_delete(int timer);

/* The lowest address in [low, high) that is in memory, by whole pages; high: none is. */
uintptr_t stele__sys_lowest_resident(uintptr_t low, uintptr_t high);

/* Ends the process by SIGABRT, whatever it does with that signal. */
_Noreturn void stele__sys_die(void);

/* The calling thread's alternate signal stack, [low, high); -ENOENT: it has none. */
int stele__sys_alternate_stack(uintptr_t *ret_low, uintptr_t *ret_high);

/* CLOCK_MONOTONIC and CLOCK_REALTIME in ns. */
uint64_t stele__sys_monotonic_ns(void);
uint64_t stele__sys_realtime_ns(void);

/* May this process read the TSC? (PR_GET_TSC) */
bool stele__sys_tsc_allowed(void);

#endif
