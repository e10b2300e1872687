#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""stele why and the lock ledger, on small traces whose answers are known.

usage: test_why.py STELE
"""
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from ownrecords import numbers, quoted, record, text  # noqa: E402
from tap import case, check, equal, run  # noqa: E402

STELE = str(pathlib.Path(sys.argv[1]).resolve())
FOLDER = tempfile.TemporaryDirectory()
PLACE = pathlib.Path(FOLDER.name)
NONE = 2**64 - 1
MS = 1_000_000
L, M, C = 0x1000, 0x2000, 0x3000


class Threads:
    """A trace of threads, each with a goroutine and a proc of its number, all running at first.
    Each event happens so many ms after the first; a tick is a ns."""

    def __init__(self, **names):
        self.names = {name: number for number, name in enumerate(names, 1)}
        self.events = {number: [] for number in self.names.values()}
        self.details = {number: [] for number in self.names.values()}
        self.strings, self.stacks = {}, []
        self.seq = dict.fromkeys(self.events, 0)
        self.calls = dict.fromkeys(self.events, 0)
        self.own = record(1, numbers(42, 1) + text(b"prog"))
        self.now = 0
        self.generation, self.written = 1, []
        for name, number in self.names.items():
            self.own += record(3, numbers(number, number, number) + text(name.encode()))
            self.events[number] += [(0, f"ProcStatus dt=%d p={number} pstatus=1"),
                                    (0, f"GoStatus dt=%d g={number} m={number} gstatus=2")]

    def at(self, ms):
        self.now = int(ms * MS)
        return self

    def string(self, value):
        return self.strings.setdefault(value, len(self.strings) + 1)

    def stack(self, *frames):
        """Frames as "function:line", innermost first."""
        if frames in self.stacks:
            return self.stacks.index(frames) + 1
        self.stacks.append(frames)
        return len(self.stacks)

    def put(self, name, event):
        self.events[self.names[name]].append((self.now, event))

    def detail(self, name, kind, *fields):
        self.details[self.names[name]].append((self.now, kind, fields))

    def block(self, name, reason, lock=0, holder=None, where="wait:1"):
        self.put(name, f"GoBlock dt=%d reason_string={self.string(reason)} "
                       f"stack={self.stack(where)}")
        if lock:
            self.detail(name, 1, lock, self.names[holder] if holder else 0)

    def wake(self, name):
        number = self.names[name]
        self.seq[number] += 2
        self.put(name, f"GoUnblock dt=%d g={number} g_seq={self.seq[number] - 1} stack=0")
        self.put(name, f"GoStart dt=%d g={number} g_seq={self.seq[number]}")

    def wake_by(self, waker, name, where="signal:9"):
        number = self.names[name]
        self.seq[number] += 1
        self.put(waker, f"GoUnblock dt=%d g={number} g_seq={self.seq[number]} "
                        f"stack={self.stack(where)}")

    def start(self, name):
        number = self.names[name]
        self.seq[number] += 1
        self.put(name, f"GoStart dt=%d g={number} g_seq={self.seq[number]}")

    def release(self, name, lock, taken="take:1", where="give:2"):
        self.detail(name, 2, lock, self.stack(where), self.stack(taken) if taken else 0)

    def order(self, name, outer, inner, line=1):
        """Takes inner while it has outer."""
        self.detail(name, 6, outer, inner, self.stack(f"outer:{line}"),
                    self.stack(f"inner:{line + 1}"))

    def call(self, name, what):
        self.calls[self.names[name]] += 1
        self.put(name, f"GoSyscallBegin dt=%d p_seq={self.calls[self.names[name]]} "
                       f"stack={self.stack(what, 'io:5')}")

    def back(self, name):
        self.put(name, "GoSyscallEnd dt=%d")

    def begin(self, name, region, task=0):
        self.put(name, f"UserRegionBegin dt=%d task={task} name_string={self.string(region)} "
                       "stack=0")

    def end(self, name, region, task=0):
        self.put(name, f"UserRegionEnd dt=%d task={task} name_string={self.string(region)} "
                       "stack=0")

    def object(self, address, name, made="", line=0):
        self.own += record(12, numbers(address, line) + text(name.encode()) +
                           text(made.encode()) + text(b"a.c" if made else b""))

    def cut(self):
        """Another generation begins; what waits does so in it."""
        self.written += self.batches()
        waiting = {}
        for number, events in self.events.items():
            waiting[number] = events[-1][1].startswith("GoBlock")
        self.generation += 1
        self.own = b""
        for number in self.events:
            status = 4 if waiting[number] else 2
            self.events[number] = [(self.now, f"ProcStatus dt=%d p={number} pstatus=1"),
                                   (self.now, f"GoStatus dt=%d g={number} m={number} "
                                              f"gstatus={status}")]
            self.details[number] = []
            self.seq[number] = self.calls[number] = 0

    def experiment(self, thread, time, payload):
        yield f"ExperimentalBatch exp=1 gen={self.generation} m={thread} time={time}"
        yield quoted(payload)

    def tables(self):
        for head in ("Frequency freq=1000000000", "Stacks", "Strings"):
            yield f"EventBatch gen={self.generation} m={NONE} time=1000"
            yield head
            for number, frames in enumerate(self.stacks if head == "Stacks" else [], 1):
                yield f"Stack id={number} nframes={len(frames)}"
                for frame in frames:
                    function, line = frame.split(":")
                    yield (f"\tpc={self.string(frame)} func={self.string(function)} "
                           f"file={self.string('a.c')} line={line}")
            for value, number in self.strings.items() if head == "Strings" else []:
                yield f"String id={number}"
                yield f'\tdata="{value}"'

    def lines(self):
        yield "Trace Go1.23"
        yield from self.written
        yield from self.batches()

    def batches(self):
        for thread, events in self.events.items():
            yield f"EventBatch gen={self.generation} m={thread} time=1000"
            before = 0
            for time, event in events:
                yield event % (time - before)
                before = time
            payload, before = b"D", 0
            for time, kind, fields in self.details[thread]:
                payload += bytes([kind << 3 | len(fields)]) + numbers(time - before, *fields)
                before = time
            yield from self.experiment(thread, 1000, payload)
        yield from self.experiment(NONE, 1000, b"S\x01" + self.own)
        yield from self.tables()

    def write(self):
        (PLACE / "t.txt").write_text("\n".join(self.lines()) + "\n")
        stele("assemble", "--sizes", "-f", "-o", "t.trace", "t.txt")
        return "t.trace"

    def why(self, *options):
        return json.loads(stele("why", "--json", *options, self.write()).stdout)

    def locks(self):
        return json.loads(stele("report", "--json", self.write()).stdout)["locks"]["top"]


def stele(*arguments, status=0):
    done = subprocess.run([STELE, *arguments], capture_output=True, text=True, cwd=PLACE,
                          check=False)
    equal(done.returncode, status, f"status of {arguments}: {done.stderr}")
    return done


def ms(row, key="ns"):
    """Events of one tick come one ns apart."""
    return round(row[key] / MS, 3)


def told(rows):
    """What matters of rows: kind, ms, who or name, and the same below."""
    out = []
    for row in rows:
        who = row.get("who") or row.get("reason") or row.get("name") or ""
        out.append((row["kind"], ms(row), who, told(row.get("meanwhile", []))))
    return out


def adds_up(answer):
    for instance in [answer["all"], *answer["slowest"]]:
        equal(sum(row["ns"] for row in instance["rows"]), instance["ns"], "sum of the rows")


def convoy():
    """a has L for 10 ms, then b for 5 ms, then c gets it. b writes a file meanwhile."""
    t = Threads(a=1, b=1, c=1)
    t.object(L, "queue_lock")
    t.at(1).begin("c", "request")
    t.at(2).block("b", "sync", L, "a")
    t.at(4).block("c", "sync", L, "a")
    t.at(10).release("a", L, "fill:10", "fill:20")
    t.at(10).wake("b")
    t.at(11).call("b", "write:0")
    t.at(14).back("b")
    t.at(15).release("b", L, "drop:30", "drop:40")
    t.at(16).wake("c")
    t.at(20).end("c", "request")
    return t


@case
def a_convoy_is_split_among_those_who_had_the_lock():
    answer = convoy().why("--region=request")
    adds_up(answer)
    instance, = answer["slowest"]
    equal((instance["goroutine"], instance["ns"], instance["open"]), (3, 19 * MS, False))
    # A tick's events come one ns apart: ready for that long.
    equal([row for row in told(instance["rows"]) if row[1] >= 0.5], [
        ("running", 7.0, "", []),
        ("lock", 6.0, "a", [("running", 6.0, "", [])]),
        ("lock", 5.0, "b", [("call", 3.0, "write", []), ("running", 2.0, "", []),
                            ("ready", 0.0, "", [])]),
        ("handover", 1.0, "", []),
    ])
    lock = next(row for row in instance["rows"] if row["kind"] == "lock" and row["who"] == "b")
    equal((lock["lock"], lock["taken"]["line"], lock["released"]["line"], lock["who_thread"]),
          ("queue_lock", 30, 40, 2))
    equal([(f["function"], f["line"]) for f in lock["stack"]], [("wait", 1)])


@case
def the_ledger_sums_up_holders_and_convoys():
    lock, = convoy().locks()
    equal((lock["lock"], lock["count"], lock["total_ns"]), ("queue_lock", 2, 20 * MS))
    equal((lock["queued"], lock["waiting_max"], lock["locks"]), (1, 2, 1))
    holders = [(h["thread"], h["count"], ms(h), ms(h, "longest_ns"), h["longest_known"],
                h["taken"]["line"]) for h in lock["holders"]]
    # a had it since before b came; b since it got it, which is known.
    equal(holders, [("a", 2, 14, 8, False, 10), ("b", 1, 5, 5, True, 30)])


@case
def a_chain_of_holders_is_followed():
    t = Threads(a=1, b=1, c=1)
    t.at(1).begin("a", "job")
    t.at(1).block("a", "sync", L, "b")
    t.at(2).block("b", "sync", M, "c")
    t.at(3).block("c", "sleep")
    t.at(8).wake("c")
    t.at(9).release("c", M)
    t.at(9).wake("b")
    t.at(10).release("b", L)
    t.at(10).wake("a")
    t.at(11).end("a", "job")
    answer = t.why("--region=job")
    adds_up(answer)
    lock = answer["slowest"][0]["rows"][0]
    equal((lock["kind"], lock["who"], ms(lock)), ("lock", "b", 9))
    below = lock["meanwhile"][0]
    equal((below["kind"], below["who"], ms(below)), ("lock", "c", 7))
    equal(told(below["meanwhile"])[0], ("wait", 5.0, "sleep", []))
    equal([lock["address"], below["address"]], ["0x1000", "0x2000"])


@case
def a_holder_that_is_gone_is_still_known():
    t = Threads(a=1, b=1)
    t.at(1).begin("b", "job")
    t.at(1).block("b", "sync", L, "a")
    t.at(1.5).block("a", "sleep", where="nap:7")
    t.at(9).wake("a")
    t.at(9).release("a", L)
    t.at(9.5).put("a", "GoDestroy dt=%d")
    t.at(10).wake("b")
    t.at(11).end("b", "job")
    lock = t.why("--region=job")["slowest"][0]["rows"][0]
    equal((lock["kind"], lock["who"], ms(lock)), ("lock", "a", 8))
    equal(told(lock["meanwhile"])[0][:3], ("wait", 7.5, "sleep"))
    equal(lock["meanwhile"][0]["stack"][0]["line"], 7)


@case
def what_a_holder_did_longer_ago_than_is_kept_is_told_as_that():
    t = Threads(a=1, b=1)
    t.at(1).begin("b", "job")
    t.at(1).block("b", "sync", L, "a")
    for i in range(300):
        t.at(2 + i / 100).call("a", "write:0")
        t.at(2.005 + i / 100).back("a")
    t.at(9).release("a", L)
    t.at(9).wake("b")
    t.at(10).end("b", "job")
    lock = t.why("--region=job")["slowest"][0]["rows"][0]
    rows = lock["meanwhile"]
    equal(sum(row["ns"] for row in rows), lock["ns"])
    rest, = [row for row in rows if row["kind"] == "rest"]
    check(2 * MS < rest["ns"] < 4 * MS, str(rest))


@case
def a_deadlock_names_both():
    t = Threads(a=1, b=1, clock=1)
    t.at(1).begin("a", "job")
    t.at(2).block("a", "sync", L, "b")
    t.at(3).block("b", "sync", M, "a")
    t.at(50).begin("clock", "end")
    answer = t.why("--region=job")
    adds_up(answer)
    instance, = answer["slowest"]
    check(instance["open"], "it has not ended")
    lock = instance["rows"][0]
    equal((lock["kind"], lock["who"], ms(lock), lock["taken"]), ("lock", "b", 48, None))
    below = lock["meanwhile"][0]
    equal((below["who"], ms(below)), ("a", 47))
    ledger = {lock["address"]: lock for lock in t.locks()}
    equal([ledger[a]["open_count"] for a in ("0x1000", "0x2000")], [1, 1])
    equal([ledger[a]["holders"][0]["thread"] for a in ("0x1000", "0x2000")], ["b", "a"])


def cycles(t):
    """Of each cycle: who takes what with what. Of what nothing follows the places are lost."""
    t.at(t.now / MS + 0.1).begin("a", "end")
    answer = json.loads(stele("report", "--json", t.write()).stdout)["lock_cycles"]
    return [[(o["thread"], o["held"]["lock"], o["then"]["lock"]) for o in cycle]
            for cycle in answer]


@case
def orders_that_lead_around_are_told():
    t = Threads(a=1, b=1, c=1)
    names = {0x1000 * i: name for i, name in enumerate("LMNOPQ", 1)}
    for address, name in names.items():
        t.object(address, name)
    at = {name: address for address, name in names.items()}
    t.at(1).order("a", at["L"], at["M"], 10)
    t.at(2).order("b", at["M"], at["N"], 20)
    t.at(3).order("a", at["N"], at["O"])  # leads away from it
    t.at(4).order("b", at["P"], at["L"])  # leads there
    equal(cycles(t), [])
    t.at(5).order("c", at["N"], at["L"], 30)
    equal(cycles(t), [[("a", "L", "M"), ("b", "M", "N"), ("c", "N", "L")]])
    out = stele("report", "t.trace").stdout
    for line in ("LOCKS IN DIFFERENT ORDERS", "  3 locks:", "    c had N and took L",
                 "        had it from outer (a.c:30)", "        took it at inner (a.c:31)"):
        check(line in out, out)
    check(max(map(len, out.splitlines())) <= 100, "wider than 100 columns")
    t.at(6).order("b", at["P"], at["Q"])
    t.at(7).order("c", at["Q"], at["P"])
    equal(len(cycles(t)), 2)


@case
def one_thread_alone_cannot_meet_itself():
    t = Threads(a=1, b=1)
    t.at(1).order("a", L, M)
    t.at(2).order("a", M, L)
    equal(cycles(t), [])
    t.at(3).order("b", M, L)
    equal([order[0] for order in cycles(t)[0]], ["a", "several threads"])


@case
def what_nothing_follows_is_told_without_its_places():
    t = Threads(a=1, b=1)
    t.at(1).order("a", L, M)
    t.at(2).order("b", M, L)
    cycle, = json.loads(stele("report", "--json", t.write()).stdout)["lock_cycles"]
    equal([(o["thread"], o["then"]["taken"]) for o in cycle], [("a", None), ("b", None)])


@case
def a_condition_has_a_waker_if_there_was_one_only():
    t = Threads(a=1, b=1, c=1)
    t.object(C, "ready", "setup", 12)
    t.at(1).begin("a", "job")
    t.at(1).block("a", "sync.(*Cond).Wait", C)
    t.at(2).call("b", "read:0")
    t.at(5).back("b")
    t.at(6).release("b", C, None, "notify:3")
    t.at(6.5).wake("a")
    t.at(7).block("a", "sync.(*Cond).Wait", C)
    t.at(8).release("b", C, None)
    t.at(8).release("c", C, None)
    t.at(9).wake("a")
    t.at(9).end("a", "job")
    answer = t.why("--region=job")
    adds_up(answer)
    equal(answer["slowest"][0]["rows"][0]["lock"], "ready")
    rows = [(row[0], row[1], row[2]) for row in told(answer["slowest"][0]["rows"])]
    equal(rows[:2], [("wait", 5.5, "b"), ("wait", 2.0, "sync.(*Cond).Wait")])
    first = answer["slowest"][0]["rows"][0]
    equal((first["released"]["line"], first["meanwhile"][0]["kind"]), (3, "call"))
    equal(t.locks(), [], "conditions are no locks")


@case
def who_is_woken_in_go_has_a_waker():
    t = Threads(a=1, b=1)
    t.at(1).begin("a", "job")
    t.at(1).block("a", "chan receive")
    t.at(5).wake_by("b", "a")
    t.at(6).start("a")
    t.at(7).end("a", "job")
    row = t.why("--region=job")["slowest"][0]["rows"][0]
    equal((row["kind"], row["who"], row["who_goroutine"], ms(row)), ("wait", "b", 2, 4))
    equal((row["released"]["function"], row["released"]["line"]), ("signal", 9))


@case
def a_lock_that_takes_the_place_of_another_while_that_is_waited_for_is_another():
    """What is told of objects is read when their generation begins: here within a wait."""
    t = Threads(a=1, b=1)
    t.object(L, "before")
    t.at(1).block("b", "sync", L, "a")
    t.cut()
    t.object(L, "behind")
    t.at(3).release("a", L)
    t.at(4).wake("b")
    t.at(5).block("b", "sync", L, "a")
    t.at(6).release("a", L)
    t.at(7).wake("b")
    t.at(8).begin("a", "end")
    equal(sorted((lock["lock"], lock["total_ns"] // MS) for lock in t.locks()),
          [("before", 3), ("behind", 2)])


@case
def who_makes_runnable_what_waited_for_a_lock_has_had_it():
    """So fibers' locks are handed over: nobody tells of a release."""
    t = Threads(a=1, b=1)
    t.object(L, "fiber_lock")
    t.at(1).begin("a", "job")
    t.at(1).block("a", "sync", L)
    t.at(5).wake_by("b", "a", "unlock:9")
    t.at(6).start("a")
    t.at(7).end("a", "job")
    row = t.why("--region=job")["slowest"][0]["rows"][0]
    equal((row["kind"], row["lock"], row["who"], ms(row)), ("lock", "fiber_lock", "b", 4))
    equal((row["released"]["line"], row["taken"]), (9, None))
    lock, = t.locks()
    equal([(h["thread"], ms(h)) for h in lock["holders"]], [("b", 4)])


