#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""stele record --arena and stele recover: recorders that are killed, files that are damaged.

usage: test_recover.py STELE BUSY
"""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from record.place import ENV, STELE, Place, says, wait_for  # noqa: E402
from support.tap import Skip, case, check, equal, run  # noqa: E402

BUSY = os.path.abspath(sys.argv[2])
FOREVER = "60"  # seconds


def recover(place, *args):
    return subprocess.run([STELE, "recover", *args], cwd=place.directory, env=ENV,
                          capture_output=True, text=True, timeout=60, check=False)


def info(place, name):
    done = subprocess.run([STELE, "info", "--json", place.path(name)], capture_output=True,
                          text=True, check=False)
    equal(done.returncode, 0, done.stderr)
    return json.loads(done.stdout)


def size(place, name):
    try:
        return os.path.getsize(place.path(name))
    except OSError:
        return 0


def abandon(place, *options, bytes_first=1, keep=False):
    """Records until the trace has so many bytes, and kills the recorder; and then the program.
    The program's id."""
    recorder = place.start("-q", "--arena=x.arena", "-o", "x.trace", *options, "--", BUSY,
                           "--slowly", FOREVER)
    wait_for(lambda: size(place, "x.trace") >= bytes_first, "a trace that grows")
    children = pathlib.Path(f"/proc/{recorder.pid}/task/{recorder.pid}/children")
    pid = int(children.read_text(encoding="ascii").split()[0])
    wait_for(lambda: "x.arena" in pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8"),
             "a program that has joined")
    time.sleep(0.1)
    recorder.kill()
    recorder.wait()
    if not keep:
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not os.path.exists(f"/proc/{pid}/maps") or
                 not pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8"), "its end")
    recorder.stdout.close()
    recorder.stderr.close()
    return pid


@case
def arena_is_gone_when_all_went_well():
    with Place() as p:
        result = p.record("--arena=x.arena", "-o", "x.trace", BUSY, "2", "3")
        equal(result.returncode, 0, result.stderr)
        p.valid("x.trace")
        equal(sorted(os.listdir(p.directory)), ["x.trace"], "files")
        result = p.record("--arena=x.arena", "-o", "y.trace", "--", "/nonexistent")
        equal(result.returncode, 127, result.stderr)
        equal(sorted(os.listdir(p.directory)), ["x.trace"], "files")


@case
def trace_is_completed_where_it_is_or_elsewhere():
    with Place() as p:
        abandon(p, bytes_first=2000)
        result = recover(p, "x.arena", "-o", "whole.trace")
        equal(result.returncode, 0, result.stderr)
        says(result, "whole.trace", "lost      nothing", "stele report")
        p.valid("whole.trace")
        told = info(p, "whole.trace")
        check(told["recovered"] and told["complete"] and "signal" not in told, str(told))
        for _ in range(2):  # as often as one likes
            result = recover(p, "x.arena")
            equal(result.returncode, 0, result.stderr)
            equal(pathlib.Path(p.path("x.trace")).read_bytes(),
                  pathlib.Path(p.path("whole.trace")).read_bytes(), "the same trace")
        result = recover(p, "x.arena", "-o", "whole.trace")
        equal(result.returncode, 5, result.stderr)
        says(result, "'whole.trace' exists; -f overwrites it")


@case
def recorder_killed_in_its_first_generation_leaves_a_whole_recording():
    with Place() as p:
        for options in ((), ("--go=1.26", "--heap"), ("--buffer-size=1M",)):
            abandon(p, *options)
            result = recover(p, "x.arena", "-f", "-o", "y.trace")
            equal(result.returncode, 0, result.stderr)
            p.valid("y.trace")
            check(info(p, "y.trace")["counts"]["events"] > 20, "hardly any events")
            os.unlink(p.path("x.arena"))
            os.unlink(p.path("x.trace"))


@case
def program_that_outlives_its_recorder_is_recovered_until_now():
    with Place() as p:
        pid = abandon(p, bytes_first=2000, keep=True)
        try:
            result = recover(p, "x.arena", "-o", "y.trace")
        finally:
            os.kill(pid, signal.SIGKILL)
        equal(result.returncode, 0, result.stderr)
        says(result, f"process {pid} goes on")
        p.valid("y.trace")


@case
def recorder_that_lives_is_left_alone():
    with Place() as p:
        recorder = p.start("-q", "--arena=x.arena", "-o", "x.trace", "--", BUSY, "--slowly", "3")
        wait_for(lambda: size(p, "x.trace"), "a trace")
        result = recover(p, "x.arena")
        equal(result.returncode, 5, result.stderr)
        says(result, "its recorder lives")
        result = p.record("-f", "--arena=x.arena", "-o", "y.trace", BUSY, "2", "3")
        equal(result.returncode, 125, result.stderr)
        says(result, "another recorder uses 'x.arena'")
        recorder.communicate()
        equal(recorder.returncode, 0, "the recorder's status")
        p.valid("x.trace")


