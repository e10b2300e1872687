/* SPDX-License-Identifier: MIT */
/*
 * Small programs that go to the edges of what libc allows. Each prints what it saw; the test
 * compares that with and without the preload module, so nothing printed may depend on time.
 */
#ifndef STELE_TESTS_HOSTILE_H
#define STELE_TESTS_HOSTILE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct hostile {
	const char *name;
	int (*run)(void);
};

extern const struct hostile hostile_threads[], hostile_locks[], hostile_calls[],
	hostile_processes[];

#define UNTOUCHED 77 /* an errno that nobody sets */

/* Evaluates a call and prints its result, and errno if it changed. */
#define SHOW(call)                                                                                 \
	do {                                                                                       \
		errno = UNTOUCHED;                                                                 \
		long shown_ = (long)(call);                                                        \
		int errno_ = errno;                                                                \
		printf("%s = %ld%s%s\n", #call, shown_, errno_ == UNTOUCHED ? "" : ", errno ",     \
		       errno_ == UNTOUCHED ? "" : strerrorname_(errno_));                          \
	} while (0)

static inline const char *strerrorname_(int error)
{
	static char text[16];

	snprintf(text, sizeof(text), "%d", error);
	return text;
}

#endif
