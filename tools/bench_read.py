#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reading whole traces, event by event: Stele's reader and Go's (golang.org/x/exp/trace) in turn.

usage: bench_read.py BUILD [TRACE…]

Without traces: one of a program that does nothing but allocate, in two sizes, and of Go those
reference traces that are there.
"""
import os
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "oracle"))
import oracle  # noqa: E402

PAIRS = 7
REFERENCE = ("mix-cpu-10m", "allocnode-af-10m")


def run(command):
    """What it printed, and the peak of its memory in KiB."""
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"bench_read.py: {command[0]} failed: {text}")
    return text, usage


def ours(build, trace):
    text, _ = run([build / "bench" / "bench_read", trace, 1])
    found = {k: float(v) for k, v in re.findall(r"^(\w+) ([\d.]+)$", text, re.M)}
    return found["events"], found["wall_ns"], found["cpu_ns"], found["peak_kib"]


def peer(program, trace):
    text, usage = run([program, "-iterate", trace])
    events, wall = map(int, text.split())
    cpu = 1e9 * (usage.ru_utime + usage.ru_stime)
    return events, wall / events, cpu / events, usage.ru_maxrss


def compare(build, program, trace, name):
    us, them = [], []
    for _ in range(PAIRS):
        us.append(ours(build, trace))
        if program:
            them.append(peer(program, trace))
    events, wall, cpu, memory = (statistics.median(column) for column in zip(*us))
    print(f"{name}: {events:,.0f} events, {os.path.getsize(trace) / 1e6:.0f} MB")
    print(f"  stele   {wall:7.1f} ns an event, {cpu:7.1f} ns of CPU, {memory / 1024:7.1f} MiB")
    if not them:
        return
    if {row[0] for row in us} != {row[0] for row in them}:
        sys.exit(f"bench_read.py: {us[0][0]} events by stele, {them[0][0]} by Go's reader")
    times, cpus, sizes = (statistics.median(t[i] / u[i] for t, u in zip(them, us))
                          for i in (1, 2, 3))
    _, wall, cpu, memory = (statistics.median(column) for column in zip(*them))
    print(f"  Go      {wall:7.1f} ns an event, {cpu:7.1f} ns of CPU, {memory / 1024:7.1f} MiB")
    print(f"  ratio   {times:7.1f} × in time (goal 25, least 10), {cpus:.1f} × in CPU, "
          f"{sizes:.1f} × in memory (goal 10)")


def inputs(build, folder):
    for name in REFERENCE:
        packed = ROOT.parent / "shared" / "traces" / f"{name}.trace.zst"
        if packed.exists() and shutil.which("zstd"):
            subprocess.check_call(["zstd", "-qdf", packed, "-o", folder / name])
            yield name, folder / name
    for pairs in (200000, 2000000):
        name = f"bench_heap {pairs}"
        subprocess.check_call([build / "stele", "record", "-q", "-f", "--heap", "-o",
                               folder / "heap", "--", build / "bench" / "bench_heap", str(pairs)],
                              stdout=subprocess.DEVNULL)
        yield name, folder / "heap"


def main(build, *traces):
    build = pathlib.Path(build).resolve()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        program = oracle.oracle(build)
    except oracle.Unavailable as reason:
        print(f"Go's reader is not measured: {reason}")
        program = None
    with tempfile.TemporaryDirectory(prefix="stele-bench-") as folder:
        for name, trace in ([(t, t) for t in traces] or inputs(build, pathlib.Path(folder))):
            compare(build, program, trace, name)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
