/* SPDX-License-Identifier: MIT */
/*
 * Joining a supervisor's arena, and leaving it in children.
 *
 * The switch lies in a page of its own that children of fork find zeroed: whatever a child does,
 * even one made by a raw system call, it is off from its first instruction.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include "arena/arena.h"
#include "base/error.h"
#include "record/attach.h"
#include "record/capture.h"
#include "record/image.h"
#include "record/join.h"
#include "record/teller.h"
#include "record/thread.h"
#include "stele/runtime.h"
#include "sys/sys.h"

#define PAGE_BYTES	4096u
#define STACK_BYTES_MAX (64ull << 20)

/* glibc's dynamic linker: the outermost address of the first thread's stack. */
extern void *__libc_stack_end __attribute__((weak));

static uint64_t *attach_switch; /* the wipe-on-fork page; NULL until the first attach */

/*
 * Notes a child once, however many ways we hear of it. If children are followed the supervisor
 * counts: it knows which of those noted here came to it.
 */
static void attach_count_child(struct stele_arena *a, uint32_t pid)
{
	for (uint32_t probe = 0; probe < STELE_CHILDREN_MAX; probe++) {
		uint32_t *cell = &a->child_pids[(pid + probe) % STELE_CHILDREN_MAX];
		uint32_t seen = stele__load_relaxed(cell);

		if (seen == pid)
			return;
		if (seen == 0 && stele__cas_u32(cell, 0, pid))
			break;
		if (stele__load_relaxed(cell) == pid)
			return;
	}
	if (!a->board)
		stele__add_relaxed(&a->children, 1);
}

/*
 * Makes the arena ours. If it is our parent's: replaces it by one of our own if its recording
 * follows children, else -ECHILD, counted. Unmapped on failure.
 */
static int attach_claim(struct stele_arena **arena)
{
	struct stele_arena *a = *arena;
	uint32_t pid = stele__sys_pid();
	int error;

	if (stele__cas_u32(&a->pid, 0, pid) || stele__load_acquire(&a->pid) == pid)
		return 0;
	error = stele__join(a, arena);
	if (error < 0)
		attach_count_child(a, pid);
	stele__arena_unmap(a);
	return error < 0 ? -ECHILD : 0;
}

static int attach_map(const char *path, struct stele_arena **ret_arena)
{
	int fd = stele__sys_open_rw(path);
	int error;

	if (fd < 0)
		return fd;
	error = stele__arena_map(fd, ret_arena);
	stele__sys_close(fd);
	return error;
}

static int attach_switch_page(void)
{
	int error = 0;
	uint64_t *page = stele__sys_map_private(PAGE_BYTES, &error);

	if (!page)
		return error;
	error = stele__sys_wipe_on_fork(page, PAGE_BYTES);
	if (error < 0) {
		stele__sys_unmap(page, PAGE_BYTES);
		return error;
	}
	attach_switch = page;
	return 0;
}

/* The stack of the process's first thread, as far as it may grow. */
static void attach_main_stack(void)
{
	int saved_errno = errno;
	struct rlimit limit;
	uintptr_t high = &__libc_stack_end ? (uintptr_t)__libc_stack_end : 0;
	uint64_t bytes = STACK_BYTES_MAX;

	if (!high || stele__sys_tid() != stele__sys_pid())
		return;
	if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < bytes)
		bytes = limit.rlim_cur;
	errno = saved_errno;
	/* Whatever lies above __libc_stack_end is arguments and environment, not frames. */
	stele_thread_set_stack((const void *)(high - bytes), (const void *)high);
}

static bool attach_clock_usable(const struct stele_arena *a)
{
	return a->clock == STELE_CLOCK_MONOTONIC || stele__sys_tsc_allowed();
}

/* Can this process record into an arena with this clock? There is a switch afterwards. */
static int attach_prepare(const struct stele_arena *a)
{
	if (!attach_clock_usable(a))
		return STELE_E_CLOCK;
	return attach_switch ? 0 : attach_switch_page();
}

/* Unmaps the arena on failure. */
static int attach_begin(struct stele_arena **arena)
{
	int error = attach_prepare(*arena);

	if (error < 0) {
		stele__arena_unmap(*arena);
		return error;
	}
	return attach_claim(arena);
}

/* From here on events are recorded; the calling thread is the first. */
static void attach_image(struct stele_arena *a)
{
	stele__recorder.arena = a;
	stele__capture_prepare(a->slot_max);
	stele__recorder.clock_is_counter = a->clock != STELE_CLOCK_MONOTONIC;
	if (stele__add_relaxed(&a->images, 1) > 0)
		stele__add_relaxed(&a->module_epoch, 1);
	stele__store_release(attach_switch, 1);
	__atomic_store_n(&stele__recorder.on, attach_switch, __ATOMIC_RELEASE);
	__atomic_store_n(&stele__switch, attach_switch, __ATOMIC_RELEASE);
	stele_thread_begin(0, NULL);
	stele__emit(STELE_KIND_IMAGE_BEGIN, a->pid, 0, 0);
}

