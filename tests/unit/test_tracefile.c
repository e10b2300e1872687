/* SPDX-License-Identifier: MIT */
#include "supervise/tracefile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/tap.h"

static char directory[64];

static const char *place(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", directory, name);
	return path;
}

static off_t size_of(const char *name)
{
	struct stat st;

	return lstat(place(name), &st) == 0 ? st.st_size : -1;
}

static void put(const char *name, const char *text)
{
	int fd = open(place(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void name_follows_pattern(void)
{
	char path[64];

	CHECK_EQ(stele__tracefile_name(NULL, "/usr/bin/xz", 12, path, sizeof(path)), 0);
	CHECK_STR(path, "xz.12.trace");
	CHECK_EQ(stele__tracefile_name("a/%p-%p.t", "xz", 7, path, sizeof(path)), 0);
	CHECK_STR(path, "a/7-7.t");
	CHECK_EQ(stele__tracefile_name("100%%p%", "xz", 7, path, sizeof(path)), 0);
	CHECK_STR(path, "100%p%");
	CHECK_EQ(stele__tracefile_name("%d", "xz", 7, path, sizeof(path)), 0);
	CHECK_STR(path, "%d");
	CHECK_EQ(stele__tracefile_name("12345%p", "xz", 7, path, 6), -ENAMETOOLONG);
	CHECK_EQ(stele__tracefile_name(NULL, "12345", 7, path, 13), -ENAMETOOLONG);
}

static void open_creates_private_file(void)
{
	struct stele_tracefile file;
	struct stat st;

	umask(0);
	CHECK_EQ(stele__tracefile_open(place("new"), false, &file), 0);
	CHECK_EQ(fstat(file.fd, &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0600);
	CHECK_EQ(fcntl(file.fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(stele__tracefile_write(&file, "abcdef", 6), 0);
	CHECK_EQ(file.bytes, 6);
	CHECK_EQ(stele__tracefile_finish(&file, 6), 0);
	CHECK_EQ(size_of("new"), 6);
	CHECK_EQ(file.fd, -1);
}

static void open_replaces_only_by_force(void)
{
	struct stele_tracefile file;

	put("old", "old contents");
	CHECK_EQ(stele__tracefile_open(place("old"), false, &file), -EEXIST);
	CHECK_EQ(size_of("old"), 12);
	CHECK_EQ(stele__tracefile_open(place("old"), true, &file), 0);
	CHECK_EQ(size_of("old"), 0);
	stele__tracefile_discard(&file);
	CHECK_EQ(size_of("old"), -1);
}

static void open_does_not_follow_links(void)
{
	struct stele_tracefile file;

	put("victim", "precious");
	CHECK_EQ(symlink(place("victim"), place("link")), 0);
	CHECK_EQ(stele__tracefile_open(place("link"), false, &file), -EEXIST);
	CHECK_EQ(stele__tracefile_open(place("link"), true, &file), 0);
	CHECK_EQ(stele__tracefile_write(&file, "x", 1), 0);
	CHECK_EQ(stele__tracefile_finish(&file, 1), 0);
	CHECK_EQ(size_of("victim"), 8);
	CHECK_EQ(size_of("link"), 1);
	CHECK_EQ(symlink("nowhere", place("dangling")), 0);
	CHECK_EQ(stele__tracefile_open(place("dangling"), false, &file), -EEXIST);
	CHECK_EQ(size_of("nowhere"), -1);
}

static void open_takes_devices_as_they_are(void)
{
	struct stele_tracefile file;
	struct stat st;

	CHECK_EQ(stele__tracefile_open("/dev/null", true, &file), 0);
	CHECK_EQ(stele__tracefile_write(&file, "x", 1), 0);
	CHECK(!file.ours);
	stele__tracefile_discard(&file);
	CHECK_EQ(stat("/dev/null", &st), 0);
	CHECK(S_ISCHR(st.st_mode));
	CHECK_EQ(mkfifo(place("pipe"), 0600), 0);
	CHECK_EQ(stele__tracefile_open(place("pipe"), false, &file), -ENXIO);
	CHECK_EQ(stele__tracefile_open(directory, true, &file), -EISDIR);
	CHECK_EQ(stele__tracefile_open(place("no/where"), true, &file), -ENOENT);
}

static void write_keeps_its_first_failure(void)
{
	struct stele_tracefile file;

	if (access("/dev/full", W_OK) < 0)
		SKIP("there is no /dev/full");
	CHECK_EQ(stele__tracefile_open("/dev/full", false, &file), 0);
	CHECK_EQ(stele__tracefile_write(&file, "x", 1), -ENOSPC);
	CHECK_EQ(file.error, -ENOSPC);
	close(file.fd);
	file.fd = open("/dev/null", O_WRONLY);
	CHECK_EQ(stele__tracefile_write(&file, "x", 1), -ENOSPC);
	CHECK_EQ(file.bytes, 0);
	CHECK_EQ(stele__tracefile_finish(&file, 0), 0);
}

static void finish_cuts_to_what_is_valid(void)
{
	struct stele_tracefile file;

	CHECK_EQ(stele__tracefile_open(place("cut"), false, &file), 0);
	CHECK_EQ(stele__tracefile_write(&file, "0123456789", 10), 0);
	CHECK_EQ(stele__tracefile_finish(&file, 4), 0);
	CHECK_EQ(size_of("cut"), 4);
}

static void discard_leaves_what_is_not_ours(void)
{
	struct stele_tracefile file;

	CHECK_EQ(stele__tracefile_open(place("mine"), false, &file), 0);
	CHECK_EQ(unlink(place("mine")), 0);
	put("mine", "somebody else's");
	stele__tracefile_discard(&file);
	CHECK_EQ(size_of("mine"), 15);
}

static void tracefile_begins(void)
{
	snprintf(directory, sizeof(directory), "/tmp/stele-tracefile-XXXXXX");
	CHECK(mkdtemp(directory));
}

static void tracefile_ends(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	CHECK_EQ(system(command), 0);
}

TAP_MAIN(TEST(tracefile_begins), TEST(name_follows_pattern), TEST(open_creates_private_file),
	 TEST(open_replaces_only_by_force), TEST(open_does_not_follow_links),
	 TEST(open_takes_devices_as_they_are), TEST(write_keeps_its_first_failure),
	 TEST(finish_cuts_to_what_is_valid), TEST(discard_leaves_what_is_not_ours),
	 TEST(tracefile_ends))
