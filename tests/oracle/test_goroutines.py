#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Times of goroutines and of regions in stele report are those on the pages of 'go tool trace'.

usage: test_goroutines.py STELE BUILD BUSY|-     BUSY: a program to record, beside the examples
"""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "oracle")]
import gotrace  # noqa: E402
import oracle  # noqa: E402
from tap import Skip, case, check, equal, run  # noqa: E402

STELE, BUILD, BUSY = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]), sys.argv[3]
FOLDER = (BUILD / "tests" / "oracle" / "goroutines").resolve()
FOLDER.mkdir(parents=True, exist_ok=True)
TRACES = ROOT.parent / "shared" / "traces"


def need_go():
    try:
        return oracle.go()
    except oracle.Unavailable as reason:
        raise Skip(str(reason)) from None


def of_go(trace):
    """Times of goroutines, and of regions by name."""
    with gotrace.pages(need_go(), trace, oracle.environment()) as address:
        return gotrace.goroutines(address), gotrace.regions(address)


def of_stele(trace):
    done = subprocess.run([STELE, "report", "--json", trace], capture_output=True, text=True,
                          check=False)
    check(done.returncode == 0, done.stderr)
    return json.loads(done.stdout)


def waiting(times):
    """ns by reason."""
    return {title.removeprefix("Block time (")[:-1]: ns for title, ns in times.items()
            if title.startswith("Block time (") and title != "Block time (syscall)" and ns}


def near(got, want, changes, where):
    """Events of one tick (64 ns in Go) come one ns apart, in any lawful order: with each change an
    interval may be a few ns longer or shorter."""
    check(abs(got - want) <= 16 + changes, f"{where}: {got}, {want} ns")


def lead_agrees(row, times, where):
    """Stele tells of a thread when it appears, be it long after the generation's beginning, from
    which on Go counts: one state is longer there."""
    lead = times["Total"] - row["wall_ns"]
    calls = times["Syscall execution time"] + times["Block time (syscall)"]
    more = [times["Execution time"] - row["running_ns"], times["Sched wait time"] - row["ready_ns"],
            calls - row["syscall_ns"], sum(waiting(times).values()) - row["waiting_ns"]]
    changes = row["waits"] + row["syscalls"] + 2
    check(lead >= -16 and min(more) >= -16 - changes, f"{lead}: {more}, {where}")
    near(max(more), lead, changes, f"before it appeared, {where}")


def goroutine_agrees(row, times, where):
    changes = row["waits"] + row["syscalls"] + 2
    calls = times["Syscall execution time"] + times["Block time (syscall)"]
    near(row["wall_ns"], times["Total"], 0, f"total, {where}")
    near(row["running_ns"], times["Execution time"], changes, f"running, {where}")
    # Go counts a call that has not ended by then, and that lost its P, as waiting for one, too.
    twice = max(0, sum(ns for title, ns in times.items() if title != "Total") - times["Total"])
    near(row["ready_ns"], times["Sched wait time"] - twice, changes, f"ready, {where}")
    near(row["syscall_ns"], calls, changes, f"system calls, {where}")
    reasons = waiting(times)
    near(row["waiting_ns"], sum(reasons.values()), changes, f"waiting, {where}")
    for share in row["waiting_for"]:
        if len(row["waiting_for"]) < 6 and share["ns"]:
            near(share["ns"], reasons.get(share["reason"], 0), changes,
                 f"{share['reason']}, {where}")


def is_over_in_go(row, times):
    """Who waits for ever has ended in Go's eyes, and its time is not told."""
    return any(share["reason"] == "forever" for share in row["waiting_for"]) or \
        times["Total"] == 0


def groups_agree(report, want, where):
    """Those that are too many to be told one by one are in these sums."""
    sums = {}
    for function, times in want.values():
        count, ns = sums.get(function, (0, 0))
        sums[function] = count + 1, ns + times["Execution time"]
    for group in report["groups"]:
        count, ns = sums.pop(group["entry"])
        equal(group["members"], count, f"how many {group['entry']}, {where}")
        near(group["running_ns"], ns, 16 * count + ns // 10000,
             f"running, all {group['entry']}, {where}")


def agree(trace):
    """(goroutines, regions) that were compared."""
    report = of_stele(trace)
    want, want_regions = of_go(trace)
    compared = 0
    for row in report["threads"]:
        where = f"goroutine {row['goroutine']} of {trace.name}"
        check(row["goroutine"] in want, f"Go does not know {where}")
        function, times = want[row["goroutine"]]
        if is_over_in_go(row, times):
            continue
        # It may be known from a stack of its own; and a thread begins in main, not in _start.
        if function and not report["trust"]["stele"]:
            equal(row["entry"], function, f"function of {where}")
        (lead_agrees if report["trust"]["stele"] else goroutine_agrees)(row, times, where)
        compared += 1
    check(compared >= min(len(want), 4096) - 1, f"{compared} of {len(want)}, {trace.name}")
    if not report["trust"]["stele"]:
        groups_agree(report, want, trace.name)
    # Go takes goroutines that a region's task is handed down to for regions without a name.
    mine = {row["name"]: row for row in report["regions"]["top"] if row["name"]}
    check(set(mine) == set(want_regions), f"regions of {trace.name}")
    for name, durations in want_regions.items():
        row, where = mine[name], f"region {name} of {trace.name}"
        equal(row["count"] + row["open_count"], len(durations), f"how many, {where}")
        near(row["total_ns"] + row["open_ns"], sum(durations), len(durations), f"time, {where}")
        if not row["open_count"]:
            near(row["max_ns"], max(durations), 0, f"longest, {where}")
    return compared, sum(map(len, want_regions.values()))


def compared_all(sums):
    goroutines, regions = map(sum, zip(*sums))
    print(f"# {goroutines} goroutines and {regions} regions compared")
    return goroutines, regions


@case
def given_traces_have_the_same_times():
    need_go()
    if not TRACES.is_dir():
        raise Skip("the traces are not here")
    sums = []
    for packed in sorted(TRACES.glob("*.trace.zst")):
        name = packed.name.removesuffix(".zst")
        if name.startswith(("failing", "killed", "procstatus")):
            continue  # broken
        trace = FOLDER / name
        subprocess.run(["zstd", "-dqf", packed, "-o", trace], check=True)
        sums.append(agree(trace))
        trace.unlink()
    goroutines, regions = compared_all(sums)
    check(goroutines > 10000 and regions > 500, "too few")


@case
def go_programs_have_the_same_times():
    need_go()
    try:
        maker = oracle.oracle(BUILD)
    except oracle.Unavailable as reason:
        raise Skip(str(reason)) from None
    done = subprocess.run([maker, "-make", FOLDER], capture_output=True, text=True, check=False)
    check(done.returncode == 0, done.stderr)
    compared_all([agree(FOLDER / f"{name}.trace")
                  for name in ("pass", "switches", "long", "annotate", "collect")])


@case
def recorded_programs_have_the_same_times():
    need_go()
    if BUSY == "-":
        raise Skip("nothing is recorded in this build")
    examples = BUILD / "examples"
    commands = {"busy": [BUSY, "4", "20"], "sieve": [examples / "example-sieve", "60"],
                "contention": [examples / "example-contention", "300"]}
    sums = []
    for name, command in commands.items():
        trace = FOLDER / f"{name}.trace"
        done = subprocess.run([STELE, "record", "-q", "-f", "-o", trace, "--", *command],
                              capture_output=True, text=True, check=False)
        check(done.returncode == 0, done.stderr)
        sums.append(agree(trace))
    compared_all(sums)


run()
