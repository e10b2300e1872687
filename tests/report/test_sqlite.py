#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""stele export --to=sqlite: what SQL adds up is what stele report and stele heap say.

usage: test_sqlite.py STELE GOLDEN     GOLDEN: folder of traces in text form
"""
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from tap import Skip, case, check, equal, run  # noqa: E402

STELE, GOLDEN = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
TRACES = HERE.parents[2] / "shared" / "traces"
SCHEMA = HERE.parents[1] / "docs" / "schema" / "sqlite.md"
FOLDER = tempfile.TemporaryDirectory()
PLACE = pathlib.Path(FOLDER.name)


def stele(*arguments, status=0):
    done = subprocess.run([STELE, *map(str, arguments)], capture_output=True, text=True,
                          cwd=PLACE, check=False)
    if status is not None:
        equal(done.returncode, status, f"status of {arguments}: {done.stderr}")
    return done


def need_sqlite():
    if "\n  sqlite " not in stele("export", "--help").stdout:
        raise Skip("this build has no SQLite")


def database(trace, status=0):
    need_sqlite()
    stele("export", "-f", "--to=sqlite", "-o", "out.db", trace, status=status)
    base = sqlite3.connect(PLACE / "out.db")
    equal(base.execute("PRAGMA integrity_check").fetchall(), [("ok",)], "integrity")
    return base


def answer(command, trace):
    return json.loads(stele(command, "--json", trace, status=None).stdout)


def agree(trace, status=0):
    base, report = database(trace, status), answer("report", trace)
    one = lambda sql: base.execute(sql).fetchone()  # noqa: E731
    for table, state in (("waits", "waiting"), ("syscalls", "syscall"), ("ready", "ready")):
        want = report[table]
        equal(one("SELECT count(end_ns), coalesce(sum(end_ns - begin_ns), 0),"
                  f" count(*) - count(end_ns) FROM state WHERE state = '{state}'"),
              (want["count"], want["total_ns"], want["open_count"]), f"{table} of {trace}")
    for row in report["waits"]["top"][:20]:
        if not row["stack"]:
            continue
        frame = row["stack"][0]
        got = one("SELECT count(*) FROM state JOIN frame USING (stack) WHERE depth = 0"
                  " AND state = 'waiting' AND reason = " + repr(row["reason"]) +
                  f" AND line = {frame['line']}")
        check(got[0] >= row["count"], f"{row} of {trace}: {got}")
    equal(one("SELECT count(*) FROM goroutine")[0], report["trust"]["goroutines"],
          f"goroutines of {trace}")
    equal(one("SELECT count(end_ns), coalesce(sum(end_ns - begin_ns), 0) FROM region"),
          (report["regions"]["count"], report["regions"]["total_ns"]), f"regions of {trace}")
    ended = report["tasks"]
    equal(one("SELECT count(*) FROM task WHERE end_ns IS NOT NULL AND begin_ns IS NOT NULL")[0],
          ended["count"], f"tasks of {trace}")
    equal(one("SELECT count(*) FROM sample")[0], report["samples"]["count"], f"samples of {trace}")
    objects = report["memory"]
    if objects["present"] and not objects["repeated_allocations"]:
        equal(one("SELECT count(*) FROM memory WHERE event IN ('HeapObjectAlloc', 'HeapObject')")[0]
              >= objects["allocated"], True, f"objects of {trace}")
    for (left,) in base.execute("SELECT DISTINCT stack FROM state WHERE stack IS NOT NULL EXCEPT"
                                " SELECT stack FROM frame"):
        check(False, f"{trace}: stack {left} has no frames")
    return base


@case
def a_small_trace_is_told_row_by_row():
    stele("assemble", "-f", "-o", "small.trace", HERE / "small.trace.txt")
    base = agree("small.trace")
    equal(base.execute("SELECT id, name, entry, thread, end_ns IS NULL FROM goroutine ORDER BY id")
          .fetchall(), [(1, "boss", "main", 77, 1), (2, "", "worker", None, 0)])
    equal(base.execute("SELECT goroutine, task, name, end_ns - begin_ns FROM region").fetchall(),
          [(1, None, "load", 800)])
    equal(base.execute("SELECT id, parent, name, end_ns - begin_ns FROM task").fetchall(),
          [(5, None, "job", 400)])
    equal(base.execute("SELECT category, text, task FROM log ORDER BY time_ns").fetchall(),
          [("q", "-42", None), ("note", 'say "hi"', 5)])
    # boss waits for a lock, and worker wakes it.
    equal(base.execute("SELECT reason, end_ns - begin_ns, ended_by, function, line FROM state"
                       " JOIN frame USING (stack) WHERE state = 'waiting' AND depth = 0"
                       " ORDER BY begin_ns").fetchall(),
          [("sync", 300, 2, "lock", 30), ("sync", None, None, "lock", 30)])
    equal(base.execute("SELECT event, bytes, name FROM memory ORDER BY time_ns").fetchall(),
          [("HeapObjectAlloc", 32, "node"), ("HeapObjectAlloc", 32, "node"),
           ("HeapObjectFree", None, "")])
    facts = dict(base.execute("SELECT key, value FROM trace"))
    equal((facts["program"], facts["pid"], facts["lost_events"], facts["schema"]),
          ("prog", 42, 5, 1))


@case
def golden_traces_add_up():
    need_sqlite()
    done = 0
    for source in sorted(GOLDEN.iterdir()):
        if stele("assemble", "-f", "-o", "t.trace", source, status=None).returncode:
            continue
        agree("t.trace", status=None)
        done += 1
    check(done > 50, f"only {done}")


@case
def given_traces_add_up():
    if not TRACES.is_dir():
        raise Skip("the traces are not here")
    for name in ("gc", "coro", "io", "user", "timer", "spin-cpu", "chan-af", "gc-af"):
        subprocess.run(["zstd", "-dqf", TRACES / f"{name}.trace.zst", "-o", PLACE / "t.trace"],
                       check=True)
        agree("t.trace")


@case
def the_schema_is_as_documented():
    stele("assemble", "-f", "-o", "small.trace", HERE / "small.trace.txt")
    base = database("small.trace")
    text = SCHEMA.read_text()
    for table, sql in base.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"):
        row = re.search(rf"^\| `{table}` \|.*$", text, re.M)
        check(row, f"{table} is not documented")
        for column in re.findall(r"(\w+)(?: INTEGER| TEXT|\))", sql.split("(", 1)[1]):
            check(f"`{column}`" in row.group(), f"{table}.{column} is not documented")
    examples = text.split("```sql")[1].split("```")[0]
    queries = re.findall(r"--[^\n]*\n(.*?;)", examples, re.S)
    equal(len(queries), 3, "examples")
    for query in queries:
        base.execute(query).fetchall()


@case
def names_are_kept_whatever_they_are():
    base_text = (HERE / "small.trace.txt").read_text()
    for name in (r"a'b\"c", r"\xff\xfe", "x; DROP TABLE state"):
        (PLACE / "odd.txt").write_text(base_text.replace('data="load"', f'data="{name}"'))
        stele("assemble", "--sizes", "-f", "-o", "odd.trace", "odd.txt")
        base = database("odd.trace")
        base.text_factory = bytes
        got, = base.execute("SELECT name FROM region").fetchone()
        equal(got, name.replace(r"\"", '"').encode().decode("unicode_escape").encode("latin-1"))


@case
def the_file_is_new_and_private():
    need_sqlite()
    stele("assemble", "-f", "-o", "small.trace", HERE / "small.trace.txt")
    stele("export", "-f", "--to=sqlite", "-o", "out.db", "small.trace")
    equal(os.stat(PLACE / "out.db").st_mode & 0o777, 0o600)
    stele("export", "--to=sqlite", "-o", "out.db", "small.trace", status=2)
    stele("export", "--to=sqlite", "-o", "-", "small.trace", status=2)
    stele("export", "-f", "--to=sqlite", "-o", "small.trace", "small.trace", status=2)
    check(sqlite3.connect(PLACE / "out.db").execute("SELECT count(*) FROM state").fetchone()[0])


run()
