#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""stele flame: boxes are as wide as their shares, whatever their names; and in a browser the
picture does what it says.

usage: test_flame.py STELE
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from browser import Browser  # noqa: E402
from tap import case, check, equal, run  # noqa: E402

STELE = str(pathlib.Path(sys.argv[1]).resolve())
FOLDER = tempfile.TemporaryDirectory()
PLACE = pathlib.Path(FOLDER.name)
SVG = "{http://www.w3.org/2000/svg}"
WIDTH = 1180  # of all


def stele(*arguments, status=0):
    done = subprocess.run([STELE, *map(str, arguments)], capture_output=True, text=True,
                          cwd=PLACE, check=False)
    equal(done.returncode, status, f"status of {arguments}: {done.stderr}")
    return done


def trace(waits, name="t"):
    """One goroutine that waits so long in each of these stacks (innermost function first)."""
    functions = sorted({f for stack, _ in waits for f in stack})
    lines = ["Trace Go1.23", "EventBatch gen=1 m=7 time=1000", "ProcStatus dt=1 p=0 pstatus=1",
             "GoStatus dt=1 g=1 m=7 gstatus=2"]
    turn = 0
    for number, (_, ns) in enumerate(waits):
        lines.append(f"GoBlock dt=1 reason_string=1 stack={number + 1}")
        lines.append(f"GoUnblock dt={ns} g=1 g_seq={turn + 1} stack=0")
        lines.append(f"GoStart dt=1 g=1 g_seq={turn + 2}")
        turn += 2
    lines += ["EventBatch gen=1 m=18446744073709551615 time=1000", "Frequency freq=1000000000",
              "EventBatch gen=1 m=18446744073709551615 time=1000", "Stacks"]
    for number, (stack, _) in enumerate(waits):
        lines.append(f"Stack id={number + 1} nframes={len(stack)}")
        for f in stack:
            at = functions.index(f) + 2
            lines.append(f"\tpc={at} func={at} file=0 line=0")
    lines += ["EventBatch gen=1 m=18446744073709551615 time=1000", "Strings", "String id=1",
              '\tdata="sync"']
    for f in functions:
        lines += [f"String id={functions.index(f) + 2}", f'\tdata="{f}"']
    (PLACE / f"{name}.txt").write_text("\n".join(lines) + "\n")
    stele("assemble", "-f", "-o", f"{name}.trace", f"{name}.txt")
    return f"{name}.trace"


def boxes(path):
    """(name and amount, x, y, width) of each."""
    tree = xml.parse(PLACE / path)
    out = []
    for g in tree.getroot().iter(f"{SVG}g"):
        rect = g.find(f"{SVG}rect")
        out.append((g.find(f"{SVG}title").text, *(float(rect.get(k)) for k in
                                                   ("x", "y", "width"))))
    return out


SMALL = [(("lock", "load", "main"), 600), (("lock", "store", "main"), 300), (("idle",), 100)]


def small():
    name = trace(SMALL)
    stele("flame", "-f", "-o", "small.svg", name)
    return PLACE / "small.svg"


@case
def boxes_are_as_wide_as_their_shares():
    small()
    found = {title.split(" (")[0]: [] for title, *_ in boxes("small.svg")}
    for title, *place in boxes("small.svg"):
        found[title.split(" (")[0]].append((title, *place))
    for name, share in (("all", 1), ("main", 0.9), ("load", 0.6), ("store", 0.3), ("idle", 0.1)):
        (title, _, _, width), = found[name]
        check(abs(width - share * WIDTH) < 0.1, f"{name}: {width}")
        check(f"{100 * share:.2f} %" in title, title)
    equal(len(found["lock"]), 2)
    check("600 ns" in found["load"][0][0], found["load"])


@case
def callees_lie_within_their_callers():
    small()
    by_row = {}
    for title, x, y, width in boxes("small.svg"):
        by_row.setdefault(y, []).append((x, x + width, title))
    rows = [by_row[y] for y in sorted(by_row)]
    equal(len(rows), 5)
    for above, row in zip(rows, rows[1:]):
        for left, right, title in row:
            check(any(a - 0.02 <= left and right <= b + 0.02 for a, b, _ in above), title)
        row.sort()
        for (_, end, _), (begin, _, title) in zip(row, row[1:]):
            check(begin >= end - 0.02, f"{title} overlaps")


@case
def any_name_makes_a_picture():
    names = [r"<script>", r"a & b", r"\"quoted\"", r"\xff\xfe", r"\x01\x1b[31m", "x" * 900,
             "日本" * 40, r"]]>", "\ufffe", "%s%n"]
    stele("flame", "-f", "-o", "odd.svg", trace([((name,), 100) for name in names], "odd"))
    titles = [title for title, *_ in boxes("odd.svg")]  # well-formed, or this fails
    check(any(t.startswith("<script> (") for t in titles), titles)
    check(any(t.startswith("日本" * 40) for t in titles), titles)


