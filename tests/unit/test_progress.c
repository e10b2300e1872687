/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/progress.h"
#include "support/tap.h"

/* What stderr would show between begin and end, `age_ns` after the beginning. */
static size_t shown(int target, uint64_t total, uint64_t done, uint64_t age_ns, int reading,
		    char *text, size_t bytes)
{
	int saved = dup(STDERR_FILENO);
	struct stele_progress progress;
	size_t got = 0;

	dup2(target, STDERR_FILENO);
	stele__progress_begin(&progress, total);
	if (progress.begin_ns)
		progress.begin_ns -= age_ns;
	stele__progress_show(&progress, done);
	stele__progress_end(&progress);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	/* A terminal hands on what was written a little later. */
	for (struct pollfd input = {.fd = reading, .events = POLLIN}; poll(&input, 1, 200) > 0;) {
		ssize_t more = read(reading, text + got, bytes - 1 - got);

		if (more <= 0)
			break;
		got += (size_t)more;
	}
	text[got] = 0;
	return got;
}

static int terminal_open(int *ret_slave)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);

	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
		return -1;
	*ret_slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	return *ret_slave < 0 ? -1 : master;
}

static void terminal_sees_progress_after_a_second(void)
{
	char text[256];
	int slave, master = terminal_open(&slave);

	if (master < 0)
		SKIP("there are no pseudo-terminals here");
	CHECK(shown(slave, 400000000, 100000000, 2000000000, master, text, sizeof(text)) > 0);
	CHECK(strstr(text, " 25 %") && strstr(text, "100 of 400 MB"));
	CHECK(strstr(text, "\r\033[K")); /* and the line is left empty */
	CHECK_EQ(shown(slave, 400000000, 100000000, 0, master, text, sizeof(text)), 0);
	CHECK_EQ(shown(slave, 0, 100000000, 2000000000, master, text, sizeof(text)), 0);
	CHECK(shown(slave, 100, 500, 2000000000, master, text, sizeof(text)) > 0);
	CHECK(strstr(text, "100 %"));
	close(slave);
	close(master);
}

static void files_and_pipes_see_nothing(void)
{
	char text[256];
	int ends[2];

	CHECK(pipe2(ends, O_NONBLOCK) == 0);
	CHECK_EQ(shown(ends[1], 400000000, 100000000, 2000000000, ends[0], text, sizeof(text)), 0);
	close(ends[0]);
	close(ends[1]);
}

int main(int argc, char **argv)
{
	static const struct tap_test tests[] = {
		TEST(terminal_sees_progress_after_a_second),
		TEST(files_and_pipes_see_nothing),
	};

	return tap_run(tests, sizeof(tests) / sizeof(tests[0]), argc > 1 ? argv[1] : NULL);
}
