/* SPDX-License-Identifier: MIT */
#include "preload/cpu.h"

#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>

#include "preload/altstack.h"
#include "preload/resolve.h"
#include "sys/sys.h"

/* Timers' ids count from 0. */
static STELE_TLS int cpu_timer_next; /* the calling thread's + 1; 0: none */
static int cpu_signal;		     /* 0: there is none */

/* The highest but two: glibc keeps the lowest for itself, and valgrind the highest. */
static int cpu_signal_number(void)
{
	return SIGRTMAX - 2;
}

#define CPU_MISSED_MAX 100 /* more is no rate of ours */

/*
 * The kernel looks at the timer at its ticks. Where threads take turns that are shorter than those,
 * or the rate is above theirs, it has expired several times by then: all that time counts for what
 * runs now, or there would be less of it than there was.
 */
static unsigned cpu_expired(const siginfo_t *info)
{
	int missed = info->si_overrun;

	return missed < 0 ? 1 : missed < CPU_MISSED_MAX ? (unsigned)missed + 1 : CPU_MISSED_MAX;
}

/* Everything else waits for its end: nobody's handler shall be taken for what was running. */
static void cpu_handle(int number, siginfo_t *info, void *context)
{
	int saved_errno = errno;

	(void)number;
	if (info->si_code == SI_TIMER)
		stele_cpu_sample(context, cpu_expired(info));
	errno = saved_errno;
}

/* Does the program handle this signal already? It was executed with it, or is of a runtime. */
static bool cpu_is_taken(int number)
{
	struct sigaction now;

	return STELE_REAL(sigaction)(number, NULL, &now) != 0 || now.sa_flags & SA_SIGINFO ||
	       (now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN);
}

static void cpu_unblock(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	STELE_REAL(pthread_sigmask)(SIG_UNBLOCK, &set, NULL);
}

/* The program's, and those of runtimes that were there before us. */
static void cpu_note_handlers(void)
{
	struct sigaction now;

	for (int number = 1; number <= SIGRTMAX; number++)
		if (STELE_REAL(sigaction)(number, NULL, &now) == 0 && now.sa_flags & SA_ONSTACK)
			stele__altstack_leave_to_program();
}

void stele__cpu_start(void)
{
	struct sigaction action = {.sa_sigaction = cpu_handle,
				   .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
	int number = cpu_signal_number();

	if (!stele_cpu_hz())
		return;
	if (!stele__load_relaxed(&cpu_signal)) {
		cpu_note_handlers();
		sigfillset(&action.sa_mask);
		if (cpu_is_taken(number) || STELE_REAL(sigaction)(number, &action, NULL) != 0)
			return;
		stele__store_relaxed(&cpu_signal, number);
	}
	stele__cpu_thread_begin();
}

/* It has none of its parent's timers: one with the same number is the program's. */
void stele__cpu_forked(void)
{
	cpu_timer_next = 0;
	if (stele_enabled())
		stele__cpu_start();
}

void stele__cpu_thread_begin(void)
{
	int number = stele__load_relaxed(&cpu_signal), timer;
	unsigned hz = stele_cpu_hz();

	if (!number || !hz)
		return;
	cpu_unblock(number);
	stele__altstack_thread_begin();
	timer = stele__sys_cpu_timer(number, 1000000000u / hz);
	if (timer >= 0)
		cpu_timer_next = timer + 1;
}

void stele__cpu_thread_end(void)
{
	if (cpu_timer_next)
		stele__sys_cpu_timer_delete(cpu_timer_next - 1);
	cpu_timer_next = 0;
	stele__altstack_thread_end();
}

const sigset_t *stele__cpu_without(const sigset_t *set, sigset_t *room)
{
	int number = stele__load_relaxed(&cpu_signal);

	if (!number || !set || sigismember(set, number) != 1)
		return set;
	memcpy(room, set, sizeof(*room));
	sigdelset(room, number);
	return room;
}

/* ---- what the program does with signals ---- */

STELE_EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t room;

	return STELE_REAL(pthread_sigmask)(
		how, how == SIG_UNBLOCK ? set : stele__cpu_without(set, &room), old);
}

STELE_EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t room;

	return STELE_REAL(sigprocmask)(
		how, how == SIG_UNBLOCK ? set : stele__cpu_without(set, &room), old);
}

/* What it does about ours is done, and changes nothing. */
STELE_EXPORT int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	if (action && action->sa_flags & SA_ONSTACK)
		stele__altstack_leave_to_program();
	if (STELE_LIKELY(number != stele__load_relaxed(&cpu_signal) || number == 0))
		return STELE_REAL(sigaction)(number, action, old);
	if (old)
		*old = (struct sigaction){.sa_handler = SIG_DFL};
	return 0;
}

#define SIGNAL(name)                                                                               \
	STELE_EXPORT sighandler_t name(int number, sighandler_t handler)                           \
	{                                                                                          \
		if (STELE_LIKELY(number != stele__load_relaxed(&cpu_signal) || number == 0))       \
			return STELE_REAL(name)(number, handler);                                  \
		return SIG_DFL;                                                                    \
	}

sighandler_t __sysv_signal(int number, sighandler_t handler);

SIGNAL(signal)
SIGNAL(sysv_signal)
SIGNAL(__sysv_signal)

STELE_EXPORT int signalfd(int fd, const sigset_t *set, int flags)
{
	sigset_t room;

	return STELE_REAL(signalfd)(fd, stele__cpu_without(set, &room), flags);
}
