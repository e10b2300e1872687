#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The claims of docs/design/reentrancy.md, each tried at length; one line for each.

usage: proof.py [CLAIM…]

Without arguments all of them, about 20 minutes. The exit status is 1 if one does not hold.
'make check' tries the same in short.
"""
import pathlib
import re
import subprocess
import sys
import time

import check

STRESS = "tests/stress/"
SANITIZED = ("4", "30")

# Name, what it says, the configuration, and commands in its build directory.
CLAIMS = (
    ("model", "the protocols hold in every state, and not without any of their precautions",
     "plain", [["python3", check.ROOT / "tests/model/test_model.py"]]),
    ("inject", "an event at any instruction of another event's emission is there once, in order",
     "plain", [[STRESS + "test_inject"], [STRESS + "test_inject_calls"]]),
    ("policies", "nest and flush lose nothing, skip counts what it drops, abort says what met",
     "plain", [[STRESS + "test_policies"]]),
    ("storm", "signals as fast as they come, rings that fill all the time: all taken or counted",
     "plain", [[STRESS + "test_storm"], [STRESS + "test_pipeline"]]),
    ("tempest", "every kind of event, jumps, cancels, exits in handlers: nothing lost or broken",
     "plain", [[STRESS + "test_tempest", "2", "60"], [STRESS + "test_tempest", "16", "60"]]),
    ("tempest-asan", "the same with AddressSanitizer", "asan",
     [[STRESS + "test_tempest", *SANITIZED]]),
    ("tempest-tsan", "the same with ThreadSanitizer", "tsan",
     [[STRESS + "test_tempest", *SANITIZED]]),
    ("blackbox", "whatever ends a program, what it had committed is in a valid trace",
     "plain", [[STRESS + "test_blackbox", "./stele", STRESS + "doomed", "1600"]]),
    ("faults", "whatever the system refuses, at whatever call: valid, counted, said",
     "plain", [["env", f"STELE_PRELOAD_MODULE={check.ROOT}/build/src/preload/stelepreload.so",
                STRESS + "test_faults"]]),
    ("embedded", "a process records itself, ten thousand times, and leaks nothing",
     "plain", [["tests/unit/test_embed"]]),
    ("hosts", "fork, exec, threads by the thousand, closed descriptors, hostile programs",
     "plain", [["meson", "test", "--no-rebuild", "--print-errorlogs", "--num-processes", "2",
                "--suite", "preload", "--suite", "record"]]),
)


def figures(text):
    """What a test printed of its counts."""
    lines = [line[2:] for line in text.splitlines() if re.match(r"# .*\d", line)]
    passed = re.search(r"^Ok: +(\d+)", text, re.M)
    return lines + ([f"{passed[1]} test programs"] if passed else [])


def stage(name):
    return next(s for s in check.STAGES if s.name == name)


def holds(claim):
    """Runs a claim's commands; prints its line and its counts."""
    name, sentence, configuration, commands = claim
    begin = time.monotonic()
    place = check.ROOT / stage(configuration).build
    counts, failure = [], ""
    if not check.build(stage(configuration), quiet=True):
        failure = f"the configuration {configuration} does not build"
    for command in commands:
        if failure:
            break
        done = subprocess.run([str(word) for word in command], cwd=place, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        counts += figures(done.stdout)
        if done.returncode:
            failure = done.stdout[-4000:] + done.stderr[-4000:]
    print(f"{'FAILED' if failure else 'holds '} {name:13} {sentence} "
          f"({time.monotonic() - begin:.0f} s)")
    for line in counts:
        print(f"                     {line}")
    if failure:
        print(failure)
    sys.stdout.flush()
    return not failure


def main(names):
    known = {claim[0] for claim in CLAIMS}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"proof.py: there is no claim '{unknown[0]}'; there are: "
              f"{', '.join(claim[0] for claim in CLAIMS)}", file=sys.stderr)
        return 2
    results = [holds(claim) for claim in CLAIMS if not names or claim[0] in names]
    print(f"{sum(results)} of {len(results)} claims hold")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
