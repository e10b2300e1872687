# SPDX-License-Identifier: MIT
"""Protocol buffers on the wire, read without their definitions."""


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError(f"number too long at {at}")


def fields(data):
    """(field number, value) in order: an int, or bytes for strings and messages."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 1:
            value, at = int.from_bytes(data[at:at + 8], "little"), at + 8
        elif kind == 2:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
            if len(value) != size:
                raise ValueError(f"field {number} goes beyond the end")
        elif kind == 5:
            value, at = int.from_bytes(data[at:at + 4], "little"), at + 4
        else:
            raise ValueError(f"wire type {kind} at {at}")
        yield number, value


def message(data):
    """Field number -> list of its values."""
    out = {}
    for number, value in fields(data):
        out.setdefault(number, []).append(value)
    return out


def signed(value):
    return value - (1 << 64) if value >> 63 else value


def numbers(values):
    """A repeated integer field, packed or not."""
    for value in values:
        if isinstance(value, int):
            yield signed(value)
            continue
        at = 0
        while at < len(value):
            number, at = varint(value, at)
            yield signed(number)
