#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The flight recorder and the switch of a program of several processes.

usage: test_workers.py STELE OBEDIENT BUILD
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import place
from running import info, regions, running
from support.tap import case, check, equal, run

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
import oracle  # noqa: E402

BUILD = os.path.abspath(sys.argv[3])


def stele(p, *words):
    done = subprocess.run([place.STELE, *words], cwd=p.directory, capture_output=True, text=True,
                          check=False)
    equal(done.returncode, 0, done.stderr)
    return done.stdout


def worker(r):
    """The process id of the program's newest child: earlier ones may be zombies."""
    with open(f"/proc/{r.pid}/task/{r.pid}/children", encoding="ascii") as file:
        return int(file.read().split()[-1])


def followed(*options):
    return running("--follow-fork", "--ring=30s", *options)


def with_worker(r, line):
    """The program's first child does what the line says, and is known to the recorder."""
    r.tell("child " + line)
    place.wait_for(lambda: "followed   1" in r.ask("status", r.pid).stdout, "the worker")
    return worker(r)


@case
def snapshot_is_one_trace_of_all_processes():
    with followed() as (p, r):
        r.tell("region first 1")
        equal(r.snapshot(), f"obedient.{r.pid}.1.trace", "alone")
        with_worker(r, "region within 1")
        r.tell("region second 1")
        trace = r.snapshot()
        equal(trace, f"obedient.{r.pid}.2.trace")
        p.valid(trace)
        equal(sorted(set(regions(p, trace))), ["first", "second", "within", "work"])
        equal(info(p, trace)["snapshot"], "asked for by 'stele snapshot'")
        said = r.ask("status", r.pid).stdout
        check("followed   1 processes\n" in said and "for each" in said, said)
        said = r.end()
        check(re.search(r"snapshot .*2\.trace \(.*, the last \d+\.\d s of 2 processes\)", said),
              said)
        equal(len(p.traces()), 2, said)


@case
def wait_for_a_worker_is_seen_with_whom_it_was_for():
    with followed("--snapshot-on=lock:50ms") as (p, r):
        child = with_worker(r, "region before 1")
        r.tell("share 150")
        place.wait_for(p.traces, "a snapshot")
        said = r.end()
        trace = p.traces()[0]
        p.valid(trace)
        why = info(p, trace)["snapshot"]
        check(re.fullmatch(r"a lock \(sync\) was waited for for \d\.\d+ s by thread \d+", why), why)
        equal(int(why.split()[-1]), child, said)
        locks = json.loads(stele(p, "report", "--json", trace))["locks"]["top"]
        held = [h["ns"] for lock in locks for h in lock["holders"]
                if (h["released"] or {}).get("function") == "share"]
        check(held and 40e6 < held[0] < 200e6, locks)


@case
def process_of_which_the_newest_is_kept_is_there_all_at_once():
    """Its threads, which wait and are in calls, come into a trace that has begun long before."""
    with running("--follow-fork", "--ring=1M", "--generation=100ms",
                 "--on-full=block") as (p, r):
        with_worker(r, "hang")
        time.sleep(1.5)
        r.tell("child work 300000")
        r.tell("child region last 1")
        trace = r.snapshot()
        p.valid(trace)
        names = regions(p, trace)
        check(names.count("work") > 5000 and names[-1] == "last", names[-1])
        events = [json.loads(line) for line in
                  stele(p, "events", "--json", trace).splitlines()[1:]]
        created = [e for e in events if e.get("from") == "NotExist" and
                   e["time_ns"] > events[0]["time_ns"] + 1e9]
        check(len(created) >= 2, created)
        waits = json.loads(stele(p, "report", "--json", trace))["waits"]["top"]
        check(any(row["reason"] == "sync" and row["stack"][0]["function"] == "take"
                  for row in waits), f"where the other thread waits: {waits}")
        try:
            accepted, _, line = oracle.verdict(BUILD, p.path(trace))
            check(accepted, line)
        except oracle.Unavailable as reason:
            print(f"# not tried with Go's reader: {reason}")
        r.end("exit 0")


