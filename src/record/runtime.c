/* SPDX-License-Identifier: MIT */
/* stele/runtime.h: what runtimes report of threads, waits and system calls. */
#include "stele/runtime.h"

#include <string.h>

#include "arena/arena.h"
#include "record/capture.h"
#include "record/thread.h"

#define X(name, text)                                                                              \
	_Static_assert((int)STELE_WAIT_##name == (int)STELE_WAIT_CODE_##name, "waits.def");
#include "arena/waits.def"
#undef X

STELE_EXPORT void stele_thread_begin(stele_goroutine_id g, const void *entry)
{
	if (!stele__is_on())
		return;
	if (!stele__load_relaxed(&stele__thread.ring)) {
		if (!stele__thread.lender)
			stele__thread_enter(g, g ? STELE_THREAD_CREATED : 0,
					    (uint64_t)(uintptr_t)entry);
		return;
	}
	if (!g)
		return;
	/* A handler emitted before we came here, under a number of its own. */
	stele__emit(STELE_KIND_GO_DESTROY, 0, 0, 0);
	stele__emit(STELE_KIND_GO_START, g, 1, 0);
}

STELE_EXPORT void stele_thread_end(void)
{
	struct stele_ring *ring = stele__load_relaxed(&stele__thread.ring);

	if (!stele__is_on() || !ring)
		return;
	stele__emit(STELE_KIND_THREAD_END, 0, 0, 0);
	stele__store_release(&stele__thread_slot(ring)->state, STELE_SLOT_ENDED);
}

STELE_EXPORT void stele_thread_set_name(const char *name)
{
	if (stele__is_on())
		stele__emit(STELE_KIND_THREAD_NAME,
			    stele__dictionary_string(stele__recorder.arena, name), 0, 0);
}

STELE_EXPORT void stele_thread_set_stack(const void *low, const void *high)
{
	if (stele__is_on())
		stele__thread_stand_on(low, high);
}

STELE_EXPORT stele_goroutine_id stele_goroutine_create(const void *entry)
{
	uint64_t g;

	/* Announced and then without a slot, it would stand there runnable for ever. */
	if (!stele__is_on() || !stele__slot_is_left(stele__recorder.arena))
		return 0;
	g = stele__add_relaxed(&stele__recorder.arena->goroutines, 1) + 1;
	if (!stele__emit(STELE_KIND_GO_CREATE, g, (uint64_t)(uintptr_t)entry,
			 STELE_CAPTURE().stack))
		return 0;
	return g;
}

STELE_EXPORT void stele_goroutine_cancel(stele_goroutine_id g)
{
	if (g && stele__is_on())
		stele__emit(STELE_KIND_GO_CANCEL, g, 0, 0);
}

/* Shall these be recorded? Otherwise their ends find no token. */
STELE_INLINE bool runtime_wants(enum stele_events what)
{
	return stele__is_on() && (stele__load_relaxed(&stele__recorder.arena->events) & what);
}

static bool runtime_wants_wait(enum stele_wait why)
{
	return runtime_wants(stele__wait_is_lock((uint32_t)why) ? STELE_EVENTS_LOCKS
								: STELE_EVENTS_WAITS);
}

static stele_interval runtime_block(struct stele_capture at, enum stele_wait why,
				    const void *object, uint32_t holder)
{
	return stele__emit(STELE_KIND_GO_BLOCK, stele__wait_word(at.stack, holder, (uint32_t)why),
			   (uint64_t)(uintptr_t)object, at.frame);
}

STELE_EXPORT stele_interval stele_block(enum stele_wait why, const void *object)
{
	return runtime_wants_wait(why) ? runtime_block(STELE_CAPTURE(), why, object, 0) : 0;
}

STELE_EXPORT stele_interval stele_block_on(enum stele_wait why, const void *object, uint32_t holder)
{
	return runtime_wants_wait(why) ? runtime_block(STELE_CAPTURE(), why, object, holder) : 0;
}

/* Within the call that returns there, as the pcs of stacks are. */
static uint64_t runtime_call(const void *return_address)
{
	return return_address ? (uint64_t)(uintptr_t)return_address - 1 : 0;
}

/* A stack of one frame; none of NULL. */
static uint32_t runtime_place(const void *return_address)
{
	uint64_t pc = runtime_call(return_address);
	uint32_t epoch = stele__load_relaxed(&stele__recorder.arena->module_epoch);

	if (!pc)
		return STELE_ENTRY_NONE;
	return stele__dictionary_intern(stele__recorder.arena, STELE_ENTRY_STACK, 0, epoch, 1, &pc,
					sizeof(pc), NULL, 0);
}

STELE_EXPORT void stele_object_made(const void *object, const void *made_at)
{
	if (runtime_wants(STELE_EVENTS_LOCKS))
		stele__emit(STELE_KIND_OBJECT_MADE, (uint64_t)(uintptr_t)object,
			    runtime_call(made_at), 0);
}

STELE_EXPORT void stele_lock_order(const void *held, const void *held_from, const void *lock,
				   const void *taken_at)
{
	if (runtime_wants(STELE_EVENTS_LOCKS))
		stele__emit(STELE_KIND_LOCK_ORDER,
			    (uint64_t)runtime_place(held_from) << 32 | runtime_place(taken_at),
			    (uint64_t)(uintptr_t)held, (uint64_t)(uintptr_t)lock);
}

STELE_EXPORT void stele_release(enum stele_wait why, const void *object, const void *taken_at)
{
	if (!runtime_wants_wait(why))
		return;
	stele__emit(STELE_KIND_RELEASE, stele__wait_word(STELE_CAPTURE().stack, 0, (uint32_t)why),
		    (uint64_t)(uintptr_t)object, runtime_place(taken_at));
}

STELE_EXPORT void stele_release_last(enum stele_wait why, const void *object)
{
	if (runtime_wants_wait(why))
		stele__emit(STELE_KIND_RELEASE, stele__wait_word(0, 0, (uint32_t)why),
			    (uint64_t)(uintptr_t)object, 0);
}

STELE_EXPORT void stele_wake(stele_interval wait)
{
	if (wait && stele__is_on())
		stele__emit(STELE_KIND_GO_WAKE, wait, 0, 0);
}

STELE_EXPORT stele_interval stele_syscall_begin(long number, uint64_t argument)
{
	struct stele_capture at;

	if (!runtime_wants(STELE_EVENTS_SYSCALLS))
		return 0;
	at = STELE_CAPTURE();
	return stele__emit(STELE_KIND_SYSCALL_BEGIN, (uint64_t)at.stack << 32 | (uint32_t)number,
			   argument, at.frame);
}

STELE_EXPORT STELE_HOT stele_interval stele_syscall_begin_file(long number, int fd)
{
	struct stele_capture at;

	if (!runtime_wants(STELE_EVENTS_SYSCALLS))
		return 0;
	at = STELE_CAPTURE();
	return stele__emit(STELE_KIND_SYSCALL_BEGIN,
			   (uint64_t)at.stack << 32 | STELE_CALL_OF_FILE | (uint32_t)number,
			   (uint64_t)(unsigned)fd, at.frame);
}

/* Names are as many as the program likes: stacks must find room, too. */
static bool runtime_has_room(const struct stele_arena *a)
{
	return stele__load_relaxed(&a->heap_bump) < a->heap_bytes / 2;
}

STELE_EXPORT bool stele_files_wanted(void)
{
	return runtime_wants(STELE_EVENTS_FILES);
}

STELE_EXPORT bool stele_locks_wanted(void)
{
	return runtime_wants(STELE_EVENTS_LOCKS);
}

STELE_EXPORT void stele_file(int fd, const char *name)
{
	if (fd >= 0 && stele_files_wanted() && runtime_has_room(stele__recorder.arena))
		stele__emit(STELE_KIND_FILE, (uint64_t)fd,
			    stele__dictionary_string(stele__recorder.arena, name), 0);
}

STELE_EXPORT STELE_HOT void stele_syscall_end(stele_interval call, int64_t result)
{
	if (call && stele__is_on())
		stele__emit(STELE_KIND_SYSCALL_END, call, (uint64_t)result, 0);
}

STELE_EXPORT unsigned stele_cpu_hz(void)
{
	return stele__is_on() ? stele__recorder.arena->cpu_hz : 0;
}

STELE_EXPORT void stele_cpu_sample(const void *context, unsigned times)
{
	uint32_t stack;

	if (!runtime_wants(STELE_EVENTS_CPU))
		return;
	stack = stele__capture_interrupted(context).stack;
	for (unsigned i = 0; i < times; i++)
		stele__emit(STELE_KIND_CPU_SAMPLE, 0, 0, stack);
}

STELE_EXPORT bool stele_busy(void)
{
	struct stele_ring *ring = stele__load_relaxed(&stele__thread.ring);

	return stele__is_on() && ring && stele__ring_has_hole(ring);
}
