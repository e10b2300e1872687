#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What stands still in the end: deadlocks, and locks whose holders are somewhere else for long.

usage: test_stuck.py STELE BUSY
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
from support import tap
from support.tap import case, check, equal, run

sys.modules["tap"] = tap  # one module by both names, or its exceptions would be others
from support.browser import Browser  # noqa: E402

BUSY = os.path.abspath(sys.argv[2])

# Three of them take their left fork and want their right one; the first has locked the door, too.
PHILOSOPHERS = r"""
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t left = PTHREAD_MUTEX_INITIALIZER, middle = PTHREAD_MUTEX_INITIALIZER,
		       right = PTHREAD_MUTEX_INITIALIZER, door = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t *forks[] = {&left, &middle, &right};

static void *dine(void *arg)
{
	long i = (long)arg;

	if (i == 0)
		pthread_mutex_lock(&door);
	pthread_mutex_lock(forks[i]);
	usleep(100000);
	pthread_mutex_lock(forks[(i + 1) % 3]);
	return NULL;
}

static void *visit(void *unused)
{
	usleep(200000);
	pthread_mutex_lock(&door);
	return unused;
}

int main(int count, char **arguments)
{
	pthread_t thread;

	for (long i = 0; i < 3; i++)
		pthread_create(&thread, NULL, dine, (void *)i);
	pthread_create(&thread, NULL, visit, NULL);
	usleep(1000 * (useconds_t)atoi(arguments[1]));
	_exit(count - 2);
}
"""


def philosophers(p):
    return p.compile("philosophers", PHILOSOPHERS, "-g", "-O1", "-pthread")


def dine(p):
    """They are recorded as x.trace until the process ends."""
    done = p.record("-o", "x.trace", "--", philosophers(p), "700")
    equal(done.returncode, 0, done.stderr)


def report(p, trace, *options):
    return subprocess.run([place.STELE, "report", *options, p.path(trace)], check=True,
                          capture_output=True, text=True).stdout


def deadlocked(p, trace):
    p.valid(trace)
    rows = {row["lock"]: row for row in json.loads(report(p, trace, "--json"))["blockages"]}
    equal(sorted(rows), ["door", "left", "middle", "right"])
    equal([name for name, row in sorted(rows.items()) if row["deadlock"]],
          ["left", "middle", "right"])
    for row in rows.values():
        equal((row["waiters"], row["holder"], row["state"]), (1, "dine", "waiting"))
        equal(row["what"], "sync")
        check(row["longest_ns"] > 4e8 and row["ns"] > 4e8, row)
        equal((row["at"]["function"], row["waits_at"]["function"] in ("dine", "visit")),
              ("dine", True))
    # Each of the three has what another one of them waits for.
    round_table = [rows[name] for name in ("left", "middle", "right")]
    equal(sorted(row["holder_thread"] for row in round_table),
          sorted(row["waiter_thread"] for row in round_table))
    text = report(p, trace)
    check("STUCK IN THE END, BY A DEADLOCK\n" in text, text)
    equal(len(re.findall(r"has it, and waits for lock (?:left|middle|right) \(a deadlock\)", text)),
          3, text)
    check(text.index("lock door: 1 thread waits") > text.index("lock left: 1 thread waits"), text)


@case
def deadlock_is_found_when_the_process_has_ended():
    with place.Place() as p:
        dine(p)
        deadlocked(p, "x.trace")


@case
def deadlock_is_found_when_it_was_killed():
    with place.Place() as p:
        program = philosophers(p)
        for number in (signal.SIGINT, signal.SIGKILL):
            process = p.start("-f", "-o", "x.trace", "--", program, "60000")
            place.wait_for(lambda: os.path.exists(p.path("x.trace")), "the recording")
            time.sleep(1.2)
            with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as f:
                os.kill(int(f.read().split()[0]), number)
            said = process.communicate()[1]
            equal(process.returncode, 128 + number, said)
            deadlocked(p, "x.trace")


@case
def deadlock_is_found_in_a_snapshot_of_what_came_later():
    with place.Place() as p:
        program = philosophers(p)
        env = {"XDG_RUNTIME_DIR": p.directory}
        process = p.start("--ring=500ms", "--generation=100ms", "--snapshot-on=never", "-o",
                          "%n.trace", "--", program, "3000", env=env)
        time.sleep(2)
        subprocess.run([place.STELE, "snapshot", str(process.pid)], check=True,
                       capture_output=True, cwd=p.directory, env={**place.ENV, **env})
        said = process.communicate()[1]
        equal(process.returncode, 0, said)
        deadlocked(p, "1.trace")


@case
def page_has_it_first():
    with place.Place() as p:
        dine(p)
        report(p, "x.trace", "--html", p.path("x.html"))
        with Browser() as browser:
            browser.open(pathlib.Path(p.path("x.html")))
            equal(browser.run("return document.querySelector('main section').id;"), "stuck")
            equal(browser.run("return document.querySelector('#stuck h2').textContent;"),
                  "Stuck in the end, by a deadlock")
            rows = browser.run("""return Array.from(document.querySelectorAll("#stuck tbody tr"),
              tr => Array.from(tr.children, td => td.textContent));""")
            equal(sorted((row[0], row[-1]) for row in rows),
                  [("door", ""), ("left", "yes"), ("middle", "yes"), ("right", "yes")])
            check(all(row[5].startswith("dine ") and row[6] == "waits: sync" for row in rows), rows)
            equal(browser.complaints(), [])


@case
def program_that_ends_in_peace_is_not_stuck():
    with place.Place() as p:
        done = p.record("-o", "x.trace", "--", BUSY, "4", "50")
        equal(done.returncode, 0, done.stderr)
        equal(json.loads(report(p, "x.trace", "--json"))["blockages"], [])
        check("STUCK" not in report(p, "x.trace"))


run()
