# SPDX-License-Identifier: MIT
"""A trace as Python data, and back: for tests that change one thing and ask what readers say."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
NONE = 2 ** 64 - 1


def load_specs():
    """{number: (name, shape, [(kind, argument name)])} of format/events.def."""
    text = (ROOT / "src" / "format" / "events.def").read_text()
    specs = {}
    for number, name, shape, rest in re.findall(
            r'^X\((\d+), \w+, "(\w+)", \d+, (\w+), \w+,\s*(ARGS\d\(.*?\))\)$', text,
            re.M | re.S):
        specs[int(number)] = (name, shape, re.findall(r'A\((\w+), "(\w+)"\)', rest))
    return specs


SPECS = load_specs()
TIMED = {n for n, (_, shape, _) in SPECS.items() if shape != "STRUCTURAL"}


def put(v):
    v &= NONE
    out = bytearray()
    while v >= 0x80:
        out.append(v & 0x7f | 0x80)
        v >>= 7
    out.append(v)
    return bytes(out)


def get(data, at):
    v = shift = 0
    while True:
        byte = data[at]
        v |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return v & NONE, at


class Event:
    """A timed event: type, dt, arguments."""

    def __init__(self, type, dt, args):
        self.type, self.dt, self.args = type, dt, args

    def encode(self):
        return bytes([self.type]) + put(self.dt) + b"".join(put(a) for a in self.args)

    def copy(self):
        return Event(self.type, self.dt, list(self.args))


class Batch:
    """A batch: header fields, and either events or a payload of bytes. exp: None, or a number."""

    def __init__(self, gen, m, time, exp=None):
        self.gen, self.m, self.time, self.exp = gen, m, time, exp
        self.events, self.payload = None, b""

    def encode(self):
        payload = self.payload
        if self.events is not None:
            payload = b"".join(e.encode() for e in self.events)
        head = b"\x01" if self.exp is None else bytes([0x31, self.exp])
        return head + put(self.gen) + put(self.m) + put(self.time) + put(len(payload)) + payload

    def copy(self):
        b = Batch(self.gen, self.m, self.time, self.exp)
        b.payload = self.payload
        if self.events is not None:
            b.events = [e.copy() for e in self.events]
        return b


def decode_events(payload):
    events, at = [], 0
    while at < len(payload):
        type = payload[at]
        if type not in TIMED:
            return None
        values, at = [], at + 1
        for _ in range(1 + len(SPECS[type][2])):
            value, at = get(payload, at)
            values.append(value)
        events.append(Event(type, values[0], values[1:]))
    return events


class Trace:
    """Header version and items: batches, and b"\\x34" where a generation ends."""

    def __init__(self, version, items):
        self.version, self.items = version, items

    @classmethod
    def decode(cls, data):
        items, at = [], 16
        while at < len(data):
            kind, at = data[at], at + 1
            if kind == 0x34:
                items.append(b"\x34")
                continue
            exp = None
            if kind == 0x31:
                exp, at = data[at], at + 1
            fields = []
            for _ in range(4):
                value, at = get(data, at)
                fields.append(value)
            batch = Batch(fields[0], fields[1], fields[2], exp)
            batch.payload = data[at:at + fields[3]]
            at += fields[3]
            if exp is None and batch.payload and batch.payload[0] in TIMED:
                batch.events = decode_events(batch.payload)
            items.append(batch)
        return cls(int(data[5:7]), items)

    def encode(self):
        out = b"go 1.%02d trace\0\0\0" % self.version
        return out + b"".join(i if isinstance(i, bytes) else i.encode() for i in self.items)

    def copy(self):
        return Trace(self.version, [i if isinstance(i, bytes) else i.copy() for i in self.items])

    def batches(self):
        return [i for i in self.items if not isinstance(i, bytes)]

    def streams(self):
        """The batches of timed events."""
        return [b for b in self.batches() if b.events]


def convert(trace, version):
    """A trace with header 26 under another header."""
    other = trace.copy()
    other.version = version
    other.items = [i for i in other.items if i != b"\x34"]
    if version < 25:
        for batch in other.batches():
            if batch.payload[:2] == b"\x32\x08":
                batch.payload = batch.payload[1:batch.payload.index(b"\x33", 2)]
    return other
