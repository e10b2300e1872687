#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""stele heap, on small traces whose answers are known.

usage: test_heap.py STELE GOLDEN [--update]
"""
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from ownrecords import numbers, quoted, record, text  # noqa: E402
from tap import case, check, equal, run  # noqa: E402

STELE = str(pathlib.Path(sys.argv[1]).resolve())
UPDATE = "--update" in sys.argv
FOLDER = tempfile.TemporaryDirectory()
PLACE = pathlib.Path(FOLDER.name)
NONE = 2**64 - 1
PAGE, GO_BASE = 8192, 0xc000000000


class Trace:
    """A trace of one generation in text form. Threads are numbers; each tick is a ns."""

    def __init__(self, go=False):
        self.go = go
        self.now = 1000
        self.batches = []
        self.types, self.sites = b"\0", b"T"
        self.own = [] if go else [record(1, numbers(42, 1) + text(b"prog"))]
        self.stacks, self.strings = [], {}

    def type(self, number, size, name, stack=0):
        self.types += numbers(number, number, size, 0) + text(name)
        if stack:
            self.sites += numbers(number, stack)

    def string(self, value):
        return self.strings.setdefault(value, len(self.strings) + 1)

    def stack(self, *frames):
        lines = [f"\tpc={self.string(f)} func={self.string(f)} file=0 line=0" for f in frames]
        self.stacks.append([f"Stack id={len(self.stacks) + 1} nframes={len(frames)}", *lines])
        return len(self.stacks)

    def __call__(self, thread, name, *arguments, after=10):
        """An event on a thread, so many ns after the last one on any; of other kinds than memory
        with its arguments in its name."""
        self.now += after
        fields = {"Span": "npages_value kindclass", "SpanAlloc": "npages_value kindclass",
                  "HeapObject": "type", "HeapObjectAlloc": "type", "GoroutineStack": "order",
                  "GoroutineStackAlloc": "order"}.get(name, "").split()
        values = "".join(f" {f}={v}" for f, v in zip(["id", *fields], arguments))
        if not self.batches or self.batches[-1][0] != thread:
            self.batches.append((thread, [f"EventBatch gen=1 m={thread} time={self.now}"]))
            delta = 0
        else:
            delta = after
        name, _, rest = name.partition(" ")
        self.batches[-1][1].append(f"{name} dt={delta}{values} {rest}".rstrip())

    def lines(self):
        batch = f"ExperimentalBatch exp=1 gen=1 m={NONE} time=1000"
        layout = numbers(GO_BASE, PAGE, 8, 2048) if self.go else numbers(0, 4096, 1, 1)
        payloads = [b"\x01" + layout, self.types, self.sites]
        if self.own:
            payloads.append(b"S\x01" + b"".join(self.own))
        yield "Trace Go1.23"
        for _, lines in self.batches:
            yield from lines
        for payload in payloads:
            yield batch
            yield quoted(payload)
        for head in ("Frequency freq=1000000000", "Stacks", "Strings"):
            yield f"EventBatch gen=1 m={NONE} time={self.now}"
            yield head
            if head == "Stacks":
                for lines in self.stacks:
                    yield from lines
            if head == "Strings":
                for value, number in self.strings.items():
                    yield f"String id={number}"
                    yield f'\tdata="{value}"'

    def write(self, name="t"):
        (PLACE / f"{name}.txt").write_text("\n".join(self.lines()) + "\n")
        stele("assemble", "--sizes", "-f", "-o", f"{name}.trace", f"{name}.txt")
        return f"{name}.trace"

    def heap(self, *options):
        return json.loads(stele("heap", "--json", *options, self.write()).stdout)


def stele(*arguments, status=0):
    done = subprocess.run([STELE, *arguments], capture_output=True, text=True, cwd=PLACE,
                          check=False)
    equal(done.returncode, status, f"status of {arguments}: {done.stderr}")
    return done


def broken(answer):
    return [(b["family"], b["kind"], b["cause"], b["count"]) for b in answer["broken"]]


def program():
    """Two places: parse() makes a peak, cache() keeps; one object is freed at once."""
    t = Trace()
    t.type(1, 100, b"parse", t.stack("parse", "main"))
    t.type(2, 30, b"cache", t.stack("cache", "main"))
    t.type(3, 50, b"cache", 2)
    t(7, "Span", 0, 10, 1)
    t(7, "GoroutineStack", 0x70000, 24)
    t(7, "HeapObject", 0x100, 2)
    t(7, "HeapObjectAlloc", 0x200, 1)
    t(7, "HeapObjectAlloc", 0x300, 1)
    t(8, "HeapObjectAlloc", 0x400, 3)  # 230 bytes alive: the peak
    t(8, "HeapObjectFree", 0x200)
    t(7, "HeapObjectFree", 0x300)  # the last one that thread 7 allocated
    t(7, "HeapObjectAlloc", 0x200, 1)
    t(7, "HeapObjectFree", 0x200)
    return t


@case
def text_is_as_it_was():
    got = stele("heap", program().write("program")).stdout
    golden = HERE / "small.heap.txt"
    if UPDATE:
        golden.write_text(got)
    equal(got, golden.read_text(), "heap")
    check(max(map(len, got.splitlines())) <= 100, "wider than 100 columns")


@case
def objects_have_their_places():
    answer = program().heap()
    objects = answer["memory"]["objects"]
    want = {"allocated": 5, "existed": 1, "freed": 3, "live": 2, "allocated_bytes": 380,
            "freed_bytes": 300, "live_bytes": 80, "peak_bytes": 280, "temporary": 2}
    equal({k: objects[k] for k in want}, want)
    cache, parse = answer["sites"]["top"]
    want = {"name": "cache", "size": 0, "live": 2, "live_bytes": 80, "at_peak": 2,
            "at_peak_bytes": 80, "temporary": 0, "existed": 1}
    equal({k: cache[k] for k in want}, want)
    equal([f["function"] for f in cache["stack"]], ["cache", "main"])
    want = {"name": "parse", "size": 100, "allocated": 3, "freed": 3, "live": 0, "at_peak": 2,
            "at_peak_bytes": 200, "temporary": 2}
    equal({k: parse[k] for k in want}, want)
    equal(answer["broken"], [])


@case
def bytes_over_time_are_a_curve():
    t = Trace()
    t.type(1, 100, b"step")
    for i in range(50):  # up, then down
        t(7, "HeapObjectAlloc", 0x100 * i, 1, after=10_000)
    for i in range(50):
        t(7, "HeapObjectFree", 0x100 * i, after=10_000)
    answer = t.heap()
    curve = answer["memory"]["objects"]["curve"]
    values, begin, step = curve["max_bytes"], curve["begin_ns"], curve["step_ns"]
    equal((max(values), begin), (5000, answer["trust"]["first_ns"]))
    check(len(values) <= 512 and begin + step * len(values) > answer["trust"]["last_ns"], curve)
    top = values.index(5000)
    equal(values[:top + 1], sorted(values[:top + 1]), "on the way up")
    equal(values[top:], sorted(values[top:], reverse=True), "on the way down")
    # Half-way up, one in two has been allocated.
    middle = values[(250_000 + 10 - begin % 10) // step]
    check(2300 <= middle <= 2700, middle)


@case
def spans_have_their_objects():
    kind, = program().heap()["span_kinds"]
    want = {"heap": False, "live": 1, "live_bytes": 40960, "objects": 2, "occupied_bytes": 80}
    equal({k: kind[k] for k in want}, want)


@case
def a_part_knows_nothing_of_before():
    # Behind the allocs: 0x200 and 0x300 are freed, and were not allocated.
    answer = program().heap("--from=55ns")
    equal(broken(answer), [("objects", "free", "existed", 2)])


# Causes ---------------------------------------------------------------------------------------


@case
def freed_twice():
    t = Trace()
    t.type(1, 16, b"make", t.stack("make", "main"))
    t(7, "HeapObjectAlloc", 0x100, 1)
    t(8, "HeapObjectFree", 0x100)
    t(7, "HeapObjectFree", 0x100, after=5000)
    answer = t.heap()
    equal(broken(answer), [("objects", "free", "double_free", 1)])
    twice, = answer["broken"]
    want = {"address": 0x100, "thread": 7, "time_ns": 6020, "freed_by": 8, "freed_ns": 1020}
    equal({k: twice[k] for k in want}, want)
    equal([f["function"] for f in twice["stack"]], ["make", "main"])
    check("freed twice" in stele("heap", "t.trace").stdout)


@case
def freed_twice_is_not_said_where_events_were_lost():
    t = Trace()
    t.own.append(record(4, numbers(7, 0, 2, 1)))  # one memory event
    t(7, "HeapObjectAlloc", 0x100, 0)
    t(7, "HeapObjectFree", 0x100)
    t(7, "HeapObjectFree", 0x100)
    t(7, "HeapObjectFree", 0x100)
    equal(broken(t.heap()), [("objects", "free", "lost", 1), ("objects", "free", "unknown", 1)])


@case
def never_seen_before():
    t = Trace()
    t(7, "HeapObjectFree", 0x100)
    equal(broken(t.heap()), [("objects", "free", "existed", 1)])


@case
def allocated_while_alive():
    t = Trace()
    t(7, "HeapObjectAlloc", 0x100, 0)
    t(7, "HeapObjectAlloc", 0x100, 0)
    t(7, "HeapObjectFree", 0x100)
    equal(broken(t.heap()), [("objects", "alloc", "unknown", 1)])


@case
def skips_are_proven_by_their_counts():
    t = Trace()
    t.own += [record(10, numbers(129, 3)), record(10, numbers(130, 2)),
              record(4, numbers(7, 3, 2, 5))]
    t(7, "SpanFree", 1)
    t(7, "SpanFree", 2)
    t(7, "SpanAlloc", 5, 1, 1)
    t(7, "SpanAlloc", 5, 1, 1)
    answer = t.heap()
    equal(broken(answer), [("spans", "alloc", "skipped", 1), ("spans", "free", "skipped", 2)])
    equal([b["inferred"] for b in answer["broken"]], [False, False])
    equal(answer["memory"]["spans"]["unseen_skips"], 2)


@case
def skips_explain_no_more_than_they_count():
    t = Trace()
    t.own += [record(10, numbers(132, 1)), record(4, numbers(7, 3, 2, 1))]
    for address in (0x100, 0x200):
        t(7, "HeapObjectAlloc", address, 0)
        t(7, "HeapObjectFree", address)
        t(7, "HeapObjectFree", address)
    equal(broken(t.heap()),
          [("objects", "free", "skipped", 1), ("objects", "free", "double_free", 1)])


@case
def objects_go_with_the_span_that_is_unmapped():
    t = Trace()
    t.type(1, 16, b"make")
    t(7, "SpanAlloc", 1, 4, 1)
    t(7, "HeapObjectAlloc", 4096 + 64, 1)
    t(7, "HeapObjectAlloc", 4 * 4096 + 64, 1)
    t(7, "SpanFree", 1)
    answer = t.heap()
    equal(broken(answer), [("objects", "unending", "span", 2)])
    equal(answer["memory"]["objects"]["live"], 0)


@case
def objects_stay_in_what_is_left_of_a_span():
    t = Trace()
    t.type(1, 16, b"make")
    t(7, "SpanAlloc", 1, 4, 1)
    t(7, "HeapObjectAlloc", 4096 + 64, 1)
    t(7, "HeapObjectAlloc", 4 * 4096 + 64, 1)
    t(7, "SpanFree", 1)
    t(7, "SpanAlloc", 1, 2, 1)  # munmap of the second half
    answer = t.heap()
    equal(broken(answer), [("objects", "unending", "span", 1)])
    equal(answer["memory"]["objects"]["live"], 1)
    equal([k["objects"] for k in answer["span_kinds"]], [1])


@case
def spans_within_a_mapping_may_begin_with_it():
    t = Trace()
    t(7, "SpanAlloc", 16, 64, 1)
    t(7, "SpanAlloc", 16, 2, 1)
    t(7, "SpanFree", 16)
    t(7, "SpanAlloc", 16, 4, 1)
    t(7, "SpanFree", 16)
    t(7, "SpanFree", 16)
    answer = t.heap()
    equal((broken(answer), answer["memory"]["spans"]["live"]), ([], 0))


@case
def told_to_exist_twice():
    t = Trace()
    t(7, "HeapObject", 0x100, 0)
    t(8, "HeapObject", 0x100, 0)
    equal(broken(t.heap()), [("objects", "exists", "unknown", 1)])


# Go -------------------------------------------------------------------------------------------


def go(size_class, pointer_free=False):
    """A trace with a span of one page for such objects at its base."""
    t = Trace(go=True)
    t.type(1, 8, b"int")
    t(7, "SpanAlloc", 0, 1, size_class << 2 | pointer_free << 1)
    return t


@case
def a_free_names_the_slot_of_a_header():
    t = go(27)  # 576 bytes
    for slot in (0, 576, 1152):
        t(7, "HeapObjectAlloc", (slot + 8) // 8, 1)
    for slot in (0, 576):
        t(7, "HeapObjectFree", slot // 8)
    answer = t.heap()
    equal(broken(answer), [("objects", "free", "header", 2)])
    kind, = answer["span_kinds"]
    want = {"heap": True, "size_class": 27, "object_bytes": 576, "objects": 1,
            "occupied_bytes": 576}
    equal({k: kind[k] for k in want}, want)


@case
def a_header_is_found_without_its_span():
    t = Trace(go=True)
    t(7, "HeapObjectAlloc", 1001, 0)
    t(7, "HeapObjectFree", 1000)
    equal(broken(t.heap()), [("objects", "free", "header", 1)])


@case
def tiny_objects_share_their_slot():
    t = go(2, pointer_free=True)
    for address in (0, 8, 8, 16, 24):
        t(7, "HeapObjectAlloc", address // 8, 1)
    t(7, "HeapObjectFree", 0)
    answer = t.heap()
    equal(broken(answer), [("objects", "alloc", "tiny", 3)])
    equal(answer["memory"]["objects"]["live"], 1)
    equal(answer["memory"]["objects"]["live_bytes"], 16)


@case
def a_large_object_is_as_large_as_its_span():
    t = Trace(go=True)
    t.type(1, 8, b"int")
    t(7, "SpanAlloc", 0, 9, 0)
    t(7, "HeapObjectAlloc", 0, 1)
    equal(t.heap()["memory"]["objects"]["live_bytes"], 9 * PAGE)


def inverted_free(threads, after):
    """A free that is told behind the next alloc of its address."""
    t = go(5)
    t(7, "HeapObjectAlloc", 0, 1)
    t(threads[0], "HeapObjectAlloc", 0, 1)
    t(threads[1], "HeapObjectFree", 0, after=after)
    return t.heap()


@case
def a_free_behind_the_next_alloc_is_of_the_object_before():
    answer = inverted_free((7, 8), 500)
    equal(broken(answer), [("objects", "alloc", "inverted", 1)])
    equal(answer["memory"]["objects"]["live"], 1)


@case
def one_thread_inverts_nothing():
    equal(broken(inverted_free((7, 7), 500)), [("objects", "alloc", "unknown", 1)])


@case
def much_later_is_not_inverted():
    equal(broken(inverted_free((7, 8), 5_000_000)), [("objects", "alloc", "unknown", 1)])


@case
def a_free_before_its_alloc_is_recognised_by_the_next():
    t = go(5)
    t(8, "HeapObjectFree", 0)
    t(7, "HeapObjectAlloc", 0, 1)
    t(7, "HeapObjectAlloc", 0, 1, after=5_000_000)
    answer = t.heap()
    equal(broken(answer), [("objects", "alloc", "inverted", 1)])
    equal(answer["memory"]["objects"]["live"], 1)


@case
def a_free_before_its_alloc_is_recognised_at_the_end():
    t = go(5)
    t(8, "HeapObjectFree", 0)
    t(7, "HeapObjectAlloc", 0, 1)
    answer = t.heap()
    equal(broken(answer), [("objects", "alloc", "inverted", 1)])
    equal(answer["memory"]["objects"]["live"], 0)


@case
def objects_of_a_span_that_is_freed_are_gone():
    t = go(5)
    t(7, "HeapObjectAlloc", 0, 1)
    t(7, "SpanFree", 0)
    t(7, "SpanAlloc", 0, 1, 7 << 2)
    equal(broken(t.heap()), [("objects", "unending", "span", 1)])


@case
def go_skips_spans_and_stacks_without_a_count():
    t = Trace(go=True)
    t(7, "GoroutineStackAlloc", 4, 12)
    t(7, "GoroutineStackAlloc", 4, 12)
    t(7, "GoroutineStackFree", 4)
    t(7, "GoroutineStackFree", 4)
    t(7, "GoroutineStackFree", 8)
    answer = t.heap()
    equal(broken(answer), [("stacks", "alloc", "skipped", 1), ("stacks", "free", "skipped", 1),
                           ("stacks", "free", "existed", 1)])
    equal([b["inferred"] for b in answer["broken"]], [True, True, True])


# Stacks ---------------------------------------------------------------------------------------


def running(t, thread, goroutine):
    t(thread, f"ProcStatus p={thread} pstatus=1")
    t(thread, f"GoStatus g={goroutine} m={thread} gstatus=2")


@case
def a_stack_that_grows_is_its_goroutines():
    t = Trace()
    running(t, 7, 3)
    t(7, "GoroutineStackAlloc", 0x8000, 14)
    t(7, "GoroutineStackAlloc", 0x20000, 15)
    t(7, "GoroutineStackFree", 0x8000)
    t(7, "GoroutineStackAlloc", 0x8000, 13)
    t(7, "GoroutineStackFree", 0x20000)
    answer = t.heap()
    owner, = answer["stack_owners"]
    want = {"owners": 1, "high_bytes": 1 << 14, "live": 1, "live_bytes": 1 << 12, "moved": 2}
    equal({k: owner[k] for k in want}, want)
    stack, = answer["stacks"]["top"]
    equal((stack["goroutine"], stack["bytes"], stack["high_bytes"]), (3, 1 << 12, 1 << 14))


@case
def gos_first_stack_is_of_the_goroutine_that_is_created_next():
    t = Trace(go=True)
    running(t, 7, 3)
    entry = t.stack("worker")
    t(7, "GoroutineStackAlloc", 4, 12)
    t(7, f"GoCreate new_g=9 new_stack={entry} stack=0")
    answer = t.heap()
    stack, = answer["stacks"]["top"]
    equal((stack["goroutine"], stack["entry"], stack["bytes"]), (9, "worker", 2048))


@case
def goroutines_without_a_stack_have_none():
    t = Trace(go=True)
    for _ in range(2):
        t(7, "GoroutineStack", (2**64 - GO_BASE) // 2048, 0)
    answer = t.heap()
    equal((broken(answer), answer["memory"]["stacks"]["live"]), ([], 0))


@case
def a_stack_that_is_shrunk_for_another_stays_the_others():
    t = Trace(go=True)
    running(t, 7, 3)
    entry = t.stack("worker")
    t(7, "GoroutineStackAlloc", 16, 14)
    t(7, f"GoCreate new_g=9 new_stack={entry} stack=0")
    t(7, "GoroutineStackAlloc", 4, 13)
    t(7, "GoroutineStackFree", 16)
    stack, = t.heap()["stacks"]["top"]
    equal((stack["goroutine"], stack["bytes"], stack["high_bytes"]), (9, 4096, 8192))


# The command ----------------------------------------------------------------------------------


@case
def a_trace_without_allocations_says_how_to_get_some():
    t = Trace()
    running(t, 7, 3)
    check("record --heap" in stele("heap", t.write()).stdout)
    equal(t.heap()["memory"]["present"], False)


@case
def a_sample_stands_for_the_whole():
    t = Trace()
    t.type(1, 100, b"small")
    t.type(2, 100_000, b"large")
    t.own.append(record(5, numbers(11, 1000)))
    for i in range(10):
        t(7, "HeapObjectAlloc", 0x100 * i, 1)
    t(7, "HeapObjectAlloc", 0x100000, 2)
    answer = t.heap()
    # p = 1 - exp(-bytes / 1000)
    equal({s["name"]: s["live_bytes"] for s in answer["sites"]["top"]},
          {"small": 10 * round(100 / 0.0951625819640), "large": 100_000})
    equal((answer["memory"]["sample_bytes"], answer["memory"]["objects"]["live"]), (1000, 11))


@case
def what_is_broken_is_told_up_to_there():
    data = (PLACE / program().write()).read_bytes()
    (PLACE / "cut.trace").write_bytes(data[:len(data) // 2])
    done = stele("heap", "cut.trace", status=3)
    check("truncated" in done.stderr and "BROKEN" in done.stdout, done.stdout + done.stderr)


@case
def a_site_of_an_unknown_type_is_a_warning():
    t = program()
    t.sites += numbers(9, 1)
    equal(t.heap()["memory"]["objects"]["live"], 2)
    done = stele("check", "--strict", "t.trace", status=3)
    check("type 9, which is unknown" in done.stdout + done.stderr, done.stdout + done.stderr)


@case
def mistakes_are_named():
    for arguments, word in ((["heap"], "which file"), (["heap", "--frames"], "unknown option"),
                            (["heap", "a", "b"], "one file"), (["heap", "--top=x", "a"], "--top")):
        check(word in stele(*arguments, status=2).stderr, f"{arguments}")
    stele("heap", "missing.trace", status=5)
    check("usage: stele heap" in stele("heap", "--help").stdout)


@case
def sites_keep_their_stacks_in_a_window():
    t = program()
    stele("cut", "-f", "-o", "part.trace", "--from=25ns", "--to=55ns", t.write())
    top = json.loads(stele("heap", "--json", "part.trace").stdout)["sites"]["top"]
    equal({tuple(f["function"] for f in site["stack"]) for site in top},
          {("parse", "main"), ("cache", "main")})
    stele("check", "--strict", "part.trace")


run()
