#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The names of the system calls that a compiler's target has, by number: the inside of a C array.

usage: syscalls.py OUT CC [ARGUMENT...]
"""
import pathlib
import re
import subprocess
import sys


def main(out, *compiler):
    done = subprocess.run([*compiler, "-dM", "-E", "-x", "c", "-"], capture_output=True, text=True,
                          input="#include <sys/syscall.h>\n", check=True)
    numbers = dict(re.findall(r"^#define (__NR_\w+) (\d+)$", done.stdout, re.M))
    calls = {int(numbers[number]): name for name, number in
             re.findall(r"^#define SYS_(\w+) (__NR_\w+)$", done.stdout, re.M) if number in numbers}
    if len(calls) < 200:
        sys.exit(f"{compiler[0]} knows only {len(calls)} system calls")
    pathlib.Path(out).write_text("".join(f'[{number}] = "{name}",\n'
                                         for number, name in sorted(calls.items())))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
