#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""stele heap on the alloc/free traces of Go programs: what is broken in each is known, its counts
agree with those of a second implementation, and with what the events add up to.

usage: test_pairs.py STELE BUILD

The given traces and the second implementation are in ../shared, traces of the Go that is installed
need that; cases whose input is not there are skipped.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
import oracle  # noqa: E402
from tap import Skip, case, check, equal, run  # noqa: E402

STELE, BUILD = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
TRACES = HERE.parents[2] / "shared" / "traces"
FAMILIES = {"Span": "spans", "HeapObject": "objects", "GoroutineStack": "stacks"}

# Go 1.23 skips spans and stacks on re-entry, and forces clocks on; stacks of goroutines that had
# ended before the trace began are in no snapshot. The other traces have nothing broken.
BROKEN = {
    "allocnode-af-10m": {("objects", "alloc", "inverted"): 592, ("stacks", "free", "existed"): 1},
    "allocwide-af": {("objects", "free", "header"): 8999},
    "gc-af": {("objects", "free", "header"): 11, ("stacks", "alloc", "skipped"): 5,
              ("stacks", "free", "skipped"): 8, ("stacks", "free", "existed"): 4},
    "grown-af": {("stacks", "alloc", "skipped"): 2, ("stacks", "free", "skipped"): 2},
    "many-af": {("objects", "free", "header"): 8, ("stacks", "alloc", "skipped"): 2,
                ("stacks", "free", "existed"): 1},
    "signals-af": {("stacks", "free", "existed"): 1},
    "ungrown-af": {("stacks", "alloc", "skipped"): 141, ("stacks", "free", "skipped"): 137,
                   ("stacks", "free", "existed"): 6},
    "user-af": {("stacks", "alloc", "skipped"): 501, ("stacks", "free", "skipped"): 507,
                ("stacks", "free", "existed"): 2},
    # Two generations out of the midst of a recording, most events of objects taken out.
    "procstatus-af": {("spans", "free", "skipped"): 32, ("spans", "free", "existed"): 138,
                      ("objects", "free", "header"): 33, ("objects", "alloc", "unknown"): 57,
                      ("objects", "free", "existed"): 3496, ("objects", "free", "unknown"): 1218,
                      ("stacks", "alloc", "skipped"): 556, ("stacks", "free", "skipped"): 570,
                      ("stacks", "free", "existed"): 17},
}
# The second implementation takes each alloc after a missing free, too, for one out of order.
ALIVE_DIFFERS = {("grown-af", "stacks"), ("procstatus-af", "objects")}


def reference():
    try:
        return oracle.reference(BUILD)
    except oracle.Unavailable as reason:
        raise Skip(str(reason)) from reason


def heap(trace):
    done = subprocess.run([STELE, "heap", "--json", trace], capture_output=True, text=True,
                          check=False)
    check(done.returncode in (0, 3), done.stderr)
    answer = json.loads(done.stdout)
    broken = {(b["family"], b["kind"], b["cause"]): b["count"] for b in answer["broken"]}
    return answer["memory"], broken


def counted(program, trace):
    """By family, what the second implementation has counted."""
    lines = subprocess.run([program, "-pairs", trace], capture_output=True, text=True,
                           check=False).stdout.splitlines()
    names, *rows = [line.split("\t") for line in lines[:4]]
    return {FAMILIES[row[0]]: dict(zip(names[1:], map(int, row[1:]))) for row in rows}


def agree(name, trace, program):
    memory, broken = heap(trace)
    events = counted(program, trace)
    for family in FAMILIES.values():
        got, want = memory[family], events[family]
        of = {key[1:]: count for key, count in broken.items() if key[0] == family}
        strays = sum(count for (kind, cause), count in of.items()
                     if kind == "free" and cause != "header")
        replaced = sum(count for (kind, cause), count in of.items()
                       if kind == "alloc" and cause not in ("inverted", "tiny"))
        where = f"{family} of {name}"
        # Stacks of no size, all at address 0, of goroutines that have none.
        none = want["odd_exists"]
        equal(got["existed"], want["exists"] - none, f"existed, {where}")
        equal(got["allocated"] - got["existed"] + of.get(("alloc", "tiny"), 0), want["alloc"],
              f"allocated, {where}")
        equal(got["freed"], want["free"] - strays + replaced + of.get(("unending", "span"), 0),
              f"freed, {where}")
        if not of.get(("alloc", "tiny")) and (name, family) not in ALIVE_DIFFERS:
            equal(got["live"], want["live_at_end"] - (none > 0), f"alive, {where}")
    return broken


@case
def what_is_wrong_with_each_given_trace_is_told():
    if not TRACES.is_dir():
        raise Skip("the traces are not here")
    program, told = reference(), 0
    with tempfile.TemporaryDirectory(prefix="stele-pairs-") as folder:
        trace = pathlib.Path(folder, "trace")
        for packed in sorted(TRACES.glob("*-af*.trace.zst")):
            name = packed.name.removesuffix(".trace.zst")
            subprocess.run(["zstd", "-dqf", packed, "-o", trace], check=True)
            equal(agree(name, trace, program), BROKEN.get(name, {}), name)
            told += 1
    check(told > 15, f"only {told} traces")


@case
def nothing_is_unexplained_in_fresh_traces():
    program, found = reference(), set()
    with tempfile.TemporaryDirectory(prefix="stele-pairs-") as folder:
        subprocess.run([oracle.oracle(BUILD), "-make", folder], check=True,
                       env={**os.environ, "GODEBUG": "traceallocfree=1"})
        for trace in sorted(pathlib.Path(folder).iterdir()):
            if trace.name == "flight.trace":  # begins without a snapshot
                continue
            broken = agree(trace.stem, trace, program)
            found |= set(broken)
            check(set(broken) <= {("objects", "free", "header"), ("objects", "alloc", "tiny"),
                                  ("objects", "alloc", "inverted"),
                                  ("stacks", "alloc", "inverted"),
                                  ("stacks", "free", "existed")}, f"{trace.name}: {broken}")
    check({("objects", "free", "header"), ("objects", "alloc", "tiny")} <= found, f"only {found}")


run()
