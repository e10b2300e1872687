#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Threads run only while they have a processor, where the kernel may tell.

usage: test_switches.py STELE RIVALS
"""
import json
import os
import subprocess
import sys

import place
from support.tap import Skip, case, check, equal, run

RIVALS = os.path.abspath(sys.argv[2])
MS = 1_000_000


def permitted():
    done = subprocess.run([place.STELE, "doctor"], capture_output=True, text=True, check=False)
    return "the kernel tells which threads have a processor" in done.stdout


def report(p, trace):
    p.valid(trace)
    done = subprocess.run([place.STELE, "report", "--json", p.path(trace)], capture_output=True,
                          text=True, check=True)
    return json.loads(done.stdout)


def rivals(answer):
    return [thread for thread in answer["threads"] if thread["entry"] == "rival"]


@case
def running_is_having_a_processor_and_ready_is_waiting_for_one():
    if not permitted():
        raise Skip("the kernel may not tell of context switches here")
    with place.Place() as p:
        done = p.record("--switches=yes", "--strict", "-o", "x.trace", "--", RIVALS)
        equal(done.returncode, 0, done.stderr)
        ran = sorted(map(int, done.stdout.split()))
        answer = report(p, "x.trace")
        told = sorted(thread["running_ns"] for thread in rivals(answer))
        for ns, by_kernel in zip(told, ran):
            check(abs(ns - by_kernel) < by_kernel / 20, f"ran {ns} ns, the kernel says {by_kernel}")
        # While one runs the other one is ready, but for what others had of the processor.
        for thread in rivals(answer):
            check(thread["ready_ns"] > 150 * MS, thread)
            waits = {wait["reason"]: wait["ns"] for wait in thread["waiting_for"]}
            check(95 * MS < waits["kernel"] < 400 * MS, waits)
        totals = answer["trust"]["lost"]["totals"]
        check(totals["context switches"] > 100 and not totals["context switches lost"], totals)


@case
def without_permission_all_else_is_recorded():
    with place.Place() as p:
        forbid = p.forbidding("perf_event_open", "EACCES")
        for options, status, says in ((["--switches=yes", "--strict"], 125, True),
                                      (["--switches=yes"], 0, True), ([], 0, False),
                                      (["-v"], 0, True)):
            done = subprocess.run([forbid, place.STELE, "record", *options, "-f", "-o", "x.trace",
                                   "--", RIVALS], cwd=p.directory, env=place.ENV,
                                  capture_output=True, text=True, check=False)
            if done.returncode == 77:
                raise Skip("filters of system calls cannot be set here")
            equal(done.returncode, status, done.stderr)
            equal("context switches" in done.stderr, says, done.stderr)
            answer = report(p, "x.trace")
            equal(answer["trust"]["lost"]["totals"]["context switches"], 0)
            for thread in rivals(answer):
                check(thread["running_ns"] > 500 * MS and thread["ready_ns"] < 50 * MS, thread)
        done = subprocess.run([forbid, place.STELE, "doctor"], env=place.ENV, capture_output=True,
                              text=True, check=False)
        check("counts as running" in done.stdout, done.stdout)


@case
def who_does_not_want_it_is_not_told():
    with place.Place() as p:
        done = p.record("--switches=no", "-o", "x.trace", "--", RIVALS)
        equal(done.returncode, 0, done.stderr)
        equal(report(p, "x.trace")["trust"]["lost"]["totals"]["context switches"], 0)
        done = p.record("--switches=perhaps", "--", RIVALS)
        equal(done.returncode, 125, done.stderr)
        place.says(done, "--switches=perhaps")


@case
def children_that_are_followed_are_told_of_too():
    if not permitted():
        raise Skip("the kernel may not tell of context switches here")
    with place.Place() as p:
        # It is followed some time before it executes the program.
        done = p.record("--follow-fork", "-o", "%p.trace", "--", "sh", "-c",
                        f"(sleep 0.3; exec {RIVALS}); true")
        equal(done.returncode, 0, done.stderr)
        found = [thread for trace in p.traces() for thread in rivals(report(p, trace))]
        equal(len(found), 2)
        for thread in found:
            check(thread["ready_ns"] > 150 * MS and thread["running_ns"] < 350 * MS, thread)


run()
