/* SPDX-License-Identifier: MIT */
/*
 * From one stack to another: what a call preserves, and what sanitizers and valgrind want to know.
 * Signal masks and errno stay the thread's.
 */
#ifndef STELE_FIBER_SWITCH_H
#define STELE_FIBER_SWITCH_H

#include <string.h>

#include "base/compiler.h"

#ifdef STELE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef STELE_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define STELE_VALGRIND
#endif
#endif

/* A flow of control that does not run just now, and where it does when it does. */
struct stele__context {
	void *sp;
	const void *low; /* of the stack; only for those who watch */
	size_t bytes;
#ifdef STELE_ASAN
	void *fake_stack;
#endif
#ifdef STELE_TSAN
	void *tsan;
#endif
#ifdef STELE_VALGRIND
	unsigned valgrind;
#endif
};

void stele__context_jump(void **ret_sp, void *sp);
void stele__context_entry(void);
/* The user's, on the new stack: before the function, and behind it; the latter does not return. */
void stele__context_begun(void *user);
void stele__context_ended(void *user);

/* [low, high) is a stack, on which nothing lies yet. */
STELE_INLINE void stele__context_make(struct stele__context *c, void *low, void *high,
				      void (*function)(void *), void *arg, void *user)
{
#if defined(__x86_64__)
	/* 0x1f80 and 0x037f: exceptions masked, round to nearest, as at the start of a program. */
	const uintptr_t frame[] = {0x037f00001f80,
				   (uintptr_t)function,
				   (uintptr_t)arg,
				   0,
				   0,
				   (uintptr_t)user,
				   0,
				   (uintptr_t)stele__context_entry};
	char *sp = (char *)high - 16 - sizeof(frame);
#elif defined(__aarch64__)
	const uintptr_t frame[20] = {[8] = (uintptr_t)function,
				     (uintptr_t)arg,
				     (uintptr_t)user,
				     [19] = (uintptr_t)stele__context_entry};
	char *sp = (char *)high - sizeof(frame);
#endif

	memset(c, 0, sizeof(*c));
	memcpy(sp, frame, sizeof(frame));
	c->sp = sp;
	c->low = low;
	c->bytes = (size_t)((char *)high - (char *)low);
#ifdef STELE_TSAN
	c->tsan = __tsan_create_fiber(0);
#endif
#ifdef STELE_VALGRIND
	c->valgrind = VALGRIND_STACK_REGISTER(low, high);
#endif
}

/* The context of what runs just now, on a thread's own stack [low, low + bytes). */
STELE_INLINE void stele__context_here(struct stele__context *c, const void *low, size_t bytes)
{
	memset(c, 0, sizeof(*c));
	c->low = low;
	c->bytes = bytes;
#ifdef STELE_TSAN
	c->tsan = __tsan_get_current_fiber();
#endif
}

/* It will not run any more. */
STELE_INLINE void stele__context_done(struct stele__context *c)
{
#ifdef STELE_ASAN
	/* What it left by not returning is poisoned still. */
	__asan_unpoison_memory_region(c->low, c->bytes);
#endif
#ifdef STELE_TSAN
	__tsan_destroy_fiber(c->tsan);
#endif
#ifdef STELE_VALGRIND
	VALGRIND_STACK_DEREGISTER(c->valgrind);
#endif
	(void)c;
}

/* The first thing on a new stack. */
STELE_INLINE void stele__context_enter(void)
{
#ifdef STELE_ASAN
	__sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
}

/* `last`: `from` will not run any more. */
STELE_INLINE void stele__context_switch(struct stele__context *from, struct stele__context *to,
					bool last)
{
#ifdef STELE_ASAN
	__sanitizer_start_switch_fiber(last ? NULL : &from->fake_stack, to->low, to->bytes);
#endif
#ifdef STELE_TSAN
	__tsan_switch_to_fiber(to->tsan, 0);
#endif
	stele__context_jump(&from->sp, to->sp);
#ifdef STELE_ASAN
	__sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
	(void)last;
}

#endif
