#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build and test one or all configurations and sum up.

usage: check.py all|plain|lint|asan|tsan|cross

The last line is 'N passed, N failed' or 'N passed, N failed, N skipped'; the exit status is not 0
if anything failed or nothing ran. A test program that speaks TAP counts as its cases, any other
as one; a configuration that does not build counts as one failure.
"""
import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


@dataclasses.dataclass
class Stage:
    """One configuration: where it is built, how, and which suites are run there (none: all)."""
    name: str
    build: str
    setup: list = dataclasses.field(default_factory=list)
    suites: list = dataclasses.field(default_factory=list)
    tool: str = "ninja"  # without it the stage is skipped
    slower: int = 1      # factor for the timeouts of tests
    at_once: int = 0     # tests; 0: as meson likes


STAGES = [
    Stage("plain", "build"),
    Stage("asan", "build-asan", ["--native-file", "native/asan.ini"],
          ["unit", "replay", "cli"], tool="clang", slower=4),
    Stage("tsan", "build-tsan", ["--native-file", "native/tsan.ini", "-Dcli=false"],
          ["unit", "stress"], slower=8),
    Stage("cross", "build-cross", ["--cross-file", "cross/aarch64.ini"],
          # The emulator has a description of each page of the heap's addresses: 5 GiB.
          ["unit"], tool="qemu-aarch64", slower=8, at_once=1),
]
LINT = Stage("lint", "build", suites=["lint"])


@dataclasses.dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + (f", {self.skipped} skipped" if self.skipped else "")


def tap_count(text):
    """The cases of TAP output; None if it is none."""
    if not re.search(r"^1\.\.\d+", text, re.M):
        return None
    count = Count()
    for line in text.splitlines():
        match = re.match(r"(not )?ok\b(.*)", line)
        if not match:
            continue
        if re.search(r"#\s*skip", match.group(2), re.I):
            count.skipped += 1
        elif match.group(1):
            count.failed += 1
        else:
            count.passed += 1
    return count


def test_count(entry):
    """What one line of meson's testlog.json is worth."""
    result = entry["result"]
    if result == "SKIP":
        return Count(skipped=1)
    count = tap_count(entry.get("stdout", "")) or Count()
    if result in ("OK", "EXPECTEDFAIL"):
        return count if count.passed + count.skipped else Count(passed=1)
    # A crash after its last case, or a plan not kept, is a failure that no case reported.
    count.failed = max(count.failed, 1)
    return count


def skip_reasons(entry):
    text = entry.get("stdout", "") + entry.get("stderr", "")
    reasons = re.findall(r"#\s*skip\S*\s+(.+)", text, re.I) or text.strip().splitlines()[-1:]
    return reasons or ["no reason given"]


def report_failure(entry):
    """What a failed test printed, without the cases that passed; the last lines are the news."""
    text = entry.get("stdout", "") + entry.get("stderr", "")
    lines = [line for line in text.splitlines() if not re.match(r"ok\b", line)]
    print(f"FAILED: {entry['name']} ({entry['result']}, exit status {entry['returncode']})")
    print("\n".join("    " + line for line in lines[-60:]))


def run(command, **options):
    return subprocess.run([str(c) for c in command], cwd=ROOT, check=False,
                          stdin=subprocess.DEVNULL, **options)


def build(stage, quiet=False):
    """True if the configuration is there and up to date. Quiet: says only what failed."""
    directory = ROOT / stage.build
    if not (directory / "build.ninja").exists():
        shutil.rmtree(directory, ignore_errors=True)
        done = run(["meson", "setup", stage.build, *stage.setup], capture_output=True, text=True)
        if done.returncode:
            print(done.stdout + done.stderr)
            return False
    done = run(["ninja", "-C", stage.build, "--quiet"], capture_output=quiet, text=True)
    if quiet and done.returncode:
        print(done.stdout + done.stderr)
    return done.returncode == 0


def results(directory):
    log = directory / "meson-logs" / "testlog.json"
    if log.exists():
        for line in log.read_text().splitlines():
            yield json.loads(line)


def run_stage(stage):
    started = time.monotonic()
    print(f"== {stage.name}", flush=True)
    if not shutil.which(stage.tool):
        print(f"skipped: {stage.tool} is not installed")
        return Count(skipped=1)
    if not build(stage):
        print(f"== {stage.name}: does not build")
        return Count(failed=1)
    directory = ROOT / stage.build
    log = directory / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    command = ["meson", "test", "-C", stage.build, "--no-rebuild",
               "--timeout-multiplier", stage.slower]
    if stage.at_once:
        command += ["--num-processes", stage.at_once]
    for suite in stage.suites:
        command += ["--suite", suite]
    status = run(command).returncode
    total = Count()
    for entry in results(directory):
        count = test_count(entry)
        total.add(count)
        if count.failed:
            report_failure(entry)
        if count.skipped:
            print(f"skipped: {entry['name']}: {'; '.join(skip_reasons(entry))}")
    if status and not total.failed:
        total.failed = 1
    print(f"== {stage.name}: {total} ({time.monotonic() - started:.0f} s)", flush=True)
    return total


def main(args):
    chosen = {"all": STAGES, "lint": [LINT], **{s.name: [s] for s in STAGES}}
    if len(args) != 1 or args[0] not in chosen:
        sys.exit(__doc__.strip())
    os.environ.setdefault("MESON_TESTTHREADS", str(os.cpu_count() or 1))
    total = Count()
    for stage in chosen[args[0]]:
        total.add(run_stage(stage))
    print(total, flush=True)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
