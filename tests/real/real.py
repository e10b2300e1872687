#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Real programs, each run with and without Stele: same results, same exit status, a trace that
stele check and Go's reader accept, and in it at least as many goroutines as threads were started.

usage: real.py BUILD small|all|NAME…
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("support", "oracle", "real")]
import oracle  # noqa: E402
import programs  # noqa: E402
from tap import case, check, equal, run  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]).resolve()
STELE = BUILD / "stele"
COUNTER = BUILD / "tests" / "real" / "libcount_threads.so"
TIMEOUT_S = 900


class Job:
    """One run of one program, bare (trace is None) or recorded."""

    def __init__(self, name, top, small, trace=None):
        self.build, self.trace, self.status = BUILD, trace, None
        self.megabytes, self.requests = (8, 2000) if small else (100, 100000)
        self.shared = top / "shared"
        self.directory = top / name
        self.counts = top / f"{name}.threads"
        self.messages = top / f"{name}.stderr"
        for path in (self.shared, self.directory):
            path.mkdir(exist_ok=True)
        self.counts.write_text("")

    def command(self, command):
        if not self.trace:
            return command
        return [str(STELE), "record", "-f", "-o", str(self.trace), "--", *command]

    def environment(self, extra):
        env = {**os.environ, **(extra or {})}
        if self.trace:
            # In the same run, since some programs start more or fewer threads as it happens.
            env.update(LD_PRELOAD=str(COUNTER), COUNT_THREADS=str(self.counts))
        return env

    def start(self, command, env=None, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        with open(self.messages, "wb") as messages:
            return subprocess.Popen(self.command(command), env=self.environment(env),
                                    stderr=messages, **options)

    def finish(self, process, text=None):
        try:
            out, _ = process.communicate(text, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        self.status = process.returncode
        return out or b""

    def run(self, command, stdin=None, stdout=None, env=None):
        """Runs to the end; returns what it printed, unless stdout names a file for that."""
        options = {"stdin": subprocess.PIPE} if stdin is not None else {}
        if stdout:
            with open(stdout, "wb") as out:
                return self.finish(self.start(command, env, stdout=out, **options), stdin)
        return self.finish(self.start(command, env, **options), stdin)

    def threads(self):
        """How many threads the recorded program itself (not its children) created."""
        lines = self.counts.read_text().splitlines()
        processes = [line.split()[1] for line in lines if line.startswith("process ")]
        # The first that the counter was loaded into is stele.
        check(len(processes) >= 2, f"the counter saw the processes {processes}")
        return lines.count(f"thread {processes[1]}")


def timed(program, job):
    started = time.monotonic()
    result = program(job)
    return result, time.monotonic() - started


def stele(*arguments):
    return subprocess.run([STELE, *arguments], capture_output=True, text=True, check=False)


def accepted(trace):
    """Asks stele check and, where there is one, Go's reader; returns what the trace holds."""
    done = stele("check", trace)
    check(done.returncode == 0, f"stele check: {done.stdout}{done.stderr}")
    info = json.loads(stele("info", "--json", trace).stdout)
    counts = {**info["counts"], "lost": info["lost"]["events"]}
    try:
        good, events, text = oracle.verdict(BUILD, trace)
        check(good, f"Go's reader: {text}")
        equal(counts["events"], events, "events by stele and by Go's reader")
        good, goroutines, text = oracle.parsed(trace)
        check(good, f"go tool trace: {text}")
        equal(counts["goroutines"], goroutines, "goroutines by stele and by go tool trace")
    except oracle.Unavailable as reason:
        print(f"# Go's reader was not asked: {reason}")
    return counts


ROWS = []


def define(program, top, small):
    name = program.__name__

    def test():
        bare = Job(name, top, small)
        want, bare_s = timed(program, bare)
        trace = top / f"{name}.trace"
        recorded = Job(name, top, small, trace)
        got, recorded_s = timed(program, recorded)
        check(want, "no result to compare")
        equal(recorded.status, bare.status, "exit status")
        check(got == want, f"the result differs: {want[:200]!r} alone, {got[:200]!r} recorded")
        check(trace.exists(), f"no trace; it said: {recorded.messages.read_text()[-2000:]}")
        counts, threads = accepted(trace), recorded.threads()
        # One more: the main thread.
        check(counts["goroutines"] >= threads + 1,
              f"{counts['goroutines']} goroutines for {threads} threads and the main thread")
        events = counts["events"]
        ROWS.append((name, threads, events, counts["lost"],
                     f"{trace.stat().st_size / max(events, 1):.1f}",
                     f"{bare_s:.2f} s", f"{recorded_s / max(bare_s, 1e-3):.2f}"))
        trace.unlink()

    test.__name__ = f"{name}_gives_the_same_under_stele_and_a_valid_trace"
    case(test)


def table():
    head = ("program", "threads", "events", "lost", "bytes/event", "alone", "wall ratio")
    print("#")
    for row in [head, *ROWS]:
        print("# " + f"{row[0]:<10}" + "".join(f"{str(cell):>12}" for cell in row[1:]))


def main(args):
    if not args:
        sys.exit(__doc__.strip())
    small = args == ["small"]
    chosen = {"small": programs.SMALL, "all": programs.ALL}.get(args[0]) or [
        p for p in programs.ALL if p.__name__ in args]
    # Beside the build, not in /tmp, which may be small or in memory.
    scratch = BUILD / "tests" / "real"
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=scratch) as top:
        for program in chosen:
            define(program, pathlib.Path(top), small)
        try:
            run()
        finally:
            table()


if __name__ == "__main__":
    main(sys.argv[2:])
