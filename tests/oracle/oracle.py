#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Go's own reader as the oracle: built when first asked for, and asked.

usage: oracle.py BUILD [TRACE]         asks the oracle for its verdict; without one, only builds it
       oracle.py BUILD --parsed TRACE  asks 'go tool trace -d=parsed'

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
REFERENCE = SOURCE.parents[2] / "shared" / "oracle"
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


def reference(build):
    """The reference reader, built next to the oracle. Raises Unavailable."""
    if not REFERENCE.is_dir():
        raise Unavailable("no reference reader")
    oracle(build)
    folder = pathlib.Path(build).resolve() / "tests" / "oracle" / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for source in [*REFERENCE.glob("*.go"), SOURCE / "go.mod", SOURCE / "go.sum"]:
            shutil.copy(source, folder)
        subprocess.run([go(), "build", "-o", "reference", "."], cwd=folder, check=True,
                       env=environment())
    return folder / "reference"


def verdict(build, trace):
    """(accepted, number of events, the oracle's line) for one trace."""
    done = subprocess.run([oracle(build)], input=f"{trace}\n", capture_output=True, text=True,
                          check=False)
    line = (done.stdout + done.stderr).strip()
    match = re.match(r"(OK|BAD) (\d+)", line)
    return line.startswith("OK"), int(match.group(2)) if match else 0, line


def parsed(trace):
    """(accepted, number of distinct goroutines, complaint) by the reader inside Go itself."""
    seen = set()
    with subprocess.Popen([go(), "tool", "trace", "-d=parsed", trace], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=environment(), cwd="/") as process:
        last = b""
        for last in process.stdout:
            match = re.search(rb" StateTransition .*\bGoID=(\d+)", last)
            if match:
                seen.add(int(match.group(1)))
    return process.returncode == 0, len(seen), last.decode(errors="replace").strip()


def main(args):
    if not args:
        sys.exit(__doc__.strip())
    try:
        if args[1:2] == ["--parsed"]:
            accepted, goroutines, text = parsed(os.path.abspath(args[2]))
            print(f"accepted, {goroutines} goroutines" if accepted else text)
            return 0 if accepted else 1
        program = oracle(args[0])
        if not args[1:]:
            return 0
        accepted, _, line = verdict(args[0], os.path.abspath(args[1]))
        print(line)
        return 0 if accepted else 1
    except Unavailable as reason:
        print(f"SKIP: {reason}")
        return 77


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
