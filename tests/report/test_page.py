#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""stele report --html in a browser: no complaints, the numbers of the JSON reports, tables that
sort and filter, and nothing from anywhere else.

usage: test_page.py STELE
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from browser import Browser  # noqa: E402
from tap import Skip, case, check, equal, run  # noqa: E402

STELE = str(pathlib.Path(sys.argv[1]).resolve())
TRACES = HERE.parents[2] / "shared" / "traces"
FOLDER = tempfile.TemporaryDirectory()
PLACE = pathlib.Path(FOLDER.name)
BYTES_MAX = 5 << 20


def stele(*arguments, status=0):
    done = subprocess.run([STELE, *map(str, arguments)], capture_output=True, text=True,
                          cwd=PLACE, check=False)
    equal(done.returncode, status, f"status of {arguments}: {done.stderr}")
    return done


def small(replace=()):
    text = (HERE / "small.trace.txt").read_text()
    for old, new in replace:
        check(old in text, old)
        text = text.replace(old, new)
    (PLACE / "small.txt").write_text(text)
    stele("assemble", "--sizes", "-f", "-o", "small.trace", "small.txt")
    return "small.trace"


def page(trace, *options):
    equal(stele("report", "-f", "--html", "out.html", *options, trace).stdout, "out.html\n")
    path = PLACE / "out.html"
    text = path.read_text()
    check(len(text.encode()) <= BYTES_MAX, f"{len(text)} bytes")
    check(not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", text), "something from outside")
    return path


ROWS = """const rows = document.querySelectorAll("#" + arguments[0] + " tbody tr:not([hidden])");
  return Array.from(rows, tr => Array.from(tr.children, td => td.textContent));"""
PARTS = """return Array.from(document.querySelectorAll("main section"), s => s.id);"""


@case
def a_small_trace_is_all_there():
    with Browser() as browser:
        browser.open(page(small()))
        equal(browser.run("return document.title;"), "prog – stele")
        equal(browser.run(PARTS), ["timeline", "time", "latency", "waits", "calls", "syscalls",
                                   "ready", "regions", "tasks", "memory", "sites", "whom", "sizes",
                                   "map", "broken", "flames"])
        threads = browser.run(ROWS, "time")
        equal([row[0] for row in threads], ["77", "2"])
        equal(threads[0][3:], ["1.90 µs", "998 ns", "300 ns", "601 ns", "0 ns", "2"])
        equal(browser.run(ROWS, "waits"), [["sync", "lock (p.c:30)", "601 ns", "1", "300 ns",
                                            "300 ns", "300 ns", "300 ns", "1"]])
        equal(browser.run(ROWS, "regions"), [["load", "800 ns", "1", "800 ns", "800 ns", "800 ns",
                                              "800 ns", "0"]])
        facts = browser.run("return document.querySelector('header').textContent;")
        check("5 events: figures are too low" in facts, facts)
        widths = browser.run("""return Array.from(document.querySelectorAll(
          "#time tbody tr:first-child .bar span"), s => Math.round(parseFloat(s.style.width)));""")
        equal(widths, [53, 16, 32, 0])
        equal(browser.complaints(), [])


@case
def rows_open_to_stacks():
    with Browser() as browser:
        browser.open(page(small()))
        browser.click("#waits tbody tr")
        equal(browser.run(ROWS, "waits")[1], ["lock  /src/p.c:30\nmain  /src/p.c:20"])
        browser.keys("\ue007")  # Enter, on what was clicked
        browser.run("document.querySelector('#waits tbody tr').focus();")
        browser.keys("\ue007")
        equal(browser.complaints(), [])


@case
def real_traces_sort_and_filter():
    if not TRACES.is_dir():
        raise Skip("the traces are not here")
    subprocess.run(["zstd", "-dqf", TRACES / "mix-cpu-10m.trace.zst", "-o", PLACE / "mix.trace"],
                   check=True)
    report = json.loads(stele("report", "--json", "--top=200", "mix.trace").stdout)
    with Browser() as browser:
        browser.open(page("mix.trace"))
        waits = browser.run(ROWS, "waits")
        equal(len(waits), min(200, report["waits"]["places"]))
        # What is cut says so.
        equal(len(browser.run(ROWS, "time")), 200)
        note = browser.run("return document.querySelector('#time p.note:last-child').textContent;")
        check(f"the first 200 of {report['threads_total']:,}" in note, note)
        equal([int(row[3].replace(",", "")) for row in waits],
              [row["count"] for row in report["waits"]["top"]])
        browser.run("document.querySelectorAll('#waits th button')[3].click();")
        counts = [int(row[3].replace(",", "")) for row in browser.run(ROWS, "waits")]
        equal(counts, sorted(counts, reverse=True))
        browser.run("document.querySelectorAll('#waits th button')[3].click();")
        equal([int(row[3].replace(",", "")) for row in browser.run(ROWS, "waits")],
              sorted(counts))
        equal(browser.run("return document.querySelectorAll('#waits th')[3].ariaSort;"),
              "ascending")
        browser.run("""const i = document.querySelector("#waits input"); i.value = "CHAN receive";
          i.dispatchEvent(new Event("input"));""")
        found = browser.run(ROWS, "waits")
        want = [row for row in report["waits"]["top"]
                if "chan receive" in (row["reason"] + str(row["stack"])).lower()]
        equal(len(found), len(want))
        equal([row[2] for row in browser.run(ROWS, "functions")],
              [row["name"] for row in report["hot_functions"]["top"]])
        kinds = browser.run("""return Array.from(
          document.querySelector("#flames select").options, o => o.value);""")
        equal(kinds, ["sync", "wait", "net", "syscall", "sched", "cpu"])
        equal(browser.complaints(), [])


@case
def memory_has_curves_and_places():
    if not TRACES.is_dir():
        raise Skip("the traces are not here")
    subprocess.run(["zstd", "-dqf", TRACES / "gc-af.trace.zst", "-o", PLACE / "gc.trace"],
                   check=True)
    heap = json.loads(stele("heap", "--json", "gc.trace").stdout)
    for width, dark in ((1280, False), (2560, True)):
        with Browser(width, 900, dark) as browser:
            browser.open(page("gc.trace"))
            equal(browser.run("return document.querySelectorAll('svg.curve').length;"), 3)
            equal([int(row[0].replace(",", "")) for row in browser.run(ROWS, "broken")],
                  [b["count"] for b in heap["broken"]])
            equal(len(browser.run(ROWS, "sites")), min(200, heap["sites"]["places"]))
            check(browser.run("return document.documentElement.scrollWidth <= innerWidth;"),
                  "the page is wider than the window")
            equal(browser.complaints(), [])


@case
def flame_graphs_work_within_the_page():
    with Browser() as browser:
        browser.open(page(small()))
        browser.run("document.getElementById('flames').scrollIntoView();")
        browser.call("POST", "/frame", {"id": {
            "element-6066-11e4-a52e-4f735466cecf": browser.find("iframe")}})
        names = browser.run("return Array.from(document.querySelectorAll('g title'),"
                            " t => t.textContent.split(' (')[0]);")
        equal(sorted(names), ["all", "lock", "main", "sync"])
        browser.click("g:nth-of-type(2)")
        browser.keys("/")
        browser.answer_prompt("lock")
        check("100.0 %" in browser.run("return document.getElementById('note').textContent;"))
        equal(browser.complaints(), [])


def timeline_of(path):
    """What the page has of it."""
    found = re.search(r"timeline: (\{.*?\]\}\}), flames", path.read_text(), re.S)
    return json.loads(found.group(1))


def items_of(timeline):
    flat = timeline["window"]["items"]
    return [flat[i:i + 6] for i in range(0, len(flat), 6)]


def unpacked(name):
    if not TRACES.is_dir():
        raise Skip("the traces are not here")
    subprocess.run(["zstd", "-dqf", TRACES / f"{name}.trace.zst", "-o", PLACE / f"{name}.trace"],
                   check=True)
    return f"{name}.trace"


@case
def steps_of_the_timeline_add_up_to_the_report():
    # `mix` has 69,000 goroutines, of which most are dropped; `user` is all in the window.
    for name in ("mix-cpu-10m", "user", "gc-af", "spawn"):
        trace = unpacked(name)
        groups = json.loads(stele("report", "--json", trace).stdout)["groups"]
        timeline = timeline_of(page(trace))
        for i, state in enumerate(("running_ns", "ready_ns", "syscall_ns")):
            got = sum(step[i] for step in timeline["all"]) * timeline["step_ns"] / 100
            want = sum(group[state] for group in groups)
            rounding = len(timeline["all"]) * timeline["step_ns"] / 200
            check(abs(got - want) <= rounding + 1, f"{state} of {name}: {got}, {want}")
        threads = {t["goroutine"]: t for t in
                   json.loads(stele("report", "--json", trace).stdout)["threads"]}
        for lane in timeline["lanes"]:
            known = threads.get(lane["id"])
            want = known and known["running_ns"] + known["syscall_ns"]
            check(known is None or lane["busy_ns"] == want, f"{lane['name']} of {name}: {want}")


@case
def single_slices_add_up_to_the_report():
    trace = unpacked("user")
    timeline = timeline_of(page(trace, "--top=all"))
    threads = {t["goroutine"]: t for t in
               json.loads(stele("report", "--json", trace).stdout)["threads"]}
    equal(timeline["window"]["begin_ns"], timeline["begin_ns"])
    equal(len(timeline["lanes"]), timeline["lanes_total"])
    sums = {}
    for kind, lane, _, length, _, detail in items_of(timeline):
        if kind == 0:
            key = timeline["lanes"][lane]["id"], detail
            sums[key] = sums.get(key, 0) + length
    for (goroutine, detail), ns in sums.items():
        state = ("running_ns", "ready_ns", "syscall_ns", "waiting_ns", "unknown_ns")[detail]
        equal(ns, threads[goroutine][state], f"{state} of {goroutine}")
    regions = sorted((timeline["lanes"][lane]["id"], begin, length, detail)
                     for kind, lane, begin, length, _, detail in items_of(timeline) if kind == 1)
    equal(regions, sorted(regions_in(trace)))


def regions_in(trace):
    """(goroutine, begin, length, depth) of those with less than eight around them."""
    found, stacks, first, last = [], {}, None, 0

    def end(goroutine, time):
        stack = stacks[goroutine]
        begin = stack.pop()
        if len(stack) < 8:
            found.append((goroutine, begin - first, time - begin, len(stack)))

    for line in stele("events", "--json", trace).stdout.splitlines()[1:]:
        event = json.loads(line)
        last = event["time_ns"]
        first = last if first is None else first
        stack = stacks.setdefault(event.get("goroutine"), [])
        if event["kind"] == "RegionBegin":
            stack.append(last)
        elif event["kind"] == "RegionEnd" and stack:
            end(event["goroutine"], last)
        elif event.get("to") == "NotExist" and event["resource"] == "goroutine":
            while stacks.get(event["id"]):
                end(event["id"], last)
    for goroutine, stack in stacks.items():
        while stack:
            end(goroutine, last)
    return found


@case
def a_window_has_all_that_happened_in_it():
    timeline = timeline_of(page(unpacked("mix-cpu-10m"), "--top=all"))
    window, items = timeline["window"], items_of(timeline)
    check(window["begin_ns"] > timeline["begin_ns"], "all of a long trace is in the window")
    ends = [item[2] + item[3] for item in items]
    check(min(ends) >= 0 and ends == sorted(ends), "what ended before the window")
    # Each lane's slices follow upon each other without a gap.
    last = {}
    for kind, lane, begin, length, _, _ in items:
        if kind == 0:
            check(lane not in last or last[lane] == begin, f"a gap in lane {lane}")
            last[lane] = begin + length


CANVAS = """const c = document.querySelector("canvas");
  return [Number(c.dataset.from), Number(c.dataset.to),
          document.querySelector(".says").textContent];"""
COLOURED = """const c = document.querySelector("canvas"), p = c.getContext("2d");
  const d = p.getImageData(0, 0, c.width, c.height).data, seen = new Set();
  for (let i = 0; i < d.length; i += 4) seen.add(d[i] << 16 | d[i + 1] << 8 | d[i + 2]);
  const style = getComputedStyle(document.documentElement);
  return ["running", "ready", "waiting"].map(n =>
    seen.has(parseInt(style.getPropertyValue("--" + n).trim().slice(1), 16)));"""


def drawn(browser):
    """Frames are drawn when the browser finds the time."""
    browser.call("POST", "/execute/async", {"script": """const done = arguments[0];
      requestAnimationFrame(() => requestAnimationFrame(done));""", "args": []})


@case
def the_timeline_zooms_to_single_slices():
    for width, dark in ((1280, False), (2560, True)):
        with Browser(width, 1000, dark) as browser:
            browser.open(page(small()))
            browser.run("document.querySelector('canvas').focus();")
            drawn(browser)
            equal(browser.run(COLOURED), [True, True, True])
            equal(browser.run(CANVAS)[:2], [0, 1901])
            browser.keys("+")
            equal(browser.run(CANVAS)[:2], [475.25, 1425.75])
            browser.keys("\ue012")  # left
            equal(browser.run(CANVAS)[:2], [285.15, 1235.65])
            # boss waits from 300 to 600, then it is ready until 900
            browser.keys("\ue011n")  # Home, and the slice in the middle: from 900 on it runs
            said = browser.run(CANVAS)[2]
            check(said.startswith("77 boss: running, 700 ns, from 900 ns on"), said)
            browser.keys("p")
            said = browser.run(CANVAS)[2]
            check(said.startswith("77 boss: ready, 300 ns, from 600 ns on; made ready by 2 worker"),
                  said)
            browser.keys("p\ue007")  # Enter: as wide as the view, with half of it on both sides
            said = browser.run(CANVAS)
            equal(said[:2], [150, 750])
            check(said[2].startswith("77 boss: waiting for sync, 300 ns, from 300 ns on"), said)
            drawn(browser)
            equal(browser.run(COLOURED)[0], True)
            check(browser.run("return document.documentElement.scrollWidth <= innerWidth;"),
                  "the page is wider than the window")
            # It is the test that reads back what is drawn.
            equal([c for c in browser.complaints() if "willReadFrequently" not in c], [])


@case
def the_timeline_says_what_is_clicked_and_finds_threads():
    with Browser() as browser:
        browser.open(page(small()))
        # 100 px to the right of the names, on the first lane's bar
        browser.run("""const c = document.querySelector("canvas");
          c.scrollIntoView({block: "center"});
          const r = c.getBoundingClientRect(), at = {bubbles: true, pointerId: 1,
            clientX: r.left + 192, clientY: r.top + 70};
          c.setPointerCapture = () => {};
          c.dispatchEvent(new PointerEvent("pointerdown", at));
          c.dispatchEvent(new PointerEvent("pointerup", at));""")
        said = browser.run(CANVAS)[2]
        check(said.startswith("77 boss: running, 298 ns, from 2 ns"), said)
        browser.run("""const i = document.querySelector("#timeline input"); i.value = "WORK";
          i.dispatchEvent(new Event("input"));
          const c = document.querySelector("canvas");
          c.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowDown"}));""")
        equal(browser.run(CANVAS)[2], "2 worker")
        equal(browser.complaints(), [])


@case
def no_name_becomes_a_part_of_the_page():
    bad = r"</script><script>document.title = 'taken'</script><img src=x onerror=alert(1)>"
    with Browser() as browser:
        browser.open(page(small([('data="load"', f'data="{bad}"'),
                                 ('data="lock"', 'data="<!--<script>"')])))
        equal(browser.run(ROWS, "regions")[0][0], bad)
        equal(browser.run("return document.title;"), "prog – stele")
        equal(browser.run("return document.images.length;"), 0)
        equal(browser.complaints(), [])


@case
def a_page_stays_small_whatever_the_trace_holds():
    # 2,000 waits with stacks of their own, of 100 frames with long names.
    lines = ["Trace Go1.23", "EventBatch gen=1 m=7 time=1000", "ProcStatus dt=1 p=0 pstatus=1",
             "GoStatus dt=1 g=1 m=7 gstatus=2"]
    none, stacks, turn = 2**64 - 1, 2000, 0
    for stack in range(1, stacks + 1):
        if stack % 500 == 0:
            lines.append(f"EventBatch gen=1 m=7 time={1000 + stack * 100}")
        lines += [f"GoBlock dt=1 reason_string=1 stack={stack}",
                  f"GoUnblock dt={stack} g=1 g_seq={turn + 1} stack=0",
                  f"GoStart dt=1 g=1 g_seq={turn + 2}"]
        turn += 2
    lines += [f"EventBatch gen=1 m={none} time=1000", "Frequency freq=1000000000"]
    for stack in range(1, stacks + 1):
        if stack % 50 == 1:
            lines += [f"EventBatch gen=1 m={none} time=1000", "Stacks"]
        lines.append(f"Stack id={stack} nframes=100")
        lines += [f"\tpc={i + 7 * stack} func={2 + (i * stack) % 900} file=2 line={i + stack}"
                  for i in range(100)]
    for i in range(902):
        if i % 100 == 0:
            lines += [f"EventBatch gen=1 m={none} time=1000", "Strings"]
        name = f"a_function_with_a_name_that_is_long_{i}_" + "x" * 60 if i > 1 else "sync"
        lines += [f"String id={i + 1}", f'\tdata="{name}"']
    (PLACE / "wide.txt").write_text("\n".join(lines) + "\n")
    stele("assemble", "--sizes", "-f", "-o", "wide.trace", "wide.txt")
    with Browser() as browser:
        browser.open(page("wide.trace"))
        equal(len(browser.run(ROWS, "waits")), 200)
        note = browser.run("return document.querySelector('#waits p.note').textContent;")
        check("the first 200 of 2,000" in note, note)
        equal(browser.complaints(), [])


@case
def files_are_treated_with_care():
    trace = small()
    page(trace)
    stele("report", "--html=out.html", trace, status=2)  # it is there already
    stele("report", "-f", f"--html={trace}", trace, status=2)
    stele("report", "-f", "--html=", trace, status=2)
    stele("report", "-f", "--json", "--html=x.html", trace, status=2)
    stele("report", "--html=no/where.html", trace, status=5)
    stele("heap", "--html=x.html", trace, status=2)
    (PLACE / "no.trace").write_text("no trace")
    stele("report", "--html=no.html", "no.trace", status=3)
    check(not (PLACE / "no.html").exists(), "a page of what is no trace")
    data = (PLACE / trace).read_bytes()
    (PLACE / "cut.trace").write_bytes(data[:len(data) - 40])
    stele("report", "-f", "--html=cut.html", "cut.trace", status=3)
    with Browser() as browser:
        browser.open(PLACE / "cut.html")
        bad = browser.run("return document.querySelector('dd.bad:last-child').textContent;")
        check("truncated" in bad, bad)
        equal(browser.complaints(), [])


run()
