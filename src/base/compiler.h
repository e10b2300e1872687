/* SPDX-License-Identifier: MIT */
/*
 * What this project asks of the compiler, under names that say why.
 */
#ifndef STELE_BASE_COMPILER_H
#define STELE_BASE_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STELE_LIKELY(x)	  __builtin_expect(!!(x), 1)
#define STELE_UNLIKELY(x) __builtin_expect(!!(x), 0)

#define STELE_INLINE	static inline __attribute__((always_inline))
#define STELE_NOINLINE	__attribute__((noinline))
#define STELE_COLD	__attribute__((cold, noinline))
#define STELE_HOT	__attribute__((hot))	 /* beside the others that are */
#define STELE_FLATTEN	__attribute__((flatten)) /* what it calls is put into it where it can be */
#define STELE_NODISCARD __attribute__((warn_unused_result))
#define STELE_HIDDEN	__attribute__((visibility("hidden")))
#define STELE_EXPORT	__attribute__((visibility("default")))
/* Reads other functions' frames, gaps between their variables included: not an overflow. */
#define STELE_READS_FRAMES __attribute__((no_sanitize("address")))
#define STELE_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Is AddressSanitizer at work? gcc and clang have each a way to say so. */
#ifdef __SANITIZE_ADDRESS__
#define STELE_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STELE_ASAN
#endif
#endif

#ifdef __SANITIZE_THREAD__
#define STELE_TSAN
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define STELE_TSAN
#endif
#endif

/* Fits the four bytes per word that a dlopened library may take from the static TLS block. */
#define STELE_TLS __thread __attribute__((tls_model("initial-exec")))

#define STELE_ARRAY_LENGTH(a)		      (sizeof(a) / sizeof((a)[0]))
#define STELE_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define STELE_CACHE_LINE 64

/*
 * Our own bug if false. On in debug and sanitizer builds; never applied to input bytes.
 * A trap, because stdio and abort() may be what is being traced.
 */
#ifdef STELE_ASSERTS
#define STELE_ASSERT(cond) ((cond) ? (void)0 : __builtin_trap())
#else
#define STELE_ASSERT(cond) ((void)sizeof(cond))
#endif

/* Whole-structure invariants: too slow for ordinary debug builds. */
#ifdef STELE_SLOW_CHECKS
#define STELE_ASSERT_SLOW(cond) STELE_ASSERT(cond)
#else
#define STELE_ASSERT_SLOW(cond) ((void)sizeof(cond))
#endif

/*
 * A place where a test may interrupt: STELE_POINT("ring.closed"). Empty in release; with
 * -Dpoints=true a test installs a hook that yields, spins, nests an emission or jumps away.
 */
#ifdef STELE_POINTS
extern void (*stele__point_hook)(const char *name);
#define STELE_POINT(name)                                                                          \
	do {                                                                                       \
		if (stele__point_hook)                                                             \
			stele__point_hook(name);                                                   \
	} while (0)
#else
#define STELE_POINT(name) ((void)0)
#endif

#endif
