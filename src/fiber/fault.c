/* SPDX-License-Identifier: MIT */
/*
 * SIGSEGV while fibers run: growing a stack, saying what happened to one that cannot grow, and what
 * was there before us for all others.
 *
 * The handler runs on the thread's alternate stack with all signals blocked, so that growing is
 * never interrupted by something that needs to grow. It touches the fiber's own structures, makes a
 * system call and emits; nothing that what it interrupts may hold.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>

#include "fiber/scheduler.h"
#include "sys/sys.h"

#define SIGNAL_STACK_BYTES (256u << 10)
#define GUARD_BYTES	   4096u

static struct sigaction before;

static void fault_tell_overflow(const struct stele_fiber *f)
{
	struct stele__message m = {0};

	stele__say(&m, "stele: stack overflow: ");
	stele__say_fiber(&m, f);
	stele__say(&m, ", needs more than its limit of ");
	stele__say_number(&m, stele__stack_limit(f->stack) >> 10, 10);
	stele__say(&m, " KiB (struct stele_fiber_options, stele_fiber_spawn_with)\n");
	stele__say_end(&m);
}

static void fault_tell_no_room(const struct stele_fiber *f)
{
	struct stele__message m = {0};

	stele__say(&m, "stele: a signal found no room on the stack of ");
	stele__say_fiber(&m, f);
	stele__say(&m, "; install its handler with SA_ONSTACK\n");
	stele__say_end(&m);
}

/* As if we were not there. Behind a SIG_DFL the instruction faults again, and the process ends. */
static void fault_pass(int number, siginfo_t *info, void *context)
{
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(number, info, context);
	else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
		before.sa_handler(number);
	else
		signal(SIGSEGV, SIG_DFL);
}

static void fault_handle(int number, siginfo_t *info, void *context)
{
	struct stele__sched_thread *t = stele__thread_self();
	struct stele_fiber *f = t ? t->current : NULL;
	int error = errno;

	if (f && info->si_code > 0 && info->si_code != SI_KERNEL) {
		if (stele__stack_grow(f->stack, info->si_addr)) {
			errno = error;
			return;
		}
		if (stele__stack_is_over(f->stack, info->si_addr))
			fault_tell_overflow(f);
	} else if (f && info->si_code == SI_KERNEL) {
		fault_tell_no_room(f);
	}
	errno = error;
	fault_pass(number, info, context);
}

int stele__fault_begin(void)
{
	struct sigaction action = {.sa_sigaction = fault_handle,
				   .sa_flags = SA_SIGINFO | SA_ONSTACK};

	sigfillset(&action.sa_mask);
	return sigaction(SIGSEGV, &action, &before) ? -errno : 0;
}

void stele__fault_end(void)
{
	struct sigaction now;

	/* Somebody else's by now stays. */
	if (sigaction(SIGSEGV, NULL, &now) == 0 && now.sa_flags & SA_SIGINFO &&
	    now.sa_sigaction == fault_handle)
		sigaction(SIGSEGV, &before, NULL);
}

void *stele__fault_stack_begin(void)
{
	stack_t stack = {.ss_size = SIGNAL_STACK_BYTES};
	sigset_t segv;
	char *at = mmap(NULL, GUARD_BYTES + SIGNAL_STACK_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	mprotect(at, GUARD_BYTES, PROT_NONE);
	stack.ss_sp = at + GUARD_BYTES;
	sigaltstack(&stack, NULL);
	sigemptyset(&segv);
	sigaddset(&segv, SIGSEGV);
	pthread_sigmask(SIG_UNBLOCK, &segv, NULL);
	return at;
}

void stele__fault_stack_end(void *stack)
{
	stack_t none = {.ss_flags = SS_DISABLE};

	sigaltstack(&none, NULL);
	munmap(stack, GUARD_BYTES + SIGNAL_STACK_BYTES);
}
