#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""stele heap on a program that uses memory in known ways.

usage: test_leaks.py STELE LEAKS
"""
import json
import os
import subprocess
import sys

import place
from support.tap import case, check, equal, run

LEAKS = os.path.abspath(sys.argv[2])


def heap(*arguments, options=()):
    with place.Place() as p:
        done = p.record("-o", "t", "--heap", *options, "--", LEAKS, *arguments)
        equal(done.returncode, 0, done.stderr)
        answer = subprocess.run([place.STELE, "heap", "--json", p.path("t")], capture_output=True,
                                text=True, check=True)
    return json.loads(answer.stdout)


def sites(answer, function):
    """The sums of the places in this function."""
    found = [s for s in answer["sites"]["top"] if s["stack"] and
             s["stack"][0]["function"] == function]
    check(found, f"no place in {function}")
    return {k: sum(s[k] for s in found) for k in ("allocated", "freed", "live", "live_bytes",
                                                  "temporary", "at_peak", "at_peak_bytes")}


@case
def a_leak_has_its_place_and_number():
    answer = heap()
    equal(answer["broken"], [])
    equal(sites(answer, "leak"), {"allocated": 1000, "freed": 0, "live": 1000,
                                  "live_bytes": 48000, "temporary": 0, "at_peak": 1000,
                                  "at_peak_bytes": 48000})
    top = answer["sites"]["top"][0]
    equal(([f["function"] for f in top["stack"][:2]], top["size"]), (["leak", "main"], 48))


@case
def temporary_objects_are_counted():
    got = sites(heap(), "churn")
    equal((got["allocated"], got["freed"], got["temporary"]), (5000, 5000, 5000))


@case
def the_peak_is_where_most_was_alive():
    answer = heap()
    got = sites(answer, "large")
    equal((got["live"], got["at_peak"], got["at_peak_bytes"]), (0, 201, 200 * 10000 + 1600))
    objects = answer["memory"]["objects"]
    check(2_049_600 <= objects["peak_bytes"] <= 2_060_000, objects)


@case
def what_another_thread_frees_is_not_temporary():
    got = sites(heap(), "take")
    equal((got["allocated"], got["freed"], got["temporary"]), (1, 1, 0))


@case
def a_double_free_is_named_with_both_threads_and_the_place():
    # glibc does not see it: each thread has a cache of its own.
    answer = heap("twice")
    twice, = [b for b in answer["broken"] if b["cause"] == "double_free"]
    equal((twice["family"], twice["kind"], twice["count"]), ("objects", "free", 1))
    check(twice["freed_by"] != twice["thread"] and twice["freed_ns"] < twice["time_ns"], twice)
    equal([f["function"] for f in twice["stack"][:2]], ["take", "main"])


@case
def a_sample_says_about_the_same():
    answer = heap(options=["--heap=4K"])
    equal(answer["memory"]["sample_bytes"], 4096)
    # Of 2 MB in objects of 10,000 bytes nine of ten are there.
    check(abs(sites(answer, "large")["at_peak_bytes"] - 2_000_000) < 300_000, "the estimate")


run()
