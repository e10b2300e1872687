#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A program whose times are known gives the known answers, within 5 %.

usage: test_known.py STELE KNOWN
"""
import json
import os
import subprocess
import sys

import place
from support.tap import case, check, equal, run

KNOWN = os.path.abspath(sys.argv[2])


def within(got, ms, name, what):
    """As long as it was to be, within 5 %, or, on a machine with other things to do, as long as the
    program has measured that it was."""
    want = max(ms * 1_000_000, MEASURED[name])
    check(ms * 950_000 <= got and abs(got - want) <= want / 20, f"{what}: {got}, {want} ns")


def answers():
    """Of stele report, stele why, folded stacks of waits, and what the program measured itself."""
    with place.Place() as p:
        done = p.record("-o", "t", "--", KNOWN)
        equal(done.returncode, 0, done.stderr)
        report = subprocess.run([place.STELE, "report", "--json", p.path("t")],
                                capture_output=True, text=True, check=True).stdout
        folded = subprocess.run([place.STELE, "export", "--to=folded", "--kind=wait", "-o", "-",
                                 p.path("t")], capture_output=True, text=True, check=True).stdout
        thread, = [t["thread"] for t in json.loads(report)["threads"] if t["entry"] == "waiter"]
        why = subprocess.run([place.STELE, "why", "--json", f"--thread={thread}", p.path("t")],
                             capture_output=True, text=True, check=True).stdout
    measured = dict(line.split() for line in done.stdout.splitlines() if " " in line)
    times = {name: int(ns) for name, ns in measured.items() if name in ("lock", "nap", "deep")}
    return json.loads(report), json.loads(why), folded, times


REPORT, WHY, FOLDED, MEASURED = answers()


def wait(function, reason):
    """The one place in this function where it was waited for this reason."""
    found, = [w for w in REPORT["waits"]["top"] if w["reason"] == reason and
              function in [f["function"] for f in w["stack"]]]
    return found


def line_of(text, function="want"):
    """Where the source has it, behind the beginning of the function."""
    lines = open(os.path.join(os.path.dirname(__file__), "known.c"), encoding="utf-8").readlines()
    begin = next(i for i, line in enumerate(lines) if f" {function}(" in line)
    return next(i + 1 for i, line in enumerate(lines) if i > begin and text in line)


@case
def a_lock_that_is_held_for_200_ms_is_waited_for_as_long():
    place_of_it = wait("want", "sync")
    equal(place_of_it["count"], 1)
    within(place_of_it["total_ns"], 200, "lock", "waited")
    frame, = [f for f in place_of_it["stack"] if f["function"] == "want"]
    equal(frame["line"], line_of("pthread_mutex_lock"))
    within(wait("hold", "sleep")["total_ns"], 200, "lock", "held")
    thread, = [t for t in REPORT["threads"] if t["entry"] == "waiter"]
    within(thread["waiting_ns"], 200, "lock", "the thread that waited")


@case
def the_lock_ledger_names_the_holder_and_its_lines():
    lock, = REPORT["locks"]["top"]
    equal((lock["lock"], lock["count"], lock["waiting_max"]), ("lock", 1, 1))
    holder, = lock["holders"]
    equal((holder["thread"], holder["count"]), ("holder", 1))
    within(holder["ns"], 200, "lock", "held")
    for what, call in (("taken", "pthread_mutex_lock"), ("released", "pthread_mutex_unlock")):
        equal(holder[what]["function"], "hold")
        equal(holder[what]["line"], line_of(call, "hold"), what)


@case
def locks_that_are_taken_in_both_orders_are_found():
    cycle, = REPORT["lock_cycles"]
    equal(sorted((o["thread"], o["held"]["lock"], o["then"]["lock"]) for o in cycle),
          [("back", "second", "first"), ("several threads", "first", "second")])
    equal([o["then"]["taken"]["line"] for o in cycle if o["thread"] == "back"],
          [line_of("lock(&first)", "*back")])
    made, = {(o["held"]["made_by"], o["held"]["made_line"]) for o in cycle
             if o["held"]["lock"] == "second"}
    equal(made, ("cross", line_of("mutex_init", "cross")))


@case
def why_names_who_had_the_lock_and_what_it_did():
    instance, = WHY["slowest"]
    equal(sum(row["ns"] for row in instance["rows"]), instance["ns"])
    lock = instance["rows"][0]
    equal((lock["kind"], lock["lock"], lock["who"]), ("lock", "lock", "holder"))
    within(lock["ns"], 200, "lock", "held")
    for what, call in (("taken", "pthread_mutex_lock"), ("released", "pthread_mutex_unlock")):
        equal((lock[what]["function"], lock[what]["line"]), ("hold", line_of(call, "hold")), what)
    sleep = lock["meanwhile"][0]
    equal((sleep["kind"], sleep["reason"]), ("wait", "sleep"))
    within(sleep["ns"], 200, "lock", "slept")
    equal([f["line"] for f in sleep["stack"] if f["function"] == "hold"],
          [line_of("milliseconds(200)", "hold")])


@case
def a_region_of_50_ms_takes_50_ms():
    region, = REPORT["regions"]["top"]
    equal((region["name"], region["count"]), ("nap", 1))
    within(region["total_ns"], 50, "nap", "region")
    for quantile in ("p50_ns", "p90_ns", "p99_ns", "max_ns"):
        equal(region[quantile], region["total_ns"], quantile)


@case
def a_stack_of_60_calls_has_60_frames():
    deep = wait("descend", "sleep")
    equal([f["function"] for f in deep["stack"]].count("descend"), 60)
    within(deep["total_ns"], 20, "deep", "slept")
    line, = [row for row in FOLDED.splitlines() if "descend" in row]
    equal(line.count(";descend"), 60)
    within(int(line.rsplit(" ", 1)[1]), 20, "deep", "folded")


MEETING = r"""
#include <pthread.h>
#include <unistd.h>

