#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Recordings that are controlled while they run: snapshots of a ring, what makes them, start, stop.

usage: test_control.py STELE OBEDIENT
"""
import json
import os
import re
import signal
import socket
import subprocess
import time

import place
from running import PROGRAM, Running, info, regions, running
from support.tap import case, check, equal, run


def triggered(options, line, reason, ending=None):
    """One thing that the program does makes one snapshot, for this reason."""
    with running("--ring=10s", "--snapshot-on=" + options) as (p, r):
        if line:
            r.tell(line)
            place.wait_for(p.traces, f"a snapshot for '{line}'")
        said = r.end(ending)
        equal(len(p.traces()), 1, said)
        p.valid(p.traces()[0])
        why = info(p, p.traces()[0])["snapshot"]
        check(re.fullmatch(reason, why), f"{line or ending}: {why!r}")
        check(why in said, said)


@case
def snapshot_has_what_happened_and_the_program_goes_on():
    with running("--ring=60s") as (p, r):
        r.tell("region first 1")
        r.tell("region second 1")
        trace = r.snapshot()
        equal(trace, f"obedient.{r.pid}.1.trace")
        p.valid(trace)
        equal(regions(p, trace), ["work", "work", "first", "first", "second", "second"])
        equal(info(p, trace)["snapshot"], "asked for by 'stele snapshot'")
        r.tell("region third 1")
        equal(r.snapshot(), f"obedient.{r.pid}.2.trace")
        equal(regions(p, p.traces()[1])[-1], "third")
        said = r.end()
        equal(r.stele.returncode, 0, said)
        equal(len(p.traces()), 2, "none at an ordinary end")
        check("snapshots 2" in said, said)


@case
def what_is_older_than_the_ring_is_forgotten():
    with running("--ring=1s", "--generation=100ms") as (p, r):
        r.tell("region old 1")
        for _ in range(15):
            r.tell("region middle 100")
        r.tell("region new 1")
        trace = r.snapshot()
        p.valid(trace)
        names = regions(p, trace)
        check("old" not in names and "new" in names and names.count("middle") > 8, names)
        r.end()


@case
def ring_of_bytes_holds_no_more():
    with running("--ring=1M", "--on-full=block") as (p, r):
        for _ in range(20):
            r.tell("work 20000")
        trace = r.snapshot()
        p.valid(trace)
        size = os.path.getsize(p.path(trace))
        check(200000 < size < 1400000, size)
        check(int(re.search(r"events +(\d+)", r.ask("status", r.pid).stdout)[1]) > 800000)
        r.end()


@case
def snapshots_of_a_busy_program_are_all_valid():
    with running("--ring=1M", "--keep=0") as (p, r):
        r.stele.stdin.write("work 3000000\n")
        r.stele.stdin.flush()
        for _ in range(15):
            p.valid(r.snapshot())
        os.kill(r.pid, signal.SIGKILL)
        said = r.end()
        equal(len(p.traces()), 16, said)
        p.valid(f"obedient.{r.pid}.16.trace")


@case
def triggers_make_snapshots():
    triggered("region:20ms", "region slow 40", r"region 'slow' took \d\.\d+ s in thread \d+")
    triggered("syscall:20ms", "call 40", r"system call read took \d\.\d+ s in thread \d+")
    triggered("lock:20ms", "lock 40", r"a lock \(sync\) was waited for for \d\.\d+ s by thread \d+")
    triggered("blocked:20ms", "wait 40", r"a wait \(sync\..*\) took \d\.\d+ s in thread \d+")
    triggered("blocked:20ms", "poll 40", r"a wait \(poll\) took \d\.\d+ s in thread \d+")
    triggered("rss:100M", "grow 150", r"the program's memory grew to \d+\.\d MiB")
    triggered("end", None, "the program ended with status 0", "exit 0")
    triggered("fail", None, "the program ended with status 7", "exit 7")
    triggered("fail", None, r"the program was killed by signal 6 \(Aborted\)", "abort")
    triggered("never,end", None, r"the program was killed by signal 6 \(Aborted\)", "abort")


@case
def nothing_is_triggered_by_what_is_quick_enough():
    with running("--ring=10s", "--snapshot-on=region:1s,syscall:1s,lock:1s,rss:1G") as (p, r):
        for line in ("region quick 5", "call 5", "lock 5", "grow 5", "wait 30", "poll 30"):
            r.tell(line)
        said = r.end()
        equal(p.traces(), [], said)
        check("none: nothing asked for one" in said, said)


@case
def program_asks_for_a_snapshot_itself():
    for line in ("want", "handler"):
        triggered("never", line, "the program wants it")


@case
def sigusr2_makes_a_snapshot_if_asked():
    with running("--ring=10s", "--snapshot-on=usr2") as (p, r):
        r.stele.send_signal(signal.SIGUSR2)
        place.wait_for(p.traces, "a snapshot")
        r.tell("region after 1")
        check("SIGUSR2 came" in r.end())
        equal(r.stele.returncode, 0)
    with running("--ring=10s") as (p, r):
        r.stele.send_signal(signal.SIGUSR2)
        r.stele.wait(timeout=60)
        r.end()
        equal(r.stele.returncode, 128 + signal.SIGUSR2, "otherwise it is the program's")


@case
def hang_is_seen_while_it_lasts():
    with running("--ring=10s", "--snapshot-on=lock:100ms") as (p, r):
        r.tell("hang")
        place.wait_for(p.traces, "a snapshot")
        p.valid(p.traces()[0])
        report = json.loads(subprocess.run([place.STELE, "report", "--json", p.path(p.traces()[0])],
                                           check=True, capture_output=True, text=True).stdout)
        # Until the snapshot, though nothing happened in the meantime.
        check(any(lock["lock"] == "lock" and lock["open_count"] and lock["open_ns"] > 100e6
                  for lock in report["locks"]["top"]), report["locks"])


def report(p, trace):
    return json.loads(subprocess.run([place.STELE, "report", "--json", p.path(trace)], check=True,
                                     capture_output=True, text=True).stdout)


def functions(row):
    return [frame["function"] for frame in row["stack"]]


@case
def hang_that_is_older_than_the_ring_has_its_place():
    """So have calls; and it is known for how long."""
    with running("--ring=1s", "--generation=100ms") as (p, r):
        r.tell("hang")
        r.stele.stdin.write("call 4000\n")
        r.stele.stdin.flush()
        time.sleep(2.5)
        trace = os.path.basename(r.ask("snapshot", r.pid).stdout.strip())
        p.valid(trace)
        told = report(p, trace)
        wait = next(row for row in told["waits"]["top"] if row["reason"] == "sync")
        equal((functions(wait)[0], wait["open_count"]), ("take", 1))
        check(wait["open_ns"] < 2e9 < 2.4e9 < wait["open_longest_ns"], wait)
        lock = told["locks"]["top"][0]
        equal((lock["lock"], lock["holders"][0]["thread"]), ("lock", "main"))
        stuck = told["blockages"][0]
        equal((stuck["lock"], stuck["waiter"], stuck["holder"], stuck["state"], stuck["what"]),
              ("lock", "take", "main", "syscall", "read pipe"))
        call = next(row for row in told["syscalls"]["top"] if "receive" in functions(row))
        check(call["open_count"] == 1 and call["open_longest_ns"] > 2.4e9, call)
        check(any(row["name"] == "read pipe" and row["open_count"] == 1
                  for row in told["files"]["top"]), told["files"])
        text = subprocess.run([place.STELE, "report", p.path(trace)], check=True,
                              capture_output=True, text=True).stdout
        check(re.search(r"sync \(1 not ended, up to [23]\.\d+ s old\)", text), text)
        equal(r.stele.stdout.readline(), "done\n")
        r.end()


@case
def triggers_in_quick_succession_make_one_snapshot():
    with running("--ring=10s", "--snapshot-on=region:20ms", "--snapshot-gap=60s") as (p, r):
        for _ in range(4):
            r.tell("region slow 30")
        said = r.end()
        equal(len(p.traces()), 1, said)
        check("3 reasons for one came too soon after another" in said, said)
    with running("--ring=10s", "--snapshot-on=region:20ms", "--snapshot-gap=0") as (p, r):
        for n in range(1, 4):
            r.tell("region slow 30")
            place.wait_for(lambda n=n: len(p.traces()) == n, f"snapshot {n}")
            time.sleep(0.1)
        r.end()


@case
def post_roll_is_recorded_too():
    with running("--ring=10s", "--snapshot-on=region:20ms", "--post-roll=2s") as (p, r):
        r.tell("region slow 30")
        r.tell("region after 1")
        check(not p.traces(), "too early")
        place.wait_for(p.traces, "a snapshot")
        equal(regions(p, p.traces()[0])[-1], "after")
        r.end()
    # It ends before that.
    with running("--ring=10s", "--snapshot-on=region:20ms", "--post-roll=1000s") as (p, r):
        r.tell("region slow 30")
        r.end()
        equal(regions(p, p.traces()[0])[-1], "slow")


@case
def oldest_snapshots_are_removed():
    with running("--ring=10s", "--keep=3", "-o", "a.%p.%n.trace") as (p, r):
        foreign = ["a.1.x.trace", "b.1.1.trace", "a.1.2.trace"]
        for name in foreign:
            with open(p.path(name), "w", encoding="ascii") as file:
                file.write("no trace")
        with open(p.path("a.77.1.trace"), "wb") as file:
            file.write(b"go 1.23 trace\0\0\0 of an earlier recording")
        os.utime(p.path("a.77.1.trace"), (1, 1))
        names = [r.snapshot() for _ in range(5)]
        equal(p.traces(), sorted(foreign + names[2:]))
        check("removed" in r.end())
    with running("--ring=10s", "--keep=0", "--max-total=1") as (p, r):
        names = [r.snapshot() for _ in range(3)]
        equal(p.traces(), names[2:], "the newest stays in any case")
        r.end()


@case
def snapshot_goes_where_it_shall():
    with running("--ring=10s") as (p, r):
        equal(r.snapshot("-o", "here.trace"), "here.trace")
        p.valid("here.trace")
        again = r.ask("snapshot", "-o", "here.trace", r.pid)
        equal((again.returncode, again.stdout), (5, ""))
        place.says(again, "the file exists")
        nowhere = r.ask("snapshot", "--output=nowhere/x.trace", r.pid)
        equal(nowhere.returncode, 5)
        place.says(nowhere, "No such file or directory")
        r.end()


@case
def snapshot_that_cannot_be_written_disturbs_nobody():
    with running("--ring=10s", "-o", "/dev/full/%n") as (_, r):
        equal(r.ask("snapshot", r.pid).returncode, 5)
        r.tell("region after 1")
        said = r.end()
        equal(r.stele.returncode, 0, said)
        check("cannot write a snapshot as '/dev/full/%n'" in said, said)
        check("1 could not be written" in said and "nothing asked" not in said, said)


@case
def dormant_program_is_recorded_from_start_to_stop():
    with running("--dormant", "-o", "d.trace") as (p, r):
        r.tell("region before 1")
        r.tell("poll 1")
        check("recording  nothing" in r.ask("status", r.pid).stdout)
        equal(r.ask("start", r.pid).stdout, "recording sched,lock,syscall,cpu,user\n")
        r.tell("region within 1")
        r.tell("call 1")
        equal(r.ask("stop", r.stele.pid).stdout, "recording nothing\n")
        # All of it is in the file, though the recorder still runs.
        equal(regions(p, "d.trace"), ["within", "within"])
        r.tell("region between 1")
        equal(r.ask("start", "--events=user", r.pid).stdout, "recording sched,user\n")
        r.tell("region again 1")
        r.tell("call 1")
        said = r.end()
        equal(regions(p, "d.trace"), ["within", "within", "again", "again"], said)
        p.valid("d.trace")
        calls = json.loads(subprocess.run([place.STELE, "report", "--json", p.path("d.trace")],
                                          check=True, capture_output=True, text=True).stdout)
        rows = {row["name"]: row["count"] for row in calls["files"]["top"]}
        # The call, and the line that asked for it.
        check(rows.get("read pipe", 0) >= 2, f"named, though it was open before: {rows}")


@case
def status_lists_who_is_recorded():
    with running("--ring=2s,8M") as (p, r):
        every = r.ask("status")
        one = r.ask("status", r.pid)
        equal(every.returncode, 0)
        equal(re.sub(r"\d+\.\d|events.*|\d+ bytes", "", every.stdout),
              re.sub(r"\d+\.\d|events.*|\d+ bytes", "", one.stdout))
        for part in (f"process {r.pid}\n", f"recorder   process {r.stele.pid}\n", "of 8.0 MiB",
                     "(of 2.0 s)", "snapshots  0 written"):
            check(part in one.stdout, one.stdout)
        r.end()
        gone = r.ask("status", r.pid)
        equal(gone.returncode, 5)
        place.says(gone, f"nobody records process {r.pid}")
        nobody = r.ask("status")
        equal((nobody.returncode, nobody.stdout), (0, ""))
        equal(os.listdir(p.path("stele")), [], "nothing is left")


@case
def recording_to_a_file_has_no_snapshots():
    with running("-o", "x.trace") as (_, r):
        refused = r.ask("snapshot", r.pid)
        equal(refused.returncode, 5)
        place.says(refused, "stele record --ring")
        r.end()


@case
def what_a_killed_recorder_leaves_is_removed():
    with running("--ring=10s") as (p, r):
        r.stele.kill()
        r.stele.wait()
        equal(len(os.listdir(p.path("stele"))), 1)
        gone = r.ask("snapshot", r.pid)
        equal(gone.returncode, 5)
        equal(os.listdir(p.path("stele")), [])


def sent(path, *requests):
    answers = []
    for request in requests:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.connect(path)
            s.send(request)
            answers.append(s.recv(10000).decode())
    return answers


@case
def nonsense_is_refused():
    with running("--ring=10s") as (p, r):
        path = p.path(f"stele/{r.pid}-{r.stele.pid}")
        equal(os.stat(path).st_mode & 0o777, 0o600)
        answers = sent(path, b"x", b"snapshot relative", b"snapshot /a\0b", b"status now",
                       b"start everything", b"snapshot /" + b"x" * 5000, b"y" * 9000, b"status")
        check(all(a.startswith("error ") for a in answers[:-1]), answers)
        check(answers[-1].startswith("ok program"), answers)
        # One that says nothing is not waited for for long.
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
            silent.connect(path)
            r.snapshot()
        r.end()


@case
def directory_that_others_can_write_to_is_not_used():
    with place.Place() as p:
        os.mkdir(p.path("stele"))
        os.chmod(p.path("stele"), 0o777)
        r = Running(p, "--ring=10s", "-v")
        refused = r.ask("status")
        equal(refused.returncode, 5)
        check("there is no place for a socket" in r.end("exit 0"))
        equal(os.listdir(p.path("stele")), [])


@case
def options_that_make_no_sense_are_refused():
    with place.Place() as p:
        for options, part in (
                (["--ring=5"], "a size from 1M"), (["--ring=,"], "a size from 1M"),
                (["--ring=1s,2s,x"], "a size from 1M"),
                (["--ring=1s", "-o", "x.trace"], "must hold %n"),
                (["--ring=1s", "-o", "%n/x.trace"], "must hold %n"),
                (["--ring=1s", "-o", "%%n.trace"], "must hold %n"),
                (["--ring=1s", "--arena=a"], "in memory"),
                (["--snapshot-on=lock"], "it is a list of"), (["--snapshot-on=x:1s"], "list of"),
                (["--snapshot-on=lock:fast"], "list of"), (["--keep=-1"], "--keep=-1"),
                (["--post-roll=2d"], "--post-roll=2d"), (["--max-total=x"], "--max-total=x")):
            done = p.record(*options, "--", "true")
            equal(done.returncode, 125, options)
            place.says(done, part)


run()
