#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What recording costs, class by class, in one table: CPU time per request of redis under
redis-benchmark and of nginx under wrk, beside the same server alone; then with the recorder's own
time, which may run on another processor. Medians of pairs.

usage: bench_overhead.py BUILD [PAIRS]
"""
import pathlib
import statistics
import sys
import tempfile

import benchservers

ROWS = [
    ("nothing yet", ["--dormant", "--switches=no"]),
    ("threads", ["--events=sched", "--switches=no"]),
    ("threads, context switches", ["--events=sched"]),
    ("locks", ["--events=lock", "--switches=no"]),
    ("system calls", ["--events=syscall", "--no-args", "--switches=no"]),
    ("system calls, with files", ["--events=syscall", "--switches=no"]),
    ("samples", ["--events=cpu", "--switches=no"]),
    ("all of these", []),
    ("all, no stacks", ["--stack-depth=0"]),
    ("all, in a ring", ["--ring=64M", "--snapshot-on=never"]),
    ("all, memory sampled", ["--heap=512K"]),
    ("all, every object", ["--heap"]),
]


def cell(ratios):
    low, high = benchservers.interval(ratios)
    return (f"{100 * (statistics.median(ratios) - 1):+6.1f} % "
            f"({100 * (low - 1):+.1f} to {100 * (high - 1):+.1f})")


def main(build, pairs="6"):
    with tempfile.TemporaryDirectory(prefix="stele-bench-") as name:
        folder = pathlib.Path(name)
        servers = benchservers.servers(folder)
        print(f"{'stele record':26} {'OPTIONS':32} " +
              " ".join(f"{server:26} {'with the recorder':26}" for server in servers))
        for label, options in ROWS:
            line = f"{label:26} {' '.join(options):32} "
            output = [] if "--ring=64M" in options else ["-f", "-o", str(folder / "x.trace")]
            for how in servers.values():
                own, with_recorder, *_ = benchservers.compare(
                    str(build / "stele"), folder, how, [*options, *output], int(pairs))
                line += f"{cell(own):26} {cell(with_recorder):26} "
            print(line.rstrip(), flush=True)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve(), *sys.argv[2:])
