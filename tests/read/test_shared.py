#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Traces of Go programs and of Go's own tests: verdicts, counts and events as Go's reader has them.

usage: test_shared.py STELE FOLDER

FOLDER (or STELE_SHARED) holds gotests/ and traces/, each with a manifest.tsv, and
oracle/compare.py; none of it is part of the project. Without it the test is skipped.
"""
import csv
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from tap import case, check, equal, run  # noqa: E402

STELE = sys.argv[1]
SHARED = pathlib.Path(os.environ.get("STELE_SHARED") or sys.argv[2])
if not (SHARED / "gotests" / "manifest.tsv").is_file():
    print(f"1..0 # SKIP no traces in {SHARED}")
    sys.exit(0)


def stele(*arguments, **more):
    return subprocess.run([STELE, *map(str, arguments)], capture_output=True, **more)


def manifest(folder):
    with open(SHARED / folder / "manifest.tsv", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            yield SHARED / folder / (row.get("file") or row["name"]), row["oracle"]


def verify(path, oracle):
    done = stele("check", path, text=True)
    if oracle.startswith("OK "):
        equal(done.returncode, 0, done.stdout)
        equal(done.stdout.splitlines()[-1], "ok" + oracle[2:])
    else:
        equal(done.returncode, 3, done.stdout)
        check(re.match(r"(corrupt|truncated|unsupported|not a trace): offset \d+.*: \S",
                       done.stdout), done.stdout)


@case
def verdicts_and_counts_are_those_of_go():
    for folder in ("gotests", "traces"):
        for path, oracle in manifest(folder):
            verify(path, oracle)


@case
def text_forms_get_their_expected_verdict():
    files = sorted((SHARED / "gotests" / "text").glob("*.test"))
    check(files, "no text forms")
    with tempfile.TemporaryDirectory() as folder:
        trace = pathlib.Path(folder, "t.trace")
        for file in files:
            equal(stele("assemble", "-f", "-o", trace, file).returncode, 0, file.name)
            done = stele("check", trace, text=True)
            expect = re.search(r"-- expect --\n(\w+)(?: \"(.*)\")?", file.read_text())
            equal(done.returncode, 0 if expect.group(1) == "SUCCESS" else 3, done.stdout)
            check(re.search(expect.group(2) or "", done.stdout), done.stdout)


@case
def events_equal_the_reference_dumps():
    for dump in sorted((SHARED / "traces").glob("*.dump.zst")):
        trace = dump.with_name(dump.name.replace(".dump.", ".trace."))
        with tempfile.NamedTemporaryFile() as out:
            out.write(stele("events", "--format=reference", trace).stdout)
            out.flush()
            done = subprocess.run([SHARED / "oracle" / "compare.py", dump, out.name],
                                  capture_output=True, text=True)
        equal(done.returncode, 0, f"{trace.name}: {done.stdout}")


@case
def what_precedes_the_damage_is_read():
    counts = {}
    for name in ("killed", "failing-sink", "procstatus-af"):
        done = stele("check", SHARED / "traces" / f"{name}.trace.zst", text=True)
        counts[name] = int(re.search(r"read before that: events=(\d+)", done.stdout).group(1))
    check(min(counts.values()) > 100000, str(counts))


run()
