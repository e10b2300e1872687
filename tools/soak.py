#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Record a program for as long as wanted, with a small buffer: two threads that do nothing but
allocate, or fibers.

usage: soak.py BUILD SECONDS [BUFFER [threads|fibers]]

The trace, a generation every 100 ms, goes through a pipe into 'stele heap', so that all of it is
validated and none kept. Exit status 1 if an alloc or free has no other half although nothing was
lost, or if the memory of recorder, program or reader grows. BUFFER is 4M unless given.
"""
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

GROWTH_MAX_KIB = 4096  # between the second quarter of the time and the last


def resident_kib(pid):
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    found = re.search(r"^VmRSS:\s+(\d+)", status, re.M)
    return int(found.group(1)) if found else None


def child_of(pid):
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    return int(children[0]) if children else None


def growth(samples, level):
    """Difference of the levels of the last and of the second quarter."""
    quarter = len(samples) // 4
    if not quarter:
        return 0
    return level(samples[-quarter:]) - level(samples[quarter:2 * quarter])


def watch(recorder, reader, seconds):
    samples = {"recorder": [], "program": [], "reader": []}
    pause = min(1, max(0.02, seconds / 400))
    program = None
    while recorder.poll() is None:
        time.sleep(pause)
        program = program or child_of(recorder.pid)
        now = {"recorder": recorder.pid, "program": program, "reader": reader.pid}
        values = {name: resident_kib(pid) for name, pid in now.items()}
        if all(values.values()):
            for name, value in values.items():
                samples[name].append(value)
    return samples


def main(build, seconds, buffer="4M", what="threads"):
    build = pathlib.Path(build).resolve()
    program = {"threads": [build / "tests" / "stress" / "churn", str(seconds)],
               "fibers": [build / "tests" / "record" / "midway", "-", str(seconds)]}[what]
    with tempfile.TemporaryDirectory(prefix="stele-soak-") as folder:
        pipe = pathlib.Path(folder, "trace")
        os.mkfifo(pipe)
        # Both ends: so that neither program finds the pipe without its other one.
        with open(os.open(pipe, os.O_RDWR), "rb", buffering=0):
            with open(pipe, "rb", buffering=0) as end:
                reader = subprocess.Popen([build / "stele", "heap", "--json", "--top=1", "-"],
                                          stdin=end, stdout=subprocess.PIPE, text=True)
            recorder = subprocess.Popen(
                [build / "stele", "record", "--heap", f"--buffer-size={buffer}",
                 "--generation=100ms", "-o", pipe, "--", *program],
                text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            samples = watch(recorder, reader, int(seconds))
            out, told = recorder.communicate()
        answer = json.loads(reader.communicate()[0])
    print(out.strip())
    print("\n".join(line for line in told.splitlines() if not re.match(r"next| {5}", line)))
    lost = answer["trust"]["lost"]["events"]
    broken = sum(b["count"] for b in answer["broken"])
    print(f"{answer['verdict']}: {answer['trust']['events']:,} events, "
          f"{answer['trust']['generations']:,} generations, {lost:,} lost, {broken:,} pairs broken")
    ok = recorder.returncode == 0 and reader.returncode == 0 and broken <= lost
    for name, values in samples.items():
        if not values:
            continue
        # The reader holds the bytes of the generation that it reads: what it keeps shows when one
        # has just ended.
        grown = growth(values, min if name == "reader" else statistics.median)
        ok = ok and grown <= GROWTH_MAX_KIB
        print(f"{name:9} {min(values):8} to {max(values):8} KiB resident in {len(values)} samples, "
              f"{grown:+.0f} KiB from the second quarter of the time to the last")
    print("flat, valid, every loss counted" if ok else "FAILED")
    return 0 if ok else 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
