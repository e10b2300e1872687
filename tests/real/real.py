#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Real programs, each run with and without Stele: same results, same exit status.

usage: real.py BUILD record|heap|unwind small|all|NAME…

record  the trace is accepted by stele check and Go's reader, and holds at least as many goroutines
        as threads were started
heap    the same with --heap, and no pair of alloc and free is broken
unwind  stacks sampled at any instruction are those that libunwind finds, 99.9 % of the frames
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
from pairs import Pairs  # noqa: E402
from tap import Skip, case, check, equal, run  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]).resolve()
STELE = BUILD / "stele"
COUNTER = BUILD / "tests" / "real" / "libcount_threads.so"
SAMPLER = BUILD / "tests" / "real" / "libsampler.so"
TIMEOUT_S = 900


class Job:
    """One run of one program: bare, recorded into a trace with options, or with its stacks
    sampled into a file."""

    def __init__(self, name, top, small, trace=None, options=(), samples=None):
        self.build, self.trace, self.status = BUILD, trace, None
        self.options, self.samples = options, samples
        self.megabytes, self.requests = (8, 2000) if small else (100, 100000)
        self.shared = top / "shared"
        self.directory = top / name
        self.counts = top / f"{name}.threads"
        self.messages = top / f"{name}.stderr"
        for path in (self.shared, self.directory):
            path.mkdir(exist_ok=True)
        # A program may be run as another user.
        for path in (self.counts, samples):
            if path:
                path.write_text("")
                path.chmod(0o666)

    def command(self, command):
        if not self.trace:
            return command
        return [str(STELE), "record", "-f", "-o", str(self.trace), *self.options, "--", *command]

    def environment(self, extra):
        env = {**os.environ, **(extra or {})}
        if self.trace:
            # In the same run, since some programs start more or fewer threads as it happens.
            env.update(LD_PRELOAD=str(COUNTER), COUNT_THREADS=str(self.counts))
        if self.samples:
            env.update(LD_PRELOAD=str(SAMPLER), UNWIND_SAMPLES=str(self.samples))
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

    def run(self, command, stdin=None, stdout=None, env=None, **options):
        """Runs to the end; returns what it printed, unless stdout names a file for that."""
        if stdin is not None:
            options["stdin"] = subprocess.PIPE
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


def answers(program, trace):
    """The report names the locks and files that this program is known to have."""
    report = json.loads(stele("report", "--json", trace).stdout)
    for table_name, member, text in programs.ANSWERS.get(program, []):
        names = [row[member] for row in report[table_name]["top"]]
        check(any(text in name for name in names), f"no '{text}' in {table_name}: {names[:20]}")
    for lock in report["locks"]["top"]:
        check(lock["waiting_max"] > 0 and lock["count"] + lock["open_count"] > 0, str(lock))


ROWS = []
HEADS = {
    "record": ("threads", "events", "lost", "bytes/event", "alone", "wall ratio"),
    "heap": ("threads", "events", "objects", "lost", "broken", "bytes/event", "alone",
             "wall ratio"),
    "unwind": ("frames", "equal", "walks", "%"),
    "foreign": ("threads", "events", "lost", "bytes/event", "alone", "wall ratio"),
}


def bare_and(program, job, top, small):
    """Runs it bare and as `job` says; the two must not differ. Returns both times."""
    bare = Job(program.__name__, top, small)
    try:
        want, bare_s = timed(program, bare)
    except FileNotFoundError as missing:
        raise Skip(f"not installed: {missing}") from missing
    got, job_s = timed(program, job)
    check(want, "no result to compare")
    equal(job.status, bare.status, "exit status")
    check(got == want, f"the result differs: {want[:200]!r} alone, {got[:200]!r} with Stele")
    return bare_s, job_s


OPTIONS = {"record": [], "heap": ["--heap"], "foreign": ["--cpu-hz=199"]}