@case
def each_process_is_watched():
    for options, line, reason in (
            ("region:20ms", "child region slow 40", "region 'slow' took .*"),
            ("rss:100M", "child grow 150", "the program's memory grew to .*"),
            ("never", "child want 1", "the program wants it"),
            ("fail", "child abort", r"process \d+ was killed by signal 6 \(Aborted\)")):
        with followed("--snapshot-on=" + options) as (p, r):
            with_worker(r, "region early 1")
            r.tell(line)
            place.wait_for(p.traces, f"a snapshot for '{line}'")
            said = r.end()
            equal(len(p.traces()), 1, said)
            p.valid(p.traces()[0])
            why = info(p, p.traces()[0])["snapshot"]
            check(re.fullmatch(reason, why), f"{line}: {why!r}")
            check("early" in regions(p, p.traces()[0]), f"{line}: the worker's own past is there")


@case
def worker_that_ends_in_peace_is_no_reason():
    with followed("--snapshot-on=fail") as (p, r):
        r.tell("child exit 3")
        r.tell("child region again 1")
        os.kill(worker(r), signal.SIGTERM)
        r.tell("child region last 1")
        r.tell("child region last 1")
        said = r.end()
        equal(p.traces(), [], said)


@case
def recording_goes_on_when_the_first_process_has_failed():
    with followed() as (p, r):
        child = with_worker(r, "region early 1")
        os.kill(child, signal.SIGSTOP)
        r.stele.stdin.write("exit 7\n")
        r.stele.stdin.flush()
        place.wait_for(p.traces, "a snapshot")
        why = info(p, p.traces()[0])["snapshot"]
        equal(why, "the program ended with status 7")
        check("early" in regions(p, p.traces()[0]), "what the worker did")
        check("obedient" in r.ask("status", r.pid).stdout, "it can still be asked")
        trace = r.snapshot()
        p.valid(trace)
        os.kill(child, signal.SIGKILL)
        said = r.end()
        equal(r.stele.returncode, 7, said)


@case
def workers_are_switched_on_and_off():
    with running("--follow-fork", "--dormant", "-o", "%p.trace") as (p, r):
        r.tell("child region before 1")
        old = worker(r)
        equal(r.ask("start", "--events=user", r.pid).stdout, "recording sched,user\n")
        r.tell("child region within 1")
        os.kill(old, signal.SIGKILL)
        r.tell("child region lost 1")
        r.tell("child region new 1")
        new = worker(r)
        equal(r.ask("stop", r.pid).stdout, "recording nothing\n")
        r.tell("child region after 1")
        said = r.end()
        equal(regions(p, f"{old}.trace"), ["within", "within"], said)
        equal(regions(p, f"{new}.trace"), ["new", "new"], said)
        for trace in p.traces():
            p.valid(trace)


@case
def ends_of_workers_are_in_their_traces():
    with running("--follow-fork", "-o", "%p.trace") as (p, r):
        r.tell("child region before 1")
        killed = worker(r)
        r.tell("child abort")
        r.tell("child region before 1")
        failed = worker(r)
        r.tell("child exit 3")
        r.end()
        # Before Linux 6.15 their parent may have been faster.
        for pid, ending in ((killed, {"signal": 6}), (failed, {"exit_status": 3})):
            told = info(p, f"{pid}.trace")
            check(ending.items() <= told.items() or
                  not {"signal", "exit_status"} & set(told), told)


@case
def crowds_of_workers_come_and_go_meanwhile():
    """Snapshots while processes are born and die."""
    with place.Place() as p:
        some = "(for j in 1 2 3 4 5 6; do /bin/true; done) &"
        script = f"for i in 1 2 3 4 5 6 7 8; do {some} done; wait; "
        process = p.start("--follow-fork", "--ring=30s", "--keep=0", "-o", "%n.trace", "--", "sh",
                          "-c", script + script, env={"XDG_RUNTIME_DIR": p.directory})
        while process.poll() is None:
            subprocess.run([place.STELE, "snapshot", str(process.pid)], check=False,
                           capture_output=True, cwd=p.directory,
                           env={**place.ENV, "XDG_RUNTIME_DIR": p.directory})
        said = process.communicate()[1]
        equal(process.returncode, 0, said)
        check(p.traces(), said)
        for trace in p.traces():
            p.valid(trace)


run()
