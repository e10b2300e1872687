/* SPDX-License-Identifier: MIT */
/*
 * Single-stepping one's own code with the trap flag: SIGTRAP comes after each instruction between
 * stepped_begin and stepped_end, those of nested calls included. A trap costs some 20 us, so a
 * test stops stepping as soon as it has seen what it wanted.
 */
#ifndef STELE_TESTS_STEPPED_H
#define STELE_TESTS_STEPPED_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#ifdef __has_feature /* clang's way to say what gcc says with __SANITIZE_ADDRESS__ */
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STEPPED_SANITIZED
#endif
#endif

#if defined(__x86_64__) && !defined(STEPPED_SANITIZED) && !defined(__SANITIZE_THREAD__) &&         \
	!defined(__SANITIZE_ADDRESS__)
#define STEPPED_POSSIBLE

/* Instructions since stepped_begin. */
static volatile uint64_t stepped_count;
static volatile int stepped_on;
/* Called after each instruction; false: the rest runs unstepped. */
static bool (*stepped_each)(uint64_t instruction);

#define STEPPED_TRAP_FLAG 0x100

static inline void stepped_trap(int signal_number, siginfo_t *info, void *context)
{
	ucontext_t *interrupted = context;

	(void)signal_number;
	(void)info;
	if (stepped_on && stepped_each(++stepped_count))
		return;
	interrupted->uc_mcontext.gregs[REG_EFL] &= ~STEPPED_TRAP_FLAG;
}

/* SA_NODEFER: the handler's own emissions may be stepped by somebody else's handler. */
static inline void stepped_install(bool (*each)(uint64_t instruction))
{
	struct sigaction action = {.sa_sigaction = stepped_trap,
				   .sa_flags = SA_NODEFER | SA_SIGINFO};

	stepped_each = each;
	sigaction(SIGTRAP, &action, NULL);
}

static inline __attribute__((always_inline)) void stepped_begin(void)
{
	stepped_count = 0;
	stepped_on = 1;
	__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
}

/* Returns the number of instructions stepped. */
static inline __attribute__((always_inline)) uint64_t stepped_end(void)
{
	__asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
	stepped_on = 0;
	return stepped_count;
}

#endif
#endif
