#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""stele doctor tells of machines and programs what stele record meets.

usage: test_doctor.py STELE
"""
import json
import os
import pathlib
import shutil
import subprocess

from place import ENV, STELE, Place, wait_for
from support.tap import case, check, equal, run

HELLO = '#include <stdio.h>\nint main(void) { puts("hello"); return 3; }\n'
ALLOCATOR = """#include <stddef.h>
static char room[65536];
static size_t used;
void *malloc(size_t n) { void *p = room + used; used += (n + 15) & ~15ul; return p; }
void free(void *p) { (void)p; }
int main(void) { return malloc(10) == NULL; }
"""


def doctor(p, *command, status=0, env=None):
    """Findings by subject."""
    done = subprocess.run([STELE, "doctor", "--json", *command], cwd=p.directory,
                          env={**ENV, **(env or {})}, capture_output=True, text=True, check=False)
    equal(done.returncode, status, f"status: {done.stdout}{done.stderr}")
    answer = json.loads(done.stdout)
    equal(answer["schema"], 1)
    found = {f["subject"]: f for f in answer["findings"]}
    equal(len(found), len(answer["findings"]), "a subject twice")
    for finding in found.values():
        check(finding["what"] and not finding["what"].endswith("."), finding)
        check(finding["health"] == "good" or "remedy" in finding or
              finding["subject"] == "program", f"no remedy: {finding}")
    return found


@case
def a_machine_that_runs_this_test_can_record():
    with Place() as p:
        found = doctor(p)
        for subject in ("module", "heap", "buffer", "clock", "seccomp", "disk", "names"):
            check(found[subject]["health"] != "bad", found[subject])
        check("program" not in found, "of no program")
        text = subprocess.run([STELE, "doctor"], capture_output=True, text=True, env=ENV,
                              check=True).stdout
        check(all(line.split()[0] in ("ok", "less", "→") for line in text.splitlines()), text)


@case
def what_the_doctor_says_of_programs_is_what_recording_meets():
    with Place() as p:
        builds = {"plain": (), "static": ("-static",)}
        for name, flags in builds.items():
            program = p.compile(name, HELLO, *flags)
            found = doctor(p, program, status=0 if name == "plain" else 1)["program"]
            recorded = p.record("-o", f"{name}.trace", "--", program)
            equal(recorded.returncode, 3)
            equal(found["health"] == "good", f"{name}.trace" in os.listdir(p.directory), name)
            if found["health"] == "bad":
                check("statically linked" in found["what"] and
                      found["what"].split(" is ")[-1][:10] in recorded.stderr, found)
        equal(doctor(p, "no-such-program", status=1)["program"]["health"], "bad")
        pathlib.Path(p.path("source.c")).chmod(0o644)
        equal(doctor(p, "./source.c", status=1)["program"]["health"], "bad")


@case
def symbols_and_lines_are_those_of_the_file():
    with Place() as p:
        p.compile("lines", HELLO, "-g")
        p.compile("names", HELLO, "-g0")
        p.compile("none", HELLO, "-s")
        for name, health, word in (("lines", "good", "lines are in"),
                                   ("names", "good", "lines are not known"),
                                   ("none", "less", "stripped")):
            found = doctor(p, "./" + name)["symbols"]
            check(found["health"] == health and word in found["what"], found)


@case
def code_without_unwind_data_is_told():
    functions = "".join(f"void f{i}(char *p) {{ p[{i}] = 1; p[{i + 7}] = 2; }}\n"
                        for i in range(4000))
    flags = ["-fno-asynchronous-unwind-tables", "-fno-unwind-tables"]
    with Place() as p:
        check("unwinding" not in doctor(p, p.compile("has", HELLO + functions)), "it has some")
        found = doctor(p, p.compile("lacks", HELLO + functions, *flags))["unwinding"]
        check(found["health"] == "less" and "tables" in found["remedy"], found)


@case
def an_allocator_of_its_own_is_told_and_hides_objects():
    with Place() as p:
        program = p.compile("own", ALLOCATOR, "-fno-builtin")
        equal(doctor(p, program)["allocator"]["health"], "less")
        check("allocator" not in doctor(p, p.compile("plain", HELLO)), "libc's is fine")
        done = p.record("-o", "t", "--heap", "--", program)
        equal(done.returncode, 0)
        check("malloc of its own" in done.stderr, done.stderr)
        heap = subprocess.run([STELE, "heap", "--json", p.path("t")], capture_output=True,
                              text=True, check=True).stdout
        check(not [s for s in json.loads(heap)["sites"]["top"]
                   if s["stack"] and s["stack"][0]["function"] == "main"], "it is seen, though")


@case
def strict_recordings_fail_if_something_was_not_seen():
    with Place() as p:
        own, plain = p.compile("own", ALLOCATOR, "-fno-builtin"), p.compile("plain", HELLO)
        static = p.compile("static", HELLO, "-static")
        for options, program, status in ((["--heap"], own, 125), ([], own, 0), ([], static, 125),
                                         (["--heap"], plain, 3), ([], plain, 3),
                                         ([], "no-such-program", 127)):
            done = p.record("-f", "-o", "t", "--strict", *options, "--", program)
            equal(done.returncode, status, f"{options} {program}: {done.stderr}")
            check(status != 125 or "own" in done.stderr or "untraced" in done.stderr, done.stderr)


@case
def a_sanitizer_is_told():
    with Place() as p:
        found = doctor(p, p.compile("asan", HELLO, "-fsanitize=address"))
        check("asan" in found["sanitizer"]["what"], found)


@case
def scripts_are_judged_by_their_interpreter():
    with Place() as p:
        script = pathlib.Path(p.path("script"))
        script.write_text("#!/bin/sh\nexit 0\n", encoding="ascii")
        script.chmod(0o755)
        found = doctor(p, "./script")
        check("/sh" in found["image"]["what"] or "dash" in found["image"]["what"], found)


@case
def what_is_missing_has_a_remedy():
    with Place() as p:
        found = doctor(p, env={"STELE_PRELOAD_MODULE": "/no/such/module.so"}, status=1)
        equal(found["module"]["health"], "bad")
        shutil.copy(doctor(p)["module"]["what"], p.path("a module.so"))
        found = doctor(p, env={"STELE_PRELOAD_MODULE": p.path("a module.so")}, status=1)
        check("blank" in found["module"]["what"], found)


@case
def wrong_usage_is_said():
    done = subprocess.run([STELE, "doctor", "--wrong"], capture_output=True, text=True, env=ENV,
                          check=False)
    equal(done.returncode, 2)
    check("--help" in done.stderr, done.stderr)


@case
def a_process_is_told_of():
    with Place() as p:
        env = {"XDG_RUNTIME_DIR": p.directory}
        with subprocess.Popen(["sleep", "60"]) as sleeper:
            found = doctor(p, str(sleeper.pid), status=1, env=env)
            equal(found["recording"]["health"], "bad")
            check("1 threads, of this user" in found["rights"]["what"], found["rights"])
            check(found["program"]["what"].endswith("/sleep"), found["program"])
            sleeper.kill()
        with p.start("--ring=1s", "--", "sleep", "60", env=env) as stele:
            children = f"/proc/{stele.pid}/task/{stele.pid}/children"
            wait_for(lambda: pathlib.Path(children).read_text(), "a child")
            pid = pathlib.Path(children).read_text().strip()
            wait_for(lambda: os.path.isdir(p.path("stele")) and os.listdir(p.path("stele")),
                     "a socket")
            found = doctor(p, pid, env=env)
            check(f"recorded by process {stele.pid}" in found["recording"]["what"], found)
            os.kill(int(pid), 9)
        done = subprocess.run([STELE, "doctor", "999999999"], capture_output=True, text=True,
                              env=ENV, check=False)
        equal(done.returncode, 2)
        check("there is no process" in done.stderr, done.stderr)


run()
