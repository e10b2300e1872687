#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""CPU samples say where threads run, and the program does not notice the signal that makes them.

usage: test_cpu.py STELE SPINNER
"""
import json
import os
import re
import subprocess
import sys

import place
from support.tap import Skip, case, check, equal, run

PROGRAM = os.path.abspath(sys.argv[2])
HZ = 200


class Spun:
    """A recording of the spinner, and what its samples say."""

    def __init__(self, *how, options=(), hz=HZ):
        with place.Place() as p:
            done = p.record(f"--cpu-hz={hz}", "-o", "%p.trace", *options, "--", PROGRAM, *how)
            equal(done.returncode, 0, done.stdout + done.stderr)
            found = [tuple(map(int, line)) for line in re.findall(
                r"(\d+) ns, hot (\d+), warm (\d+), (\d+) calls interrupted", done.stdout)]
            self.expected = [ns * hz / 1e9 for ns, *_ in found]
            self.hot_share = [hot / (hot + warm) for _, hot, warm, _ in found]
            self.interrupted = sum(calls for *_, calls in found)
            for trace in p.traces():
                p.valid(trace)
            self.stacks = [self.folded(p, trace) for trace in p.traces()]
            self.functions = [self.hot_functions(p, trace) for trace in p.traces()]

    @staticmethod
    def folded(p, trace):
        out = subprocess.run([place.STELE, "export", "--to=folded", "--kind=cpu", "-f", "-o", "-",
                              p.path(trace)], capture_output=True, text=True, check=True).stdout
        stacks = {}
        for line in out.splitlines():
            stack, _, count = line.rpartition(" ")
            stacks[stack] = stacks.get(stack, 0) + int(count)
        return stacks


    @staticmethod
    def hot_functions(p, trace):
        out = subprocess.run([place.STELE, "report", "--json", "--top=1000", p.path(trace)],
                             capture_output=True, text=True, check=True).stdout
        return {row["name"]: (row["self"], row["total"])
                for row in json.loads(out)["hot_functions"]["top"]}


def total(stacks, function=""):
    return sum(n for stack, n in stacks.items() if function in stack.split(";") or not function)


def sensible(stacks, expected, share):
    """As many as the threads ran, and where they did."""
    count = total(stacks)
    check(0.8 * expected < count < 1.2 * expected, f"{count} samples, {expected} expected")
    hot, warm = total(stacks, "hot"), total(stacks, "warm")
    deviation = (share * (1 - share) * (hot + warm)) ** 0.5
    check(abs(hot - share * (hot + warm)) < 5 * deviation + 1,
          f"hot {hot}, warm {warm}, of the first {share}")
    check(hot + warm > 0.7 * count, f"hot {hot}, warm {warm} of {count}")
    whole = total(stacks, "spin_thread")
    check(whole > 0.9 * count, f"{whole} of {count} stacks are whole")


@case
def samples_are_where_time_goes():
    spun = Spun("plain", "2")
    sensible(spun.stacks[0], spun.expected[0], spun.hot_share[0])
    print(f"# {spun.interrupted} calls interrupted")


@case
def functions_are_summed_up_from_all_stacks():
    spun = Spun("plain", "1")
    expected = {}
    for stack, count in spun.stacks[0].items():
        frames = stack.split(";")
        for function in set(frames):
            own, whole = expected.get(function, (0, 0))
            expected[function] = (own + count * (frames[-1] == function), whole + count)
    equal(spun.functions[0], expected)
    check(expected["hot"][0] > 10 and expected["spin"][1] > expected["spin"][0], expected)


@case
def no_time_is_missed_though_the_kernel_looks_seldom():
    """At its ticks: threads that take turns are not met at all of them; some rates are above."""
    for spun in (Spun("plain", "6"), Spun("plain", "2", hz=1000)):
        count, expected = total(spun.stacks[0]), spun.expected[0]
        check(0.93 * expected < count < 1.03 * expected, f"{count} samples, {expected} expected")


@case
def thread_that_blocks_all_signals_is_sampled_too():
    spun = Spun("block", "2")
    sensible(spun.stacks[0], spun.expected[0], spun.hot_share[0])


@case
def program_may_do_with_signals_what_it_likes():
    spun = Spun("own", "1")
    sensible({s: n for s, n in spun.stacks[0].items() if "take_signal" not in s},
             0.7 * HZ, spun.hot_share[0])


@case
def executed_program_is_sampled_too():
    spun = Spun("exec", "1")
    check(total(spun.stacks[0], "spin_thread") > 0.55 * HZ, spun.stacks)


@case
def children_are_sampled_if_they_are_followed():
    spun = Spun("fork", "1", options=["--follow-fork"])
    equal(len(spun.stacks), 2)
    for stacks, expected, share in zip(spun.stacks, spun.expected, spun.hot_share):
        sensible(stacks, expected, share)
    spun = Spun("fork", "1")
    sensible(spun.stacks[0], spun.expected[1], spun.hot_share[1])


@case
def samples_that_cannot_be_had_are_missed():
    with place.Place() as p:
        forbid = p.forbidding("timer_create", "EPERM")
        command = [forbid, place.STELE, "record", "--strict", f"--cpu-hz={HZ}", "-o", "x.trace",
                   "--", PROGRAM, "plain", "1"]
        done = subprocess.run(command, cwd=p.directory, env=place.ENV, capture_output=True,
                              text=True, check=False)
        if done.returncode == 77:
            raise Skip("filters of system calls cannot be set here")
        equal(done.returncode, 125, done.stderr)
        place.says(done, "there are no CPU samples")
        p.valid("x.trace")
        done = subprocess.run([forbid, place.STELE, "doctor"], env=place.ENV, capture_output=True,
                              text=True, check=False)
        check("no timers of their own here" in done.stdout, done.stdout)


TIMER = r"""
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static timer_t timer;
static pthread_t first;

static void *outlive(void *unused)
{
	struct itimerspec left;

	pthread_join(first, NULL);
	exit(timer_gettime(timer, &left) == 0 && left.it_value.tv_sec > 50 ? 5 : 6);
	return unused;
}

int main(void)
{
	const struct itimerspec minute = {.it_value = {60, 0}};
	struct sigevent event = {.sigev_notify = SIGEV_NONE};
	pthread_t thread;
	int status;

	if (fork()) {
		wait(&status);
		return WEXITSTATUS(status);
	}
	first = pthread_self();
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	    timer_settime(timer, 0, &minute, NULL) ||
	    pthread_create(&thread, NULL, outlive, NULL))
		return 7;
	pthread_exit(NULL);
}
"""


@case
def timer_of_a_child_is_not_taken_for_the_parents():
    with place.Place() as p:
        program = p.compile("timer", TIMER, "-pthread")
        done = p.record(f"--cpu-hz={HZ}", "-o", "x.trace", "--", program)
        equal(done.returncode, 5, done.stderr)


@case
def rate_is_checked():
    with place.Place() as p:
        for value in ("-1", "x", "", "1001"):
            done = p.record(f"--cpu-hz={value}", "--", "true")
            equal(done.returncode, 125)
            place.says(done, "--cpu-hz=")
        done = p.record("--cpu-hz=0", "-o", "x.trace", "--", PROGRAM)
        equal(done.returncode, 0)
        equal(Spun.folded(p, "x.trace"), {})


run()