@case
def what_is_too_narrow_is_counted():
    name = trace([(("wide",), 10_000_000), (("narrow",), 1)], "narrow")
    stele("flame", "-f", "-o", "narrow.svg", name)
    check(not [t for t, *_ in boxes("narrow.svg") if t.startswith("narrow")])
    check("2 too narrow" in (PLACE / "narrow.svg").read_text())


@case
def every_kind_can_be_drawn_and_empty_ones_say_so():
    name = trace(SMALL)
    kinds = re.findall(r"^  (\w+) ", stele("flame", "--help").stdout.split("kinds:")[1]
                       .split("exit status")[0], re.M)
    check({"sync", "cpu", "heap", "peak", "temporary"} <= set(kinds), kinds)
    for kind in kinds:
        said = stele("flame", "-f", f"--kind={kind}", name).stdout.strip()
        equal(said, f"{name}.{kind}.svg")
        xml.parse(PLACE / said)
    check("Nothing of kind heap" in (PLACE / f"{name}.heap.svg").read_text())
    stele("flame", name, status=2)  # it is there already
    stele("flame", "--kind=nonsense", name, status=2)
    stele("flame", "--to=csv", name, status=2)


# In a browser ---------------------------------------------------------------------------------

WIDTHS = """return Object.fromEntries(Array.from(document.querySelectorAll("g")).map(g =>
  [g.querySelector("title").textContent.split(" (")[0],
   g.style.display === "none" ? 0 : g.querySelector("rect").width.baseVal.value]));"""

def box(browser, name):
    browser.run("""Array.from(document.querySelectorAll("g")).forEach(g => {
      if (g.querySelector("title").textContent.startsWith(arguments[0])) g.id = "wanted";
      else g.removeAttribute("id"); });""", name + " (")
    return "#wanted"


@case
def a_click_makes_a_box_wide_and_escape_shows_all_again():
    with Browser() as browser:
        browser.open(small())
        before = browser.run(WIDTHS)
        browser.click(box(browser, "store"))
        now = browser.run(WIDTHS)
        for name, width in (("all", WIDTH), ("main", WIDTH), ("store", WIDTH), ("load", 0),
                            ("idle", 0)):
            check(abs(now[name] - width) < 0.1, f"{name}: {now[name]}")
        browser.keys("\ue00c")
        equal(browser.run(WIDTHS), before, "after Escape")
        equal(browser.complaints(), [], "on the console")


@case
def the_keyboard_suffices():
    with Browser() as browser:
        browser.open(small())
        browser.keys("\ue004\ue004")  # Tab: all, and its first child
        says = browser.run("return document.getElementById('says').textContent;")
        check(says.startswith("idle ("), says)
        browser.keys("\ue007")
        check(abs(browser.run(WIDTHS)["idle"] - WIDTH) < 0.1, "Enter")
        browser.keys("\ue00c/")
        browser.answer_prompt("^(load|lock)$")
        says = browser.run("return document.getElementById('note').textContent;")
        # load and what is in it counts once; and the lock in store.
        check("3 boxes" in says and "90.0 %" in says, says)
        browser.keys("/")
        browser.answer_prompt("(")
        says = browser.run("return document.getElementById('note').textContent;")
        check("is no pattern" in says, says)
        equal(browser.complaints(), [], "on the console")


@case
def the_picture_fits_windows():
    for width in (1280, 2560):
        with Browser(width, 800) as browser:
            browser.open(small())
            right = browser.run("""return Math.max(...Array.from(
              document.querySelectorAll("rect"), r => r.getBoundingClientRect().right));""")
            inside = browser.run("return window.innerWidth;")
            check(0.9 * inside < right <= inside, f"{right} of {inside}")
            sizes = browser.run("""return Array.from(document.querySelectorAll("g text"))
              .filter(t => t.textContent).map(t => t.getBoundingClientRect().height);""")
            check(sizes and min(sizes) >= 10, f"letters of {sizes} pixels")


@case
def names_stay_in_their_boxes():
    with Browser() as browser:
        name = trace([((f"function_number_{i}_with_a_long_name", "main"), 10 + i * i)
                      for i in range(40)], "long")
        stele("flame", "-f", "-o", "long.svg", name)
        browser.open(PLACE / "long.svg")
        over = browser.run("""return Array.from(document.querySelectorAll("g")).filter(g =>
          g.querySelector("text").getBoundingClientRect().right >
          g.querySelector("rect").getBoundingClientRect().right + 1).length;""")
        equal(over, 0, "names that are wider than their boxes")


run()
