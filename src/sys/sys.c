/* SPDX-License-Identifier: MIT */
#include "sys/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif
#define PAGE_BYTES	    4096u
#define KERNEL_SIGSET_BYTES 8

#if defined(__x86_64__)

static long call6(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

#elif defined(__aarch64__)

static long call6(long number, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}

#else
#error "Stele knows x86-64 and AArch64"
#endif

static long call3(long number, long a, long b, long c)
{
	return call6(number, a, b, c, 0, 0, 0);
}

static void *sys_mmap(void *at, uint64_t bytes, int flags, int fd, int *ret_error)
{
	long result = call6(SYS_mmap, (long)at, (long)bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (result < 0 && result > -4096) {
		*ret_error = (int)result;
		return NULL;
	}
	return (void *)result;
}

void *stele__sys_map_shared(int fd, uint64_t bytes, int *ret_error)
{
	return sys_mmap(NULL, bytes, MAP_SHARED, fd, ret_error);
}

void *stele__sys_map_copy(int fd, uint64_t bytes, int *ret_error)
{
	return sys_mmap(NULL, bytes, MAP_PRIVATE | MAP_NORESERVE, fd, ret_error);
}

void *stele__sys_reserve(uint64_t bytes, int *ret_error)
{
	long result = call6(SYS_mmap, 0, (long)bytes, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (result < 0 && result > -4096) {
		*ret_error = (int)result;
		return NULL;
	}
	return (void *)result;
}

void *stele__sys_map_private(uint64_t bytes, int *ret_error)
{
	return sys_mmap(NULL, bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, ret_error);
}

int stele__sys_map_over(void *at, uint64_t bytes)
{
	int error = 0;

	sys_mmap(at, bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, &error);
	return error;
}

int stele__sys_unmap(void *at, uint64_t bytes)
{
	return (int)call3(SYS_munmap, (long)at, (long)bytes, 0);
}

/* Before Linux 5.14: an atomic "or 0" in each page writes without changing anything. */
static void sys_touch(char *at, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i += PAGE_BYTES)
		__atomic_fetch_or((uint64_t *)(void *)(at + i), 0, __ATOMIC_RELAXED);
}

int stele__sys_populate(void *at, uint64_t bytes)
{
	uintptr_t from = (uintptr_t)at & ~(uintptr_t)(PAGE_BYTES - 1);
	uintptr_t to = ((uintptr_t)at + bytes + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1);
	int error = (int)call3(SYS_madvise, (long)from, (long)(to - from), MADV_POPULATE_WRITE);

	if (error == -EINVAL) {
		sys_touch((char *)from, to - from);
		error = 0;
	}
	return error;
}

int stele__sys_small_pages(void *at, uint64_t bytes)
{
	return (int)call3(SYS_madvise, (long)at, (long)bytes, MADV_NOHUGEPAGE);
}

int stele__sys_wipe_on_fork(void *at, uint64_t bytes)
{
	return (int)call3(SYS_madvise, (long)at, (long)bytes, MADV_WIPEONFORK);
}

int stele__sys_guard_install(void *at, uint64_t bytes)
{
	return (int)call3(SYS_madvise, (long)at, (long)bytes, MADV_GUARD_INSTALL);
}

int stele__sys_guard_remove(void *at, uint64_t bytes)
{
	return (int)call3(SYS_madvise, (long)at, (long)bytes, MADV_GUARD_REMOVE);
}

int stele__sys_guard_map(void *at, uint64_t bytes)
{
	int error = (int)call3(SYS_mprotect, (long)at, (long)bytes, PROT_NONE);

	return error ? error : (int)call3(SYS_madvise, (long)at, (long)bytes, MADV_DONTNEED);
}

int stele__sys_guard_unmap(void *at, uint64_t bytes)
{
	return (int)call3(SYS_mprotect, (long)at, (long)bytes, PROT_READ | PROT_WRITE);
}

/* No such way to change the signal mask: refused, but only after the mask was read. */
int stele__sys_probe(const void *at)
{
	long result = call6(SYS_rt_sigprocmask, 99, (long)at, 0, KERNEL_SIGSET_BYTES, 0, 0);

	return result == -EFAULT ? -EFAULT : 0;
}

int stele__sys_read_memory(void *to, const void *from, uint64_t bytes)
{
	struct iovec local = {to, bytes}, remote = {(void *)(uintptr_t)from, bytes};
	long done = call6(SYS_process_vm_readv, (long)stele__sys_pid(), (long)&local, 1,
			  (long)&remote, 1, 0);

	if (done < 0)
		return (int)done;
	return (uint64_t)done == bytes ? 0 : -EFAULT;
}

int stele__sys_memfd(const char *name)
{
	return (int)call3(SYS_memfd_create, (long)name, 1 /* MFD_CLOEXEC */ | 2 /* ALLOW_SEALING */,
			  0);
}

int stele__sys_open_rw(const char *path)
{
	return (int)call6(SYS_openat, AT_FDCWD, (long)path, O_RDWR | O_CLOEXEC, 0, 0, 0);
}

int stele__sys_open_ro(const char *path)
{
	return (int)call6(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
}

int stele__sys_truncate(int fd, uint64_t bytes)
{
	return (int)call3(SYS_ftruncate, fd, (long)bytes, 0);
}

int stele__sys_seal_size(int fd)
{
	return (int)call3(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}

int64_t stele__sys_size(int fd)
{
	return call3(SYS_lseek, fd, 0, SEEK_END);
}

int stele__sys_close(int fd)
{
	return (int)call3(SYS_close, fd, 0, 0);
}

int64_t stele__sys_write(int fd, const void *data, uint64_t bytes)
{
	return call3(SYS_write, fd, (long)data, (long)bytes);
}

int64_t stele__sys_read(int fd, void *data, uint64_t bytes)
{
	return call3(SYS_read, fd, (long)data, (long)bytes);
}

int64_t stele__sys_list(int fd, void *entries, uint64_t bytes)
{
	return call3(SYS_getdents64, fd, (long)entries, (long)bytes);
}

uint32_t stele__sys_tid(void)
{
	return (uint32_t)call3(SYS_gettid, 0, 0, 0);
}

uint32_t stele__sys_pid(void)
{
	return (uint32_t)call3(SYS_getpid, 0, 0, 0);
}

int stele__sys_futex_wait(const uint32_t *word, uint32_t seen, uint64_t timeout_ns)
{
	struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
				   .tv_nsec = (long)(timeout_ns % 1000000000u)};

	return (int)call6(SYS_futex, (long)word, FUTEX_WAIT, (long)seen, (long)&timeout, 0, 0);
}

int stele__sys_futex_wake(const uint32_t *word, uint32_t count)
{
	return (int)call3(SYS_futex, (long)word, FUTEX_WAKE, (long)count);
}

uint64_t stele__sys_signals_block(void)
{
	uint64_t all = UINT64_MAX;
	uint64_t old = 0;

	call6(SYS_rt_sigprocmask, 0 /* SIG_BLOCK */, (long)&all, (long)&old, KERNEL_SIGSET_BYTES, 0,
	      0);
	return old;
}

void stele__sys_signals_restore(uint64_t mask)
{
	call6(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, (long)&mask, 0, KERNEL_SIGSET_BYTES, 0, 0);
}

uintptr_t stele__sys_lowest_resident(uintptr_t low, uintptr_t high)
{
	uint8_t resident[256] = {0}; /* of a page each */
	uintptr_t at = low & ~(uintptr_t)(PAGE_BYTES - 1);

	while (at < high) {
		uint64_t bytes = sizeof(resident) * PAGE_BYTES;

		if (bytes > high - at)
			bytes = high - at;
		if (call3(SYS_mincore, (long)at, (long)bytes, (long)resident) < 0)
			return high;
		for (uint64_t page = 0; page * PAGE_BYTES < bytes; page++)
			if (resident[page] & 1)
				return at + page * PAGE_BYTES > low ? at + page * PAGE_BYTES : low;
		at += bytes;
	}
	return high;
}

void stele__sys_die(void)
{
	const uint64_t standard[4] = {0}; /* the kernel's struct sigaction: SIG_DFL, no flags */

	call6(SYS_rt_sigaction, SIGABRT, (long)standard, 0, KERNEL_SIGSET_BYTES, 0, 0);
	stele__sys_signals_block();
	call3(SYS_tgkill, stele__sys_pid(), stele__sys_tid(), SIGABRT);
	/* That one alone: the program's other handlers have nothing to do any more. */
	stele__sys_signals_restore(~(1ull << (SIGABRT - 1)));
	for (;;)
		call3(SYS_exit_group, 128 + SIGABRT, 0, 0);
}

int stele__sys_cpu_timer(int signal, uint64_t interval_ns)
{
	struct timespec interval = {.tv_sec = (time_t)(interval_ns / 1000000000u),
				    .tv_nsec = (long)(interval_ns % 1000000000u)};
	struct itimerspec times = {.it_interval = interval, .it_value = interval};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal};
	int timer = 0, error;

	event.sigev_notify_thread_id = (pid_t)stele__sys_tid();
	error = (int)call3(SYS_timer_create, CLOCK_THREAD_CPUTIME_ID, (long)&event, (long)&timer);
	if (error < 0)
		return error;
	error = (int)call6(SYS_timer_settime, timer, 0, (long)&times, 0, 0, 0);
	if (error < 0)
		stele__sys_cpu_timer_delete(timer);
	return error < 0 ? error : timer;
}

int stele__sys_cpu_timer_delete(int timer)
{
	return (int)call3(SYS_timer_delete, timer, 0, 0);
}

int stele__sys_alternate_stack(uintptr_t *ret_low, uintptr_t *ret_high)
{
	stack_t stack = {.ss_flags = SS_DISABLE};
	int error = (int)call3(SYS_sigaltstack, 0, (long)&stack, 0);

	if (error < 0)
		return error;
	if (stack.ss_flags & SS_DISABLE)
		return -ENOENT;
	*ret_low = (uintptr_t)stack.ss_sp;
	*ret_high = (uintptr_t)stack.ss_sp + stack.ss_size;
	return 0;
}

static uint64_t sys_clock_ns(long id)
{
	struct timespec now = {0};

	call3(SYS_clock_gettime, id, (long)&now, 0);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t stele__sys_monotonic_ns(void)
{
	return sys_clock_ns(CLOCK_MONOTONIC);
}

uint64_t stele__sys_realtime_ns(void)
{
	return sys_clock_ns(CLOCK_REALTIME);
}

bool stele__sys_tsc_allowed(void)
{
#if defined(__x86_64__)
	int mode = PR_TSC_ENABLE;

	call3(SYS_prctl, PR_GET_TSC, (long)&mode, 0);
	return mode == PR_TSC_ENABLE;
#else
	return true;
#endif
}
