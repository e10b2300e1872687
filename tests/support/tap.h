/* SPDX-License-Identifier: MIT */
/*
 * A unit test is one file: test functions, then TAP_MAIN with their names. Output is TAP 12:
 *
 *	#include "support/tap.h"
 *
 *	static void cursor_stops_at_end(void)
 *	{
 *		CHECK_EQ(stele__cursor_left(&c), 0);
 *	}
 *
 *	TAP_MAIN(TEST(cursor_stops_at_end))
 *
 * A failed check is reported with file and line and the test goes on; each check yields whether
 * it held, so `if (!CHECK(p)) return;` leaves early. A name as argument runs only that test.
 * Checks may be made from the thread that runs the test only.
 */
#ifndef STELE_TESTS_TAP_H
#define STELE_TESTS_TAP_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct tap_test {
	const char *name;
	void (*run)(void);
};

/* A test that fails in a loop shall not bury its first report. */
#define TAP_REPORTS_MAX 20

struct tap_state {
	unsigned reports; /* failed checks of the running test */
	const char *skipped;
};

static struct tap_state tap_now __attribute__((unused));

#define TEST(function)                                                                             \
	{                                                                                          \
#function, function                                                                \
	}

#define CHECK(cond) tap_check((cond), __FILE__, __LINE__, #cond)

/* Integers of any type; both values are shown. Evaluated once, compared as 64 bits. */
#define CHECK_EQ(actual, expected)                                                                 \
	tap_equal((uint64_t)(actual), (uint64_t)(expected), __FILE__, __LINE__,                    \
		  #actual " == " #expected)

#define CHECK_STR(actual, expected) tap_string((actual), (expected), __FILE__, __LINE__, #actual)

#define CHECK_BYTES(actual, actual_bytes, expected, expected_bytes)                                \
	tap_bytes((actual), (actual_bytes), (expected), (expected_bytes), __FILE__, __LINE__,      \
		  #actual)

/* Ends the running test: it could not be made here, for this reason. */
#define SKIP(reason)                                                                               \
	do {                                                                                       \
		tap_now.skipped = (reason);                                                        \
		return;                                                                            \
	} while (0)

#define TAP_MAIN(...)                                                                              \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		static const struct tap_test tests[] = {__VA_ARGS__};                              \
                                                                                                   \
		return tap_run(tests, sizeof(tests) / sizeof(tests[0]),                            \
			       argc > 1 ? argv[1] : NULL);                                         \
	}

#define TAP_UNUSED_OK __attribute__((unused))

/* True when the failure is still worth a report. */
TAP_UNUSED_OK static bool tap_report(const char *file, int line, const char *what)
{
	if (tap_now.reports++ >= TAP_REPORTS_MAX)
		return false;
	printf("# %s:%d: failed: %s\n", file, line, what);
	return true;
}

TAP_UNUSED_OK static bool tap_check(bool held, const char *file, int line, const char *what)
{
	if (!held)
		tap_report(file, line, what);
	return held;
}

TAP_UNUSED_OK static bool tap_equal(uint64_t actual, uint64_t expected, const char *file, int line,
				    const char *what)
{
	if (actual == expected)
		return true;
	if (tap_report(file, line, what))
		printf("#   actual %" PRId64 " (0x%" PRIx64 "), expected %" PRId64 " (0x%" PRIx64
		       ")\n",
		       (int64_t)actual, actual, (int64_t)expected, expected);
	return false;
}

TAP_UNUSED_OK static bool tap_string(const char *actual, const char *expected, const char *file,
				     int line, const char *what)
{
	if (actual && expected && strcmp(actual, expected) == 0)
		return true;
	if (tap_report(file, line, what))
		printf("#   actual   \"%s\"\n#   expected \"%s\"\n", actual ? actual : "(null)",
		       expected ? expected : "(null)");
	return false;
}

TAP_UNUSED_OK static void tap_dump(const char *title, const uint8_t *p, size_t bytes, size_t from)
{
	printf("#   %s %zu bytes, from %zu:", title, bytes, from);
	for (size_t i = from; i < bytes && i < from + 16; i++)
		printf(" %02x", p[i]);
	printf("\n");
}

TAP_UNUSED_OK static bool tap_bytes(const void *actual, size_t actual_bytes, const void *expected,
				    size_t expected_bytes, const char *file, int line,
				    const char *what)
{
	const uint8_t *a = actual, *e = expected;
	size_t at = 0;

	while (at < actual_bytes && at < expected_bytes && a[at] == e[at])
		at++;
	if (at == actual_bytes && at == expected_bytes)
		return true;
	if (tap_report(file, line, what)) {
		tap_dump("actual  ", a, actual_bytes, at);
		tap_dump("expected", e, expected_bytes, at);
	}
	return false;
}

TAP_UNUSED_OK static int tap_run(const struct tap_test *tests, size_t count, const char *only)
{
	size_t number = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%zu\n", only ? 1 : count);
	for (size_t i = 0; i < count; i++) {
		if (only && strcmp(only, tests[i].name) != 0)
			continue;
		tap_now = (struct tap_state){0};
		tests[i].run();
		if (tap_now.reports > TAP_REPORTS_MAX)
			printf("# %u more failures\n", tap_now.reports - TAP_REPORTS_MAX);
		failed += tap_now.reports > 0;
		printf("%s %zu - %s", tap_now.reports ? "not ok" : "ok", ++number, tests[i].name);
		if (tap_now.skipped)
			printf(" # SKIP %s", tap_now.skipped);
		printf("\n");
	}
	return failed || number == 0;
}

#endif
