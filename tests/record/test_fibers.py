#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Programs on fibers, recorded from outside and by themselves: sound, whole, and as they were.

usage: test_fibers.py STELE MIDWAY EXAMPLES     EXAMPLES: the folder of their programs
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from pairs import Pairs  # noqa: E402
from tap import case, check, equal, run  # noqa: E402

STELE, MIDWAY, EXAMPLES = (pathlib.Path(a).resolve() for a in sys.argv[1:4])
RECORDINGS = 6
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("STELE_")}


def execute(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, timeout=200, check=False,
                          env=CLEAN)
    return done.returncode, done.stdout, done.stderr


def ok(*command):
    status, out, err = execute(*command)
    equal(status, 0, f"{command}: {out[-500:].decode()}{err[-500:].decode()}")
    return out


class Trace:
    """One of a recorded example."""

    def __init__(self, name, *arguments, options=()):
        with tempfile.TemporaryDirectory(prefix="stele-fibers-") as folder:
            trace = pathlib.Path(folder) / "trace"
            self.out = ok(STELE, "record", "-o", trace, "--on-full=block", *options, "--",
                          EXAMPLES / f"example-{name}", *arguments).decode()
            ok(STELE, "check", trace)
            self.info = json.loads(ok(STELE, "info", "--json", trace))
            self.report = json.loads(ok(STELE, "report", "--json", trace))
            self.events = ok(STELE, "events", trace)
        equal(self.info["lost"]["events"], 0, f"lost of {name}")


@case
def calls_that_wait_move_no_other_events():
    """A free that is shown behind the next alloc of its address is a broken pair."""
    with tempfile.TemporaryDirectory(prefix="stele-fibers-") as folder:
        trace = pathlib.Path(folder) / "trace"
        ok(STELE, "record", "--heap", "-o", trace, "--", MIDWAY, "-", "1")
        answer = json.loads(ok(STELE, "heap", "--json", trace))
        equal(answer["trust"]["lost"]["events"], 0, "lost")
        for row in answer["broken"]:
            row.pop("stack", None)
        equal(answer["broken"], [], "broken pairs")


@case
def recordings_that_begin_in_the_midst_break_no_pair():
    with tempfile.TemporaryDirectory(prefix="stele-fibers-") as folder:
        ok(MIDWAY, folder, RECORDINGS)
        for i in range(RECORDINGS):
            trace = pathlib.Path(folder) / f"{i}.trace"
            ok(STELE, "check", trace)
            pairs = Pairs(ok(STELE, "events", trace).splitlines())
            equal(pairs.broken(), (0, 0), f"broken pairs of recording {i}")
            for name in ("HeapObject", "HeapObjectAlloc", "GoroutineStack", "Span"):
                check(pairs.counts[name] > 0, f"recording {i} has no {name}")
            lost = json.loads(ok(STELE, "info", "--json", trace))["lost"]["events"]
            equal(lost, 0, f"lost of recording {i}")


@case
def a_fiber_is_a_goroutine_from_its_creation_to_its_end():
    trace = Trace("sieve", "50")
    equal(trace.out, "prime 50 is 229\n", "output")
    created = re.findall(rb"G(\d+) NotExist->Runnable", trace.events)
    check(len(created) >= 52, f"{len(created)} goroutines")
    for g in set(created):
        check(re.search(rb"G%s \w+->NotExist" % g, trace.events), f"G{g.decode()} does not end")
    rows = {w["reason"] for w in trace.report["waits"]["top"]}
    check({"chan send", "chan receive"} <= rows, f"waits {rows}")


@case
def tasks_and_regions_follow_the_fiber():
    trace = Trace("contention", "400")
    equal(trace.info["counts"]["tasks"], 400, "tasks")
    equal(trace.info["counts"]["regions"], 1200, "regions")
    sync = [w for w in trace.report["waits"]["top"] if w["reason"] == "sync"]
    check(sync and "run_stage" in json.dumps(sync[0]), "nobody waited for the lock")
    check(b"Label \"look up\"" in trace.events or b'look up' in trace.events, "no label")


@case
def calls_that_block_are_system_calls_and_stacks_grow():
    trace = Trace("hashdir", ROOT / "src", options=("--heap",))
    check(re.search(r"\d+ files, \d+ bytes, 0 failed", trace.out), trace.out)
    check(trace.report["syscalls"]["count"] > 100, "no system calls")
    pairs = Pairs(trace.events.splitlines())
    equal(pairs.broken(), (0, 0), "broken pairs")
    check(pairs.counts["GoroutineStackAlloc"] > pairs.counts["GoroutineStack"], "no stacks")


@case
def a_scheduler_of_ones_own_is_told():
    # What the kernel takes from the thread would count as well.
    trace = Trace("coroutines", options=("--switches=no",))
    equal(trace.out, "counted to 300\n", "output")
    equal(trace.info["counts"]["goroutines"], 5, "goroutines, the first thread's included")
    equal(trace.info["types"]["GoStop"], 300, "yields")
    equal((trace.info["types"]["GoBlock"], trace.info["types"]["GoUnblock"]), (1, 1), "waits")
    equal(trace.info["types"]["GoStart"], 305, "starts")


@case
def an_allocator_of_ones_own_is_told():
    trace = Trace("allocator", options=("--heap",))
    equal(trace.out, "10 cells in use, sum 247500\n", "output")
    pairs = Pairs(trace.events.splitlines())
    equal(pairs.broken(), (0, 0), "broken pairs")
    # Beside the cells: what the program and its libraries take from malloc.
    check(pairs.counts["HeapObjectAlloc"] - pairs.counts["HeapObjectFree"] >= 10, "leaks")
    check(pairs.counts["HeapObjectAlloc"] >= 5000 and pairs.counts["SpanAlloc"] >= 1, "objects")


@case
def without_stacks_there_are_none():
    trace = Trace("sieve", "20", options=("--stack-depth=0",))
    equal(trace.info["lost"]["totals"]["stacks"], 0, "stacks")


run()
