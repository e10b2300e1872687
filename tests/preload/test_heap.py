#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Programs behave the same under stele record --heap, and every object is in the trace once.

usage: test_heap.py STELE ALLOCATE ALLOCATE_CC
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from pairs import Pairs  # noqa: E402
from tap import Skip, case, check, equal, run  # noqa: E402

STELE, ALLOCATE, ALLOCATE_CC = (str(pathlib.Path(a).resolve()) for a in sys.argv[1:4])
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("STELE_", "LD_"))}
LIBRARIES = pathlib.Path("/usr/lib/x86_64-linux-gnu")


def execute(command, environment=None, stdin=b""):
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=ENVIRONMENT | (environment or {}), timeout=120)
    return done.returncode, done.stdout, done.stderr


class Trace:
    """A recorded run: its status and output, what it said, and its memory events."""

    def __init__(self, command, environment=None, stdin=b"", options=("--heap",)):
        with tempfile.TemporaryDirectory(prefix="stele-memory-") as folder:
            trace = os.path.join(folder, "trace")
            self.status, self.out, self.err = execute(
                [STELE, "record", "-o", trace, *options, "--", *command], environment, stdin)
            status, text, complaint = execute([STELE, "check", trace])
            equal(status, 0, f"stele check: {text}{complaint}")
            self.pairs = Pairs(execute([STELE, "events", trace])[1].splitlines())

    def whole(self):
        equal(self.pairs.broken(), (0, 0), "broken pairs")
        check(re.search(rb"^lost +nothing", self.err, re.M), f"lost: {self.err}")

    def __getitem__(self, name):
        return self.pairs.counts[name]


def same(command, environment=None, stdin=b""):
    """Runs it plainly and recorded; the two must not differ, and no pair may be broken."""
    plain = execute(command, environment, stdin)
    trace = Trace(command, environment, stdin)
    equal(trace.status, plain[0], "status")
    equal(trace.out, plain[1], "stdout")
    trace.whole()
    check(trace["HeapObjectAlloc"] > 0, "no objects")
    return trace


def own_counts(err):
    return tuple(map(int, re.search(rb"^(\d+) (\d+)$", err, re.M).groups()))


def exact(environment=None):
    """What COUNT more rounds add to the trace is what the program says it did in them."""
    runs = [Trace([ALLOCATE, "count", str(n)], environment) for n in (100, 1100)]
    for trace in runs:
        trace.whole()
    allocs, frees = (b - a for a, b in zip(*(own_counts(t.err) for t in runs)))
    check(allocs == frees > 10000, f"the program counted {allocs} and {frees}")
    equal(runs[1]["HeapObjectAlloc"] - runs[0]["HeapObjectAlloc"], allocs, "allocs")
    equal(runs[1]["HeapObjectFree"] - runs[0]["HeapObjectFree"], frees, "frees")


@case
def every_object_is_recorded_exactly_once():
    exact()


@case
def results_and_errno_are_the_allocators():
    same([ALLOCATE, "edges"])


@case
def objects_are_freed_by_other_threads():
    r = same([ALLOCATE, "pass", "5000"])
    check(r["HeapObjectFree"] >= 20000, "frees not seen")
    equal(r["GoroutineStackAlloc"], 8, "stacks of threads")
    equal(r["GoroutineStackFree"], 8, "stacks of threads given back")


@case
def hand_over_keeps_the_order():
    r = same([ALLOCATE, "hand", "50000"])
    check(r["HeapObjectFree"] >= 50000, "frees not seen")


@case
def destructors_of_threads():
    r = same([ALLOCATE, "destructors", "50"])
    check(r["HeapObjectFree"] >= 150, "frees not seen")


@case
def handlers_on_their_own_stack():
    r = same([ALLOCATE, "signals", "1000"])
    check(r["HeapObjectAlloc"] >= 3000, "allocs in handlers not seen")


@case
def children_are_not_recorded():
    r = same([ALLOCATE, "fork", "20"])
    check(r["HeapObjectFree"] < 200, "frees of children are in the trace")


@case
def mappings_that_are_cut_and_replaced():
    r = same([ALLOCATE, "map", "100"])
    check(r["Span"] > 10, "existing mappings not seen")
    check(r["SpanAlloc"] >= 700, f"{r['SpanAlloc']} mappings")
    check(r["SpanFree"] >= r["SpanAlloc"], "not all were unmapped")


