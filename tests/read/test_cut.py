#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Windows of real traces are traces: Stele's reader and Go's accept them, and what they hold is
what the original shows of the window.

usage: test_cut.py BUILD
"""
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("support", "oracle")]
import oracle  # noqa: E402
from tap import Skip, case, check, equal, run  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]).resolve()
STELE = BUILD / "stele"
TRACES = ROOT.parent / "shared" / "traces"
BYTES_MAX = 1 << 20
WHOLE_MAX = 100000
WINDOWS = 2
KINDS = {"Metric", "Label", "RangeBegin", "RangeActive", "RangeEnd", "TaskBegin", "TaskEnd",
         "RegionBegin", "RegionEnd", "Log", "StateTransition", "Experimental", "StackSample"}
rng = random.Random(20261127)


def stele(*arguments, status=0):
    done = subprocess.run([STELE, *map(str, arguments)], capture_output=True, text=True,
                          check=False)
    equal(done.returncode, status, f"stele {arguments}: {done.stderr[-300:]}")
    return done


def sources(folder):
    if not TRACES.is_dir() or not shutil.which("zstd"):
        raise Skip("no reference traces")
    for packed in sorted(TRACES.glob("*.trace.zst")):
        trace = folder / packed.name.removesuffix(".zst")
        subprocess.check_call(["zstd", "-qdf", packed, "-o", trace])
        sound = subprocess.run([STELE, "check", "-q", trace], check=False).returncode == 0
        if sound and trace.stat().st_size <= BYTES_MAX:
            yield trace
        trace.unlink()


def told(trace, *options):
    """The events but Sync, as dictionaries of their fields; and their times."""
    lines = stele("events", "--format=reference", *options, trace).stdout.splitlines()
    events = [(line.split()[0], dict(f.split("=", 1) for f in line.split()[1:] if "=" in f), line)
              for line in lines if not line.startswith("Sync ")]
    return [e for e in events if e[0] in KINDS]


def alike(events):
    """What is the same in the window and in the original: times from the first event on."""
    begun, stopped, result = set(), {}, []
    first = int(events[0][1]["t"]) if events else 0
    for kind, fields, line in events:
        line = re.sub(r" t=-?\d+", f" t={int(fields['t']) - first}", line)
        if kind == "TaskBegin":
            begun.add(fields["task"])
        elif kind == "TaskEnd" and fields["task"] not in begun:
            line = re.sub(r" (parent|type)=\S*", "", line)  # told by a begin before the window
        elif kind == "RangeActive":
            continue  # once in a trace's first generation
        elif kind.startswith("Range") and fields.get("name", "").startswith("stop-the-world"):
            open_ = stopped.get(fields["res"], 0) + (1 if kind == "RangeBegin" else -1)
            if open_ < 0:
                continue  # begun before the window: left out
            stopped[fields["res"]] = open_
        # A proc that is new in a generation: of a trace's first one, nothing is known.
        line = re.sub(r"(res=P\S* )NotExist->", r"\1Undetermined->", line)
        result.append(line)
    return result


def accepted(trace):
    stele("check", "-q", trace)
    try:
        good, _, text = oracle.verdict(BUILD, trace)
        check(good, f"Go's reader: {text}")
    except oracle.Unavailable as reason:
        print(f"# Go's reader was not asked: {reason}")


def window(trace, folder, begin, end):
    """How many events lie in it."""
    out = folder / "cut"
    done = subprocess.run([STELE, "cut", "-f", f"--from={begin}ns", f"--to={end}ns", "-o", out,
                           trace], capture_output=True, text=True, check=False)
    want = alike(told(trace, f"--from={begin}ns", f"--to={end}ns"))
    if done.returncode == 1:
        equal(want, [], f"an empty window of {trace.name}: {done.stderr}")
        return 0
    equal(done.returncode, 0, f"{trace.name} {begin} {end}: {done.stderr}")
    accepted(out)
    count, before = map(int, re.search(r"cut: (\d+) events .*; (\d+) tell", done.stderr).groups())
    got = alike(told(out)[before:])
    for mine, original in zip(got, want):
        equal(mine, original, f"{trace.name}, {begin} to {end}")
    equal(len(got), len(want), f"events of {trace.name}, {begin} to {end}")
    return count


@case
def windows_of_reference_traces_hold_what_the_original_shows():
    windows = events = 0
    with tempfile.TemporaryDirectory(prefix="stele-cut-") as name:
        folder = pathlib.Path(name)
        for trace in sources(folder):
            length = int(told(trace)[-1][1]["t"]) if told(trace) else 0
            spans = [(length // 2, length // 2 + 20000)]
            spans += [(begin, begin + length // 8)
                      for begin in (rng.randrange(length + 1) for _ in range(WINDOWS))]
            if trace.stat().st_size < WHOLE_MAX:
                spans.append((0, length))
            for begin, end in spans:
                events += window(trace, folder, begin, end)
                windows += 1
            same = [subprocess.run([STELE, "cut", f"--from={length // 3}ns", trace],
                                   capture_output=True, check=False).stdout for _ in range(2)]
            check(same[0] == same[1], f"two cuts of {trace.name} differ")
    print(f"# {windows} windows, {events} events")
    check(windows > 80 and events > 50000, f"{windows} windows, {events} events")


def strings_of(trace):
    text = stele("raw", trace).stdout
    return set(re.findall(r"^String .*\n\tdata=(.*)$", text, re.M))


@case
def tables_hold_only_what_the_window_uses():
    if not shutil.which("sort"):
        raise Skip("no sort")
    with tempfile.TemporaryDirectory(prefix="stele-cut-") as name:
        folder = pathlib.Path(name)
        trace = folder / "trace"
        numbers = folder / "numbers"
        numbers.write_text("".join(f"{rng.random()}\n" for _ in range(200000)))
        stele("record", "--heap", "-o", trace, "--", "sort", "--parallel=2", "-o", numbers, numbers)
        blocks = [e for e in told(trace) if e[1].get("reason", "-") not in ("-", '""')]
        at = int(blocks[-1][1]["t"])
        check(window(trace, folder, at, at + 1000) > 0, "no event in the window")
        few, many = strings_of(folder / "cut"), strings_of(trace)
        check(0 < len(few) < len(many) / 2, f"{len(few)} of {len(many)} strings")
        reason = urllib.parse.unquote(blocks[-1][1]["reason"])
        check(f'"{reason}"' in few, f"{reason} is missing in {few}")


@case
def a_recording_of_stele_keeps_its_modules_and_losses():
    if not shutil.which("sort"):
        raise Skip("no sort")
    with tempfile.TemporaryDirectory(prefix="stele-cut-") as name:
        folder = pathlib.Path(name)
        trace = folder / "trace"
        stele("record", "--heap", "-o", trace, "--", "sh", "-c",
              "exec 2>/dev/null; for i in 1 2 3; do sleep 0.8; done")
        whole = told(trace)
        at = [int(e[1]["t"]) for e in whole if int(e[1]["t"]) > 1_200_000_000]
        check(at, "nothing happened after 1.2 s")
        check(window(trace, folder, at[0], at[-1]) > 0, "no event in the window")
        text = stele("info", folder / "cut").stdout
        check("libc.so.6" in text or "modules" in text, text)
        report = stele("report", folder / "cut").stdout
        check("recorded by Stele" in report, report[:500])


@case
def a_pipe_can_be_cut():
    with tempfile.TemporaryDirectory(prefix="stele-cut-") as name:
        folder = pathlib.Path(name)
        trace, out = folder / "trace", folder / "out"
        stele("record", "-o", trace, "--", "sh", "-c", "sleep 0.1; sleep 0.1")
        stele("cut", "--to=0.15", "-o", out, trace)
        with open(trace, "rb") as data:
            piped = subprocess.run([STELE, "cut", "--to=0.15", "-"], stdin=data,
                                   capture_output=True, check=True).stdout
        equal(piped, out.read_bytes(), "cut of a pipe")


@case
def bad_windows_and_bad_input_are_told():
    with tempfile.TemporaryDirectory(prefix="stele-cut-") as name:
        folder = pathlib.Path(name)
        trace, out = folder / "trace", folder / "out"
        stele("record", "-o", trace, "--", "sh", "-c", "sleep 1.3; sleep 0.1")
        data = trace.read_bytes()
        stele("cut", "--from=2s", "--to=1s", "-o", out, trace, status=2)
        stele("cut", "--from=soon", "-o", out, trace, status=2)
        check(not out.exists(), "a wrong call made a file")
        stele("cut", "--to=1s", "-o", trace, "-f", trace, status=2)
        stele("cut", "--from=0.2", "-o", out, trace)
        stele("cut", "--from=0.2", "-o", out, trace, status=2)
        for at in (0, 5, 16, 17, len(data) // 2, len(data) - 1):
            (folder / "short").write_bytes(data[:at])
            done = subprocess.run([STELE, "cut", "-f", "-o", out, folder / "short"],
                                  capture_output=True, check=False)
            check(done.returncode in (1, 3), f"cut at {at}: {done.returncode}")
            if out.stat().st_size:
                accepted(out)


run()
