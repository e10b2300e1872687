/* SPDX-License-Identifier: MIT */
/*
 * Interrupting one's own code at chosen instructions, x86-64: what it executes is recorded once
 * with the trap flag, then it runs at full speed up to a breakpoint that is written over the code.
 * So an interruption costs a trap or a few, and not one for each instruction before it; besides, a
 * breakpoint is ten times cheaper than a step where the machine is a virtual one.
 *
 * One thread. The handler runs at the breakpoint, before its instruction; it may run the same code
 * and set the next breakpoint.
 */
#ifndef STELE_TESTS_BREAKPOINT_H
#define STELE_TESTS_BREAKPOINT_H

#include "support/stepped.h"

#ifdef STEPPED_POSSIBLE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BREAKPOINT_PATH_MAX 65536

/* The n-th execution of an instruction. */
struct breakpoint_step {
	uintptr_t pc;
	uint32_t nth;
};

struct breakpoint_path {
	struct breakpoint_step step[BREAKPOINT_PATH_MAX];
	uint32_t count;
};

static struct {
	struct breakpoint_path *recording;  /* NULL: none */
	const struct breakpoint_path *path; /* that is taken; NULL: nothing is armed */
	struct breakpoint_step goal;
	uint32_t pass; /* the goal's instruction was met so often */
	uint8_t *at;   /* where the breakpoint is; NULL: nowhere */
	uint8_t byte;  /* what is to be there */
	void (*hit)(void);
} breakpoint;

static inline void breakpoint_put(uintptr_t pc)
{
	uintptr_t page = pc & ~4095ul;
	static uintptr_t opened[256];
	static unsigned count;
	unsigned i = 0;

	while (i < count && opened[i] != page)
		i++;
	if (i == count) {
		if (count == 256 ||
		    mprotect((void *)page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC))
			abort();
		opened[count++] = page;
	}
	breakpoint.at = (uint8_t *)pc;
	breakpoint.byte = *breakpoint.at;
	*(volatile uint8_t *)breakpoint.at = 0xcc;
}

static inline void breakpoint_lift(void)
{
	if (breakpoint.at)
		*(volatile uint8_t *)breakpoint.at = breakpoint.byte;
	breakpoint.at = NULL;
}

/* The code to come takes this path, as far as to the step with this index. */
static inline void breakpoint_arm(const struct breakpoint_path *path, uint32_t index,
				  void (*hit)(void))
{
	breakpoint.path = path;
	breakpoint.goal = path->step[index];
	breakpoint.pass = 0;
	breakpoint.hit = hit;
	breakpoint_put(breakpoint.goal.pc);
}

/* True if it was still armed: the code went another way. */
static inline bool breakpoint_disarm(void)
{
	bool armed = breakpoint.path != NULL;

	breakpoint_lift();
	breakpoint.path = NULL;
	return armed;
}

/* Which instruction came after the n-th execution of this one. */
static inline uintptr_t breakpoint_after(uintptr_t pc, uint32_t nth)
{
	const struct breakpoint_path *path = breakpoint.path;

	for (uint32_t i = 0; i + 1 < path->count; i++)
		if (path->step[i].pc == pc && path->step[i].nth == nth)
			return path->step[i + 1].pc;
	return pc;
}

/* At a breakpoint: at the goal, at it too early, or behind it, where it is put back. */
static inline void breakpoint_met(uintptr_t pc)
{
	breakpoint_lift();
	if (pc != breakpoint.goal.pc) {
		breakpoint_put(breakpoint.goal.pc);
		return;
	}
	if (++breakpoint.pass == breakpoint.goal.nth) {
		breakpoint.path = NULL;
		breakpoint.hit();
		return;
	}
	pc = breakpoint_after(breakpoint.goal.pc, breakpoint.pass);
	if (pc != breakpoint.goal.pc)
		breakpoint_put(pc);
}

/* Of the path that is being recorded: how often each instruction was met. */
static struct breakpoint_step breakpoint_met_so_far[2 * BREAKPOINT_PATH_MAX];

static inline uint32_t breakpoint_count(uintptr_t pc)
{
	size_t i = pc * 0x9e3779b1u % (2 * BREAKPOINT_PATH_MAX);

	while (breakpoint_met_so_far[i].pc && breakpoint_met_so_far[i].pc != pc)
		i = (i + 1) % (2 * BREAKPOINT_PATH_MAX);
	breakpoint_met_so_far[i].pc = pc;
	return ++breakpoint_met_so_far[i].nth;
}

static inline void breakpoint_record(uintptr_t pc)
{
	struct breakpoint_path *path = breakpoint.recording;
	/* The trap flag stops at each turn of a repeated string instruction; it is one step. */
	if (path->count && path->step[path->count - 1].pc == pc)
		return;
	if (path->count == BREAKPOINT_PATH_MAX)
		abort();
	path->step[path->count++] = (struct breakpoint_step){pc, breakpoint_count(pc)};
}

static inline void breakpoint_trap(int signal_number, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)signal_number;
	(void)info;
	if (breakpoint.at && (uint8_t *)registers[REG_RIP] == breakpoint.at + 1) {
		registers[REG_RIP]--;
		breakpoint_met((uintptr_t)registers[REG_RIP]);
	} else if (breakpoint.recording) {
		breakpoint_record((uintptr_t)registers[REG_RIP]);
	} else {
		registers[REG_EFL] &= ~STEPPED_TRAP_FLAG;
	}
}

static inline void breakpoint_install(void)
{
	struct sigaction action = {.sa_sigaction = breakpoint_trap,
				   .sa_flags = SA_NODEFER | SA_SIGINFO};

	sigaction(SIGTRAP, &action, NULL);
}

/* The instructions that `code` executes, its own first ones and last ones included. */
static inline void breakpoint_follow(void (*code)(void), struct breakpoint_path *path)
{
	path->count = 0;
	memset(breakpoint_met_so_far, 0, sizeof(breakpoint_met_so_far));
	breakpoint.recording = path;
	__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
	code();
	__asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
	breakpoint.recording = NULL;
	/* Those of this function come last: the pushfq and what belongs to it. */
	path->count = path->count > 3 ? path->count - 3 : 0;
}

#endif
#endif
