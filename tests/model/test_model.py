#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The protocols in every state: each model holds, and without any one of its precautions it fails.

usage: test_model.py
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from support.tap import Skip, case, check, equal, run  # noqa: E402

# What must hold: model, its options, those of the search.
WHOLE = (("ring", ["-DRINGS=3"], []),
         ("ring", ["-DRINGS=2"], []),
         ("ring", ["-DRINGS=3", "-DLATE"], []),
         ("ring", ["-DRINGS=3", "-DLATE", "-DKILL"], ["-E"]),
         ("pool", ["-DACTORS=2"], []),
         ("pool", ["-DACTORS=3", "-DROUNDS=1"], []),
         ("cut", [], []))
BUGS = (("ring", "HEADER_FIRST", "NO_RELOAD", "NOT_CLOSED", "OLD_RING_REUSED", "NO_CAS", "OLD_TIME",
         "CLOSED_IS_EMPTY", "NOT_ZEROED"),
        ("pool", "NO_TAG", "LINK_AFTERWARDS"),
        ("cut", "NO_STALL", "CUT_FORCES", "HOLE_PASSED", "EPOCH_TOO_LATE"))


def search(model, defines, options=()):
    """Looks through all states; returns (errors found, states)."""
    if not shutil.which("spin"):
        raise Skip("there is no spin")
    with tempfile.TemporaryDirectory(prefix="stele-model-") as place:
        for command in (["spin", *defines, "-a", HERE / f"{model}.pml"],
                        ["cc", "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c"]):
            made = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
            equal(made.returncode, 0, f"{command}: {made.stdout}{made.stderr}")
        out = subprocess.run(["./pan", "-m200000", *options], cwd=place, capture_output=True,
                             text=True, check=False).stdout
    errors = re.search(r"errors: (\d+)", out)
    states = re.search(r"(\d+) states, stored", out)
    check(errors and states, out)
    check("max search depth too small" not in out, "the search was cut off")
    check("out of memory" not in out, "there is too little memory for the search")
    return int(errors[1]), int(states[1])


@case
def protocols_hold_in_every_state():
    total = 0
    for model, defines, options in WHOLE:
        errors, states = search(model, defines, options)
        equal(errors, 0, f"{model} {' '.join(defines)}: errors")
        check(states > 100000, f"{model} {' '.join(defines)}: only {states} states")
        print(f"# {model} {' '.join(defines)}: {states:,} states")
        total += states
    print(f"# {len(WHOLE)} searches, {total:,} states, all of them")


@case
def each_precaution_is_needed():
    count = 0
    for model, *bugs in BUGS:
        text = (HERE / f"{model}.pml").read_text(encoding="utf-8")
        equal(sorted(set(re.findall(r"(?:ifn?def|defined\() ?BUG_(\w+)", text))), sorted(bugs),
              f"bugs that {model} can have")
        for bug in bugs:
            errors, _ = search(model, [f"-DBUG_{bug}"])
            check(errors > 0, f"{model}: {bug} is not found")
            count += 1
    print(f"# {count} seeded bugs, each found")


run()
