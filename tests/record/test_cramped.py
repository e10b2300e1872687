#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Samples need room for a signal's frame; the program neither lends it nor sees where it is.

usage: test_cramped.py STELE CRAMPED
"""
import os
import subprocess
import sys

import place
from support.tap import case, check, equal, run

PROGRAM = os.path.abspath(sys.argv[2])


def recorded(how):
    """The program's stacks by their counts, in the folded form."""
    with place.Place() as p:
        done = p.record("--cpu-hz=1000", "-o", "x.trace", "--", PROGRAM, how)
        equal(done.returncode, 0, done.stderr)
        p.valid("x.trace")
        return subprocess.run(
            [place.STELE, "export", "--to=folded", "--kind=cpu", "-f", "-o", "-",
             p.path("x.trace")], capture_output=True, text=True, check=True).stdout


@case
def fiber_on_a_page_of_its_own_has_room_for_no_frame():
    stacks = recorded("fiber")
    count = sum(int(line.split()[-1]) for line in stacks.splitlines() if "burn" in line)
    check(count > 50, stacks)


@case
def program_sees_its_own_alternate_stacks_alone():
    recorded("own")


@case
def handlers_run_where_they_would():
    recorded("handler")


@case
def stacks_of_threads_that_ended_are_used_again():
    recorded("threads")


run()
