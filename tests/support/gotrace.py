# SPDX-License-Identifier: MIT
"""The pages of 'go tool trace': what it says of each goroutine, and of user regions."""
import contextlib
import html
import os
import re
import signal
import subprocess
import urllib.parse
import urllib.request
from decimal import Decimal

UNITS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "µs": 10**3, "ns": 1}


def duration(text):
    """ns of a duration as Go prints it: '1m2.345678901s'."""
    ns = sum(Decimal(number) * UNITS[unit]
             for number, unit in re.findall(r"([\d.]+)(h|ms|m|µs|ns|s)", text))
    return -int(ns) if text.startswith("-") else int(ns)


@contextlib.contextmanager
def pages(go, trace, environment):
    """The address at which its pages are, while the context lasts."""
    # The go command runs the tool as its child, which would outlive it.
    with subprocess.Popen([go, "tool", "trace", "-http=127.0.0.1:0", trace],
                          stderr=subprocess.PIPE, text=True, start_new_session=True, cwd="/",
                          env={**environment, "BROWSER": "/bin/true"}) as process:
        try:
            said = []
            for line in process.stderr:
                said.append(line)
                if found := re.search(r"http://[\d.:]+", line):
                    yield found.group(0)
                    return
            raise RuntimeError("go tool trace: " + "".join(said))
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _get(address):
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read().decode()


def _breakdown(page):
    """The rows of the page's table, each a dict by the column's title."""
    inside = re.search(r'Breakdown</h3>.*?<table class="details">(.*?)</table>', page, re.S)
    rows = [[html.unescape(re.sub("<[^>]*>", "", cell)).strip()
             for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.S)]
            for row in re.findall(r"<tr>(.*?)</tr>", inside.group(1), re.S)]
    return [dict(zip(rows[0], row)) for row in rows[1:]]


def goroutines(address):
    """By id: (function, {title: ns})."""
    found = {}
    for link in re.findall(r'href="(/goroutine\?name=[^"]*)"', _get(address + "/goroutines")):
        name = urllib.parse.unquote(html.unescape(link).partition("=")[2])
        for row in _breakdown(_get(address + html.unescape(link))):
            found[int(row.pop("Goroutine"))] = name, {
                title: duration(text) for title, text in row.items() if title}
    return found


def regions(address):
    """By type, those with one: the durations, ns."""
    found = {}
    for link in re.findall(r'href="(/userregion\?[^"]*)"', _get(address + "/userregions")):
        link = html.unescape(link)
        name = urllib.parse.parse_qs(link.partition("?")[2]).get("type", [""])[0]
        # Links of the histogram's bars name a part of them.
        if name and "lat" not in link:
            found.setdefault(name, []).extend(
                duration(row["Total"]) for row in _breakdown(_get(address + link)))
    return found
