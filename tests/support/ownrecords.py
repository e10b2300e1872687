# SPDX-License-Identifier: MIT
"""Bytes of Stele's own data, for traces that tests make: docs/format.md, section 6."""


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def numbers(*values):
    return b"".join(map(varint, values))


def text(data):
    return varint(len(data)) + data


def record(tag, data):
    return varint(tag) + text(data)


def quoted(payload):
    """As the text form has it."""
    return '\tdata="' + "".join(f"\\x{byte:02x}" for byte in payload) + '"'
