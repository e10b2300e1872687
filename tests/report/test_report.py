#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""stele report and stele export, on a small trace whose numbers are computed by hand.

usage: test_report.py STELE GOLDEN [--update]     GOLDEN: folder of traces in text form
"""
import collections
import csv
import gzip
import io
import json
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import pbwire  # noqa: E402
from tap import Skip, case, check, equal, run  # noqa: E402

STELE, GOLDEN = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
UPDATE = "--update" in sys.argv
FOLDER = tempfile.TemporaryDirectory()
PLACE = pathlib.Path(FOLDER.name)
SMALL = PLACE / "small.trace"


def stele(*arguments, status=0, text=True, **more):
    done = subprocess.run([STELE, *map(str, arguments)], capture_output=True, text=text,
                          cwd=PLACE, check=False, **more)
    equal(done.returncode, status, f"status of {arguments}: {done.stderr}")
    return done


stele("assemble", HERE / "small.trace.txt", "-o", SMALL)


def report(path=SMALL, *options, status=0):
    return json.loads(stele("report", "--json", *options, path, status=status).stdout)


LOST = "events were lost"


def export(form, path=SMALL, *options, status=0):
    done = stele("export", f"--to={form}", "-f", "-o", "out", *options, path, status=status)
    check(status or not done.stderr or LOST in done.stderr, done.stderr)
    return (PLACE / "out").read_bytes()


@case
def text_is_as_it_was():
    got = stele("report", "small.trace").stdout
    golden = HERE / "small.report.txt"
    if UPDATE:
        golden.write_text(got)
    equal(got, golden.read_text(), "report")
    check("\033" not in got, "colours without a terminal")
    check(max(map(len, got.splitlines())) <= 100, "wider than 100 columns")


@case
def times_of_threads_add_up():
    boss, worker = report()["threads"]
    # boss runs 1002-1300 and 1900-2600, waits 1300-1600 and from 2600 to the end at 2901
    want = {"goroutine": 1, "thread": 77, "name": "boss", "entry": "main", "wall_ns": 1899,
            "running_ns": 298 + 700, "ready_ns": 300, "waiting_ns": 300 + 301, "syscall_ns": 0,
            "unknown_ns": 0, "waits": 2, "ended": False,
            "waiting_for": [{"count": 2, "ns": 601, "reason": "sync"}]}
    equal({k: boss[k] for k in want}, want)
    # worker is ready 1100-1400, runs to 1700 and from 1750 to 1800
    want = {"goroutine": 2, "entry": "worker", "wall_ns": 700, "running_ns": 350, "ready_ns": 300,
            "waiting_ns": 0, "syscall_ns": 50, "syscalls": 1, "ended": True}
    equal({k: worker[k] for k in want}, want)


@case
def places_have_their_times():
    got = report()
    wait, = got["waits"]["top"]
    equal((wait["reason"], wait["count"], wait["total_ns"], wait["open_count"], wait["open_ns"]),
          ("sync", 1, 300, 1, 301))
    equal([(f["function"], f["line"]) for f in wait["stack"]], [("lock", 30), ("main", 20)])
    call, = got["syscalls"]["top"]
    equal((call["count"], call["total_ns"], call["stack"][0]["function"]),
          (1, 50, "libx.so+0x12"))
    equal([(r["total_ns"], r["stack"][0]["function"]) for r in got["ready"]["top"]],
          [(300, "main"), (300, "unlock")])
    equal([(r["name"], r["total_ns"]) for r in got["regions"]["top"]], [("load", 800)])
    equal([(r["name"], r["p50_ns"]) for r in got["tasks"]["top"]], [("job", 400)])


@case
def trust_and_memory_are_told():
    got = report()
    trust, memory = got["trust"], got["memory"]
    equal((trust["program"], trust["pid"], trust["exit_status"], trust["lost"]["events"]),
          ("prog", 42, 3, 5))
    equal((trust["stacks"], trust["frames"], trust["frames_unnamed"]), (5, 8, 1))
    want = {"allocated": 2, "freed": 1, "live": 1, "live_bytes": 32, "peak_bytes": 64,
            "peak_ns": 2800, "unmatched_frees": 0}
    equal({k: memory[k] for k in want}, want)
    equal((memory["top"][0]["name"], memory["top"][0]["size"]), ("node", 32))


@case
def losses_matter_only_to_the_strict():
    stele("report", SMALL)
    stele("report", "--strict", SMALL, status=4)


@case
def rows_can_be_limited():
    got = report(SMALL, "--top=1")
    equal((len(got["threads"]), len(got["ready"]["top"]), got["ready"]["places"]), (1, 1, 2))
    equal((got["threads_total"], got["groups_total"]), (2, 2))
    check("and 1 more" in stele("report", "--top", "1", SMALL).stdout)
    for bad in ("0", "x", "", "99999999999999999999"):
        stele("report", f"--top={bad}", SMALL, status=2)


@case
def a_part_of_a_trace_is_reported_as_if_it_were_cut_out():
    for window in (["--from=400ns", "--to=700ns"], ["--from=0.0000009"], ["--to", "500ns"]):
        stele("cut", "-f", "-o", "part", *window, SMALL)
        got, want = report(SMALL, *window), report("part")
        bounds = {key for key in ("from_ns", "to_ns") if got.pop(key, None) is not None}
        equal(len(bounds), sum("--" in option for option in window), f"bounds of {window}")
        got["file"] = "part"
        equal(got, want, f"report of {window}")
    text = stele("report", "--from=400ns", "--to=700ns", SMALL).stdout
    check("from 0.000000s to 0.000001s of it" in text, text[:300])
    # The goroutine that was blocked at its beginning is so for all of it.
    blocked, = [t for t in report(SMALL, "--from=400ns", "--to=790ns")["threads"]
                if t["goroutine"] == 1]
    equal(blocked["running_ns"], 0, "running while blocked")
    check(blocked["waiting_ns"] >= 200, f"{blocked['waiting_ns']} ns of waiting")
    stele("report", "--from=2h", SMALL, status=2)
    stele("report", "--from=5s", "--to=4s", SMALL, status=2)
    check("ends at" in stele("report", "--from=5s", SMALL, status=1).stderr)
    broken = PLACE / "broken-part.trace"
    broken.write_bytes(SMALL.read_bytes()[:-30])
    stele("report", "--from=100ns", broken, status=3)


@case
def usage_errors_are_usage_errors():
    for arguments in (["report"], ["report", "a", "b"], ["report", "--nonsense", "a"], ["export"],
                      ["export", "--to=csv", SMALL], ["export", "--to=nonsense", "-o", "x", SMALL],
                      ["export", "--to=csv", "--kind=sync", "-o", "x", SMALL],
                      ["export", "--to=folded", "--kind=x", "-o", "x", SMALL],
                      ["export", "--to=csv", "-o", SMALL, SMALL]):
        check(stele(*arguments, status=2).stderr, f"{arguments}: no message")
    stele("report", "nowhere", status=5)
    stele("export", "--to=csv", "-f", "-o", SMALL, SMALL, status=2)
    check(SMALL.stat().st_size > 100, "the input was overwritten")


@case
def damaged_traces_tell_what_came_before():
    broken = PLACE / "broken.trace"
    # Tables come behind the events: without them names are missing, but not the times.
    broken.write_bytes(SMALL.read_bytes()[:-30])
    done = stele("report", broken, status=3)
    check("BROKEN" in done.stdout and "truncated" in done.stderr, done.stdout + done.stderr)
    equal(report(broken, status=3)["threads"][1]["syscall_ns"], 50)
    check(b"1300,77" in export("csv", broken, status=3))
    json.loads(export("chrome", broken, status=3))
    broken.write_bytes(b"something else")
    done = stele("report", broken, status=3)
    equal(done.stdout, "")
    check("not a trace" in done.stderr, done.stderr)


@case
def csv_has_a_line_a_transition():
    rows = list(csv.DictReader(io.StringIO(export("csv").decode())))
    equal(len(rows), 11)
    row = rows[3]
    equal((row["time_ns"], row["goroutine"], row["id"], row["from"], row["to"], row["reason"],
           row["function"], row["line"]),
          ("1300", "1", "1", "Running", "Waiting", "sync", "lock", "30"))


@case
def folded_stacks_have_their_weight():
    equal(export("folded").decode(), "main;lock;sync 300\n")
    equal(export("folded", SMALL, "--kind=syscall").decode(), "worker;libx.so+0x12 50\n")
    equal(export("folded", SMALL, "--kind=sched").decode(), "main 300\nworker;unlock 300\n")
    equal(export("folded", SMALL, "--kind=net"), b"")


@case
def chrome_has_slices_and_counters():
    events = json.loads(export("chrome"))
    slices = [(e["tid"], e["name"], round(e["ts"] * 1000), round(e["dur"] * 1000))
              for e in events if e["ph"] == "X" and e["tid"] == 77]
    equal(slices, [(77, "running", 1002, 298), (77, "sync", 1300, 300), (77, "ready", 1600, 300),
                   (77, "running", 1900, 700), (77, "sync", 2600, 301)])
    # boss makes worker (1100), and worker wakes boss (1600).
    equal([(e["ph"], e["tid"] == 77, round(e["ts"] * 1000), e["id"]) for e in events
           if e.get("cat") == "wake"],
          [("s", True, 1100, 1), ("f", False, 1100, 1), ("s", False, 1600, 2),
           ("f", True, 1600, 2)])
    equal([e["args"]["value"] for e in events if e["ph"] == "C"], [-42, 32, 64, 32, 32])
    equal([e["name"] for e in events if e.get("cat") == "system call"], ["libx.so+0x12"])
    equal([e["args"]["text"] for e in events if e["ph"] == "i"], ['say "hi"'])
    equal([(e["ph"], e["name"]) for e in events if e.get("cat") == "region"],
          [("b", "load"), ("e", "load")])


class Perfetto:
    """A second reader of what the exporter writes; complains of whatever is out of order."""

    def __init__(self, data):
        self.tracks, self.slices, self.counters, self.instants = {}, [], [], []
        self.names, self.categories, self.open = {}, {}, collections.defaultdict(list)
        self.flows = collections.defaultdict(list)
        for number, packet in pbwire.fields(data):
            equal(number, 1, "field of the trace")
            self.packet(pbwire.message(packet))
        check(not any(self.open.values()), "slices are left open")

    def packet(self, p):
        equal(p[10], [1], "sequence")
        for interned in p.get(12, []):
            for number, entry in pbwire.fields(interned):
                table = {1: self.categories, 2: self.names}[number]
                entry = pbwire.message(entry)
                check(entry[1][0] not in table, "interned twice")
                table[entry[1][0]] = entry[2][0].decode()
        for track in p.get(60, []):
            self.track(pbwire.message(track))
        for event in p.get(11, []):
            self.event(p[8][0], pbwire.message(event))

    def track(self, t):
        if 5 in t:
            check(t[5][0] in self.tracks, "a track below one that is not there")
        name = t[2][0].decode() if 2 in t else ""
        thread = pbwire.message(t[4][0]) if 4 in t else {}
        process = pbwire.message(t[3][0]) if 3 in t else {}
        self.tracks[t[1][0]] = {
            "name": (thread.get(5) or process.get(6) or [name.encode()])[0].decode(),
            "tid": thread.get(2, [None])[0], "pid": (thread or process).get(1, [None])[0],
            "parent": t.get(5, [None])[0], "counter": 8 in t}

    def event(self, time, e):
        track, kind = e[11][0], e[9][0]
        check(track in self.tracks, "an event on an unknown track")
        name = self.names[e[10][0]] if 10 in e else None
        category = self.categories[e[3][0]] if 3 in e else None
        for flow in e.get(47, []) + e.get(48, []):
            self.flows[flow].append((48 in e, track, time))
        if kind == 1:
            self.open[track].append((name, category, time))
        elif kind == 2:
            name, category, begin = self.open[track].pop()
            check(time >= begin, "a slice ends before it begins")
            self.slices.append((track, category, name, begin, time - begin))
        elif kind == 3:
            self.instants.append((track, name or category, time, e[4][0]))
        else:
            check(self.tracks[track]["counter"], "a sample on a track that counts nothing")
            self.counters.append((self.tracks[track]["name"], time, pbwire.signed(e[30][0])))


@case
def perfetto_has_all_of_it():
    p = Perfetto(export("perfetto"))
    boss, = [u for u, t in p.tracks.items() if t["tid"] == 77]
    equal((p.tracks[boss]["name"], p.tracks[boss]["pid"]), ("boss", 42))
    equal(p.tracks[1]["name"], "prog")
    check("g2 worker" in [t["name"] for t in p.tracks.values()], "no track for the worker")
    equal([s[2:] for s in p.slices if s[0] == boss],
          [("running", 1002, 298), ("sync", 1300, 300), ("ready", 1600, 300),
           ("running", 1900, 700), ("sync", 2600, 301)])
    equal([(s[2:], p.tracks[s[0]]["parent"]) for s in p.slices if s[1] == "region"],
          [(("load", 1200, 800), boss)])
    equal([s[2:] for s in p.slices if s[1] == "task"], [("job", 2100, 400)])
    equal(p.counters[0], ("q", 2200, -42))
    equal([c[2] for c in p.counters[1:] if c[0] == "bytes in objects"], [32, 64, 32, 32])
    worker, = [u for u, t in p.tracks.items() if t["name"] == "g2 worker"]
    equal([(t, n, ts) for t, n, ts, _ in p.instants],
          [(boss, "wake", 1100), (worker, "wake", 1600), (boss, "note", 2300)])
    equal({flow: sorted(ends) for flow, ends in p.flows.items()},
          {1: [(False, boss, 1100), (True, worker, 1100)],
           2: [(False, worker, 1600), (True, boss, 1600)]})


def golden_traces():
    for path in sorted(GOLDEN.glob("*.test")):
        done = subprocess.run([STELE, "assemble", "--section=trace", str(path), "-f", "-o",
                               str(PLACE / "golden.trace")], capture_output=True, check=False)
        if done.returncode == 0:
            yield path, PLACE / "golden.trace"


@case
def a_thread_that_appears_late_did_not_run_before():
    # Not created by one that the recorder knows: its status comes with its first event.
    text = (HERE / "small.trace.txt").read_text()
    late = ("EventBatch gen=1 m=78 time=2000\nProcStatus dt=1 p=1 pstatus=1\n"
            "GoStatus dt=500 g=9 m=78 gstatus=2\n")
    (PLACE / "late.txt").write_text(text.replace("Trace Go1.23\n", "Trace Go1.23\n" + late))
    stele("assemble", "--sizes", "-f", "-o", "late.trace", "late.txt")
    thread, = [t for t in report("late.trace")["threads"] if t["goroutine"] == 9]
    equal((thread["first_ns"], thread["wall_ns"], thread["running_ns"]), (2501, 400, 400))
    slices = [e for e in chrome(path="late.trace") if e["ph"] == "X" and e["tid"] == 2**32 + 9]
    equal([(round(1000 * e["ts"]), round(1000 * e["dur"])) for e in slices], [(2501, 400)])


@case
def addresses_of_one_line_are_one_place():
    # Waits of 10, 20, 30 and 40 ns: twice in one line, in code without a name, in another such.
    none = 2**64 - 1
    lines = ["Trace Go1.23", "EventBatch gen=1 m=7 time=1000", "ProcStatus dt=1 p=0 pstatus=1",
             "GoStatus dt=1 g=1 m=7 gstatus=2"]
    for n, stack in enumerate((1, 2, 3, 4)):
        lines += [f"GoBlock dt=1 reason_string=1 stack={stack}",
                  f"GoUnblock dt={10 * stack} g=1 g_seq={2 * n + 1} stack=0",
                  f"GoStart dt=1 g=1 g_seq={2 * n + 2}"]
    lines += [f"EventBatch gen=1 m={none} time=1000", "Frequency freq=1000000000",
              f"EventBatch gen=1 m={none} time=1000", "Stacks"]
    for stack, func, line in ((1, 2, 30), (2, 2, 30), (3, 3, 0), (4, 3, 0)):
        lines += [f"Stack id={stack} nframes=1",
                  f"\tpc={100 * stack} func={func} file=4 line={line}"]
    lines += [f"EventBatch gen=1 m={none} time=1000", "Strings"]
    for i, text in enumerate(("sync", "lock", "", "x.c")):
        lines += [f"String id={i + 1}", f'\tdata="{text}"']
    (PLACE / "places.txt").write_text("\n".join(lines) + "\n")
    stele("assemble", "--sizes", "-f", "-o", "places.trace", "places.txt")
    rows = report("places.trace")["waits"]["top"]
    equal([(r["total_ns"], r["count"], r["max_ns"]) for r in rows],
          [(40, 1, 40), (30, 2, 20), (30, 1, 30)])
    why = json.loads(stele("why", "--json", "--goroutine=1", "places.trace").stdout)
    waits = [r for r in why["slowest"][0]["rows"] if r["kind"] == "wait"]
    equal([(r["ns"], r["count"]) for r in waits], [(40, 1), (30, 2), (30, 1)])
    # A profile has addresses.
    profile = pbwire.message(gzip.decompress(export("pprof", "places.trace", "--kind=wait")))
    delays = [list(pbwire.numbers(pbwire.message(s)[2])) for s in profile[2]]
    equal(sorted(delays), [[1, 10], [1, 20], [1, 30], [1, 40]])


@case
def latencies_are_those_between_ready_and_running():
    groups = {g["name"] or g["entry"]: g for g in report()["groups"]}
    equal({n: (g["latencies"], g["max_ns"]) for n, g in groups.items()},
          {"boss": (1, 300), "worker": (1, 300)})
    packed = HERE.parents[2] / "shared" / "traces" / "pool-8proc.trace.zst"
    if not packed.exists():
        raise Skip("the traces are not here")
    subprocess.run(["zstd", "-dqf", packed, "-o", PLACE / "pool.trace"], check=True)
    answer = report("pool.trace")
    names = {t["goroutine"]: t["entry"] for t in answer["threads"]}
    since, latencies = {}, {}
    for row in csv.DictReader(export("csv", "pool.trace").decode().splitlines()):
        if row["resource"] != "goroutine" or row["from"] == row["to"]:
            continue
        if row["id"] in since:
            name = names[int(row["id"])]
            latencies.setdefault(name, []).append(int(row["time_ns"]) - since.pop(row["id"]))
        if row["to"] == "Runnable":
            since[row["id"]] = int(row["time_ns"])
    check(len(latencies) > 3, f"only {len(latencies)} names")
    for group in answer["groups"]:
        want = sorted(latencies.get(group["entry"], []))
        equal(group["latencies"], len(want), group["entry"])
        for percent in (50, 90, 99) if want else ():
            value = want[max(0, -(-len(want) * percent // 100) - 1)]
            check(abs(group[f"p{percent}_ns"] - value) <= value / 16 + 1,
                  f"{percent} % of {group['entry']}: {group[f'p{percent}_ns']}, {value}")
        equal(group["max_ns"], max(want, default=0), group["entry"])


def chrome(*options, path=SMALL):
    return json.loads(export("chrome", path, *options))


@case
def what_is_missing_is_said_with_every_answer():
    (PLACE / "broken.trace").write_bytes((PLACE / SMALL).read_bytes()[:-30])
    for command in (["report"], ["heap"], ["report", "--json"], ["heap", "--json"]):
        whole, broken = stele(*command, SMALL), stele(*command, "broken.trace", status=3)
        check(re.search(r'lost +5 events|"lost": {"events": 5', whole.stdout), whole.stdout)
        check("truncated" in broken.stderr and ("BROKEN" in broken.stdout or
              '"verdict": "truncated"' in broken.stdout), broken.stdout + broken.stderr)
    formats = ["perfetto", "chrome", "csv", "folded", "pprof", "flame"]
    if "sqlite" in stele("export", "--help").stdout:
        formats.append("sqlite")
    for form in formats:
        command = ["export", f"--to={form}", "-f", "-o", "out"]
        check(LOST in stele(*command, SMALL).stderr, f"{form} of a trace with losses")
        check("truncated" in stele(*command, "broken.trace", status=3).stderr, form)
    stele("flame", "-f", "--kind=wait", "-o", "out.svg", SMALL)
    check("too little: 5 " + LOST in (PLACE / "out.svg").read_text(), "flame graph")


@case
def short_slices_are_drawn_together():
    def busy(events):
        sums = {}
        for e in events:
            if e["ph"] == "X":
                sums[e["tid"]] = sums.get(e["tid"], 0) + round(1000 * e["dur"])
        return sums

    def slices(events, tid):
        return [(e["name"], round(1000 * e["ts"]), round(1000 * e["dur"])) for e in events
                if e["ph"] == "X" and e["tid"] == tid]

    whole = chrome()
    equal(chrome("--min=0ns"), whole)
    check(any(e["ph"] == "s" for e in whole), "no wake-ups")
    for least in ("200ns", "301ns", "1us", "1s"):
        got = chrome(f"--min={least}")
        equal(busy(got), busy(whole), f"time drawn with {least}")
        check(not any(e["ph"] in "sf" for e in got), "wake-ups that lead nowhere")
    # They are of 298, 300, 300, 700 and 301 ns.
    equal(slices(chrome("--min=700ns"), 77), [("short slices", 1002, 898), ("running", 1900, 700),
                                              ("sync", 2600, 301)])
    equal(slices(chrome("--min=1us"), 77), [("short slices", 1002, 1598), ("sync", 2600, 301)])
    regions = [e for e in whole if e["ph"] in "be"]
    equal([e for e in chrome("--min=1s") if e["ph"] in "be"], regions)


@case
def exports_stay_at_the_size_that_is_asked_for():
    # A thread that runs for 1, 2, 3, … ns, and waits for 10 in between.
    lines = ["Trace Go1.23", "EventBatch gen=1 m=7 time=1000", "ProcStatus dt=1 p=0 pstatus=1",
             "GoStatus dt=1 g=1 m=7 gstatus=2"]
    for turn in range(2000):
        lines += [f"GoBlock dt={turn + 1} reason_string=1 stack=0",
                  f"GoUnblock dt=10 g=1 g_seq={2 * turn + 1} stack=0",
                  f"GoStart dt=1 g=1 g_seq={2 * turn + 2}"]
        if turn % 500 == 499:
            lines.append(f"EventBatch gen=1 m=7 time={10**6 * (turn + 1)}")
    lines += [f"EventBatch gen=1 m={2**64 - 1} time=1000", "Frequency freq=1000000000",
              f"EventBatch gen=1 m={2**64 - 1} time=1000", "Strings", "String id=1",
              '\tdata="sync"']
    (PLACE / "many.txt").write_text("\n".join(lines) + "\n")
    stele("assemble", "--sizes", "-f", "-o", "many.trace", "many.txt")
    whole = len(export("chrome", "many.trace"))
    before = whole
    for size in (400_000, 200_000, 100_000):
        done = stele("export", "--to=chrome", "-f", "-o", "out", f"--max-bytes={size}",
                     "many.trace")
        check("slices below" in done.stderr, done.stderr)
        got = len((PLACE / "out").read_bytes())
        check(size / 10 < got <= size and got < before, f"{got} bytes of {size}")
        before = got
    done = stele("export", "--to=perfetto", "-f", "-o", "out", "--max-bytes=50000", "many.trace")
    check(len((PLACE / "out").read_bytes()) <= 50000, "perfetto")
    equal(stele("export", "--to=chrome", "-f", "-o", "out", "--max-bytes=1G", "many.trace").stderr,
          "")
    done = stele("export", "--to=chrome", "-f", "-o", "out", "--max-bytes=100", "many.trace")
    check("stele cut" in done.stderr, done.stderr)
    stele("export", "--to=chrome", "-f", "-o", "out", "--max-bytes=1G", "-", status=2)
    stele("export", "--to=csv", "-f", "-o", "out", "--min=1us", "many.trace", status=2)
    stele("export", "--to=chrome", "-f", "-o", "out", "--min=soon", "many.trace", status=2)
    stele("export", "--to=chrome", "-f", "-o", "out", "--max-bytes=0", "many.trace", status=2)


@case
def memory_is_drawn_as_counters():
    # Every value that is told is right, and what is told last is what is alive.
    counters = [e for e in chrome() if e["ph"] == "C" and e["name"] == "bytes in objects"]
    memory = report()["memory"]
    equal(counters[-1]["args"]["value"], memory["live_bytes"])
    equal(max(c["args"]["value"] for c in counters), memory["peak_bytes"])
    check(b"bytes in objects" in export("perfetto"), "no counter in Perfetto")


@case
def every_golden_trace_is_reported_and_exported():
    count = 0
    for path, trace in golden_traces():
        status = subprocess.run([STELE, "check", "-q", trace], check=False).returncode
        got = report(trace, status=status)
        stele("report", trace, status=status)
        for t in got["threads"] + got["groups"]:
            equal(t["wall_ns"], sum(t[f"{k}_ns"] for k in ("running", "ready", "waiting",
                                                           "syscall", "unknown")), path.name)
        equal(sum(t["members"] for t in got["groups"]), len(got["threads"]), path.name)
        perfetto = Perfetto(export("perfetto", trace, status=status))
        states = sum(s[4] for s in perfetto.slices if s[1] == "state")
        equal(states, sum(t["wall_ns"] for t in got["threads"]), f"{path.name}: time of slices")
        for ends in perfetto.flows.values():
            equal(sorted(end for end, _, _ in ends), [False, True], f"{path.name}: an arrow")
        chrome = json.loads(export("chrome", trace, status=status))
        equal(round(sum(e["dur"] * 1000 for e in chrome if e["ph"] == "X")), states, path.name)
        export("csv", trace, status=status)
        export("folded", trace, status=status)
        count += 1
    check(count > 50, f"only {count} traces")


@case
def perfettos_own_definitions_read_it():
    try:
        from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as definitions
    except ImportError:
        raise Skip("Perfetto's definitions are not installed") from None
    trace = definitions.Trace()
    trace.ParseFromString(export("perfetto"))
    begun = [p for p in trace.packet if p.track_event.type == 1]
    equal(len(begun), 11)
    equal([p.track_descriptor.thread.thread_name for p in trace.packet
           if p.track_descriptor.thread.tid], ["boss"])


@case
def help_tells_options_and_statuses():
    for command in ("report", "export"):
        text = stele(command, "--help").stdout
        for word in ("usage:", "options:", "exit status:", "examples:"):
            check(word in text, f"{command} --help has no {word}")


@case
def the_busiest_threads_are_told_of_whenever_they_end():
    short, busy = 20000, 1
    lines = ["Trace Go1.23", "EventBatch gen=1 m=77 time=1000", "ProcStatus dt=1 p=0 pstatus=1",
             "GoStatus dt=1 g=1 m=77 gstatus=2", "EventBatch gen=1 m=77 time=1100"]
    for g in range(2, short + 2):
        # The last ones run longest, and the first one waits for all of them.
        lines += [f"GoCreate dt=1 new_g={g} new_stack=0 stack=0",
                  "GoStop dt=1 reason_string=0 stack=0",
                  f"GoStart dt=1 g={g} g_seq=1", f"GoDestroy dt={g}",
                  f"GoStart dt=1 g=1 g_seq={g - 1}"]
        if g % 2000 == 0:
            lines.append(f"EventBatch gen=1 m=77 time={10**9 * g}")
    lines += ["GoDestroy dt=1000000000000", "EventBatch gen=1 m=18446744073709551615 time=1000",
              "Frequency freq=1000000000"]
    (PLACE / "churn.txt").write_text("\n".join(lines) + "\n")
    stele("assemble", "--sizes", "-f", "-o", "churn.trace", "churn.txt")
    got = report("churn.trace", "--top=100000")
    equal(got["threads_total"], short + busy)
    kept = [thread["goroutine"] for thread in got["threads"]]
    check(4096 <= len(kept) <= 3 * 4096, f"{len(kept)} threads")
    equal(kept[:4096], [1, *range(short + 1, short + 1 - 4095, -1)])
    text = stele("report", "churn.trace").stdout
    check("and 19,991 more (--top)" in text, text)
    text = stele("report", "--top=100000", "churn.trace").stdout
    check(f"and {short + busy - len(kept):,} more that were less busy" in text, text)


run()
