#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stacks that grow while an event is written, which is three events more, under each policy: what
is in the trace, and what is not.

usage: test_seed.py STELE SEED [ROUNDS]

With 110 rounds there are more than 100,000 such growths; `make seed` runs so many.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from pairs import Pairs  # noqa: E402
from tap import case, check, equal, run  # noqa: E402

STELE, SEED = (str(pathlib.Path(a).resolve()) for a in sys.argv[1:3])
ROUNDS = sys.argv[3] if len(sys.argv) > 3 else "5"
PLACES = "128"  # 2 KiB: no entry point of the tracer needs more


def execute(*command):
    done = subprocess.run(command, capture_output=True, timeout=600, check=False,
                          env={k: v for k, v in os.environ.items() if not k.startswith("STELE_")})
    return done.returncode, done.stdout, done.stderr


class Trace:
    """One run under a policy: how it ended, what the program said, and its memory events."""

    def __init__(self, policy):
        with tempfile.TemporaryDirectory(prefix="stele-seed-") as folder:
            trace = os.path.join(folder, "trace")
            self.status, out, self.err = execute(
                STELE, "record", "-o", trace, "--heap", f"--reentry={policy}", "--", SEED, ROUNDS,
                PLACES)
            status, text, complaint = execute(STELE, "check", trace)
            equal(status, 0, f"stele check: {text}{complaint}")
            self.pairs = Pairs(execute(STELE, "events", trace)[1].splitlines())
            self.lost = json.loads(execute(STELE, "info", "--json", trace)[1])["lost"]
            self.heap = json.loads(execute(STELE, "heap", "--json", trace)[1])
        found = re.search(rb"calls (\d+) grown (\d+)", out)
        self.calls, self.grown = map(int, found.groups()) if found else (0, 0)

    def __getitem__(self, name):
        return self.pairs.counts[name]


def expect_whole(policy):
    trace = Trace(policy)
    equal(trace.status, 0, trace.err.decode())
    equal(trace.lost["events"], 0, "lost")
    equal(trace.pairs.broken(), (0, 0), "broken pairs")
    equal(trace.heap["broken"], [], "stele heap")
    check(trace.grown * 4 > trace.calls, f"the stack grew in {trace.grown} of {trace.calls} calls")
    # Each growth, and each shrinking before the next, has a new stack and an old one.
    check(trace["GoroutineStackAlloc"] >= 2 * trace.grown, "growths that were not told")
    print(f"# {policy}: {trace.calls} calls, the stack grew within {trace.grown}; 0 lost, 0 broken")


@case
def nest_loses_and_breaks_nothing():
    expect_whole("nest")


@case
def flush_loses_and_breaks_nothing():
    expect_whole("flush")


@case
def skip_breaks_pairs_and_its_counts_add_up():
    trace = Trace("skip")
    equal(trace.status, 0, trace.err.decode())
    skipped = trace.lost["skipped"]
    equal(trace.lost["events"], sum(skipped.values()), "lost for other reasons, too")
    check(skipped.get("SpanAlloc", 0) > 0, "nothing was skipped")
    # A growth that is not told: the free of its span and of its stack have no alloc, and the old
    # stack, whose free was skipped, is there when the shrunk one is allocated.
    equal(trace.pairs.broken(),
          (skipped["GoroutineStackFree"], skipped["SpanAlloc"] + skipped["GoroutineStackAlloc"]),
          "broken pairs")
    # All of it is explained, and nothing skipped is left over: proven by the recorder's counts.
    equal({(b["family"], b["kind"], b["cause"], b["inferred"]): b["count"]
           for b in trace.heap["broken"]},
          {("spans", "free", "skipped", False): skipped["SpanAlloc"],
           ("stacks", "free", "skipped", False): skipped["GoroutineStackAlloc"],
           ("stacks", "alloc", "skipped", False): skipped["GoroutineStackFree"]}, "stele heap")
    for family in ("spans", "stacks", "objects"):
        equal(trace.heap["memory"][family]["unseen_skips"], 0, f"unseen skips of {family}")
    print(f"# skip: {trace.lost['events']} skipped, {sum(trace.pairs.broken())} pairs broken")


@case
def abort_names_both_events():
    trace = Trace("abort")
    equal(trace.status, 128 + 6, trace.err.decode())
    for text in (rb"emitted an event within the emission of another", rb"the inner one: SPAN_ALLOC",
                 rb"the outer one: [A-Z_]+, at"):
        check(re.search(text, trace.err), trace.err.decode())


run()
