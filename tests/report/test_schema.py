#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The JSON that commands print has exactly the members that docs/schema describes.

usage: test_schema.py STELE GOLDEN
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from tap import case, check, run  # noqa: E402

STELE, GOLDEN = sys.argv[1], pathlib.Path(sys.argv[2])
# Their members are names of the trace, not of the schema.
FREE = {"kinds", "types", "totals", "values"}


def members(value):
    if isinstance(value, list):
        return set().union(*map(members, value), set())
    if not isinstance(value, dict):
        return set()
    return set(value).union(*(members(v) for k, v in value.items() if k not in FREE))


def documented(name):
    text = (ROOT / "docs" / "schema" / f"{name}.md").read_text()
    return text, set(re.findall(r"`([a-z0-9_]+)`", text))


def values(text):
    """One after the other."""
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        text = text[end:]
        yield value


def printed(command, *options):
    """Of all golden traces, good and bad ones."""
    found = set()
    with tempfile.TemporaryDirectory() as folder:
        trace = pathlib.Path(folder, "t.trace")
        for source in sorted(GOLDEN.iterdir()):
            made = subprocess.run([STELE, "assemble", "-f", "-o", trace, source],
                                  capture_output=True, check=False)
            if made.returncode:
                continue
            done = subprocess.run([STELE, command, "--json", *options, trace],
                                  capture_output=True, text=True, check=False)
            for value in values(done.stdout):
                found |= members(value)
    return found


def agree(command, *options, also=()):
    text, known = documented(command)
    for other in also:
        known |= documented(other)[1]
    got = printed(command, *options)
    check(len(got) > 10, f"only {got}")
    check(got <= known, f"not in docs/schema/{command}.md: {sorted(got - known)}")
    source = "".join(p.read_text() for p in (ROOT / "src" / "cli").glob("*.c"))
    words = set(re.findall(r"[a-z0-9_]+", source))
    own = set(re.findall(r"`([a-z0-9_]+)`", text))
    check(own <= words, f"never printed: {sorted(own - words)}")


@case
def check_prints_what_is_documented():
    agree("check")


@case
def info_prints_what_is_documented():
    agree("info", also=["check"])


@case
def report_prints_what_is_documented():
    agree("report", also=["check"])


@case
def heap_prints_what_is_documented():
    agree("heap", also=["report", "check"])


@case
def events_prints_what_is_documented():
    agree("events", "--frames=all")


run()