@case
def what_a_recorder_left_is_not_overwritten_unasked():
    with Place() as p:
        abandon(p)
        result = p.record("--arena=x.arena", "-o", "y.trace", BUSY, "2", "3")
        equal(result.returncode, 125, result.stderr)
        says(result, "'x.arena' exists", "stele recover x.arena", "-f overwrites it")
        result = p.record("-f", "--arena=x.arena", "-o", "y.trace", BUSY, "2", "3")
        equal(result.returncode, 0, result.stderr)


@case
def moved_or_missing_parts_are_named():
    with Place() as p:
        abandon(p, bytes_first=2000)
        os.rename(p.path("x.trace"), p.path("moved.trace"))
        result = recover(p, "x.arena")
        equal(result.returncode, 5, result.stderr)
        says(result, "x.trace", "--trace=FILE")
        result = recover(p, "-t", "moved.trace", "x.arena")
        equal(result.returncode, 0, result.stderr)
        p.valid("moved.trace")
        result = recover(p, "moved.trace")
        equal(result.returncode, 3, result.stderr)
        says(result, "is not what 'stele record --arena' makes")
        result = recover(p, "nothing.arena")
        equal(result.returncode, 5, result.stderr)
        result = recover(p, "-t", BUSY, "x.arena")
        equal(result.returncode, 3, result.stderr)
        says(result, "is not a trace")
        equal(recover(p).returncode, 2, "no arena")
        result = recover(p, p.directory)
        equal(result.returncode, 5, result.stderr)
        says(result, "Is a directory")
        result = p.record("-f", f"--arena={p.directory}", "-o", "y.trace", BUSY, "2", "3")
        equal(result.returncode, 125, result.stderr)
        says(result, "Is a directory")


@case
def outputs_that_cannot_be_gone_on_with_are_refused():
    with Place() as p:
        result = p.record("--arena=x.arena", "-o", "/dev/null", BUSY, "2", "3")
        equal(result.returncode, 125, result.stderr)
        says(result, "is no ordinary file")
        result = p.record("--arena=x.arena", "--follow-fork", "-o", "%p.trace", BUSY, "2", "3")
        equal(result.returncode, 125, result.stderr)
        says(result, "--arena holds one process")
        equal(os.listdir(p.directory), [], "files")


@case
def full_disk_is_an_error_at_the_beginning():
    if os.geteuid() != 0 or not shutil.which("unshare"):
        raise Skip("a file system of its own needs root")
    with Place() as p:
        os.mkdir(p.path("disk"))
        command = (f"mount -t tmpfs -o size=8m none disk || exit 77; "
                   f"{STELE} record --arena=disk/x.arena -o x.trace {BUSY} 2 3; echo $?; ls disk")
        result = subprocess.run(["unshare", "-m", "sh", "-c", command], cwd=p.directory, env=ENV,
                                capture_output=True, text=True, timeout=60, check=False)
        if result.returncode == 77:
            raise Skip("no tmpfs can be mounted")
        equal(result.stdout, "125\n", result.stderr)
        says(result, "cannot make a buffer of 64 MiB in 'disk/x.arena'", "No space left")


@case
def damaged_files_give_a_valid_trace_or_a_reason():
    with Place() as p:
        abandon(p, "--buffer-size=1M", bytes_first=20000)
        arena = pathlib.Path(p.path("x.arena")).read_bytes()
        trace = pathlib.Path(p.path("x.trace")).read_bytes()
        chance = random.Random(5)
        done = {}
        for _ in range(60):
            torn = bytearray(arena)
            for _ in range(chance.randrange(1, 30)):
                at = chance.randrange(len(torn) // 4096) * 4096
                if at and chance.random() < 0.5:
                    torn[at:at + 4096] = bytes(4096)
                else:
                    at += chance.randrange(4096)
                    torn[at] ^= 1 << chance.randrange(8)
            pathlib.Path(p.path("torn.arena")).write_bytes(torn)
            cut = chance.randrange(len(trace) + 1)
            pathlib.Path(p.path("cut.trace")).write_bytes(trace[:cut])
            result = recover(p, "-f", "-t", "cut.trace", "-o", "y.trace", "torn.arena")
            check(result.returncode in (0, 3, 5), f"{result.returncode} {result.stderr}")
            check(result.returncode == 0 or result.stderr.startswith("stele: "), result.stderr)
            if result.returncode == 0:
                p.valid("y.trace")
            done[result.returncode] = done.get(result.returncode, 0) + 1
        check(done.get(0, 0) > 5, f"statuses: {done}")


run()
