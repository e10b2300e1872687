# SPDX-License-Identifier: MIT
"""Changes one thing of a valid trace: an argument, the order of two events, an entry of a table."""
from tracebytes import NONE, SPECS, TIMED, Event, put

SMALL = [0, 1, 2, 3, 4, 5, 7, 63, 127, 128, 255, 256, 1000, 2 ** 32, 2 ** 63 - 1, 2 ** 63, NONE]


def pick(rng, trace):
    batch = rng.choice(trace.streams())
    return batch, rng.randrange(len(batch.events))


def values_of(trace, kind):
    """What stands elsewhere in the trace for this kind of argument."""
    found = set()
    for batch in trace.streams():
        for event in batch.events:
            for (k, _), value in zip(SPECS[event.type][2], event.args):
                if k == kind:
                    found.add(value)
    return sorted(found)


def another(rng, trace, kind, old):
    choice = rng.randrange(4)
    if choice == 0:
        return (old + rng.choice([-2, -1, 1, 2])) & NONE
    if choice == 1:
        return rng.choice(SMALL)
    return rng.choice(values_of(trace, kind) or [0])


def argument(rng, trace):
    for _ in range(50):
        batch, i = pick(rng, trace)
        event = batch.events[i]
        if event.args:
            k = rng.randrange(len(event.args))
            event.args[k] = another(rng, trace, SPECS[event.type][2][k][0], event.args[k])
            return


def neighbours(rng, trace):
    batch, i = pick(rng, trace)
    if i + 1 < len(batch.events):
        batch.events[i:i + 2] = [batch.events[i + 1], batch.events[i]]


def delete(rng, trace):
    batch, i = pick(rng, trace)
    del batch.events[i]


def duplicate(rng, trace):
    batch, i = pick(rng, trace)
    batch.events.insert(rng.randrange(len(batch.events) + 1), batch.events[i].copy())


def move(rng, trace):
    """To another place, often of another thread."""
    batch, i = pick(rng, trace)
    event = batch.events.pop(i)
    target = rng.choice([b for b in trace.batches() if b.events is not None])
    target.events.insert(rng.randrange(len(target.events) + 1), event)


def exchange(rng, trace):
    a, i = pick(rng, trace)
    b, k = pick(rng, trace)
    a.events[i], b.events[k] = b.events[k], a.events[i]


def retype(rng, trace):
    batch, i = pick(rng, trace)
    event = batch.events[i]
    same = [t for t in TIMED if len(SPECS[t][2]) == len(event.args)]
    event.type = rng.choice(same)


def insert(rng, trace):
    batch, i = pick(rng, trace)
    type = rng.choice(sorted(TIMED))
    args = [rng.choice(values_of(trace, kind) or SMALL) for kind, _ in SPECS[type][2]]
    batch.events.insert(i, Event(type, 1, args))


def delay(rng, trace):
    batch, i = pick(rng, trace)
    batch.events[i].dt = rng.choice([0, 1, 1000, 10 ** 6, 2 ** 57, NONE])


def still(rng, trace):
    """All clocks stand: order must come from state and numbers alone."""
    for batch in trace.streams():
        batch.time = 1
        for event in batch.events:
            event.dt = 0
    argument(rng, trace)


def header(rng, trace):
    batch = rng.choice(trace.batches())
    field = rng.choice(["gen", "m", "time"])
    old = getattr(batch, field)
    setattr(batch, field, rng.choice([old + 1, abs(old - 1), 0, NONE, rng.choice(SMALL)]))


def shuffle(rng, trace):
    places = [i for i, item in enumerate(trace.items) if not isinstance(item, bytes)]
    a, b = rng.choice(places), rng.choice(places)
    trace.items[a], trace.items[b] = trace.items[b], trace.items[a]


def drop(rng, trace):
    del trace.items[rng.randrange(len(trace.items))]


def repeat(rng, trace):
    trace.items.insert(rng.randrange(len(trace.items) + 1), rng.choice(trace.items))


def table(rng, trace):
    """A byte of a table, of the clock or of the samples."""
    batch = rng.choice(trace.batches())
    if batch.events is None and batch.payload:
        at = rng.randrange(len(batch.payload))
        new = rng.choice([rng.randrange(128), batch.payload[at] ^ 1])
        batch.payload = batch.payload[:at] + bytes([new]) + batch.payload[at + 1:]


def samples(rng, trace):
    batch = rng.choice(trace.batches())
    time = batch.time + rng.randrange(1000)
    new = batch.copy()
    new.events = None
    new.payload = b"\x06\x07" + put(time) + put(batch.m) + put(0) + put(1) + put(0)
    trace.items.insert(rng.randrange(len(trace.items) + 1), new)


def version(rng, trace):
    trace.version = rng.choice([22, 23, 25, 26])


EVENT_MUTATIONS = [argument] * 8 + [neighbours, delete, duplicate, move, exchange, retype, insert,
                                    delay, still]
TRACE_MUTATIONS = [header, shuffle, drop, repeat, table, table, samples, version]


def mutate(rng, trace):
    """A changed copy and what was done to it."""
    mutant = trace.copy()
    mutation = rng.choice(EVENT_MUTATIONS * 2 + TRACE_MUTATIONS)
    mutation(rng, mutant)
    return mutant, mutation.__name__
