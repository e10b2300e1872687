#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an always-on flight recorder costs: CPU time per request of redis under redis-benchmark
and of nginx under wrk, alone and under stele record --ring. Prints the median of the pairs' ratios
and its 95 % interval (bootstrap).

usage: bench_ring.py BUILD [PAIRS]
"""
import pathlib
import statistics
import sys
import tempfile

import benchservers

RING = ["--ring=64M", "--snapshot-on=lock:1s,never"]


def show(name, own, with_recorder, base, thread):
    for label, ratios in (("the server itself", own), ("with the recorder's", with_recorder)):
        low, high = benchservers.interval(ratios)
        print(f"{name:6} {label:20} +{100 * (statistics.median(ratios) - 1):5.1f} %   "
              f"95 %: {100 * (low - 1):+5.1f} to {100 * (high - 1):+5.1f} %   "
              f"({len(base)} pairs; alone {statistics.median(base):.1f} µs a request, "
              f"recorder {statistics.median(thread):.2f} µs)", flush=True)


def main(build, pairs="30"):
    print(f"CPU time per request under stele record {' '.join(RING)}")
    with tempfile.TemporaryDirectory(prefix="stele-bench-") as name:
        folder = pathlib.Path(name)
        for server, how in benchservers.servers(folder).items():
            show(server, *benchservers.compare(str(build / "stele"), folder, how, RING, int(pairs)))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve(), *sys.argv[2:])
