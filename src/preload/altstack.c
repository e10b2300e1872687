/* SPDX-License-Identifier: MIT */
#include "preload/altstack.h"

#include <errno.h>
#include <signal.h>

#include "preload/preload.h"
#include "preload/resolve.h"
#include "sys/sys.h"

/*
 * What a processor with the largest registers saves has 11 KiB, our handler needs 3. A runtime that
 * finds a thread with an alternate stack may use it for its own (Go's needs 32), and handlers that
 * the program installs late run on it, in threads that had ours by then. The kernel gives memory to
 * what is touched. Never unmapped: the next thread gets it.
 */
struct altstack {
	char room[262144 - STELE_CACHE_LINE];
	uint64_t next; /* in the list of free ones, an address; 0: none */
};

static const stack_t altstack_none = {.ss_flags = SS_DISABLE};

static uint64_t altstacks_free;	    /* an address */
static uint32_t altstacks_unwanted; /* 1: the program takes care */

static STELE_TLS struct altstack *altstack_mine; /* NULL: none, or no longer */

static void altstacks_give(struct altstack *first, struct altstack *last)
{
	uint64_t head;

	do {
		head = stele__load_relaxed(&altstacks_free);
		last->next = head;
	} while (!stele__cas_u64(&altstacks_free, head, (uint64_t)(uintptr_t)first));
}

static struct altstack *altstack_make(void)
{
	int error = 0;
	struct altstack *made = stele__sys_map_private(sizeof(*made), &error);

	if (made)
		stele__sys_small_pages(made, sizeof(*made));
	return made;
}

/* The list as a whole, so that nobody takes and gives its first back in between. */
static struct altstack *altstack_take(void)
{
	struct altstack *all = (void *)(uintptr_t)stele__exchange_acq_rel(&altstacks_free, 0),
			*last;

	if (!all)
		return altstack_make();
	last = all;
	while (last->next)
		last = (void *)(uintptr_t)last->next;
	if (last != all)
		altstacks_give((void *)(uintptr_t)all->next, last);
	return all;
}

static stack_t altstack_described(struct altstack *stack)
{
	return (stack_t){.ss_sp = stack->room, .ss_size = sizeof(stack->room)};
}

void stele__altstack_thread_begin(void)
{
	uintptr_t low, high;
	struct altstack *stack;
	stack_t described;

	if (stele__load_relaxed(&altstacks_unwanted) ||
	    stele__sys_alternate_stack(&low, &high) != -ENOENT)
		return;
	stack = altstack_take();
	if (!stack)
		return;
	described = altstack_described(stack);
	if (STELE_REAL(sigaltstack)(&described, NULL) == 0)
		altstack_mine = stack;
	else
		altstacks_give(stack, stack);
}

/* Is it what the kernel would take? What somebody set or took away past us, we do not. */
static bool altstack_is_set(const struct altstack *stack)
{
	uintptr_t low, high;

	return stele__sys_alternate_stack(&low, &high) == 0 && low == (uintptr_t)stack->room;
}

/* False: we are on it, in a handler. */
static bool altstack_take_away(const struct altstack *stack)
{
	return !altstack_is_set(stack) || STELE_REAL(sigaltstack)(&altstack_none, NULL) == 0;
}

void stele__altstack_thread_end(void)
{
	struct altstack *stack = altstack_mine;

	altstack_mine = NULL;
	if (stack && altstack_take_away(stack))
		altstacks_give(stack, stack);
}

void stele__altstack_leave_to_program(void)
{
	stele__store_relaxed(&altstacks_unwanted, 1);
	if (altstack_mine)
		altstack_take_away(altstack_mine);
}

/* ---- what the program does with them ---- */

/* Ours is none to it. What it takes away, ours takes the place of. */
STELE_EXPORT int sigaltstack(const stack_t *stack, stack_t *old)
{
	struct altstack *mine = altstack_mine;
	stack_t was, instead;
	int result;

	if (!mine)
		return STELE_REAL(sigaltstack)(stack, old);
	if (stack && stack->ss_flags & SS_DISABLE && !stele__load_relaxed(&altstacks_unwanted)) {
		instead = altstack_described(mine);
		stack = &instead;
	}
	result = STELE_REAL(sigaltstack)(stack, &was);
	if (result == 0 && old)
		*old = was.ss_sp == mine->room ? altstack_none : was;
	return result;
}
