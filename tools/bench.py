#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Peers and Stele side by side, in turn, in one run; the clock's cost first.

usage: bench.py [BUILD]

Absolute figures move by 20 % and more on a shared machine: what counts are the ratios. Every goal
is printed beside the figure, reached or not.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROUNDS = 3


def fail(text):
    sys.exit(f"bench.py: {text}")


def figures(command, env=None):
    """The 'name value' lines that a benchmark prints, and what was said on stderr."""
    done = subprocess.run([str(c) for c in command], env=env, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        fail(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.returncode}")
    found = {name: float(value) for name, value in
             (line.split() for line in done.stdout.splitlines())}
    return found, done.stderr


class Stele:
    def __init__(self, build, scratch):
        self.program, self.emit = build / "stele", build / "bench" / "bench_emit"
        self.trace = scratch / "bench.trace"

    def alone(self, mode):
        return figures([self.emit, mode])[0]

    def recorded(self, mode, *options):
        """The figures of a mode under stele record, and what became of its events."""
        found, _ = figures([self.program, "record", "-f", "-o", self.trace, *options, "--",
                         self.emit, mode])
        told = json.loads(subprocess.check_output([self.program, "info", "--json", self.trace]))
        info = {**told["counts"], "lost": told["lost"]["events"]}
        info["bytes"] = self.trace.stat().st_size
        return found, info


class Lttng:
    """LTTng-UST in a session of its own, snapshot (overwrite) mode; root shares /var/run/lttng."""

    def __init__(self, build, scratch):
        self.program = build / "bench" / "bench_lttng"
        self.home = scratch / "lttng"
        self.pidfile = scratch / "lttng.pid"
        self.session = f"stele-bench-{os.getpid()}"
        self.env = {**os.environ, "LTTNG_HOME": str(self.home), "LTTNG_UST_REGISTER_TIMEOUT": "-1"}

    def lttng(self, *arguments):
        done = subprocess.run(["lttng", "-q", *arguments], env=self.env, capture_output=True,
                              text=True, check=False)
        if done.returncode:
            raise OSError(f"lttng {arguments[0]}: {(done.stderr or done.stdout).strip()}")

    @contextlib.contextmanager
    def running(self):
        self.home.mkdir()
        subprocess.run(["lttng-sessiond", "--daemonize", "--no-kernel", "--pidfile", self.pidfile],
                       env=self.env, check=True, capture_output=True)
        try:
            self.lttng("create", self.session, "--snapshot", f"--output={self.home}/out")
            self.lttng("enable-channel", "-u", "ring", "--overwrite", "--subbuf-size=1M",
                       "--num-subbuf=4")
            self.lttng("enable-event", "-u", "stele_bench:counter", "-c", "ring")
            self.lttng("start")
            yield
        finally:
            with contextlib.suppress(OSError):
                self.lttng("destroy", self.session)
            os.kill(int(self.pidfile.read_text()), signal.SIGTERM)

    def burst(self):
        return figures([self.program], self.env)[0]


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def row(what, value, goal="", peer=""):
    print(f"{what:<52}{value:>14}{goal:>16}{peer:>18}")


def clock_part(stele):
    clock = stele.alone("clock")
    off = stele.alone("off")
    row("clock: the counter", f"{clock['clock_counter_ns']:.1f} ns")
    row("clock: clock_gettime(CLOCK_MONOTONIC)", f"{clock['clock_gettime_ns']:.1f} ns")
    row("probe off, inline test", f"{off['off_probe_ns']:.2f} ns", "≤ 1 ns")
    row("probe off, call into libstele", f"{off['off_call_ns']:.2f} ns")
    return clock["clock_counter_ns"]


def lost_text(infos):
    lost = sum(i["lost"] for i in infos)
    return f" ({100 * lost / max(lost + sum(i['events'] for i in infos), 1):.1f} % lost)"


def events_part(stele, peer, clock_ns):
    """Bursts and sustained, peer and Stele in turn."""
    bursts, sustained, floods, peers = [], [], [], []
    with peer.running() if peer else contextlib.nullcontext():
        for _ in range(ROUNDS):
            bursts.append(stele.recorded("burst", "--events=user"))
            if peer:
                peers.append(peer.burst())
            sustained.append(stele.recorded("sustained", "--events=user"))
            floods.append(stele.recorded("flood", "--events=user"))
    peer_ns = median(peers, "burst_ns") if peers else None
    burst = median([f for f, _ in bursts], "burst_ns")
    steady = median([f for f, _ in sustained], "sustained_ns")
    beside = f"LTTng {peer_ns:.1f} ns" if peer_ns else "LTTng: absent"
    goal = f"≤ {1.5 * clock_ns:.1f} ns"
    row("event, no stack, in bursts" + lost_text([i for _, i in bursts]), f"{burst:.1f} ns", goal,
        beside)
    row("event, no stack, sustained" + lost_text([i for _, i in sustained]), f"{steady:.1f} ns",
        goal)
    row("event, no stack, faster than the drain" + lost_text([i for _, i in floods]),
        f"{median([f for f, _ in floods], 'flood_ns'):.1f} ns")
    kept = statistics.median(i["events"] / f["flood_s"] for f, i in floods)
    row("  … of which the drain took and wrote", f"{kept / 1e6:.2f} M/s")
    row("  … as a multiple of the counter's cost", f"{burst / clock_ns:.2f} ×", "≤ 1.5 ×",
        f"LTTng {peer_ns / clock_ns:.2f} ×" if peer_ns else "")
    row("  … sustained", f"{steady / clock_ns:.2f} ×", "≤ 1.5 ×")
    info = bursts[-1][1]
    row("  bytes in the file", f"{info['bytes'] / max(info['events'], 1):.1f}")


def stack_part(stele, build):
    runs = [figures([stele.program, "record", "-f", "-q", "-o", stele.trace, "--",
                     build / "bench" / "bench_stack"])[0] for _ in range(ROUNDS)]
    count = median(runs, "stack_frames")
    walk, peer = median(runs, "stack_ns"), median(runs, "stack_libgcc_ns")
    row(f"stack of {count:.0f} frames, captured and interned", f"{walk:.0f} ns", "",
        f"libgcc {peer:.0f} ns")
    row("  … for each frame", f"{walk / count:.1f} ns", "", f"libgcc {peer / count:.0f} ns")


def lock_part(build):
    """bench_lock takes its own turns, alone and recorded."""
    program = build / "tests" / "preload" / "bench_lock"
    module = build / "src" / "preload" / "stelepreload.so"
    text = subprocess.run([program, module], capture_output=True, text=True, check=True).stdout
    for threads, alone, more in re.findall(
            r"(\d+ threads?): alone ([\d.]+) ns, .* ([-\d.]+) ns more", text):
        row(f"lock + unlock, uncontended, {threads}: alone", f"{alone} ns")
        row("  … more when recorded", f"{more} ns", "≤ 5 ns")


def scheduling_part(stele):
    bare, recorded = [], []
    for _ in range(ROUNDS):
        bare.append(stele.alone("pass"))
        recorded.append(stele.recorded("pass"))
    alone = median(bare, "pass_ns")
    found = [f for f, _ in recorded]
    info = recorded[-1][1]
    row("hand-over between two threads, not recorded", f"{alone:.0f} ns")
    row("hand-over, recorded" + lost_text([i for _, i in recorded]),
        f"{median(found, 'pass_ns'):.0f} ns")
    row("bytes per scheduling event", f"{info['bytes'] / max(info['events'], 1):.1f}", "≤ 8")
    added = median(found, "peak_kib") - median(bare, "peak_kib")
    row("peak memory added to the program", f"{added / 1024:.1f} MiB", "≤ 64 + 4 MiB")


def main(args):
    build = (pathlib.Path(args[0]) if args else ROOT / "build").resolve()
    if not (build / "build.ninja").exists():
        subprocess.check_call(["meson", "setup", build], cwd=ROOT)
    subprocess.check_call(["ninja", "-C", build, "--quiet"])
    row("what", "figure", "goal", "peer")
    with tempfile.TemporaryDirectory(prefix="stele-bench-") as scratch:
        stele = Stele(build, pathlib.Path(scratch))
        there = (build / "bench" / "bench_lttng").exists() and shutil.which("lttng-sessiond")
        peer = Lttng(build, pathlib.Path(scratch)) if there else None
        clock_ns = clock_part(stele)
        events_part(stele, peer, clock_ns)
        stack_part(stele, build)
        lock_part(build)
        scheduling_part(stele)


if __name__ == "__main__":
    main(sys.argv[1:])
