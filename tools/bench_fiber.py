#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fibers beside goroutines and Boost.Context, in turn; and what it costs to record them.

usage: bench_fiber.py BUILD

Peers that are not installed are left out. Medians of repeated runs; below 1, Stele is faster.
"""
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "oracle"))
import oracle  # noqa: E402

ROUNDS = 9
WHAT = {"spawn": "made and joined", "pass": "a value to another and back",
        "yield": "giving way", "sieve": "a prime of 1,000 by the sieve"}


def figures(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"bench_fiber.py: {command[0]}: {done.stderr}")
    return {k: float(v) for k, v in re.findall(r"^(\w+) ([\d.]+)$", done.stdout, re.M)}


def go_program(folder):
    try:
        go = oracle.go()
    except oracle.Unavailable as reason:
        print(f"without Go: {reason}")
        return None
    program = folder / "bench_fiber_go"
    subprocess.run([go, "build", "-o", program, ROOT / "bench" / "bench_fiber.go"], check=True,
                   env=oracle.environment(), cwd=folder)
    return program


def boost_program(folder):
    program = folder / "bench_switch"
    if not shutil.which("g++"):
        return None
    done = subprocess.run(["g++", "-O2", "-o", program, ROOT / "bench" / "bench_switch.cc",
                           "-lboost_context"], capture_output=True, text=True, check=False)
    if done.returncode:
        print("without Boost.Context: libboost-context-dev is not installed")
        return None
    return program


def median(values):
    return statistics.median(values)


def beside_boost(mine, boost):
    ours, jump, fiber = [], [], []
    for _ in range(ROUNDS):
        ours.append(figures(mine, "switch", 1)["switch"])
        theirs = figures(boost)
        jump.append(theirs["boost_jump"])
        fiber.append(theirs["boost_fiber"])
    print(f"switch: stele {median(ours):.2f} ns, Boost.Context jump_fcontext {median(jump):.2f}, "
          f"fiber {median(fiber):.2f}; stele : jump "
          f"{median([a / b for a, b in zip(ours, jump)]):.2f}")


def beside_go(mine, go):
    for workers in (1, 2):
        for what, text in WHAT.items():
            ours, theirs = [], []
            for _ in range(ROUNDS):
                ours.append(figures(mine, what, workers)[what])
                theirs.append(figures(go, what, workers)[what])
            print(f"{text}, {workers} at once: stele {median(ours):,.0f} ns, "
                  f"Go {median(theirs):,.0f}; stele : Go "
                  f"{median([a / b for a, b in zip(ours, theirs)]):.2f}")


def recorded(stele, mine, folder):
    ways = {"not recorded": [], "without stacks": ["--stack-depth=0"], "with stacks": []}
    times = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, options in ways.items():
            before = [] if way == "not recorded" else [
                stele, "record", "-q", "-f", "-o", folder / "trace", *options, "--"]
            times[way].append(figures(*before, mine, "sieve", 1)["sieve"])
    base = median(times["not recorded"])
    print(f"sieve, 1 at once: {base:,.0f} ns a prime; recorded " + ", ".join(
        f"{way} {100 * (median(times[way]) / base - 1):+.0f} %"
        for way in ways if way != "not recorded"))


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    mine, stele = build / "bench" / "bench_fiber", build / "stele"
    with tempfile.TemporaryDirectory(prefix="stele-bench-") as name:
        folder = pathlib.Path(name)
        boost, go = boost_program(folder), go_program(folder)
        if boost:
            beside_boost(mine, boost)
        if go:
            beside_go(mine, go)
        recorded(stele, mine, folder)


main()
