#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""stele record --follow-fork: a valid trace for each process, however it was born.

usage: test_follow.py STELE FORKS
"""
import json
import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from record.place import STELE, Place, says, wait_for  # noqa: E402
from support.tap import case, check, equal, run  # noqa: E402

FORKS = os.path.abspath(sys.argv[2])
STATUS = 5


def logs(path):
    """What the program told in a trace: (category, text) of each log."""
    done = subprocess.run([STELE, "events", "--json", path], capture_output=True, text=True,
                          check=False)
    equal(done.returncode, 0, done.stderr)
    events = [json.loads(line) for line in done.stdout.splitlines() if '"pid' in line]
    return [(e["name"], e["message"]) for e in events if e["kind"] == "Log"]


def families(place, count):
    """Each of `count` traces is valid and is of the process that its name tells."""
    equal(len(place.traces()), count, f"traces: {place.traces()}")
    for name in place.traces():
        place.valid(name)
        pid = name.split(".")[-2]
        told = logs(place.path(name))
        if told:
            check(set(told) == {("pid", pid), ("pids", pid)}, f"{name} holds {told}")
    return [logs(place.path(name)) for name in place.traces()]


@case
def every_kind_of_child_has_a_trace_of_its_own():
    for how in ("fork", "spawn", "vfork", "clone", "exec", "closed"):
        with Place() as p:
            result = p.record("--follow-fork", FORKS, how)
            equal(result.returncode, STATUS, result.stderr)
            says(result, "1 recorded in files of their own", "lost      nothing")
            check("not recorded" not in result.stderr, f"{how}: {result.stderr}")
            told = families(p, 2)
            equal([len(t) for t in told], [2, 2], f"{how}: logs of parent and child")


@case
def children_are_born_all_at_once():
    with Place() as p:
        result = p.record("--follow-fork", FORKS, "many", "40")
        equal(result.returncode, STATUS, result.stderr)
        says(result, "40 recorded in files of their own")
        told = families(p, 41)
        equal(sorted(len(t) for t in told), [2] * 41, "logs")


@case
def child_that_is_killed_leaves_all_it_told():
    with Place() as p:
        result = p.record("--follow-fork", FORKS, "killed")
        equal(result.returncode, STATUS, result.stderr)
        equal([len(t) for t in families(p, 2)], [2, 2], "logs")


@case
def recorder_stays_for_a_daemon():
    with Place() as p:
        result = p.record("--follow-fork", FORKS, "daemon")
        equal(result.returncode, STATUS, result.stderr)
        told = families(p, 3)
        equal(sorted(len(t) for t in told), [0, 2, 4], "logs: the one between tells nothing")


@case
def recorder_leaves_a_daemon_when_told():
    with Place() as p:
        process = p.start("--follow-fork", "sh", "-c", "sleep 30 >/dev/null 2>&1 & exit 3")
        wait_for(lambda: len(p.traces()) == 2, "the daemon's trace")
        wait_for(lambda: not pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
                 .read_text(encoding="ascii").strip(), "the end of sh")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        equal(process.returncode, 3, errors)
        families(p, 2)
        for name in p.traces():
            os.system(f"kill {name.split('.')[-2]} 2>/dev/null")


AT_ONCE = r"""
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	if (!fork()) {
		for (int i = 0; i < 20; i++)
			usleep(1000);
		_exit(0);
	}
	wait(NULL);
	return 0;
}
"""


@case
def what_a_child_does_before_anybody_looks_has_its_times():
    with Place() as p:
        result = p.record("--follow-fork", p.path(p.compile("at_once", AT_ONCE)))
        equal(result.returncode, 0, result.stderr)
        child = max(p.traces(), key=lambda name: int(name.split(".")[-2]))
        lines = subprocess.run([STELE, "events", p.path(child)], capture_output=True, text=True,
                               check=True).stdout.splitlines()
        times = [float(line.split()[0]) for line in lines
                 if '"sleep"' in line or "Waiting->Runnable" in line]
        equal(len(times), 40)
        shortest = min(end - begin for begin, end in zip(times[::2], times[1::2]))
        check(shortest > 0.0009, f"a sleep of 1 ms took {shortest} s")


@case
def memory_of_children_is_recorded():
    with Place() as p:
        result = p.record("--follow-fork", "--heap", FORKS, "fork")
        equal(result.returncode, STATUS, result.stderr)
        families(p, 2)


@case
def whoever_cannot_be_followed_is_counted():
    with Place() as p:
        program = p.compile("static", "int main(void) { return 0; }", "-static")
        result = p.record("--follow-fork", "sh", "-c", f"{program}; exit 0")
        equal(result.returncode, 0, result.stderr)
        says(result, "1 child not recorded")
        families(p, 1)


@case
def children_of_scripts_tell_what_they_are():
    with Place() as p:
        result = p.record("--follow-fork", "sh", "-c", "ls / >/dev/null; true")
        equal(result.returncode, 0, result.stderr)
        families(p, 2)
        programs = set()
        for name in p.traces():
            info = subprocess.run([STELE, "info", "--json", p.path(name)], capture_output=True,
                                  text=True, check=True)
            programs.add(os.path.basename(json.loads(info.stdout)["program"]))
        equal(programs, {"sh", "ls"}, "programs")


@case
def without_it_children_write_nothing():
    with Place() as p:
        result = p.record("-o", "x.trace", FORKS, "many", "3")
        equal(result.returncode, STATUS, result.stderr)
        says(result, "3 children not recorded")
        equal(p.traces(), ["x.trace"], "traces")


run()
