#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""PostgreSQL under pgbench: what the slowest statement waited for, and who had it, from the trace.

usage: test_pgbench.py BUILD

Its backends are processes. One that wants a row which another one has changed waits until that one
has committed; short locks in shared memory are semaphores that the other one posts.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("support", "oracle")]
import oracle  # noqa: E402
from tap import Skip, case, check, equal, run  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]).resolve()
STELE = str(BUILD / "stele")
CLIENTS = 6
PORT = "5999"


class Cluster:
    """A database of its own, whose server is recorded while pgbench runs; the traces, merged."""

    def __enter__(self):
        found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
        if not found:
            raise Skip("PostgreSQL is not installed")
        self.bin = found[-1].parent
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="stele-pg-"))
        self.directory.chmod(0o777)
        self.user = "nobody" if os.geteuid() == 0 else None
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory, ignore_errors=True)

    def call(self, program, *args, **options):
        return subprocess.run([str(self.bin / program), *args], cwd=self.directory, check=True,
                              capture_output=True, text=True, user=self.user, timeout=120,
                              env={**os.environ, "HOME": str(self.directory)}, **options)

    def client(self, program, *args):
        return self.call(program, "-h", str(self.directory), "-p", PORT, *args)

    def server(self, *wrapper):
        command = [*wrapper, str(self.bin / "postgres"), "-D", str(self.directory / "data"), "-k",
                   str(self.directory), "-p", PORT, "-c", "listen_addresses="]
        with open(self.directory / "log", "ab") as log:
            process = subprocess.Popen(command, cwd=self.directory, stdout=log, stderr=log,
                                       user=self.user)
        for _ in range(300):
            try:
                self.client("pg_isready", "-q")
                return process
            except subprocess.CalledProcessError:
                time.sleep(0.1)
        raise TimeoutError((self.directory / "log").read_text())

    def stop(self, process):
        self.call("pg_ctl", "-D", str(self.directory / "data"), "-m", "fast", "stop")
        equal(process.wait(60), 0)

    def prepare(self):
        self.call("initdb", "-D", str(self.directory / "data"), "-U", "real", "-A", "trust", "-N",
                  "--no-locale", "-E", "UTF8")
        plain = self.server()
        self.client("pgbench", "-q", "-U", "real", "-i", "-s", "1", "postgres")
        self.stop(plain)

    def work(self):
        """What pgbench said."""
        return self.client("pgbench", "-U", "real", "-c", str(CLIENTS), "-j", "2", "-T", "2", "-n",
                           "postgres").stdout

    def record(self):
        """The server's traces as one; and what pgbench said."""
        self.prepare()
        recorded = self.server(STELE, "record", "--follow-fork", "-f", "-o",
                               f"{self.directory}/%p.trace", "--")
        said = self.work()
        self.stop(recorded)
        traces = sorted(self.directory.glob("*.trace"), key=lambda path: int(path.stem))
        merged = self.directory / "all.trace"
        subprocess.run([STELE, "merge", "-o", str(merged), *map(str, traces)], check=True,
                       capture_output=True)
        return merged, said

    def snapshot(self):
        """What the server's flight recorders have while pgbench works."""
        self.prepare()
        recorded = self.server(STELE, "record", "--follow-fork", "--ring=20s", "-o",
                               f"{self.directory}/%n.trace", "--")
        worker = threading.Thread(target=self.work)
        worker.start()
        time.sleep(1)
        trace = subprocess.run([STELE, "snapshot", str(recorded.pid)], check=True, user=self.user,
                               capture_output=True, text=True, cwd=self.directory).stdout
        worker.join()
        self.stop(recorded)
        return trace.strip()


def why(trace, *what):
    done = subprocess.run([STELE, "why", "--json", *what, str(trace)], check=True,
                          capture_output=True, text=True)
    return json.loads(done.stdout)


def functions(place):
    return place["function"] if place else None


def slowest_waited_for_a_row(answer):
    """Most of the slowest ones' time is told, and who had what they waited for was another one."""
    backends = {instance["thread"] for instance in answer["slowest"]}
    named = 0
    for instance in answer["slowest"]:
        for row in instance["rows"]:
            if row.get("who_thread") is None or row["ns"] < instance["ns"] / 10:
                continue
            check(row["who_thread"] != instance["thread"], row)
            named += functions(row["released"]) in ("ProcLockWakeup", "PGSemaphoreUnlock")
    check(len(backends) > 1, backends)
    check(named >= len(answer["slowest"]) / 2, f"{named} of {len(answer['slowest'])}")


def semaphores_have_their_posters(answer):
    """Of the time for which backends waited for short locks it is known who ended the wait."""
    waits = [row for row in answer["all"]["rows"]
             if row["kind"] == "wait" and row["reason"] == "sync (semaphore)"]
    total = sum(row["ns"] for row in waits)
    known = sum(row["ns"] for row in waits if functions(row["released"]) == "PGSemaphoreUnlock")
    print(f"# {total} ns for semaphores, of {known} ns it is known who ended it")
    check(total > 0 and known > 0.7 * total, (known, total))


def go_accepts(trace):
    try:
        accepted, _, line = oracle.verdict(BUILD, str(trace))
    except oracle.Unavailable as reason:
        raise Skip(str(reason)) from reason
    check(accepted, line)


@case
def who_had_what_the_slowest_statement_waited_for_is_known():
    with Cluster() as cluster:
        merged, said = cluster.record()
        done = int(re.search(r"transactions actually processed: (\d+)", said).group(1))
        equal(re.search(r"failed transactions: (\d+)", said).group(1), "0", said)
        answer = why(merged, f"--request={PORT}", "--slowest=20")
        # A transaction is seven statements.
        check(answer["count"] >= 7 * done, f"{answer['count']} requests, {done} transactions")
        slowest_waited_for_a_row(answer)
        semaphores_have_their_posters(answer)
        first = answer["slowest"][0]
        equal(sum(row["ns"] for row in first["rows"]), first["ns"])
        go_accepts(merged)


@case
def the_same_is_known_from_a_snapshot_of_a_server_that_goes_on():
    with Cluster() as cluster:
        trace = cluster.snapshot()
        answer = why(trace, f"--request={PORT}", "--slowest=20")
        check(answer["count"] > 1000, answer["count"])
        slowest_waited_for_a_row(answer)
        semaphores_have_their_posters(answer)
        go_accepts(trace)


run()
