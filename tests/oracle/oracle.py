#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Go's own reader as the oracle: built when first asked for, and asked.

usage: oracle.py BUILD [ARG…]          runs the oracle with ARG…; without any, only builds it
       oracle.py BUILD --parsed TRACE  runs 'go tool trace -d=parsed TRACE', its output discarded

Exit status 77 and a reason on stdout where Go or the module is not to be had; a Go program that
does not compile is a failure (2), not a skip.
"""
import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parent
GO_MIN = (1, 26)


class Unavailable(Exception):
    """The oracle cannot be had here; the text says why."""


def environment():
    # The toolchain that is installed, and nothing downloaded in its place.
    return {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false"}


def go():
    """The go command, if it is new enough."""
    program = shutil.which("go") or "/usr/local/go/bin/go"
    if not os.access(program, os.X_OK):
        raise Unavailable("Go is not installed")
    text = subprocess.run([program, "env", "GOVERSION"], capture_output=True, text=True,
                          env=environment(), cwd="/", check=False).stdout
    match = re.match(r"go(\d+)\.(\d+)", text)
    if not match or tuple(map(int, match.groups())) < GO_MIN:
        raise Unavailable(f"Go {GO_MIN[0]}.{GO_MIN[1]} or newer is needed, this is {text.strip()}")
    return program


def outdated(program):
    if not program.exists():
        return True
    newest = max(p.stat().st_mtime for p in SOURCE.iterdir() if p.suffix in {".go", ".mod", ".sum"})
    return newest > program.stat().st_mtime


def oracle(build):
    """The path of the oracle, built if needed. Raises Unavailable; a compile error ends us."""
    directory = pathlib.Path(build).resolve() / "tests" / "oracle"
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "stele-oracle"
    with open(directory / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not outdated(program):
            return program
        command = go()
        fetched = subprocess.run([command, "mod", "download"], cwd=SOURCE, env=environment(),
                                 stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                 check=False)
        if fetched.returncode:
            last = (fetched.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise Unavailable(f"golang.org/x/exp cannot be downloaded: {last}")
        built = subprocess.run([command, "build", "-o", program, "."], cwd=SOURCE,
                               env=environment(), stdin=subprocess.DEVNULL, capture_output=True,
                               text=True, check=False)
        if built.returncode:
            print(built.stderr, file=sys.stderr)
            sys.exit(2)
    return program


def verdict(build, trace):
    """(accepted, fields of the oracle's OK line or {}, its text) for one trace."""
    done = subprocess.run([oracle(build), trace], capture_output=True, text=True, check=False)
    line = (done.stdout + done.stderr).strip()
    fields = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", line)}
    return done.returncode == 0 and line.startswith("OK"), fields, line


def parsed(trace):
    """(accepted, text) of the reader inside Go's own distribution."""
    done = subprocess.run([go(), "tool", "trace", "-d=parsed", trace], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, env=environment(), cwd="/",
                          check=False)
    return done.returncode == 0, done.stderr.strip()


def main(args):
    if not args:
        sys.exit(__doc__.strip())
    try:
        if args[1:2] == ["--parsed"]:
            accepted, text = parsed(os.path.abspath(args[2]))
            print(text or "accepted")
            return 0 if accepted else 1
        program = oracle(args[0])
        return subprocess.call([program, *args[1:]]) if args[1:] else 0
    except Unavailable as reason:
        print(f"SKIP: {reason}")
        return 77


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
