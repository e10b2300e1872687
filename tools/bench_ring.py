#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an always-on flight recorder costs: CPU time per request of redis under redis-benchmark
and of nginx under wrk, alone and under stele record --ring, both running all the time and asked in
turn (ABBA). Prints the median of the pairs' ratios and its 95 % interval (bootstrap).

usage: bench_ring.py BUILD [PAIRS]
"""
import os
import pathlib
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

RING = ["--ring=64M", "--cpu-hz=99", "--snapshot-on=lock:1s,never"]
REDIS_REQUESTS = 60000
WRK_SECONDS = 1
PAIRS_EACH = 3


def cpu_seconds(pid):
    """User and system time of a process, all its threads."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        # The kernel's exact account in ns, where it has one; ended threads are not in it.
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def children(pid):
    text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A server, alone or recorded."""

    def __init__(self, stele, folder, command, recorded):
        self.port = free_port()
        command = [part.replace("PORT", str(self.port)) for part in command]
        prefix = [stele, "record", "-q", *RING, "--"] if recorded else []
        self.process = subprocess.Popen([*prefix, *command], cwd=folder, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        for _ in range(500):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    break
            time.sleep(0.02)
        self.pid = children(self.process.pid)[0] if recorded else self.process.pid
        self.recorder = self.process.pid if recorded else None

    def ask(self, load):
        """(µs of the server's CPU time per request, µs of the recorder's)"""
        before = cpu_seconds(self.pid), cpu_seconds(self.recorder) if self.recorder else 0
        count = load(self.port)
        after = cpu_seconds(self.pid), cpu_seconds(self.recorder) if self.recorder else 0
        return [1e6 * (b - a) / count for a, b in zip(before, after)]

    def stop(self):
        os.kill(self.pid, 15)
        self.process.wait()


def redis_load(port):
    subprocess.run(["redis-benchmark", "-q", "-p", str(port), "-n", str(REDIS_REQUESTS // 2),
                    "-t", "set,get", "-c", "20", "-d", "64"], check=True,
                   stdout=subprocess.DEVNULL)
    return REDIS_REQUESTS


def wrk_load(port):
    done = subprocess.run(["wrk", "-t1", "-c20", f"-d{WRK_SECONDS}s", f"http://127.0.0.1:{port}/"],
                          check=True, capture_output=True, text=True)
    return int(re.search(r"(\d+) requests in", done.stdout).group(1))


NGINX = """
daemon off; master_process off; error_log /dev/null; pid FOLDER/PORT.pid; events {}
http { access_log off; client_body_temp_path b; proxy_temp_path b; fastcgi_temp_path b;
uwsgi_temp_path b; scgi_temp_path b; server { listen 127.0.0.1:PORT; root FOLDER/page; } }
"""


def nginx_command(folder):
    (folder / "page").mkdir()
    (folder / "page" / "index.html").write_text("x" * 1000)
    script = folder / "serve"
    script.write_text(f"cat > $1.conf << 'END'\n{NGINX.replace('FOLDER', str(folder))}END\n"
                      "sed -i s/PORT/$1/ $1.conf\n"
                      "exec nginx -p $PWD -e /dev/null -c $PWD/$1.conf\n")
    return ["sh", str(script), "PORT"]


def interval(ratios):
    draws = sorted(statistics.median(random.choices(ratios, k=len(ratios))) for _ in range(4000))
    return draws[100], draws[3900]


def compare(name, stele, folder, command, load, pairs):
    own, with_recorder, base, thread = [], [], [], []
    # Where a process lies in memory makes some percent of difference: several are started of each.
    for round_of_pairs in range(max(pairs // PAIRS_EACH, 1)):
        alone = Server(stele, folder, command, False)
        recorded = Server(stele, folder, command, True)
        try:
            for server in (alone, recorded):
                server.ask(load)
            for pair in range(min(pairs, PAIRS_EACH)):
                even = (pair + round_of_pairs) % 2 == 0
                first, second = (alone, recorded) if even else (recorded, alone)
                got = {first: first.ask(load)}
                got[second] = second.ask(load)
                base.append(got[alone][0])
                thread.append(got[recorded][1])
                own.append(got[recorded][0] / got[alone][0])
                with_recorder.append(sum(got[recorded]) / got[alone][0])
        finally:
            alone.stop()
            recorded.stop()
    for label, ratios in (("the server itself", own), ("with the recorder's", with_recorder)):
        low, high = interval(ratios)
        print(f"{name:6} {label:20} +{100 * (statistics.median(ratios) - 1):5.1f} %   "
              f"95 %: {100 * (low - 1):+5.1f} to {100 * (high - 1):+5.1f} %   "
              f"({len(base)} pairs; alone {statistics.median(base):.1f} µs a request, "
              f"recorder {statistics.median(thread):.2f} µs)", flush=True)


def main(build, pairs="30"):
    stele = str(build / "stele")
    print(f"CPU time per request under stele record {' '.join(RING)}")
    with tempfile.TemporaryDirectory(prefix="stele-bench-") as name:
        folder = pathlib.Path(name)
        if shutil.which("redis-server"):
            compare("redis", stele, folder,
                    ["redis-server", "--port", "PORT", "--save", "", "--appendonly", "no"],
                    redis_load, int(pairs))
        if shutil.which("nginx") and shutil.which("wrk"):
            compare("nginx", stele, folder, nginx_command(folder), wrk_load, int(pairs))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve(), *sys.argv[2:])
