/* SPDX-License-Identifier: MIT */
#include "supervise/quota.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervise/snapshot.h"
#include "support/tap.h"

static char directory[64];

static const char *place(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

/* A trace of 100 bytes, so many seconds old. */
static void put(const char *name, const char *begin, int age)
{
	struct timespec now, times[2];
	char data[100] = {0};
	int fd = open(place(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	snprintf(data, sizeof(data), "%s", begin);
	CHECK_EQ(write(fd, data, sizeof(data)), sizeof(data));
	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec -= age;
	times[0] = times[1] = now;
	futimens(fd, times);
	close(fd);
}

static bool is_there(const char *name)
{
	struct stat st;

	return lstat(place(name), &st) == 0;
}

static void names_fit_their_pattern(void)
{
	CHECK(stele__quota_fits("x.%p.%n.trace", "x.12.3.trace"));
	CHECK(!stele__quota_fits("x.%p.%n.trace", "x.12..trace"));
	CHECK(!stele__quota_fits("x.%p.%n.trace", "x.12.3.trace.gz"));
	CHECK(!stele__quota_fits("x.%p.%n.trace", "y.12.3.trace"));
	CHECK(!stele__quota_fits("x.%p.%n.trace", "x.12.a.trace"));
	CHECK(!stele__quota_fits("x.%n", "x."));
	CHECK(!stele__quota_fits("x%n", "x"));
	CHECK(stele__quota_fits("100%%.%n", "100%.1"));
	CHECK(!stele__quota_fits("100%%.%n", "100%%.1"));
}

static void numbers_stand_for_themselves(void)
{
	char text[32];

	CHECK_EQ(stele__snapshot_number("a.%p.%n.%%n", 12, text, sizeof(text)), 0);
	CHECK_STR(text, "a.%p.12.%%n");
	CHECK_EQ(stele__snapshot_number("%n", 12345, text, 5), -ENAMETOOLONG);
	CHECK_EQ(stele__snapshot_number("%n%", 1, text, sizeof(text)), 0);
	CHECK_STR(text, "1%");
}

static void oldest_traces_of_the_pattern_go(void)
{
	const struct stele_quota three = {.files = 3}, bytes = {.bytes = 250}, none = {0};
	char pattern[128], newest[128];

	snprintf(pattern, sizeof(pattern), "%s/x.%%n", directory);
	put("x.1", "go 1.23 trace", 50);
	put("x.2", "go 1.25 trace", 40);
	put("x.3", "text", 60);
	put("x.4", "go 1.23 trace", 30);
	put("x.5", "go 1.23 trace", 20);
	put("y.6", "go 1.23 trace", 70);
	CHECK_EQ(symlink("y.6", place("x.7")), 0);
	/* The newest is so by what was said, not by its time. */
	put("x.8", "go 1.23 trace", 90);
	snprintf(newest, sizeof(newest), "%s", place("x.8"));
	CHECK_EQ(stele__quota_apply(&none, pattern, newest), 0);
	CHECK_EQ(stele__quota_apply(&three, pattern, newest), 2);
	CHECK(!is_there("x.1") && !is_there("x.2"));
	CHECK(is_there("x.3") && is_there("y.6") && is_there("x.7") && is_there("x.8"));
	CHECK(is_there("x.4") && is_there("x.5"));
	CHECK_EQ(stele__quota_apply(&bytes, pattern, newest), 1);
	CHECK(!is_there("x.4") && is_there("x.5") && is_there("x.8"));
	CHECK_EQ(stele__quota_apply(&bytes, pattern, place("absent")), -ENOENT);
}

static void quota_begins(void)
{
	snprintf(directory, sizeof(directory), "/tmp/stele-quota-XXXXXX");
	CHECK(mkdtemp(directory));
}

static void quota_ends(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	CHECK_EQ(system(command), 0);
}

TAP_MAIN(TEST(quota_begins), TEST(names_fit_their_pattern), TEST(numbers_stand_for_themselves),
	 TEST(oldest_traces_of_the_pattern_go), TEST(quota_ends))