static pthread_barrier_t meeting;

__attribute__((noinline)) static void come(unsigned ms)
{
	usleep(ms * 1000);
	pthread_barrier_wait(&meeting);
	__asm__ volatile("");
}

static void *early(void *unused)
{
	come(1);
	return unused;
}

static void *late(void *unused)
{
	come(100);
	usleep(100000);
	return unused;
}

int main(void)
{
	pthread_t threads[3];

	pthread_barrier_init(&meeting, NULL, 3);
	for (int i = 0; i < 3; i++)
		if (pthread_create(&threads[i], NULL, i == 1 ? late : early, NULL))
			return 1;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
"""


@case
def who_comes_last_to_a_barrier_and_who_is_joined_is_known():
    with place.Place() as p:
        program = p.path(p.compile("meeting", MEETING, "-pthread"))
        done = p.record("-o", "t", "--", program)
        equal(done.returncode, 0, done.stderr)

        def why(thread):
            out = subprocess.run([place.STELE, "why", "--json", f"--thread={thread}", p.path("t")],
                                 capture_output=True, text=True, check=True).stdout
            return json.loads(out)["slowest"][0]["rows"]

        report = subprocess.run([place.STELE, "report", "--json", p.path("t")],
                                capture_output=True, text=True, check=True).stdout
        threads = {}
        for thread in json.loads(report)["threads"]:
            threads.setdefault(thread["entry"], []).append(thread["thread"])
        late, = threads["late"]
        for early in threads["early"]:
            barrier, = [row for row in why(early) if row.get("reason") == "sync (barrier)"]
            equal((barrier["who_thread"], barrier["released"]["function"]), (late, "come"))
            equal(barrier["meanwhile"][0]["reason"], "sleep")
        joins = [row for row in why(threads["main"][0]) if row.get("reason") == "sync (join)"]
        last, = [row for row in joins if row["who_thread"] == late]
        check(90_000_000 < last["ns"] < 150_000_000, last)
        equal({row["who_thread"] for row in joins} - {late, *threads["early"]}, set())


run()
