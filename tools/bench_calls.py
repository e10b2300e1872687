#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a recorded system call costs where the caches are the kernel's: bench_calls alone and under
stele record --ring, in turn. One thread, nothing that waits: much quieter than servers under load.

usage: bench_calls.py BUILD [PAIRS]
"""
import pathlib
import statistics
import subprocess
import sys
import tempfile

import benchservers

CALLS = 5
VARIANTS = {"everything on": [], "no stacks": ["--stack-depth=0"], "dormant": ["--dormant"]}


def least_ns(prefix, program, folder):
    done = subprocess.run([*prefix, program], check=True, capture_output=True, text=True,
                          cwd=folder)
    return float(done.stdout)


def compare(build, pairs, folder):
    program = str(build / "bench" / "bench_calls")
    for name, options in VARIANTS.items():
        ring = [] if name == "dormant" else ["--ring=64M", "--snapshot-on=never"]
        recorded = [str(build / "stele"), "record", "-q", *ring, *options, "--"]
        more, base = [], []
        for pair in range(pairs):
            prefixes = ([], recorded) if pair % 2 == 0 else (recorded, [])
            got = {len(prefix): least_ns(prefix, program, folder) for prefix in prefixes}
            base.append(got[0])
            more.append((got[len(recorded)] - got[0]) / CALLS)
        low, high = benchservers.interval(more)
        print(f"{name:14} {statistics.median(more):+5.0f} ns a call   95 %: {low:+.0f} to "
              f"{high:+.0f}   ({pairs} pairs; {statistics.median(base) / CALLS:.0f} ns alone)",
              flush=True)


def main(build, pairs="10"):
    with tempfile.TemporaryDirectory(prefix="stele-bench-") as folder:
        compare(build, int(pairs), folder)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve(), *sys.argv[2:])