static void attach_on(struct stele_arena *a)
{
	attach_image(a);
	attach_main_stack();
	stele_modules_changed(false);
}

STELE_EXPORT int stele_attach(const char *path)
{
	struct stele_arena *a = NULL;
	int error;

	if (stele__is_on())
		return 0;
	error = attach_map(path, &a);
	if (error < 0)
		return error;
	error = attach_begin(&a);
	if (error < 0)
		return error;
	attach_on(a);
	stele__tellers_tell();
	return 0;
}

int stele__attach_to(struct stele_arena *a)
{
	int error = attach_prepare(a);

	if (error < 0)
		return error;
	stele__store_release(&a->pid, stele__sys_pid());
	attach_on(a);
	return 0;
}

void stele__attach_pause(void)
{
	stele__store_relaxed(attach_switch, 0);
}

void stele__attach_resume(void)
{
	stele__store_release(attach_switch, 1);
	stele__image_announce();
	stele_modules_changed(false);
}

STELE_EXPORT void stele_fork_prepare(struct stele_fork *state)
{
	state->signals = stele__sys_signals_block();
}

STELE_EXPORT void stele_fork_parent(struct stele_fork *state, int child_pid)
{
	if (child_pid > 0)
		stele_child(child_pid);
	stele__sys_signals_restore(state->signals);
}

/*
 * An emission that this fork interrupted will go on in the child: it must find an arena that it
 * can write, and that is nobody else's. The control block keeps its contents (the emission reads
 * offsets from it), the rest becomes zeros.
 */
static void fork_make_private(struct stele_arena *a)
{
	uint64_t bytes = a->bytes;
	uint64_t control_bytes = a->slots;
	int error = 0;
	void *copy = stele__sys_map_private(control_bytes, &error);

	if (!copy)
		return; /* the switch is off: only an interrupted emission could still write */
	memcpy(copy, a, control_bytes);
	if (stele__sys_map_over(a, bytes) == 0)
		memcpy(a, copy, control_bytes);
	stele__sys_unmap(copy, control_bytes);
}

/* An arena of the child's own, which knows what the parent's knew; NULL: the child is off. */
static struct stele_arena *fork_join(struct stele_arena *parents)
{
	struct stele_arena *own = NULL;

	if (!parents->board)
		return NULL;
	if (stele__join(parents, &own) == 0 && stele__dictionary_copy(own, parents) == 0)
		return own;
	stele__arena_unmap(own);
	return NULL;
}

/* The one thread of the child goes on, on the stack that it had. */
static void fork_go_on(struct stele_arena *own, const struct stele_slot *before)
{
	uint64_t low = before->stack_low, high = before->stack_high;

	attach_image(own);
	stele_thread_set_stack((const void *)low, (const void *)high);
	stele__image_announce();
}

STELE_EXPORT void stele_fork_child(struct stele_fork *state)
{
	const struct stele_ring *ring = stele__load_relaxed(&stele__thread.ring);
	struct stele_slot before = {0};
	struct stele_arena *own = NULL;

	if (stele__recorder.arena) {
		stele__store_relaxed(attach_switch, 0); /* emulators ignore MADV_WIPEONFORK */
		if (ring)
			before = *stele__thread_slot(ring);
		own = fork_join(stele__recorder.arena);
		fork_make_private(stele__recorder.arena);
	}
	stele__store_relaxed(&stele__thread.ring, NULL);
	if (own)
		fork_go_on(own, &before);
	stele__sys_signals_restore(state->signals);
}

/*
 * The child may call vfork in its turn, and die at any point of it: only the thread that lent its
 * memory first takes it back.
 */
STELE_EXPORT void stele_vfork_begin(void)
{
	if (stele__thread.lender)
		return;
	stele__thread.lender = stele__sys_tid();
	stele__thread.lent = stele__thread.ring;
	stele__store_relaxed(&stele__thread.ring, NULL);
}

STELE_EXPORT void stele_vfork_end(int child_pid)
{
	if (stele__thread.lender == stele__sys_tid()) {
		stele__store_relaxed(&stele__thread.ring, stele__thread.lent);
		stele__thread.lender = 0;
	}
	if (child_pid > 0)
		stele_child(child_pid);
}

STELE_EXPORT void stele_child(int child_pid)
{
	if (stele__is_on())
		attach_count_child(stele__recorder.arena, (uint32_t)child_pid);
}
