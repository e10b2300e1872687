#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Traces of several processes become one: nothing is lost, and who kept whom waiting is known.

usage: test_merge.py STELE KIN BUILD
"""
import collections
import json
import os
import pathlib
import re
import resource
import subprocess
import sys

import place
from support import pbwire  # noqa: E402
from support.tap import Skip, case, check, equal, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "oracle"))
import oracle  # noqa: E402

KIN = os.path.abspath(sys.argv[2])
BUILD = os.path.abspath(sys.argv[3])


def stele(p, *args, status=0):
    done = subprocess.run([place.STELE, *args], cwd=p.directory, capture_output=True, text=True,
                          timeout=60, check=False)
    equal(done.returncode, status, f"stele {' '.join(args)}: {done.stdout}{done.stderr}")
    return done


class Family(place.Place):
    """A recording of the parent and its child, merged."""

    def __init__(self, *options):
        self.options = options

    def __enter__(self):
        super().__enter__()
        done = self.record("--follow-fork", *self.options, "-o", "%p.trace", "--", KIN)
        equal(done.returncode, 0, done.stderr)
        self.parent, self.child = done.stdout.splitlines()[0].split()
        self.parts = [f"{self.parent}.trace", f"{self.child}.trace"]
        stele(self, "merge", "-o", "all.trace", *self.parts)
        return self

    def why(self, *what):
        return json.loads(stele(self, "why", "--json", *what, "all.trace").stdout)


def rows(why, kind, **wanted):
    return [row for row in why["slowest"][0]["rows"] if row["kind"] == kind and
            all(row.get(name) == value for name, value in wanted.items())]


def about(ns, ms):
    check(0.95 * ms * 1e6 <= ns <= 1.3 * ms * 1e6, f"{ns} ns, {ms} ms expected")


@case
def who_kept_whom_waiting_is_known_across_processes():
    with Family() as p:
        why = p.why(f"--thread={p.parent}")
        lock, = rows(why, "lock")
        about(lock["ns"], 200)
        equal((lock["who_thread"], lock["released"]["function"], lock["who"]),
              (int(p.child), "hold", "kin"))
        equal(lock["meanwhile"][0]["reason"], "sleep")
        posted, = [row for row in rows(why, "wait") if row["released"] and
                   row["released"]["function"] == "post"]
        about(posted["ns"], 100)
        equal(posted["who_thread"], int(p.child))
        poll, = rows(why, "call", name="poll")
        about(poll["ns"], 100)
        equal((poll["who_thread"], poll["released"]["function"]), (int(p.child), "notify"))
        futex, = rows(why, "wait", reason="sync (futex)")
        about(futex["ns"], 100)
        equal((futex["who_thread"], futex["released"]["function"]), (int(p.child), "wake"))


@case
def a_part_of_a_merged_trace_knows_it_too():
    with Family("--generation=50ms") as p:
        # Behind the generation in which it is told which process the threads are of.
        why = p.why(f"--thread={p.parent}", "--from=200ms")
        poll, = rows(why, "call", name="poll")
        equal((poll["who_thread"], poll["released"]["function"]), (int(p.child), "notify"))


@case
def a_request_lasts_from_reading_it_to_answering_it():
    with Family() as p:
        why = p.why("--request=kin-")
        equal(why["count"], 1)
        about(why["slowest"][0]["ns"], 100)
        equal(why["slowest"][0]["thread"], int(p.child))
        lock, = rows(why, "lock")
        equal((lock["who_thread"], lock["released"]["function"]), (int(p.parent), "request"))
        text = stele(p, "why", "--request", "all.trace").stdout
        check("1 request, " in text and "held by kin (thread" in text, text)
        equal(p.why("--request=")["count"], 1)
        done = stele(p, "why", "--request=nowhere", "all.trace", status=1)
        check("nothing was read of a connection with nowhere" in done.stderr, done.stderr)


@case
def the_ledger_has_the_lock_once():
    with Family() as p:
        report = json.loads(stele(p, "report", "--json", "all.trace").stdout)
        locks = [lock for lock in report["locks"]["top"] if lock["count"]]
        check(sum(lock["count"] for lock in locks) == 2, locks)
        equal(len({lock["made_line"] for lock in locks}), 1)
        text = stele(p, "report", "all.trace").stdout
        check("2 × kin" in text and "and 1 other process" in text, text)


def happened(p, trace, thread):
    """Lines of what a thread went through, without what each generation tells anew."""
    lines = stele(p, "events", f"--thread={thread}", trace).stdout.splitlines()
    return [line for line in lines
            if not re.search(r" Metric | Sync| (\w+)->\1\b", line)]


def transitions(p, trace, thread):
    """The same without numbers that differ by trace."""
    return [re.sub(r" (p|g|fd|for|held_by)=\S+| \b[GP]\d+", "", line.split(" ", 1)[1])
            for line in happened(p, trace, thread)]


def seconds(p, trace, thread):
    return [float(line.split()[0]) for line in happened(p, trace, thread)]


@case
def every_event_is_there_at_its_time():
    with Family() as p:
        for part, thread in zip(p.parts, (p.parent, p.child)):
            equal(transitions(p, "all.trace", thread), transitions(p, part, thread))
            own, merged = seconds(p, part, thread), seconds(p, "all.trace", thread)
            equal(len(own), len(merged))
            for before, after in zip(own, merged):
                check(abs(before - own[0] - (after - merged[0])) < 2e-6, (part, before, after))


@case
def cut_traces_are_merged_at_the_times_they_were():
    with Family() as p:
        for part in p.parts:
            stele(p, "cut", "--from=1ms", "-o", f"cut-{part}", part)
        stele(p, "merge", "-o", "cut-all.trace", *(f"cut-{part}" for part in p.parts))
        whole = [seconds(p, "all.trace", thread)[-1] for thread in (p.parent, p.child)]
        parts = [seconds(p, "cut-all.trace", thread)[-1] for thread in (p.parent, p.child)]
        check(abs((whole[0] - whole[1]) - (parts[0] - parts[1])) < 2e-6, (whole, parts))


@case
def each_generation_has_the_clock():
    with Family() as p:
        # Of a trace with one generation the result has several, in which no other one begins.
        done = p.record("--generation=60s", "-o", "long.trace", "--", sys.executable, "-c",
                        "import time\nfor i in range(15): time.sleep(0.2)")
        equal(done.returncode, 0, done.stderr)
        stele(p, "merge", "-o", "both.trace", p.parts[0], "long.trace")
        raw = stele(p, "raw", "both.trace").stdout
        generations = set(re.findall(r"gen=(\d+)", raw))
        check(len(generations) > 1, generations)
        told = {gen for gen, data in re.findall(
            r"ExperimentalBatch exp=1 gen=(\d+).*\n\tdata=\"S\\x01\\x06(.)", raw)}
        equal(told, generations)


@case
def go_reads_what_was_merged():
    with Family() as p:
        p.valid("all.trace")
        try:
            accepted, _, line = oracle.verdict(BUILD, p.path("all.trace"))
        except oracle.Unavailable as reason:
            raise Skip(str(reason)) from reason
        check(accepted, line)


@case
def perfetto_has_the_threads_below_their_processes():
    with Family() as p:
        stele(p, "export", "--to=perfetto", "-o", "all.pftrace", "all.trace")
        processes, threads = {}, {}
        data = pathlib.Path(p.path("all.pftrace")).read_bytes()
        for _, packet in pbwire.fields(data):
            for track in pbwire.message(packet).get(60, []):
                track = pbwire.message(track)
                for process in map(pbwire.message, track.get(3, [])):
                    processes[process[1][0]] = process[6][0].decode()
                for thread in map(pbwire.message, track.get(4, [])):
                    threads[thread[2][0]] = thread[1][0]
        equal(threads, {int(p.parent): int(p.parent), int(p.child): int(p.child)})
        equal(set(processes), set(threads))
        equal(processes[int(p.child)], "kin")


@case
def memory_of_all_is_told_apart():
    with Family("--heap") as p:
        heaps = [json.loads(stele(p, "heap", "--json", trace).stdout)
                 for trace in (*p.parts, "all.trace")]
        counts = [heap["memory"]["objects"]["allocated"] for heap in heaps]
        check(counts[2] == counts[0] + counts[1] and counts[2] > 0, counts)


@case
def threads_of_one_number_are_told_apart():
    with Family() as p:
        stele(p, "merge", "-o", "twice.trace", p.parts[0], p.parts[0], p.parts[1])
        p.valid("twice.trace")
        threads = collections.Counter(
            t["thread"] for t in json.loads(
                stele(p, "report", "--json", "twice.trace").stdout)["threads"])
        equal(len(threads), 3)


@case
def compressed_ones_and_pipes_are_merged():
    with Family() as p:
        subprocess.run(["gzip", "-k", *p.parts], cwd=p.directory, check=True)
        with open(p.path("gz.trace"), "wb") as out:
            subprocess.run([place.STELE, "merge", *(f"{part}.gz" for part in p.parts)],
                           cwd=p.directory, stdout=out, stderr=subprocess.DEVNULL, check=True)
        equal(pathlib.Path(p.path("gz.trace")).read_bytes(),
              pathlib.Path(p.path("all.trace")).read_bytes())


@case
def more_inputs_than_a_process_may_open_unasked():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with place.Place() as p:
        done = p.record("--follow-fork", "-o", "%p.trace", "--", "sh", "-c",
                        "i=0; while [ $i -lt 70 ]; do /bin/true; i=$((i+1)); done")
        equal(done.returncode, 0, done.stderr)
        parts = [name for name in os.listdir(p.directory) if name.endswith(".trace")]
        check(len(parts) > 70, f"{len(parts)} traces")
        done = subprocess.run([place.STELE, "merge", "-o", "all", *parts], cwd=p.directory,
                              capture_output=True, text=True, timeout=60, check=False,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE,
                                                                    (40, hard)))
        equal(done.returncode, 0, done.stderr)
        check(f"of {len(parts)} traces" in done.stderr, done.stderr)


@case
def damage_is_told_and_what_was_before_it_is_kept():
    with Family("--generation=50ms") as p:
        data = pathlib.Path(p.path(p.parts[1])).read_bytes()
        pathlib.Path(p.path("short.trace")).write_bytes(data[:len(data) - 100])
        done = stele(p, "merge", "-o", "some.trace", p.parts[0], "short.trace", status=3)
        check("short.trace" in done.stderr, done.stderr)
        equal(transitions(p, "some.trace", p.parent), transitions(p, p.parts[0], p.parent))


@case
def what_cannot_be_merged_is_refused_and_nothing_overwritten():
    with Family() as p:
        pathlib.Path(p.path("other.trace")).write_bytes(b"go 1.23 trace\0\0\0")
        before = pathlib.Path(p.path("all.trace")).read_bytes()
        for args, status, says in (
                ([p.parts[0]], 2, "two files"),
                (["-o", "all.trace", *p.parts], 2, "-f overwrites"),
                (["-f", "-o", p.parts[0], *p.parts], 2, "is an input"),
                (["-f", "-o", "all.trace", p.parts[0], "none.trace"], 5, "none.trace"),
                (["-o", "y.trace", "all.trace", p.parts[0]], 1, "is merged already")):
            done = stele(p, "merge", *args, status=status)
            check(says in done.stderr, done.stderr)
        for name, says in (("small-22", "has no clock"), ("small-26", "none of Stele's")):
            text = (ROOT / "tests" / "golden" / "v1" / f"{name}.test").read_text()
            pathlib.Path(p.path("go.txt")).write_text(text.split("-- trace --\n")[1])
            stele(p, "assemble", "-f", "-o", "go.trace", "go.txt")
            done = stele(p, "merge", "-o", "y.trace", p.parts[0], "go.trace", status=1)
            check("go.trace " in done.stderr and says in done.stderr, done.stderr)
        equal(pathlib.Path(p.path("all.trace")).read_bytes(), before)
        check(not os.path.exists(p.path("y.trace")), "something was written")


run()
