#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The manual pages and --help say the same, word for word; roff has nothing to complain of.

usage: test_man.py STELE PAGE…
"""
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tools")]
import man  # noqa: E402
from tap import Skip, case, check, equal, run  # noqa: E402

STELE, PAGES = sys.argv[1], [pathlib.Path(p) for p in sys.argv[2:]]


def words_of_help(text):
    text = re.sub(r"^usage:\s*", "", text)
    return re.sub(r"^([a-z][a-z ]*):", lambda m: m.group(1).upper(), text, flags=re.M).split()


def words_of_page(path):
    """What is left of the page after the synopsis heading, without roff."""
    text = path.read_text().split(".SH SYNOPSIS\n")[1].split("\n.SH SEE ALSO")[0]
    text = text.replace(".SH DESCRIPTION\n", "", 1)
    text = re.sub(r"^\.(SH|B) ", "", text, flags=re.M)
    text = re.sub(r"^\.(PP|TP|br|nf|fi)$", "", text, flags=re.M)
    text = text.replace("\\ ", " ")
    return text.replace("\\-", "-").replace("\\&", "").replace("\\e", "\\").split()


def define(path):
    title = path.name.removesuffix(".1")

    def test():
        command = [STELE, *title.split("-")[1:], "--help"]
        equal(words_of_page(path), words_of_help(man.say(*command)))
    test.__name__ = f"page_of_{title.replace('-', '_')}_says_what_help_says"
    case(test)


for page in PAGES:
    define(page)


@case
def every_command_has_a_page():
    want = {f"stele-{c}.1" for c in man.summaries(man.say(STELE, "--help"))} | {"stele.1"}
    equal(sorted(p.name for p in PAGES), sorted(want))


@case
def pages_are_sound_roff():
    if not shutil.which("groff"):
        raise Skip("groff is not installed")
    for path in PAGES:
        done = subprocess.run(["groff", "-man", "-ww", "-Kutf8", "-Tutf8", path],
                              capture_output=True, text=True, check=False)
        check(done.returncode == 0 and not done.stderr, done.stderr)


@case
def entries_become_tagged_paragraphs():
    got = man.page("x y", "does", "stele 1", "usage: x y\n\noptions:\n  -a, --all   everything\n"
                   "              and more\n  .dots   quoted\n")
    check(".TP\n.B \\-a, \\-\\-all\neverything\n" in got, got)
    check("and more\n.TP\n.B \\&.dots\nquoted\n" in got, got)


run()