@case
def regions_within_regions_are_each_told():
    t = Threads(a=1)
    t.at(1).begin("a", "job")
    t.at(3).begin("a", "job")
    t.at(4).call("a", "write:0")
    t.at(6).back("a")
    t.at(7).end("a", "job")
    t.at(9).end("a", "job")
    answer = t.why("--region=job")
    adds_up(answer)
    equal([i["ns"] for i in answer["slowest"]], [8 * MS, 4 * MS])
    equal((answer["count"], answer["all"]["ns"]), (2, 12 * MS))
    equal(t.why("--region=job", "--slowest=1")["slowest"][0]["ns"], 8 * MS)
    equal(t.why("--region=job", "--slowest=0")["slowest"], [])


@case
def tasks_threads_and_goroutines_can_be_asked_for():
    t = Threads(a=1, b=1)
    t.at(1).begin("a", "one", 5)
    t.at(2).begin("a", "two", 5)  # within the first: its time is there already
    t.at(3).end("a", "two", 5)
    t.at(4).end("a", "one", 5)
    t.at(4).begin("b", "three", 5)
    t.at(7).end("b", "three", 5)
    t.at(8).begin("b", "three", 6)
    answer = t.why("--task=5")
    adds_up(answer)
    equal([(i["name"], ms(i)) for i in answer["slowest"]], [("one", 3), ("three", 3)])
    for option in ("--thread=2", "--goroutine=2"):
        answer = t.why(option)
        adds_up(answer)
        equal([(i["name"], i["goroutine"], i["thread"]) for i in answer["slowest"]], [("b", 2, 2)])


