#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Traces of the Go that is installed, of each kind, read by Stele as by golang.org/x/exp/trace: the
same events with the same contexts, stacks and times.

usage: test_fresh.py STELE BUILD

Needs Go 1.26, golang.org/x/exp and the reference reader of ../shared/oracle; is skipped without.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
import oracle  # noqa: E402
from dumps import differences  # noqa: E402
from tap import Skip, case, check, equal, run  # noqa: E402
from tracebytes import Trace, convert  # noqa: E402

STELE, BUILD = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
# What a kind is made for: without it, the comparison would be of nothing.
PRESENT = {
    "annotate": r"^RegionBegin ", "pass": r"Waiting->Runnable", "collect": r"^RangeBegin .*GC",
    "switches": r"^StateTransition .*Runnable->Running", "profiled": r"^StackSample ",
    "allocate": r"^RangeBegin .*GC",
    "callbacks": r"res=G\d+ NotExist->Syscall", "flight": r"^Log ", "long": r"^Sync .*n=3",
}


def reference():
    try:
        return oracle.reference(BUILD)
    except oracle.Unavailable as reason:
        raise Skip(str(reason)) from reason


def output(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True,
                          check=True).stdout


def compare(program, trace, name, folder):
    mine = folder / "mine.dump"
    theirs = folder / "theirs.dump"
    mine.write_text(output(STELE, "events", "--format=reference", trace))
    theirs.write_text(output(program, "-dump", trace))
    found = list(differences(theirs.read_text(), mine.read_text()))
    check(not found, f"{name}: {found[:3]}")
    counts = [dict(re.findall(r"(\w+)=(\d+)", text)) for text in
              (output(program, trace), output(STELE, "check", trace))]
    for key in ("events", "goroutines"):
        equal(counts[1][key], counts[0][key], f"{key} of {name}")
    kind = name.split("-")[0]
    if kind in PRESENT:
        check(re.search(PRESENT[kind], theirs.read_text(), re.M), f"{name}: nothing of its kind")


@case
def fresh_traces_are_read_as_by_go():
    program = reference()
    maker, compared = oracle.oracle(BUILD), []
    with tempfile.TemporaryDirectory(prefix="stele-fresh-") as name:
        folder = pathlib.Path(name)
        for memory in ("0", "1"):
            made = folder / f"made{memory}"
            made.mkdir()
            subprocess.run([maker, "-make", made], check=True,
                           env={**os.environ, "GODEBUG": f"traceallocfree={memory}"})
            for trace in sorted(made.iterdir()):
                original = Trace.decode(trace.read_bytes())
                for version in sorted({original.version, 25}):
                    path = folder / "trace"
                    path.write_bytes(original.encode() if version == original.version
                                     else convert(original, version).encode())
                    label = f"{trace.stem}-memory{memory}-{version}"
                    compare(program, path, label, folder)
                    compared.append(label)
                if memory == "1":
                    check("Experimental " in output(STELE, "events", "--format=reference", trace),
                          f"{trace.stem}: no memory events")
        flight = output(STELE, "raw", folder / "made0" / "flight.trace")
        check(int(re.search(r"gen=(\d+)", flight).group(1)) > 1, "an excerpt from generation 1")
    print(f"# {len(compared)} traces: {', '.join(compared)}")
    check(len(compared) >= 32, f"only {compared}")


run()