@case
def dynamic_linker_and_exit():
    same([ALLOCATE, "load", "20"])


@case
def exec_ends_the_mappings():
    r = same([ALLOCATE, "exec", "3"])
    check(r["GoroutineStackFree"] >= 3, "stacks of replaced images live on")


@case
def operators_of_cxx():
    r = same([ALLOCATE_CC])
    check(r["HeapObjectAlloc"] >= 4 * 2000 * 7, "objects not seen")


def with_allocator(soname, cxx_arguments=()):
    path = LIBRARIES / soname
    if not path.exists():
        raise Skip(f"{soname} is not installed")
    preload = {"LD_PRELOAD": str(path)}
    exact(preload)
    for name in ("edges", "pass", "destructors", "signals", "fork", "map", "load"):
        same([ALLOCATE, name], preload)
    r = same([ALLOCATE_CC, *cxx_arguments], preload)
    check(r["HeapObjectAlloc"] >= 4 * 2000 * 7, "objects of operator new not seen")


@case
def with_jemalloc():
    with_allocator("libjemalloc.so.2")


@case
def with_tcmalloc():
    with_allocator("libtcmalloc_minimal.so.4")


@case
def with_mimalloc():
    # Its operator new ends the program where no memory is left.
    with_allocator("libmimalloc.so.2", ["-"])


@case
def samples_are_whole_pairs():
    all_of_them = Trace([ALLOCATE, "count", "1000"])
    sampled = Trace([ALLOCATE, "count", "1000"], options=("--heap=64K",))
    sampled.whole()
    check(b"sampled, one in 64.0 KiB" in sampled.err, f"no word about it: {sampled.err}")
    check(0 < sampled["HeapObjectAlloc"] < all_of_them["HeapObjectAlloc"] / 2,
          f"{sampled['HeapObjectAlloc']} samples")


@case
def without_the_option_nothing_is_recorded():
    r = Trace([ALLOCATE, "count", "10"], options=())
    equal(sum(r.pairs.counts.values()), 0, "memory events")
    check(b"heap" not in r.err, "a summary of the heap")


@case
def small_buffer_makes_threads_wait():
    r = Trace([ALLOCATE, "count", "20000"], options=("--heap", "--buffer-size=1M"))
    r.whole()


@case
def bad_sizes_are_refused():
    for size in ("0", "x", "2G", "-1"):
        status, _, err = execute([STELE, "record", f"--heap={size}", "--", "true"])
        equal(status, 125, size)
        check(b"--heap=" in err, f"{size}: {err}")


def program(name):
    path = shutil.which(name)
    if not path:
        raise Skip(f"{name} is not installed")
    return path


@case
def real_perl():
    same([program("perl"), "-e", "my %h; $h{$_} = 'x' x ($_ % 100) for 1..20000;"
          "print scalar(keys %h), qq(\\n)"])


@case
def real_python():
    r = same([program("python3"), "-c", "import json, threading\n"
              "d = {str(i): [str(i)] * 5 for i in range(5000)}\n"
              "t = threading.Thread(target=lambda: print(len(json.dumps(d))))\n"
              "t.start(); t.join(); print(json.loads(json.dumps(d)) == d)"])
    check(r["SpanAlloc"] > 0, "arenas not seen")


@case
def real_git():
    same([program("git"), "--version"])


@case
def real_sqlite():
    same([program("sqlite3"), ":memory:", "create table t(a, b); with recursive c(x) as (select 1"
          " union all select x + 1 from c where x < 5000) insert into t select x, x || 'text' from"
          " c; create index i on t(b); select count(*), max(b) from t;"])


@case
def real_compiler():
    gcc = program("gcc")
    driver = subprocess.run([gcc, "-print-prog-name=cc1"], capture_output=True, text=True)
    cc1 = driver.stdout.strip()
    if not os.path.isabs(cc1):
        raise Skip("there is no cc1")
    source = "".join(f"int f{i}(int a) {{ int s = 0; while (a--) s += a * {i}; return s; }}\n"
                     for i in range(300)).encode()
    same([cc1, "-quiet", "-O1", "-", "-o", "-"], stdin=source)


run()
