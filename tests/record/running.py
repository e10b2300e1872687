# SPDX-License-Identifier: MIT
"""The obedient program under stele record, told what to do a line at a time."""
import contextlib
import json
import os
import signal
import subprocess
import sys

import place
from support.tap import equal

PROGRAM = os.path.abspath(sys.argv[2])


class Running:
    """The obedient program under stele record, in a place of its own."""

    def __init__(self, p, *options):
        self.place = p
        self.env = {"XDG_RUNTIME_DIR": p.directory}
        self.stele = p.start(*options, "--", PROGRAM, env=self.env, stdin=subprocess.PIPE)
        self.tell("work 1")
        self.pid = self.child()

    def child(self):
        path = f"/proc/{self.stele.pid}/task/{self.stele.pid}/children"
        with open(path, encoding="ascii") as file:
            return int(file.read().split()[0])

    def tell(self, line):
        self.stele.stdin.write(line + "\n")
        self.stele.stdin.flush()
        equal(self.stele.stdout.readline(), "done\n", line)

    def ask(self, *words):
        return subprocess.run([place.STELE, *map(str, words)], cwd=self.place.directory,
                              capture_output=True, text=True, timeout=60, check=False,
                              env={**place.ENV, **self.env})

    def snapshot(self, *options):
        done = self.ask("snapshot", *options, self.pid)
        equal(done.returncode, 0, done.stderr)
        equal(os.path.dirname(done.stdout), os.path.realpath(self.place.directory))
        return os.path.basename(done.stdout.strip())

    def end(self, line=None):
        """What stele says in the end."""
        if line:
            self.stele.stdin.write(line + "\n")
        self.stele.stdin.close()
        self.stele.stdin = None
        self.stele.wait(timeout=60)
        return self.stele.stderr.read()


@contextlib.contextmanager
def running(*options):
    with place.Place() as p:
        r = Running(p, *options)
        try:
            yield p, r
        finally:
            if r.stele.poll() is None:
                os.kill(r.pid, signal.SIGKILL)
                r.stele.wait(timeout=60)


def regions(p, trace):
    out = subprocess.run([place.STELE, "events", "--json", p.path(trace)], capture_output=True,
                         text=True, check=True).stdout
    return [e["name"] for e in map(json.loads, out.splitlines()[1:])
            if e["kind"] in ("RegionBegin", "RegionEnd")]


def info(p, trace):
    return json.loads(subprocess.run([place.STELE, "info", "--json", p.path(trace)], check=True,
                                     capture_output=True, text=True).stdout)
