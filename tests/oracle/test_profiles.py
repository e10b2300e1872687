#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts and delays of stele report, stele export --to=pprof and 'go tool trace -pprof' agree.

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
TRACES = ROOT.parent / "shared" / "traces"
KINDS = ("sync", "net", "syscall", "sched")


def need_go():
    """The go command; from 1.26 on its profiles have what ends without a stack, too."""
    try:
        return oracle.go()
    except oracle.Unavailable as reason:
        raise Skip(str(reason)) from None


def profile(data):
    """(count, nanoseconds) by the addresses of a stack, innermost first."""
    message = pbwire.message(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    addresses = {}
    for location in map(pbwire.message, message.get(4, [])):
        addresses[location[1][0]] = location.get(3, [0])[0]
    stacks = {}
    for sample in map(pbwire.message, message.get(2, [])):
        ids = pbwire.numbers(sample[1]) if 1 in sample else []
        stack = tuple(addresses[i] for i in ids)
        count, ns = pbwire.numbers(sample[2])
        before = stacks.get(stack, (0, 0))
        stacks[stack] = before[0] + count, before[1] + ns
    return stacks


def of_go(trace, kind):
    done = subprocess.run([need_go(), "tool", "trace", f"-pprof={kind}", trace],
                          capture_output=True, env=oracle.environment(), check=False)
    check(done.returncode == 0, f"go tool trace: {done.stderr.decode()}")
    return profile(done.stdout)


def exported(trace, kind):
    done = subprocess.run([STELE, "export", "--to=pprof", f"--kind={kind}", "-o", "-", trace],
                          capture_output=True, check=False)
    check(done.returncode == 0, done.stderr.decode())
    return profile(done.stdout)


def total(stacks):
    return tuple(map(sum, zip(*stacks.values()))) if stacks else (0, 0)


def longest_run(trace):
    """The most events that come one ns apart: those of one tick, whose order readers choose."""
    done = subprocess.run([STELE, "export", "--to=csv", "-o", "-", trace], capture_output=True,
                          text=True, check=True)
    times = [int(row.split(",", 1)[0]) for row in done.stdout.splitlines()[1:]]
    longest = length = 1
    for before, now in zip(times, times[1:]):
        length = length + 1 if now - before <= 1 else 1
        longest = max(longest, length)
    return longest


def about(ns, want_ns, count, run_length):
    """Events of the same tick come one ns apart, in any lawful order: an interval that begins or
    ends among some is a few ns longer or shorter. One in ten does, at the most."""
    return abs(ns - want_ns) <= 2 * run_length + count // 10


def profiles_agree(trace, kind):
    """All in all, and in each of the twenty stacks where most of the time went."""
    mine, want, run_length = exported(trace, kind), of_go(trace, kind), longest_run(trace)
    where = f"{kind} of {trace.name}"
    equal(total(mine)[0], total(want)[0], f"count, {where}")
    check(about(total(mine)[1], *reversed(total(want)), run_length),
          f"{where}: {total(mine)}, {total(want)}")
    top = sorted(want, key=lambda stack: -want[stack][1])[:20]
    for stack in top:
        count, ns = mine.get(stack, (0, 0))
        equal(count, want[stack][0], f"count of {[hex(pc) for pc in stack]}, {where}")
        check(about(ns, want[stack][1], count, run_length),
              f"{where}: {ns}, {want[stack][1]} ns in {stack}")
    return len(top)


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
    for kind in KINDS:
        count, ns = of_stele(report, kind)
        equal(folded(trace, kind), ns, f"folded {kind} of {trace.name}")
        early_count, early_ns = before_first_run(trace, kind)
        want_count, want_ns = total(of_go(trace, kind))
        equal(count - early_count, want_count, f"{kind} of {trace.name}: count")
        check(about(ns - early_ns, want_ns, count, longest_run(trace)),
              f"{kind} of {trace.name}: {ns} - {early_ns}, {want_ns} ns")
        profiles_agree(trace, kind)
    check(report["waits"]["count"] > 0, "a trace without waits says nothing")


@case
def given_traces_have_the_same_profiles():
    need_go()
    if not TRACES.is_dir():
        raise Skip("the traces are not here")
    stacks = 0
    for packed in sorted(TRACES.glob("*.trace.zst")):
        name = packed.name.removesuffix(".zst")
        if "-af" in name or name.startswith(("failing", "killed")):
            continue
        trace = FOLDER / name
        subprocess.run(["zstd", "-dqf", packed, "-o", trace], check=True)
        stacks += sum(profiles_agree(trace, kind) for kind in KINDS)
        trace.unlink()
    check(stacks > 200, f"only {stacks} stacks compared")
    print(f"# {stacks} stacks compared")


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
def go_tool_pprof_opens_heap_profiles():
    go = need_go()
    if BUSY == "-":
        raise Skip("nothing is recorded in this build")
    trace, out = FOLDER / "leaks.trace", FOLDER / "leaks.pb.gz"
    subprocess.run([STELE, "record", "-q", "-f", "--heap", "-o", trace, "--",
                    pathlib.Path(BUSY).parent / "leaks"], check=True)
    # leak() keeps 1,000 objects of 48 bytes, large() has 201 at the peak, churn() makes 5,000.
    for kind, index, function, value in (("heap", "inuse_space", "leak", "46.88kB"),
                                         ("heap", "inuse_objects", "leak", "1000"),
                                         ("heap", "alloc_objects", "churn", "5000"),
                                         ("peak", "peak_objects", "large", "201"),
                                         ("temporary", "temporary_objects", "churn", "5000")):
        subprocess.run([STELE, "export", "-f", "--to=pprof", f"--kind={kind}", "-o", out, trace],
                       check=True)
        done = subprocess.run([go, "tool", "pprof", "-top", "-nodefraction=0",
                               f"-sample_index={index}", out], capture_output=True, text=True,
                              env=oracle.environment(), check=False)
        rows = [line.split() for line in done.stdout.splitlines()]
        got = [row[0] for row in rows if len(row) == 6 and row[5] == function]
        equal(got, [value], f"{index} of {kind}: {done.stdout}{done.stderr}")


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
