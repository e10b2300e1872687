#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A flight recorder for a long time: a program whose regions take too long once a second, a ring, a
quota. No snapshot is lost, all are sound, and the recorder's memory stays what it is.

usage: soak_ring.py BUILD [MINUTES]
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

PERIOD = 1.0
KEEP = 5
WARM = 10  # looks, of ten periods each


def resident_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))


def main(build, minutes="60"):
    stele, end = str(build / "stele"), time.monotonic() + 60 * float(minutes)
    program = str(build / "tests" / "record" / "obedient")
    sizes, told, checked = [], 0, 0
    with tempfile.TemporaryDirectory(prefix="stele-soak-") as folder:
        log = open(pathlib.Path(folder, "log"), "w+", encoding="utf-8")
        with subprocess.Popen(
                [stele, "record", "--ring=4M,10s", "--snapshot-on=region:20ms",
                 "--snapshot-gap=0", f"--keep={KEEP}", "--max-total=1G", "-o",
                 "s.%n.trace", "--", program], cwd=folder, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, text=True,
                env={**os.environ, "XDG_RUNTIME_DIR": folder}) as process:

            def tell(line):
                process.stdin.write(line + "\n")
                process.stdin.flush()
                if process.stdout.readline() != "done\n":
                    sys.exit(f"soak_ring.py: '{line}' was not done")

            while time.monotonic() < end:
                tell("work 20000")
                tell("call 1")
                tell("lock 1")
                tell("region slow 25")
                told += 1
                time.sleep(PERIOD)
                if told % 10 == 0:
                    sizes.append(resident_kib(process.pid))
                    newest = max(pathlib.Path(folder).glob("s.*.trace"),
                                 key=lambda p: p.stat().st_mtime)
                    done = subprocess.run([stele, "check", newest], capture_output=True, text=True,
                                          check=False)
                    if done.returncode:
                        sys.exit(f"soak_ring.py: {newest}: {done.stdout}{done.stderr}")
                    checked += 1
            process.stdin.close()
        log.seek(0)
        said = log.read()
        left = len(list(pathlib.Path(folder).glob("s.*.trace")))
    written = len(re.findall(r"^stele: snapshot ", said, re.M))
    # Until the ring is full and each of its buffers was as large as it gets, memory grows.
    warm = sizes[WARM:] if len(sizes) >= 2 * WARM else [max(sizes)]
    half = len(warm) // 2
    before, after = max(warm[:half] or warm), max(warm[half:])
    print(f"{told} triggers, {written} snapshots, {left} left, {checked} checked; the recorder's "
          f"memory: {sizes[0]} KiB at first, {before} KiB before half-time, {after} KiB after")
    print(re.search(r"^lost .*$", said, re.M).group(0))
    # On a busy machine another region may take too long as well.
    if written < told or left > KEEP or after > 1.1 * before:
        sys.exit("soak_ring.py: a snapshot was lost, or too many were kept, or memory grew")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve(), *sys.argv[2:])
