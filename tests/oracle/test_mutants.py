#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Mutants of valid traces get the same verdict from Stele's reader and from Go's.

usage: test_mutants.py STELE BUILD [COUNT] [SEED]

Needs Go 1.26 and golang.org/x/exp (fetched once); is skipped without. The valid traces are made by
a Go program, converted to the other headers; more are taken from STELE_SHARED if that is set.
"""
import collections
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import mutation  # noqa: E402
import oracle  # noqa: E402
from tracebytes import Trace, convert  # noqa: E402

SEED_BYTES_MAX = 24000


def seeds(program, work):
    found = {}
    for experiment in ("0", "1"):
        made = work / f"made{experiment}"
        made.mkdir(exist_ok=True)
        subprocess.run([str(program), "-make", str(made)], check=True,
                       env={**os.environ, "GODEBUG": f"traceallocfree={experiment}"})
        for path in sorted(made.iterdir()):
            trace = Trace.decode(path.read_bytes())
            for version in (22, 23, 25, 26):
                found[f"{path.stem}{experiment}-{version}"] = (
                    trace if version == trace.version else convert(trace, version))
    shared = os.environ.get("STELE_SHARED")
    if shared:
        for path in sorted(pathlib.Path(shared, "gotests").glob("go*.trace")):
            if "-fail-" not in path.name:
                found[path.stem] = Trace.decode(path.read_bytes())
    return {n: t for n, t in found.items()
            if t.streams() and len(t.encode()) <= SEED_BYTES_MAX}


def ask_go(program, paths):
    out = subprocess.run([str(program)], input="\n".join(map(str, paths)) + "\n",
                         capture_output=True, text=True, errors="replace", check=True).stdout
    return out.splitlines()


def ask_stele(stele, paths):
    """Verdict lines; a crash names the file."""
    done = subprocess.run([stele, "check", *map(str, paths)], capture_output=True, text=True,
                          errors="replace")
    if done.returncode not in (0, 3):
        raise SystemExit(f"not ok 1 - mutants_get_one_verdict\n# exit {done.returncode}: "
                         f"{done.stderr[-2000:]}")
    verdict = {}
    for line in done.stdout.splitlines():
        path, _, text = line.partition(": ")
        if not text.startswith(("warning: ", "read before", "lost ")):
            verdict[path] = text
    return [verdict[str(p)] for p in paths]


def same(go, stele):
    """Accepted by both with as many events, or refused by both."""
    if go.startswith("OK"):
        count = re.match(r"ok events=(\d+)", stele)
        return bool(count) and count.group(1) == go.split()[1]
    return not stele.startswith("ok ")


def excused(go, mutation_name):
    """
    Go's reader crashes where it should keep the name of a stop from the generation before; and
    where all clocks stand it takes one of several lawful orders, which may lead nowhere.
    """
    return ("panic: expected id" in go and "string table" in go) or (
        mutation_name == "still" and go.startswith("BAD"))


def main():
    stele, work = sys.argv[1], pathlib.Path(sys.argv[2], "tests", "oracle", "mutants")
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else random.randrange(10 ** 9)
    try:
        program = oracle.oracle(sys.argv[2])
    except oracle.Unavailable as reason:
        print(f"1..0 # SKIP {reason}")
        return
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    valid = seeds(program, work)
    print("1..2")
    paths = []
    for name, trace in valid.items():
        paths.append(work / f"{name}.trace")
        paths[-1].write_bytes(trace.encode())
    wrong = [f"{p.name}: {g} / {s}" for p, g, s in
             zip(paths, ask_go(program, paths), ask_stele(stele, paths))
             if not same(g, s) or not g.startswith("OK")]
    print("".join(f"# {w}\n" for w in wrong), end="")
    print(f"{'not ok' if wrong else 'ok'} 1 - {len(paths)}_valid_traces_are_accepted")
    rng = random.Random(seed)
    names, kinds, different = sorted(valid), collections.Counter(), 0
    for start in range(0, count, 500):
        paths, told = [], []
        for i in range(start, min(start + 500, count)):
            name = rng.choice(names)
            mutant, what = mutation.mutate(rng, valid[name])
            paths.append(work / f"m{i}.trace")
            paths[-1].write_bytes(mutant.encode())
            told.append(f"{name} {what}")
        for path, what, g, s in zip(paths, told, ask_go(program, paths),
                                    ask_stele(stele, paths)):
            kinds["accepted" if g.startswith("OK") else "refused"] += 1
            if same(g, s) or excused(g, what.split()[1]):
                path.unlink()
                continue
            different += 1
            if different <= 20:
                print(f"# {path} ({what}):\n#   Go    {g[:200]}\n#   Stele {s[:200]}")
    print(f"# seed {seed}: {dict(kinds)}, {different} different")
    print(f"{'not ok' if different else 'ok'} 2 - {count}_mutants_get_one_verdict")
    sys.exit(bool(wrong or different))


main()
