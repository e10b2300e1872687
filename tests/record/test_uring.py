#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""io_uring by liburing: each operation is a task, from when it is handed over until it is done.

usage: test_uring.py STELE SOURCE_ROOT
"""
import json
import os
import subprocess
import sys

import place
from support.tap import Skip, case, check, equal, run

ROOT = os.path.abspath(sys.argv[2])

PROGRAM = r"""
#include <fcntl.h>
#include <liburing.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef CHECK_LAYOUT
#include "preload/uring.h"
#define SAME(theirs, ours) _Static_assert(offsetof(struct io_uring, theirs) == \
					  offsetof(struct stele_uring, ours), #theirs)
SAME(sq.khead, sq.khead);
SAME(sq.kring_mask, sq.kring_mask);
SAME(sq.kring_entries, sq.kring_entries);
SAME(sq.sqes, sq.sqes);
SAME(sq.sqe_head, sq.sqe_head);
SAME(sq.sqe_tail, sq.sqe_tail);
SAME(cq.ktail, cq.ktail);
SAME(cq.kring_mask, cq.kring_mask);
SAME(cq.kring_entries, cq.kring_entries);
SAME(cq.cqes, cq.cqes);
SAME(flags, flags);
SAME(ring_fd, ring_fd);
#endif

static struct io_uring ring;

static int reap(int count)
{
	struct io_uring_cqe *cqe;
	int sum = 0;

	for (int i = 0; i < count; i++) {
		if (io_uring_wait_cqe(&ring, &cqe))
			exit(3);
		sum += cqe->res;
		io_uring_cqe_seen(&ring, cqe);
	}
	return sum;
}

static struct io_uring_sqe *operation(unsigned long name)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (!sqe)
		exit(4);
	sqe->user_data = name;
	return sqe;
}

static void named(void (*prepare)(struct io_uring_sqe *, int), int fd, unsigned long name)
{
	struct io_uring_sqe *sqe = operation(name);

	prepare(sqe, fd);
	sqe->user_data = name;
}

static char text[4096];

static void prepare_write(struct io_uring_sqe *sqe, int fd)
{
	io_uring_prep_write(sqe, fd, text, sizeof(text), 0);
}

static void prepare_read(struct io_uring_sqe *sqe, int fd)
{
	io_uring_prep_read(sqe, fd, text, sizeof(text), 0);
}

static void prepare_nop(struct io_uring_sqe *sqe, int fd)
{
	(void)fd;
	io_uring_prep_nop(sqe);
}

int work(void)
{
	struct __kernel_timespec tenth = {0, 100000000};
	int fd = open("file.data", O_RDWR | O_CREAT | O_TRUNC, 0600), sum;
	struct io_uring_sqe *sqe;

	if (fd < 0 || io_uring_queue_init(64, &ring, 0))
		return 77;
	named(prepare_write, fd, 1);
	io_uring_submit(&ring);
	sum = reap(1);
	/* Two at once, one of which fails; their results are taken without a call. */
	named(prepare_read, fd, 2);
	named(prepare_read, -1, 3);
	io_uring_submit_and_wait(&ring, 2);
	sum += reap(2);
	sqe = operation(4);
	io_uring_prep_timeout(sqe, &tenth, 0, 0);
	sqe->user_data = 4;
	io_uring_submit_and_wait(&ring, 1);
	sum += reap(1);
	/* More than the ring has room for, and all of one name. */
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 4; i++)
			named(prepare_nop, -1, 5);
		io_uring_submit(&ring);
		sum += reap(4);
	}
	io_uring_queue_exit(&ring);
	printf("%d\n", sum);
	return 0;
}
"""

MAIN = PROGRAM + r"""
int main(void)
{
	return work();
}
"""

PLUGGED = r"""
#include <dlfcn.h>

int main(void)
{
	void *plugin = dlopen("./plugin.so", RTLD_NOW | RTLD_LOCAL);
	int (*work)(void) = plugin ? (int (*)(void))dlsym(plugin, "work") : 0;

	return work ? work() : 5;
}
"""


def compiled(p, name, source, *flags):
    try:
        return p.compile(name, source, *flags)
    except Skip as reason:
        raise Skip(f"{reason}; or liburing-dev is not installed") from reason


def tasks(p):
    p.valid("x.trace")
    out = subprocess.run([place.STELE, "report", "--json", p.path("x.trace")], check=True,
                         capture_output=True, text=True).stdout
    report = json.loads(out)
    return report, {task["name"]: task for task in report["tasks"]["top"]}


def recorded(p, program):
    bare = subprocess.run([p.path(program)], cwd=p.directory, capture_output=True, text=True,
                          check=False)
    if bare.returncode == 77:
        raise Skip("there is no io_uring here")
    done = p.record("-f", "-o", "x.trace", "--", p.path(program))
    equal((done.returncode, done.stdout), (0, bare.stdout), done.stderr)
    return tasks(p)


@case
def operations_are_tasks_with_their_files_and_times():
    with place.Place() as p:
        compiled(p, "ring", MAIN, "-O1", "-DCHECK_LAYOUT", f"-I{ROOT}/src", f"-I{ROOT}/include",
                 "-luring")
        report, found = recorded(p, "ring")
        file = os.path.join(os.path.realpath(p.directory), "file.data")
        for name, count in ((f"io_uring write {file}", 1), (f"io_uring read {file}", 1),
                            ("io_uring read", 1), ("io_uring timeout", 1),
                            ("io_uring nop", 200)):
            equal(found[name]["count"], count, name)
        check(95e6 < found["io_uring timeout"]["total_ns"] < 200e6, found["io_uring timeout"])
        check(all(not task["open_count"] for task in found.values()), found)
        calls = {call["name"]: call for call in report["calls"]["top"]}
        check(calls["io_uring_enter"]["count"] > 50, calls)
        events = subprocess.run([place.STELE, "events", p.path("x.trace")], check=True,
                                capture_output=True, text=True).stdout
        check('"errno"' in events, "the operation that failed says nothing")


@case
def a_plugin_with_liburing_of_its_own_works_as_before():
    with place.Place() as p:
        compiled(p, "plugged", PLUGGED, "-ldl")
        for library in ("-luring", "-l:liburing.a"):
            compiled(p, "plugin.so", PROGRAM, "-shared", "-fPIC", library)
            _, found = recorded(p, "plugged")
            # Of what is linked in, whether its functions can be interposed is the linker's choice.
            if library == "-luring":
                equal(found["io_uring nop"]["count"], 200)


run()
