#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts and delays of stele report and of 'go tool trace -pprof' agree.

usage: test_profiles.py STELE BUILD BUSY|-     BUSY: a program to record, beside the examples
"""
import csv
import gzip
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "oracle")]
import pbwire  # noqa: E402
import oracle  # noqa: E402
from tap import Skip, case, check, equal, run  # noqa: E402

STELE, BUILD, BUSY = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]), sys.argv[3]
FOLDER = BUILD / "tests" / "oracle" / "profiles"
FOLDER.mkdir(parents=True, exist_ok=True)


def need_go():
    """The go command; from 1.26 on its profiles have what ends without a stack, too."""
    try:
        return oracle.go()
    except oracle.Unavailable as reason:
        raise Skip(str(reason)) from None


def of_go(trace, kind):
    """(count, nanoseconds) over all samples of Go's profile."""
    done = subprocess.run([need_go(), "tool", "trace", f"-pprof={kind}", trace],
                          capture_output=True, env=oracle.environment(), check=False)
    check(done.returncode == 0, f"go tool trace: {done.stderr.decode()}")
    data = done.stdout
    profile = pbwire.message(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    total = [0, 0]
    for sample in profile.get(2, []):
        values = list(pbwire.numbers(pbwire.message(sample)[2]))
        total = [total[0] + values[0], total[1] + values[1]]
    return tuple(total)


def is_of(row, kind):
    if kind == "net":
        return row["reason"] == "network"
    return any(word in row["reason"] for word in ("chan", "sync", "select"))


def of_stele(report, kind):
    rows = {"syscall": report["syscalls"], "sched": report["ready"]}.get(kind, report["waits"])
    rows = [r for r in rows["top"] if "reason" not in r or is_of(r, kind)]
    return sum(r["count"] for r in rows), sum(r["total_ns"] for r in rows)


def folded(trace, kind):
    done = subprocess.run([STELE, "export", "--to=folded", f"--kind={kind}", "-o", "-", trace],
                          capture_output=True, text=True, check=False)
    check(done.returncode == 0, done.stderr)
    return sum(int(line.rsplit(" ", 1)[1]) for line in done.stdout.splitlines())


def before_first_run(trace, kind):
    """(count, ns) of what goroutines did before they first ran: Go's profiles leave that out."""
    done = subprocess.run([STELE, "export", "--to=csv", "-o", "-", trace], capture_output=True,
                          text=True, check=True)
    state = {"sched": "Runnable", "syscall": "Syscall"}.get(kind, "Waiting")
    count = ns = 0
    began, ran = {}, set()
    for row in csv.DictReader(done.stdout.splitlines()):
        goroutine = row["id"]
        if row["resource"] != "goroutine" or goroutine in ran or row["from"] == row["to"]:
            continue
        if goroutine in began:
            count, ns = count + 1, ns + int(row["time_ns"]) - began.pop(goroutine)
        if row["to"] == "Running":
            ran.add(goroutine)
        elif row["to"] == state and (state != "Waiting" or is_of(row, kind)):
            began[goroutine] = int(row["time_ns"])
    return count, ns


def agree(trace):
    done = subprocess.run([STELE, "report", "--json", trace], capture_output=True, text=True,
                          check=False)
    check(done.returncode == 0, done.stderr)
    report = json.loads(done.stdout)
    for kind in ("sync", "net", "syscall", "sched"):
        count, ns = of_stele(report, kind)
        equal(folded(trace, kind), ns, f"folded {kind} of {trace.name}")
        early_count, early_ns = before_first_run(trace, kind)
        want_count, want_ns = of_go(trace, kind)
        equal(count - early_count, want_count, f"{kind} of {trace.name}: count")
        # Events of the same tick come one ns apart, in any lawful order: an interval that begins
        # or ends among some is a few ns longer or shorter. One in ten does, at the most.
        check(abs(ns - early_ns - want_ns) <= 2 + count // 10,
              f"{kind} of {trace.name}: {ns} - {early_ns}, {want_ns} ns")
    check(report["waits"]["count"] > 0, "a trace without waits says nothing")


@case
def go_programs_have_the_same_delays():
    need_go()
    try:
        maker = oracle.oracle(BUILD)
    except oracle.Unavailable as reason:
        raise Skip(str(reason)) from None
    done = subprocess.run([maker, "-make", FOLDER.resolve()], capture_output=True, text=True,
                          check=False)
    check(done.returncode == 0, done.stderr)
    for name in ("pass", "switches", "long", "annotate", "collect"):
        agree(FOLDER / f"{name}.trace")


@case
def a_c_program_has_the_same_delays():
    need_go()
    if BUSY == "-":
        raise Skip("nothing is recorded in this build")
    trace = FOLDER / "busy.trace"
    done = subprocess.run([STELE, "record", "-q", "-f", "-o", trace, "--", BUSY, "4", "20"],
                          capture_output=True, text=True, check=False)
    check(done.returncode == 0, done.stderr)
    agree(trace)


@case
def programs_on_fibers_have_the_same_delays():
    need_go()
    if BUSY == "-":
        raise Skip("nothing is recorded in this build")
    for name, argument in (("sieve", "60"), ("contention", "300"), ("hashdir", str(ROOT / "docs"))):
        trace = FOLDER / f"{name}.trace"
        done = subprocess.run([STELE, "record", "-q", "-f", "-o", trace, "--",
                               BUILD / "examples" / f"example-{name}", argument],
                              capture_output=True, text=True, check=False)
        check(done.returncode == 0, done.stderr)
        agree(trace)


run()
