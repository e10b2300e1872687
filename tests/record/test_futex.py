#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Waits for locks that a program makes of futexes by itself, through libc's syscall().

usage: test_futex.py STELE
"""
import json
import re
import subprocess

import place
from support.tap import case, check, equal, run

# A mutex as in "Futexes are tricky", held for 100 ms while another thread wants it; calls of other
# kinds, with six arguments and with errors.
PROGRAM = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint32_t word;

__attribute__((noinline)) static void lock(void)
{
	uint32_t seen = 0;

	if (__atomic_compare_exchange_n(&word, &seen, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	while (__atomic_exchange_n(&word, 2, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 2, NULL, NULL, 0);
}

__attribute__((noinline)) static void unlock(void)
{
	if (__atomic_exchange_n(&word, 0, __ATOMIC_RELEASE) == 2)
		syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
}

static void *other(void *unused)
{
	lock();
	unlock();
	return unused;
}

int main(void)
{
	const struct timespec time = {0, 100000000};
	pthread_t thread;
	char *page;
	long child;

	lock();
	pthread_create(&thread, NULL, other, NULL);
	nanosleep(&time, NULL);
	unlock();
	pthread_join(thread, NULL);
	page = (char *)syscall(SYS_mmap, 0L, 4096L, (long)(PROT_READ | PROT_WRITE),
			       (long)(MAP_PRIVATE | MAP_ANONYMOUS), -1L, 0L);
	if (page == MAP_FAILED)
		return 1;
	strcpy(page, "mapped");
	errno = 0;
	if (syscall(SYS_close, -1L) != -1 || errno != EBADF)
		return 2;
	errno = 0;
	if (syscall(SYS_futex, &word, FUTEX_WAIT, 7, NULL, NULL, 0) != -1 || errno != EAGAIN)
		return 3;
	child = syscall(SYS_getpid) == getpid() ? fork() : -1;
	if (child == 0)
		_exit(syscall(SYS_getppid) > 0 ? 5 : 6);
	int status;
	if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 5)
		return 4;
	puts(page);
	return 0;
}
"""


@case
def lock_of_a_futex_is_waited_for_and_given_up():
    with place.Place() as p:
        program = p.compile("futexes", PROGRAM, "-O2", "-g", "-pthread")
        done = p.record("-o", "x.trace", "--", program)
        equal((done.returncode, done.stdout), (0, "mapped\n"), done.stderr)
        p.valid("x.trace")
        waits = subprocess.run([place.STELE, "events", p.path("x.trace")], check=True,
                               capture_output=True, text=True).stdout
        thread = re.search(r' m=(\d+) .*Running->Waiting "sync \(futex\)".* at lock:', waits)[1]
        answer = json.loads(subprocess.run([place.STELE, "why", "--json", "--thread", thread,
                                            p.path("x.trace")], check=True, capture_output=True,
                                           text=True).stdout)
        row = answer["all"]["rows"][0]
        equal((row["reason"], row["lock"], row["who"]), ("sync (futex)", "word", "main"), row)
        check(90e6 < row["ns"] < 2e9, row)
        equal(row["stack"][0]["function"], "lock")
        check(row["released"]["function"] in ("unlock", "main"), row)


run()
