#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reports on a large trace: stele's and 'go tool trace -pprof=sched' in turn, time and memory.

usage: bench_report.py BUILD [EVENTS [TRACE]]

Without a trace: one of about EVENTS events of examples/contention.c, 20 million: Go's tool needs
half a KiB of memory for each. With EVENTS=0 nothing is compared, and the answers are measured on
the trace alone.
"""
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "oracle"))
import oracle  # noqa: E402

PAIRS = 3
EVENTS = 20_000_000
EVENTS_AN_ITEM = 24.2  # of examples/contention.c


def run(command):
    """Seconds, and the peak of its memory in MiB."""
    begin = time.monotonic()
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True, cwd="/",
                               env=oracle.environment())
    complaint = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"bench_report.py: {' '.join(map(str, command))}: {complaint}")
    return time.monotonic() - begin, usage.ru_maxrss / 1024


def row(name, runs):
    seconds, mib = (statistics.median(column) for column in zip(*runs))
    print(f"  {name:28} {seconds:8.2f} s {mib:9.1f} MiB", flush=True)


def compare(build, trace):
    peer = [oracle.go(), "tool", "trace", "-pprof=sched", trace]
    ours = {"stele report": [build / "stele", "report", trace],
            "stele export --to=pprof": [build / "stele", "export", "--to=pprof", "--kind=sched",
                                        "-o", "/dev/stdout", trace]}
    # The go command builds the tool when it is asked for it first.
    subprocess.run([oracle.go(), "tool", "trace", "-h"], capture_output=True, check=False,
                   env=oracle.environment())
    theirs, runs = [], {name: [] for name in ours}
    for pair in range(PAIRS):
        for name, command in ours.items():
            runs[name].append(run(command))
        theirs.append(run(peer))
        if pair % 2:
            for name, command in ours.items():
                runs[name][-1] = run(command)
    row("go tool trace -pprof=sched", theirs)
    for name, measured in runs.items():
        row(name, measured)
        times, sizes = (statistics.median(t[i] / u[i] for t, u in zip(theirs, measured))
                        for i in (0, 1))
        print(f"    ratio {times:.1f} × in time (goal 10), {sizes:.0f} × in memory (goal 20)")


def answers(build, trace, folder):
    for name, command in (("stele heap", ["heap"]), ("stele report --json", ["report", "--json"]),
                          ("stele report --html", ["report", "-f", f"--html={folder}/page"]),
                          ("stele flame", ["flame", "-f", "--kind=sched", "-o", f"{folder}/svg"]),
                          ("stele check", ["check"])):
        row(name, [run([build / "stele", *command, trace])])


def main(build, events=EVENTS, trace=None):
    build, events = pathlib.Path(build).resolve(), int(events)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(prefix="stele-bench-") as folder:
        if not trace:
            trace = pathlib.Path(folder) / "trace"
            subprocess.run([build / "stele", "record", "-q", "-o", trace, "--",
                            build / "examples" / "example-contention",
                            str(int(events / EVENTS_AN_ITEM))], check=True,
                           stdout=subprocess.DEVNULL)
        trace = pathlib.Path(trace).resolve()
        told = subprocess.run([build / "stele", "check", trace], capture_output=True, text=True,
                              check=True).stdout
        count = int(told.split("events=")[1].split()[0])
        print(f"{count:,} events, {trace.stat().st_size / 1e6:,.0f} MB")
        try:
            if events:
                compare(build, trace)
        except oracle.Unavailable as reason:
            print(f"Go's tool is not measured: {reason}")
        answers(build, trace, folder)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
