# SPDX-License-Identifier: MIT
"""Two readers' dumps of one trace, a line an event, compared.

Readers choose an order among events of different threads that have the same tick, and tell them a
nanosecond apart. So what is the same is the sequence of events of each thread and of transitions of
each resource, and times but for a microsecond and for as many nanoseconds as a tick has events.
"""
import collections
import re

SLACK_NS = 1000
TIME = re.compile(r" t=(\d+)")


class Dump:
    def __init__(self, text):
        self.sequences = collections.defaultdict(list)
        self.longest = length = 1
        self.count = last = 0
        for line in text.splitlines():
            found = TIME.search(line)
            if not found:
                continue
            time = int(found[1])
            assert time >= last, f"time goes back: {line}"
            length = length + 1 if time - last <= 1 else 1
            self.longest, last = max(self.longest, length), time
            self.count += 1
            event = (line.replace(found[0], "", 1), time)
            fields = dict(re.findall(r" (m|res)=(\S+)", line))
            self.sequences["thread " + fields.get("m", "-")].append(event)
            if line.startswith("StateTransition") and "res" in fields:
                self.sequences["resource " + fields["res"]].append(event)


def differences(theirs, mine):
    """At most one for each sequence, as text."""
    want, got = Dump(theirs), Dump(mine)
    slack = SLACK_NS + max(want.longest, got.longest)
    for key in sorted(set(want.sequences) | set(got.sequences)):
        x, y = want.sequences.get(key, []), got.sequences.get(key, [])
        if len(x) != len(y):
            yield f"{key}: {len(x)} events against {len(y)}"
        for (text, time), (other, at) in zip(x, y):
            if text != other or abs(time - at) > slack:
                yield f"{key}: {time} {text} against {at} {other}"
                break
