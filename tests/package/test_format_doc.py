#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/format.md says the same as the tables that the program is made of."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support")]
from tap import case, check, equal, run  # noqa: E402

DOC = (ROOT / "docs" / "format.md").read_text()
EVENTS = (ROOT / "src" / "format" / "events.def").read_text()
ENTRY = re.compile(r'^X\((\d+), \w+, "(\w+)", (\d+), \w+, \w+,\s*'
                   r'ARGS(\d)\(((?:[^()]|\([^()]*\))*)\)\)', re.M)


def section(number):
    """The rows of the tables in a section, as lists of cells."""
    text = re.search(rf"^## {number}\. .*?(?=^## |\Z)", DOC, re.M | re.S).group(0)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def numbered(rows):
    return [row for row in rows if row[0].isdigit()]


@case
def doc_lists_the_entries_of_the_table():
    entries = [[m[1], m[2], " ".join(re.findall(r'"(\w+)"', m[5])), m[3]]
               for m in ENTRY.finditer(EVENTS)]
    equal(len(entries), len(re.findall(r"^X\(", EVENTS, re.M)))
    check(len(entries) > 60, "the table of entries was not read")
    equal([row[:4] for row in numbered(section(3))], entries)


@case
def doc_marks_what_the_recorder_can_write():
    for row in numbered(section(3)):
        check(row[4] in ("", "W"), f"{row[1]}: {row[4]}")
        check(row[5], f"{row[1]} is not explained")


@case
def doc_lists_the_tags_and_details_of_own_data():
    header = next(ROOT.glob("src/*/own.h")).read_text()
    tags = re.findall(r"^\tSTELE_OWN_(?:DETAIL_)?(\w+) = (\d+),\s+/\* ([a-z]+)", header, re.M)
    totals = re.search(r"enum stele_own_total \{(.*?)\}", header, re.S).group(1)
    rows = numbered(section(6))
    named = [row for row in rows if len(row) == 4]
    equal([(row[1].upper(), row[0]) for row in named], [(name, number) for name, number, _ in tags])
    equal([row[0] for row in rows if len(row) == 2], re.findall(r"= (\d+)", totals))


run()
