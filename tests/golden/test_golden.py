#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each golden trace, in text form, gets the verdict and the events that stand in its file.

usage: test_golden.py STELE FOLDER

A file is an archive. `expect` is SUCCESS, or FAILURE, WARNING or LOSSES with a "pattern" of what
`stele check` prints; warnings and losses are refused by --strict alone. `events`, of sound
traces, is what `stele events --format=reference --frames=all` prints and what Go's reader says.
`trace` is the text. Released files are never edited.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from tap import case, check, equal, run  # noqa: E402

STELE = sys.argv[1]


def sections(path):
    parts = re.split(r"^-- (\w+) --\n", path.read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def stele(*arguments):
    return subprocess.run([STELE, *map(str, arguments)], capture_output=True, text=True)


def verify(path):
    parts = sections(path)
    kind, _, pattern = parts["expect"].strip().partition(" ")
    with tempfile.TemporaryDirectory() as folder:
        trace = pathlib.Path(folder, "t.trace")
        made = stele("assemble", "-o", trace, path)
        equal(made.returncode, 0, made.stderr)
        checked, strict = stele("check", trace), stele("check", "--strict", trace)
        events = stele("events", "--format=reference", "--frames=all", trace)
    want = {"SUCCESS": (0, 0), "WARNING": (0, 3), "LOSSES": (0, 4), "FAILURE": (3, 3)}[kind]
    equal((checked.returncode, strict.returncode), want, checked.stdout)
    equal(events.returncode, want[0], events.stderr)
    if kind != "SUCCESS":
        check(re.search(pattern[1:-1], checked.stdout), f"{pattern} not in {checked.stdout}")
    if "events" in parts:
        check(checked.stdout.startswith("ok events="), checked.stdout)
        equal(events.stdout.splitlines(), parts["events"].splitlines())


for file in sorted(pathlib.Path(sys.argv[2]).glob("*.test")):
    def one(file=file):
        verify(file)
    one.__name__ = file.stem
    case(one)
run()