def recorded(program, top, small, mode):
    name = program.__name__
    trace, heap = top / name / "trace", mode == "heap"
    job = Job(name, top, small, trace, OPTIONS[mode])
    bare_s, job_s = bare_and(program, job, top, small)
    check(trace.exists(), f"no trace; it said: {job.messages.read_text()[-2000:]}")
    counts, threads = accepted(trace), job.threads()
    # One more: the main thread.
    check(counts["goroutines"] >= threads + 1,
          f"{counts['goroutines']} goroutines for {threads} threads and the main thread")
    events = counts["events"]
    row = [name, threads, events]
    if heap:
        with subprocess.Popen([STELE, "events", trace], stdout=subprocess.PIPE) as printer:
            pairs = Pairs(printer.stdout)
        check(pairs.counts["HeapObjectAlloc"] > 0, "no objects")
        row += [pairs.counts["HeapObjectAlloc"], counts["lost"], sum(pairs.broken())]
        equal(pairs.broken(), (0, 0), "broken pairs")
    else:
        row.append(counts["lost"])
        answers(program, trace)
    ROWS.append((*row, f"{trace.stat().st_size / max(events, 1):.1f}", f"{bare_s:.2f} s",
                 f"{job_s / max(bare_s, 1e-3):.2f}"))
    trace.unlink()


def unwound(program, top, small):
    if not SAMPLER.exists():
        raise Skip("libunwind-dev is not installed")
    samples = top / f"{program.__name__}.samples"
    bare_and(program, Job(program.__name__, top, small, samples=samples), top, small)
    lines = [line.split() for line in samples.read_text().splitlines()]
    totals = [sum(int(line[i]) for line in lines if line[0] == "frames") for i in (1, 2, 5)]
    equal_frames, frames, walks = totals
    check(frames > 0, "no stack was sampled")
    share = 100 * equal_frames / frames
    ROWS.append((program.__name__, frames, equal_frames, walks, f"{share:.2f}"))
    for line in sorted({" ".join(line[1:]) for line in lines if line[0] == "differ"})[:8]:
        print(f"# {program.__name__} differs: {line}")
    # Of a few frames, one that differs is more than it says.
    check(frames - equal_frames <= max(frames / 1000, 20),
          f"{equal_frames} of {frames} frames are those of libunwind")


def define(program, mode, top, small):
    def test():
        if mode == "unwind":
            unwound(program, top, small)
        else:
            recorded(program, top, small, mode)

    said = {"record": "gives_the_same_under_stele_and_a_valid_trace",
            "heap": "gives_the_same_with_every_object_recorded",
            "foreign": "gives_the_same_while_its_threads_are_sampled",
            "unwind": "has_the_stacks_that_libunwind_finds"}[mode]
    test.__name__ = f"{program.__name__}_{said}"
    case(test)


def table(mode):
    print("#")
    for row in [("program", *HEADS[mode]), *ROWS]:
        print("# " + f"{row[0]:<10}" + "".join(f"{str(cell):>12}" for cell in row[1:]))
    if mode == "unwind" and ROWS:
        frames, same = (sum(row[i] for row in ROWS) for i in (1, 2))
        print(f"# {same} of {frames} frames are equal: {100 * same / frames:.3f} %")


def main(args):
    if len(args) < 2 or args[0] not in HEADS:
        sys.exit(__doc__.strip())
    mode, small = args[0], args[1] == "small"
    least = {"record": programs.SMALL, "heap": programs.SMALL_HEAP,
             "unwind": programs.SMALL_UNWIND, "foreign": programs.FOREIGN}[mode]
    every = programs.FOREIGN if mode == "foreign" else programs.ALL
    chosen = {"small": least, "all": every}.get(args[1]) or [
        p for p in every if p.__name__ in args[1:]]
    # Beside the build, not in /tmp, which may be small or in memory.
    scratch = BUILD / "tests" / "real"
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=scratch) as top:
        for program in chosen:
            define(program, mode, pathlib.Path(top), small)
        try:
            run()
        finally:
            table(mode)


if __name__ == "__main__":
    main(sys.argv[2:])
