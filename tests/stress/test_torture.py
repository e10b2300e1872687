#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records a program that tortures itself, under many seeds; every trace must be a valid one.

usage: test_torture.py STELE TORTURE BUILD [--seconds S] [--seed N]

A short run by default. For a long one: --seconds 600. A failure names its seed, and --seed N
--seconds 0 runs that one of each case again.
"""
import argparse
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "oracle")]
import oracle  # noqa: E402
from support.tap import case, check, equal, run  # noqa: E402

MODES = ["storm", "churn", "jump", "cancel", "refuse", "children", "exec", "stop", "close", "root"]
ENDS = {"return": 3, "exit": 3, "_exit": 3, "main": 0, "kill": 137, "abort": 134}
NOT_JOINED = "could not join"  # killed before the program itself had begun

parser = argparse.ArgumentParser()
parser.add_argument("stele", type=os.path.abspath)
parser.add_argument("torture", type=os.path.abspath)
parser.add_argument("build")
parser.add_argument("--seconds", type=float, default=4)
parser.add_argument("--seed", type=int, default=int(time.time()) % 1000000)
OPTIONS = parser.parse_args()
ENV = {k: v for k, v in os.environ.items() if not k.startswith("STELE_") or k.endswith("_MODULE")}


def seeds():
    """Seeds from the first one on, until the time is over."""
    begin, seed = time.monotonic(), OPTIONS.seed
    while seed == OPTIONS.seed or time.monotonic() - begin < OPTIONS.seconds:
        yield seed, random.Random(seed)
        seed += 1
    print(f"# seeds {OPTIONS.seed} to {seed - 1}", flush=True)


def start(trace, choice, arguments, buffer=None, more=()):
    """stele record with options that the seed chooses."""
    buffer = buffer or choice.choice(["1M", "1M", "2M", "8M", "64M"])
    command = [OPTIONS.stele, "record", "-f", "-o", trace,
               "--go=" + choice.choice(["1.23", "1.25", "1.26"]),
               "--on-full=" + choice.choice(["drop", "block"]), "--buffer-size=" + buffer,
               *more, "--", OPTIONS.torture, *map(str, arguments)]
    with open(os.devnull, "w", encoding="ascii") as null:
        return command, subprocess.Popen(command, stdout=null, stderr=subprocess.PIPE, text=True,
                                         env=ENV, start_new_session=True)


def finish(process, what):
    try:
        return process.communicate(timeout=60)[1]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise AssertionError(f"{what}: it does not end") from None


def valid(trace, what):
    """For our own reader, and for Go's where there is one."""
    done = subprocess.run([OPTIONS.stele, "check", trace], capture_output=True, text=True,
                          check=False)
    equal(done.returncode, 0, f"{what}: stele check: {done.stdout}{done.stderr}")
    try:
        good, _, text = oracle.verdict(OPTIONS.build, trace)
    except oracle.Unavailable:
        return
    check(good, f"{what}: Go's reader: {text}")


def torture(buffer=None, modes=None, ends=None):
    with tempfile.TemporaryDirectory(prefix="stele-torture-") as directory:
        trace = os.path.join(directory, "x.trace")
        for seed, choice in seeds():
            chosen = modes or [m for m in MODES if choice.random() < 0.45]
            end = choice.choice(ends or list(ENDS))
            command, process = start(trace, choice, [seed, choice.choice([50, 200, 400]),
                                                     choice.choice([1, 4, 16, 40]), end, *chosen],
                                     buffer)
            what = f"seed {seed}: {' '.join(command[5:])}"
            said = finish(process, what)
            equal(process.returncode, ENDS[end], f"{what}: status ({said})")
            valid(trace, what)


@case
def everything_at_once_leaves_valid_traces():
    torture()


@case
def waiting_for_room_in_a_tiny_buffer_leaves_valid_traces():
    torture("1M", ["storm", "churn", "jump"])


@case
def death_at_any_moment_leaves_valid_traces():
    with tempfile.TemporaryDirectory(prefix="stele-torture-") as directory:
        trace = os.path.join(directory, "x.trace")
        for seed, choice in seeds():
            modes = [m for m in MODES[:6] if choice.random() < 0.6]
            command, process = start(trace, choice, [seed, 5000, choice.choice([2, 8, 32]), "hold",
                                                     *modes])
            what = f"seed {seed}: {' '.join(command[5:])}"
            time.sleep(0.1 + choice.random() ** 2 * 0.3)
            with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
                for child in file.read().split():
                    os.kill(int(child), signal.SIGKILL)
            said = finish(process, what)
            if NOT_JOINED in said:
                continue
            equal(process.returncode, 137, f"{what}: status ({said})")
            valid(trace, what)


@case
def followed_children_leave_valid_traces():
    """Each process of a family that does all this, in a file of its own."""
    families = 0
    with tempfile.TemporaryDirectory(prefix="stele-torture-") as directory:
        for seed, choice in seeds():
            modes = ["children", *(m for m in ("storm", "churn", "jump", "exec", "close", "root")
                                   if choice.random() < 0.45)]
            end = choice.choice(list(ENDS))
            place = os.path.join(directory, str(seed))
            os.mkdir(place)
            command, process = start(os.path.join(place, "%p.trace"), choice,
                                     [seed, 100, choice.choice([1, 4]), end, *modes], "1M",
                                     ["--follow-fork"])
            what = f"seed {seed}: {' '.join(command[5:])}"
            said = finish(process, what)
            equal(process.returncode, ENDS[end], f"{what}: status ({said})")
            traces = sorted(os.listdir(place))
            families += len(traces) > 1
            for name in traces:
                valid(os.path.join(place, name), f"{what}: {name}")
    check(families > 0, "there never was a child")


@case
def more_threads_than_slots_leave_a_valid_trace():
    with tempfile.TemporaryDirectory(prefix="stele-torture-") as directory:
        trace = os.path.join(directory, "x.trace")
        command, process = start(trace, random.Random(OPTIONS.seed),
                                 [OPTIONS.seed, 400, 4, "exit", "many", "storm"], "2M")
        said = finish(process, "many")
        equal(process.returncode, 3, f"status ({said})")
        check("threads beyond the buffer's number" in said, said)
        valid(trace, " ".join(command[5:]))


sys.argv = sys.argv[:1]
run()
