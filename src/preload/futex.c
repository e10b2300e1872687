/* SPDX-License-Identifier: MIT */
/*
 * Locks that others make of futexes, by libc's syscall(): Rust's, parking lots, a program's own.
 * What the futex stands for is not known: whoever wakes others has ended their wait.
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/preload.h"
#include "preload/resolve.h"

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

static bool futex_waits(long operation)
{
	switch (operation & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
	case FUTEX_WAIT_REQUEUE_PI:
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		return true;
	default:
		return false;
	}
}

static bool futex_wakes(long operation)
{
	switch (operation & FUTEX_CMD_MASK) {
	case FUTEX_WAKE:
	case FUTEX_WAKE_BITSET:
	case FUTEX_WAKE_OP:
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
	case FUTEX_CMP_REQUEUE_PI:
	case FUTEX_UNLOCK_PI:
		return true;
	default:
		return false;
	}
}

typedef long futex_real(long number, long a, long b, long c, long d, long e, long f);

static long futex_call(futex_real *real, long futex, long operation, long c, long d, long e, long f)
{
	stele_interval wait = 0;
	long result;

	if (futex_waits(operation))
		wait = stele_block(STELE_WAIT_FUTEX, (const void *)futex);
	else if (futex_wakes(operation))
		stele_release(STELE_WAIT_FUTEX, (const void *)futex, NULL);
	result = real(SYS_futex, futex, operation, c, d, e, f);
	stele_wake(wait);
	return result;
}

/* Not variadic: the arguments lie where the real one looks for them, and all but futexes are a jump
 * there. So calls that return twice find the stack as it was. */
STELE_EXPORT long stele__futex_syscall(long number, long a, long b, long c, long d, long e,
				       long f) __asm__("syscall");

STELE_EXPORT long stele__futex_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	futex_real *real = (futex_real *)stele__real(STELE_REAL_syscall);

	if (STELE_UNLIKELY(number == SYS_futex && stele__recording()))
		return futex_call(real, a, b, c, d, e, f);
	return real(number, a, b, c, d, e, f);
}