@case
def the_answer_is_the_same_for_people():
    out = stele("why", "--region=request", convoy().write()).stdout
    check(max(map(len, out.splitlines())) <= 100, "wider than 100 columns")
    for line in ("1 region request, 19.0 ms", "lock queue_lock, held by b (thread 2)",
                 "taken at drop (a.c:30)", "given up at drop (a.c:40)",
                 "meanwhile: system call write", "lock queue_lock was given up, and not yet got"):
        check(line in out, f"{line}: {out}")
    out = stele("report", "t.trace").stdout
    check("LOCKS" in out and "while a had it, from fill (a.c:10)" in out, out)


@case
def what_is_not_there_is_named():
    t = convoy()
    got = stele("why", "--region=other", t.write(), status=1)
    check("no region 'other'" in got.stderr and "'request'" in got.stderr, got.stderr)
    for option, word in (("--task=9", "task 9"), ("--thread=77", "thread 77"),
                         ("--goroutine=77", "goroutine 77")):
        got = stele("why", option, "t.trace", status=1)
        check(word in got.stderr, got.stderr)
    for options in ([], ["--task=x"], ["--task=1", "--thread=1"], ["--slowest=x", "--task=1"]):
        got = stele("why", *options, "t.trace", status=2)
        check("see 'stele why --help'" in got.stderr, got.stderr)


@case
def a_window_keeps_the_locks():
    t = convoy()
    t.at(30).begin("a", "end")
    stele("cut", "-f", "--from", "3ms", "-o", "cut.trace", t.write())
    lock, = json.loads(stele("report", "--json", "cut.trace").stdout)["locks"]["top"]
    equal((lock["lock"], lock["count"]), ("queue_lock", 1))
    equal(sorted((h["thread"], ms(h)) for h in lock["holders"]), [("a", 6), ("b", 5)])


@case
def broken_details_cost_only_themselves():
    lines = list(convoy().lines())
    at = next(i for i, line in enumerate(lines) if line.startswith('\tdata="\\x44'))
    lines[at] = '\tdata="\\x44\\x0a\\x00\\xff"'
    (PLACE / "b.txt").write_text("\n".join(lines) + "\n")
    stele("assemble", "--sizes", "-f", "-o", "b.trace", "b.txt")
    answer = json.loads(stele("why", "--json", "--region=request", "b.trace").stdout)
    adds_up(answer)
    # What a's releases told is gone; who had the lock at first is known from who waited.
    equal(answer["slowest"][0]["rows"][0]["who"], "b")


run()
