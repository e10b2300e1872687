# SPDX-License-Identifier: MIT
"""The life of memory as a trace tells it: an alloc of what is alive, or a free of what is not, is
a broken pair."""
import collections
import re

EVENT = re.compile(rb"Experimental (Span|HeapObject|GoroutineStack)(Alloc|Free|) id=(\d+)")


class Pairs:
    """Counts of events by name ("HeapObjectAlloc", …), "broken alloc" and "broken free"."""

    def __init__(self, lines):
        self.counts = collections.Counter()
        self.alive = set()
        for line in lines:
            match = EVENT.search(line)
            if match:
                self.add(*match.groups())

    def add(self, family, what, address):
        key = (family, address)
        self.counts[(family + what).decode()] += 1
        if what == b"Free":
            self.counts["broken free"] += key not in self.alive
            self.alive.discard(key)
        else:
            self.counts["broken alloc"] += key in self.alive
            self.alive.add(key)

    def broken(self):
        return self.counts["broken alloc"], self.counts["broken free"]
