#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""stele anonymize: no name of the program is left, and all else is as it was.

usage: test_anonymize.py STELE
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from tap import Skip, case, check, equal, run  # noqa: E402

STELE = str(pathlib.Path(sys.argv[1]).resolve())
TRACES = HERE.parents[2] / "shared" / "traces"
FOLDER = tempfile.TemporaryDirectory()
PLACE = pathlib.Path(FOLDER.name)


WORDS = re.findall(r'"(.*)",', "".join((HERE.parents[1] / "src" / path).read_text() for path in
                                       ("surgery/vocabulary.c", "analyze/origin.c")))


def stele(*arguments, status=0):
    done = subprocess.run([STELE, *map(str, arguments)], capture_output=True, cwd=PLACE,
                          check=False)
    equal(done.returncode, status, f"status of {arguments}: {done.stderr.decode()}")
    return done


def small(replace=()):
    text = (HERE.parent / "report" / "small.trace.txt").read_text()
    for old, new in replace:
        check(old in text, old)
        text = text.replace(old, new)
    (PLACE / "small.txt").write_text(text)
    stele("assemble", "--sizes", "-f", "-o", "small.trace", "small.txt")
    return "small.trace"


def originals():
    """By the made-up name, as --map says."""
    found = {}
    for line in (PLACE / "map").read_bytes().decode(errors="replace").splitlines():
        name, _, text = line.partition("\t")
        check(name not in found, f"{name} twice")
        found[name] = re.sub(r"\\([nt\\])", lambda m: {"n": "\n", "t": "\t"}.get(m[1], "\\"), text)
    return found


def anonymize(trace, *options):
    stele("anonymize", "-f", "-o", "out.trace", "--map=map", *options, trace)
    return (PLACE / "out.trace").read_bytes()


def events(trace):
    lines = stele("events", "--json", trace).stdout.decode(errors="replace").split("\n")
    return [json.loads(line) for line in lines[1:] if line]


def named(value, names):
    """The same with the original names."""
    if isinstance(value, dict):
        return {key: named(v, names) for key, v in value.items()}
    if isinstance(value, list):
        return [named(v, names) for v in value]
    return names.get(value, value) if isinstance(value, str) else value


def is_the_same_but_for_names(trace):
    data = anonymize(trace)
    names = originals()
    for text in names.values():
        # What is shorter may stand there by chance, or in one of the known words.
        check(len(text) < 6 or "\ufffd" in text or any(text in word for word in WORDS) or
              text.encode() not in data, f"{text} is there")
    got, want = events("out.trace"), events(trace)
    equal(len(got), len(want), f"events of {trace}")
    for a, b in zip(got, want):
        if "clock" in b:
            b["clock"].update(wall_s=0, wall_ns=0)
        equal(named(a, names), b, f"an event of {trace}")
    equal(stele("check", "out.trace").stdout, stele("check", trace).stdout)
    return len(names)


@case
def names_go_and_nothing_else():
    check(is_the_same_but_for_names(small()) > 5, "hardly a name")
    report = json.loads(stele("report", "--json", "out.trace").stdout)
    want = json.loads(stele("report", "--json", "small.trace").stdout)
    equal([t["running_ns"] for t in report["threads"]], [t["running_ns"] for t in want["threads"]])
    equal(report["trust"]["lost"], want["trust"]["lost"])
    program = want["trust"]["program"]
    check(report["trust"]["program"] != program, "the program's name is there")
    equal(originals()[report["trust"]["program"]], program)


@case
def samples_of_counters_stay_and_other_numbers_do_not():
    anonymize(small())
    equal([e["message"] for e in events("out.trace") if e["kind"] == "Log"][0], "-42")
    trace = small([('data="q"', 'data="card"')])
    anonymize(trace)
    logs = [e for e in events("out.trace") if e["kind"] == "Log"]
    check("-42" not in str(logs), "a number that is no sample is there")


@case
def what_is_to_be_kept_stays():
    anonymize(small(), "--keep=^lock$", "--keep=^/src/")
    report = stele("report", "--json", "out.trace").stdout.decode()
    check('"lock"' in report and "/src/p.c" in report and "load" not in report, report)
    stele("anonymize", "-f", "-o", "out.trace", "--keep=(", "small.trace", status=2)


@case
def given_traces_are_the_same_but_for_names():
    if not TRACES.is_dir():
        raise Skip("the traces are not here")
    count = 0
    for packed in sorted(TRACES.glob("*.trace.zst")):
        name = packed.name.removesuffix(".zst")
        if packed.stat().st_size > 120000 or name.startswith(("failing", "killed", "procstatus")):
            continue
        subprocess.run(["zstd", "-dqf", packed, "-o", PLACE / name], check=True)
        is_the_same_but_for_names(name)
        (PLACE / name).unlink()
        count += 1
    check(count > 10, f"only {count} traces")


@case
def the_date_is_gone():
    clock = "ClockSnapshot dt=0 mono=5 sec=1700000000 nsec=77"
    trace = small([("Trace Go1.23", "Trace Go1.25"),
                   ("Frequency freq=1000000000", "Sync\nFrequency freq=1000000000\n" + clock)])
    check("sec=1700000000" in stele("raw", trace).stdout.decode(), "no date to begin with")
    anonymize(trace)
    raw = stele("raw", "out.trace").stdout.decode()
    equal(re.findall(r"ClockSnapshot .*", raw), ["ClockSnapshot dt=0 mono=5 sec=0 nsec=0"])
    is_the_same_but_for_names(trace)


@case
def a_damaged_trace_gives_whole_generations_only():
    data = (PLACE / small()).read_bytes()
    (PLACE / "cut.trace").write_bytes(data[:-10])
    stele("anonymize", "-f", "-o", "out.trace", "cut.trace", status=3)
    got = (PLACE / "out.trace").read_bytes()
    check(b"load" not in got and b"lock" not in got, "a name is in what is left")
    (PLACE / "no.trace").write_bytes(b"no trace at all, but long enough")
    stele("anonymize", "-f", "-o", "out.trace", "no.trace", status=3)
    stele("anonymize", "-o", "out.trace", "small.trace", status=2)  # it is there already
    stele("anonymize", "-f", "-o", "small.trace", "small.trace", status=2)
    stele("anonymize", "-f", status=2)


run()
