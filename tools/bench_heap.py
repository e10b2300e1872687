#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What recording every malloc and free costs: alone, under stele record --heap, under heaptrack, in
turn in one run. Counts the pairs in the trace.

usage: bench_heap.py BUILD [PAIRS]
"""
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

ROUNDS = 5
THREADS = 2


def pair_ns(command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    found = re.search(r"^pair_ns ([\d.]+)$", done.stdout, re.M)
    if done.returncode or not found:
        sys.exit(f"bench_heap.py: {command[0]}: {done.stdout}{done.stderr}")
    return float(found.group(1)), done.stderr


def median_of(rounds):
    return statistics.median(rounds) if rounds else float("nan")


def main(build, pairs="1000000"):
    program, stele = build / "bench" / "bench_heap", build / "stele"
    heaptrack = shutil.which("heaptrack")
    alone, added, added_peer, sampled = [], [], [], []
    told = ""
    with tempfile.TemporaryDirectory(prefix="stele-bench-") as folder:
        trace = pathlib.Path(folder, "trace")
        record = [stele, "record", "-f", "-o", trace]
        for _ in range(ROUNDS):
            alone.append(pair_ns([program, pairs])[0])
            ns, told = pair_ns([*record, "--heap", "--", program, pairs])
            added.append(ns - alone[-1])
            sampled.append(pair_ns([*record[:-1], pathlib.Path(folder, "sampled"), "--heap=512K",
                                    "--", program, pairs])[0] - alone[-1])
            if heaptrack:
                ns, _ = pair_ns([heaptrack, "-o", pathlib.Path(folder, "peer"), program,
                                 str(int(pairs) // 10)])
                added_peer.append(ns - alone[-1])
        info = json.loads(subprocess.check_output([stele, "info", "--json", trace]))
        events = subprocess.run([stele, "check", trace], capture_output=True, text=True)
    want = THREADS * int(pairs)
    objects = re.search(r"^heap +([\d,]+) objects", told, re.M).group(1).replace(",", "")
    each = float(re.search(r"([\d.]+) bytes each", told).group(1))
    waited = re.search(r"^waited +(.*)$", told, re.M)
    print(f"alone                {median_of(alone):8.1f} ns a pair, {THREADS} threads")
    print(f"stele --heap         {median_of(added):8.1f} ns added   (goal 115)")
    print(f"stele --heap=512K    {median_of(sampled):8.1f} ns added")
    if heaptrack:
        print(f"heaptrack            {median_of(added_peer):8.1f} ns added   "
              f"({median_of(added_peer) / median_of(added):.1f} times stele's; goal 8)")
    else:
        print("heaptrack            not installed")
    print(f"in the trace         {objects} objects of {want} pairs and the program's start, "
          f"{each} bytes an event (goal 12)")
    print(f"lost                 {info['lost']['events']}")
    print(f"waited               {waited.group(1) if waited else 'never'}")
    if int(objects) < want or events.returncode:
        sys.exit(f"bench_heap.py: the trace is not whole: {events.stdout}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]).resolve(), *sys.argv[2:])
