# SPDX-License-Identifier: MIT
"""Servers under load, alone and recorded, both running all the time and asked in turn (ABBA): what
a request costs of their CPU time, and of the recorder's."""
import os
import pathlib
import random
import re
import shutil
import socket
import statistics
import subprocess
import time

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
    """A server, alone or, with options of stele record, recorded."""

    def __init__(self, stele, folder, command, options=None):
        self.port = free_port()
        command = [part.replace("PORT", str(self.port)) for part in command]
        recorded = options is not None
        prefix = [stele, "record", "-q", *options, "--"] if recorded else []
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


def compare(stele, folder, server, options, pairs):
    """Ratios to the server alone, of its own time and with the recorder's; µs a request of it
    alone and of the recorder."""
    command, load = server
    own, with_recorder, base, thread = [], [], [], []
    # Where a process lies in memory makes some percent of difference: several are started of each.
    for round_of_pairs in range(max(pairs // PAIRS_EACH, 1)):
        alone = Server(stele, folder, command)
        recorded = Server(stele, folder, command, options)
        try:
            for one in (alone, recorded):
                one.ask(load)
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
    return own, with_recorder, base, thread


def servers(folder):
    """Those that are installed: name -> (command, load)."""
    found = {}
    if shutil.which("redis-server"):
        found["redis"] = (["redis-server", "--port", "PORT", "--save", "", "--appendonly", "no"],
                          redis_load)
    if shutil.which("nginx") and shutil.which("wrk"):
        found["nginx"] = (nginx_command(folder), wrk_load)
    return found
