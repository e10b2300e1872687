#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The bytes of a file as the inside of a C array.

usage: embed.py FILE OUT [PART...]

A line '/*@include NAME@*/' in FILE stands for the PART with that file name.
"""
import pathlib
import sys


def main(source, out, *parts):
    data = pathlib.Path(source).read_bytes()
    for part in map(pathlib.Path, parts):
        mark = f"/*@include {part.name}@*/\n".encode()
        if mark not in data:
            sys.exit(f"{source} does not include {part.name}")
        data = data.replace(mark, part.read_bytes())
    lines = (", ".join(map(str, data[i:i + 24])) for i in range(0, len(data), 24))
    pathlib.Path(out).write_text(",\n".join(lines) + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
