#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The installed copy: what lands where, that programs can be built against it and recorded by it,
and that uninstall leaves nothing.

usage: test_install.py
"""
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from tap import case, check, equal, run  # noqa: E402

SCRATCH = tempfile.TemporaryDirectory(prefix="stele-install-")
TOP = pathlib.Path(SCRATCH.name)
BUILD = TOP / "build"
PREFIX = TOP / "prefix"   # a real prefix
STAGE = TOP / "stage"     # a DESTDIR, with PREFIX=/usr
FILES = ["bin/stele", "lib/libstele.so", "lib/libstele.so.0", "lib/libstele.a",
         "lib/pkgconfig/stele.pc", "lib/stele/stelepreload.so",
         "lib/stele/stelepreload-heap.so", "include/stele/trace.h",
         "lib/libstelefiber.so.0", "lib/libstelefiber.a", "lib/pkgconfig/stelefiber.pc",
         "include/stele/fiber.h", "include/stele/runtime.h", "include/stele/version.h",
         "lib/libsteleread.so.0", "lib/libsteleread.a", "lib/pkgconfig/steleread.pc",
         "include/stele/read.h", "include/stele/analyze.h",
         "share/man/man1/stele.1", "share/man/man1/stele-record.1"]


def call(*command, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MESON_", "MAKE", "MFLAGS"))}
    done = subprocess.run([str(c) for c in command], cwd=ROOT, env={**clean, **env}, check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    check(done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def make(verb, **variables):
    call("make", "--no-print-directory", verb, f"BUILD={BUILD}",
         *(f"{k}={v}" for k, v in variables.items()))


def pkg_config(package, prefix, sysroot, *options):
    env = {"PKG_CONFIG_PATH": f"{sysroot}{prefix}/lib/pkgconfig"}
    if sysroot:
        env["PKG_CONFIG_SYSROOT_DIR"] = str(sysroot)
    return shlex.split(call("pkg-config", *options, package, **env))


def expect_files(prefix):
    for name in FILES:
        check((prefix / name).exists(), f"{name} is not installed")
    equal(os.readlink(prefix / "lib" / "libstele.so"), "libstele.so.0")


def build(source, package, compiler, prefix, sysroot, *options):
    """The program made of `source`, a user of the installed `package`."""
    program = TOP / pathlib.Path(source).stem
    flags = pkg_config(package, prefix, sysroot, "--cflags", "--libs",
                       *(["--static"] if "-static" in options else []))
    language = ["-x", "c++"] if compiler.endswith("++") else []
    call(compiler, *language, ROOT / source, "-x", "none", "-o", program,
          "-Wall", "-Wextra", "-Werror", *options, *flags)
    return program


def consume(compiler, prefix, sysroot, *options):
    program = build("tests/package/consumer.c", "stele", compiler, prefix, sysroot, *options)
    library = "" if "-static" in options else f"{sysroot}{prefix}/lib"
    equal(call(program, LD_LIBRARY_PATH=library), "0.1.0 0 1\n")


def record_with(program):
    """The installed stele records a program with threads and accepts its own trace."""
    trace = TOP / "installed.trace"
    code = ("import threading as t; a = [t.Thread(target=lambda: None) for _ in range(4)]; "
            "[x.start() for x in a]; [x.join() for x in a]; print('done')")
    out = call(program, "record", "-f", "-o", trace, "--", "/usr/bin/python3", "-c", code)
    equal(out, "done\n")
    check(call(program, "check", trace).startswith("ok"), "stele check does not say ok")


def left_over(top):
    return sorted(str(p) for p in top.rglob("*")) if top.exists() else []


@case
def install_to_a_prefix_puts_everything_in_place():
    call("meson", "setup", BUILD, f"-Dprefix={PREFIX}", "-Dlibdir=lib", "-Dtests=false")
    make("install", PREFIX=PREFIX)
    expect_files(PREFIX)


@case
def installed_library_serves_c_and_cxx():
    for compiler in ("gcc", "clang", "g++", "clang++"):
        consume(compiler, PREFIX, "")


@case
def installed_static_library_serves_static_programs():
    consume("gcc", PREFIX, "", "-static")


@case
def installed_program_records():
    record_with(PREFIX / "bin" / "stele")


@case
def installed_reader_serves_c_and_cxx():
    said = call(PREFIX / "bin" / "stele", "check", TOP / "installed.trace")
    events = re.search(r" events=(\d+) ", said).group(1)
    for compiler, *options in (("gcc", "-O0"), ("gcc", "-O2"), ("gcc", "-std=c99", "-O2"),
                               ("clang", "-O2"), ("g++", "-O2"), ("clang++", "-O0"),
                               ("gcc", "-O2", "-static")):
        program = build("tests/package/read_trace.c", "steleread", compiler, PREFIX, "", *options)
        equal(call(program, TOP / "installed.trace", LD_LIBRARY_PATH=f"{PREFIX}/lib"),
              f"{events}\n")


def example_tells(out, rows):
    heads = [line for line in out if not line.startswith("\t")]
    equal(heads, [f"{row['total_ns'] + row['open_ns']} ns in {row['count'] + row['open_count']} "
                  f"waits, the longest {row['max_ns']} ns: {row['reason']}" for row in rows])
    frames = [f"\t{f['function']} {f['file']}:{f['line']}" for row in rows for f in row["stack"]]
    equal([line for line in out if line.startswith("\t")], frames)


@case
def example_of_a_reader_tells_what_the_report_tells():
    trace = TOP / "installed.trace"
    rows = json.loads(call(PREFIX / "bin" / "stele", "report", "--json", trace))["waits"]["top"][:3]
    check(rows, "the program never waited")
    for compiler in ("gcc", "g++"):
        program = build("examples/longwaits.c", "steleread", compiler, PREFIX, "", "-O2")
        out = call(program, trace, "3", LD_LIBRARY_PATH=f"{PREFIX}/lib").splitlines()
        example_tells(out, rows)


@case
def uninstall_leaves_nothing():
    other = PREFIX / "share" / "foreign"
    other.parent.mkdir(parents=True, exist_ok=True)
    other.write_text("not ours\n")
    make("uninstall", PREFIX=PREFIX)
    equal(left_over(PREFIX), [str(other.parent), str(other)])


@case
def uninstall_of_nothing_is_an_error():
    done = subprocess.run(["make", "uninstall", f"BUILD={BUILD}", f"PREFIX={TOP}/nowhere"],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    check(done.returncode != 0, "succeeded")
    check("nothing is known to be installed" in done.stderr, done.stderr)


@case
def install_below_destdir_stays_below_it():
    make("install", PREFIX="/usr", DESTDIR=STAGE)
    make("install", PREFIX="/usr", DESTDIR=STAGE)  # twice does not confuse uninstall
    expect_files(STAGE / "usr")
    equal(sorted(p.name for p in STAGE.iterdir()), ["usr"])
    consume("gcc", "/usr", STAGE)


@case
def program_below_destdir_records():
    record_with(STAGE / "usr" / "bin" / "stele")


@case
def uninstall_below_destdir_leaves_nothing():
    make("uninstall", PREFIX="/usr", DESTDIR=STAGE)
    equal(left_over(STAGE), [])


run()
