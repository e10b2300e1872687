/* SPDX-License-Identifier: MIT */
#include "supervise/locate.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "support/tap.h"

/* The LD_PRELOAD that a program gets. */
static void becomes(const char *existing, const char *sanitizer, const char *expected)
{
	char *environment[] = {(char *)"A=1", (char *)existing, (char *)"STELE_ARENA=old", NULL};
	char **copy = stele__locate_environment(environment, "/m.so", sanitizer, "/proc/1/fd/3");
	size_t preloads = 0, arenas = 0;

	if (!CHECK(copy))
		return;
	for (char **entry = copy; *entry; entry++) {
		if (!strncmp(*entry, "LD_PRELOAD=", 11)) {
			CHECK_STR(*entry + 11, expected);
			preloads++;
		}
		if (!strncmp(*entry, "STELE_ARENA=", 12)) {
			CHECK_STR(*entry + 12, "/proc/1/fd/3");
			arenas++;
		}
	}
	CHECK_EQ(preloads, 1);
	CHECK_EQ(arenas, 1);
	CHECK_STR(copy[0], "A=1");
	free(copy);
}

static void environment_puts_module_first(void)
{
	becomes("B=2", "", "/m.so");
	becomes("LD_PRELOAD=", "", "/m.so");
	becomes("LD_PRELOAD=/a.so", "", "/m.so:/a.so");
	becomes("LD_PRELOAD=/a.so /b.so", "", "/m.so:/a.so:/b.so");
	becomes("LD_PRELOAD=::/a.so:", "", "/m.so:/a.so");
	becomes("LD_PRELOADED=/a.so", "", "/m.so");
}

static void environment_names_module_once(void)
{
	becomes("LD_PRELOAD=/m.so", "", "/m.so");
	becomes("LD_PRELOAD=/a.so:/m.so:/m.sox", "", "/m.so:/a.so:/m.sox");
}

static void environment_leaves_sanitizers_first(void)
{
	becomes("B=2", "libasan.so.8", "libasan.so.8:/m.so");
	becomes("LD_PRELOAD=/a.so", "libtsan.so.2", "libtsan.so.2:/m.so:/a.so");
	becomes("LD_PRELOAD=/a.so:/usr/lib/libasan.so.8", "libasan.so.8",
		"/usr/lib/libasan.so.8:/m.so:/a.so");
	becomes("LD_PRELOAD=/lib/libclang_rt.asan-x86_64.so", "",
		"/lib/libclang_rt.asan-x86_64.so:/m.so");
}

static void module_is_taken_from_environment(void)
{
	char path[PATH_MAX];

	setenv("STELE_PRELOAD_MODULE", "/dev/null", 1);
	CHECK_EQ(stele__locate_module(false, path, sizeof(path)), 0);
	CHECK_STR(path, "/dev/null");
	setenv("STELE_PRELOAD_MODULE", "/nonexistent/m.so", 1);
	CHECK_EQ(stele__locate_module(false, path, sizeof(path)), -ENOENT);
	unsetenv("STELE_PRELOAD_MODULE");
}

TAP_MAIN(TEST(environment_puts_module_first), TEST(environment_names_module_once),
	 TEST(environment_leaves_sanitizers_first), TEST(module_is_taken_from_environment))
