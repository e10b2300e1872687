#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Windows of real traces are traces: Stele's reader and Go's accept them, and they hold the very
batches of the original.

usage: test_cut.py BUILD
"""
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("support", "oracle")]
import oracle  # noqa: E402
from tap import Skip, case, check, equal, run  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]).resolve()
STELE = BUILD / "stele"
TRACES = ROOT.parent / "shared" / "traces"
BYTES_MAX = 3 << 20
WINDOWS = 4
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


def batches(trace):
    """Each batch's text, with its generation."""
    text = stele("raw", "--exact", trace).stdout
    found = re.split(r"^(?=(?:EventBatch|ExperimentalBatch) )", text, flags=re.M)[1:]
    return [(re.search(r"gen=(\d+)", b).group(1), b) for b in found]


def accepted(trace):
    stele("check", "-q", trace)
    try:
        good, _, text = oracle.verdict(BUILD, trace)
        check(good, f"Go's reader: {text}")
    except oracle.Unavailable as reason:
        print(f"# Go's reader was not asked: {reason}")


def window(trace, folder, begin, end):
    out = folder / "cut"
    done = stele("cut", "-f", f"--from={begin:.6f}", f"--to={end:.6f}", "-o", out, trace)
    accepted(out)
    whole, part = batches(trace), batches(out)
    kept = {gen for gen, _ in part}
    want = [b for gen, b in whole if gen in kept]
    equal([b for _, b in part][len(part) - len(want):], want, f"batches of {trace.name}")
    carried = part[:len(part) - len(want)]
    check(all("ExperimentalBatch" in b for _, b in carried), "what was added")
    return re.search(r"cut: (\d+) of (\d+)", done.stderr).groups()


@case
def windows_of_reference_traces_are_sound_and_the_same():
    compared = several = 0
    with tempfile.TemporaryDirectory(prefix="stele-cut-") as name:
        folder = pathlib.Path(name)
        for trace in sources(folder):
            told = stele("info", trace).stdout
            length = float(re.search(r"time +([\d.]+)", told).group(1))
            alone = re.search(r"^generations +1 ", told, re.M)
            for _ in range(1 if alone else WINDOWS):
                begin, end = sorted(rng.uniform(0, length) for _ in range(2))
                kept, of = window(trace, folder, begin, end)
                compared += 1
                several += kept != of
    print(f"# {compared} windows, {several} of them not of all generations")
    check(several > 0, "no window was less than the whole")


@case
def a_recording_of_stele_keeps_its_modules_and_objects():
    if not shutil.which("sort"):
        raise Skip("no sort")
    with tempfile.TemporaryDirectory(prefix="stele-cut-") as name:
        folder = pathlib.Path(name)
        trace = folder / "trace"
        stele("record", "--heap", "-o", trace, "--", "sh", "-c",
              "exec 2>/dev/null; for i in 1 2 3; do sleep 0.8; done")
        kept, of = window(trace, folder, 1.7, 2.2)
        check(int(kept) < int(of), f"{kept} of {of}")
        text = stele("info", folder / "cut").stdout
        check("libc.so.6" in text or "modules" in text, text)


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
            # Between two batches there is nothing that a cut could miss.
            check(done.returncode in ((0, 1, 3) if at == len(data) // 2 else (1, 3)),
                  f"cut at {at}: {done.returncode}")


run()
