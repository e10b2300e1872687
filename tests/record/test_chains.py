#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stacks of programs that were built without unwind data: by frame pointers, if they have them.

usage: test_chains.py STELE
"""
import json
import platform
import subprocess

import place
from support.tap import Skip, case, check, equal, run

# As much code as of a program for which unwind data would have mattered.
SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__asm__(".text\n.skip 400000, 0x90\n");

static volatile int sink;

__attribute__((noinline)) void innermost(unsigned us)
{
	usleep(us);
	sink++;
}

__attribute__((noinline)) void middle(int n)
{
	volatile char room[64];

	room[n] = 1;
	innermost(20000);
	sink += room[n];
}

__attribute__((noinline)) int compare(const void *a, const void *b)
{
	innermost(1000);
	return *(const int *)a - *(const int *)b;
}

__attribute__((noinline)) void through_a_library(void)
{
	int some[2] = {2, 1};

	qsort(some, 2, sizeof(some[0]), compare);
	sink += some[0];
}

int main(void)
{
	middle(3);
	through_a_library();
	return sink == 77;
}
"""
WITHOUT = ["-O2", "-g", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables",
           "-fno-optimize-sibling-calls"]
DEEP = ["innermost", "middle", "main"]


def sleeps(*flags):
    """The functions of each place where it slept, of the program itself and of libc."""
    if platform.machine() != "x86_64":
        raise Skip("frame records tell enough on x86-64 only")
    with place.Place() as p:
        program = p.compile("chains", SOURCE, *WITHOUT, *flags, compiler="gcc")
        done = p.record("-o", "t", "--", program)
        equal(done.returncode, 0, done.stderr)
        p.valid("t")
        got = json.loads(subprocess.run([place.STELE, "report", "--json", p.path("t")],
                                        capture_output=True, text=True, check=True).stdout)
    return [[frame["function"] for frame in wait["stack"]] for wait in got["waits"]["top"]
            if wait["reason"] == "sleep"]


@case
def frame_pointers_lead_through_code_without_unwind_data():
    stacks = sleeps("-fno-omit-frame-pointer")
    deep, = [s for s in stacks if "middle" in s]
    equal(deep[:3], DEEP)
    # And on, by the unwind data of libc.
    check("__libc_start_main" in " ".join(deep), deep)
    through, = [s for s in stacks if "compare" in s]
    equal(through[:2], ["innermost", "compare"])
    # Out of libc's frames into the program's again.
    check(through.index("through_a_library") > 2, through)
    equal(through[through.index("through_a_library") + 1], "main")


@case
def what_is_no_frame_pointer_is_not_believed():
    for stack in sleeps("-fomit-frame-pointer"):
        equal(stack[:1], ["innermost"])
        check(stack == DEEP[:len(stack)] or stack == ["innermost", "compare"][:len(stack)], stack)


run()
