#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The rules of style that a machine can check.

usage: tidy.py [ROOT]           one line per violation on stdout; exit status 1 if any
       tidy.py --check-format   what clang-format-14 would lay out differently; 77 if it is absent
       tidy.py --format         lay it out
       tidy.py --check-shell    what shellcheck says of the scripts; 77 if it is absent
"""
import collections
import pathlib
import re
import shutil
import subprocess
import sys

FILE_LINES_MAX = 1000
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100

C = {".c", ".h", ".def", ".S", ".cc"}
SCRIPT = {".py", ".sh", ".go"}
BUILD = {"meson.build", "meson_options.txt", "Makefile", "run"}
PROSE = {".md", ".ini", ".map"}
# A file that must name what it forbids.
EXEMPT = {"tools/tidy.py", "tests/package/test_tidy.py"}

# (rule, which files, pattern that must not occur, why)
PATTERNS = [
    ("unfinished", C | SCRIPT | BUILD | PROSE,
     r"\b(TODO|FIXME|XXX|HACK)\b|\bnot implemented\b", "unfinished by its own word"),
    ("place", C | SCRIPT | BUILD | PROSE, r"(?<![\w.])/(work|root|farm)/", "a path of one machine"),
    ("typedef", C, r"^\s*typedef\s+(struct|union)\b", "structs keep their tag, without typedef"),
    ("unsafe", C, r"\b(alloca|strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi)\s*\(",
     "unbounded or stateful; there is a bounded form"),
    ("fence", C, r"\b(atomic_thread_fence|__atomic_thread_fence|__sync_synchronize)\b",
     "ThreadSanitizer does not understand fences: name an order at an access"),
    ("assert", C, r"#\s*include\s*<assert\.h>", "STELE_ASSERT, which does not call stdio"),
    ("reserved", C, r"^\s*#\s*define\s+_[A-Z_]\w*_H\b", "names with a leading _ are the compiler's"),
    ("trailing", C | SCRIPT | BUILD | PROSE, r"[ \t\r]+$", "trailing white space"),
]


def kind(path):
    return path.name if path.name in BUILD else path.suffix


def files(root):
    """What belongs to the project: what git tracks or would track, else everything but builds."""
    if (root / ".git").exists() and shutil.which("git"):
        out = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"],
                             capture_output=True, check=False)
        if out.returncode == 0:
            names = [n for n in out.stdout.decode().split("\0") if n]
            return sorted(p for p in (root / n for n in names) if p.is_file())
    return sorted(p for p in root.rglob("*") if p.is_file()
                  and not any(part.startswith("build") for part in p.relative_to(root).parts))


def check_patterns(path, lines):
    for rule, kinds, pattern, why in PATTERNS:
        if kind(path) not in kinds:
            continue
        for number, line in enumerate(lines, 1):
            if re.search(pattern, line):
                yield number, rule, why


def check_lines(path, lines):
    if kind(path) in C | SCRIPT | BUILD and len(lines) > FILE_LINES_MAX:
        yield len(lines), "file-size", f"more than {FILE_LINES_MAX} lines: more than one idea"
    if kind(path) in C | SCRIPT:
        for number, line in enumerate(lines, 1):
            if len(line.expandtabs(8)) > COLUMNS_MAX:
                yield number, "columns", f"wider than {COLUMNS_MAX} columns"


def check_spdx(path, lines):
    if kind(path) in C | SCRIPT | BUILD | {".ini", ".map"} or path.suffix == ".1":
        if not any("SPDX-License-Identifier: MIT" in line for line in lines[:2]):
            yield 1, "spdx", "no SPDX line at the top"


def functions(lines):
    """(first line, lines) of each function body: kernel braces put its own in column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start:
            yield start, lines[start:number - 1]
            start = None


def check_functions(path, lines):
    if path.suffix not in {".c", ".h", ".cc"}:
        return
    for start, body in functions(lines):
        if len(body) > FUNCTION_LINES_MAX:
            yield start, "function-size", f"{len(body)} lines, more than {FUNCTION_LINES_MAX}"
        labels = {}
        for number, line in enumerate(body, start + 1):
            label = re.match(r"^\s*([a-z_]\w*):\s*(/\*.*)?$", line)
            if label and label.group(1) != "default":
                labels[label.group(1)] = number
            jump = re.search(r"\bgoto\s+(\w+)\s*;", line)
            if jump and jump.group(1) in labels:
                yield number, "goto", "goto jumps backward: write the loop"


def check_file(root, path):
    if path.relative_to(root).as_posix() in EXEMPT:
        return
    if kind(path) not in C | SCRIPT | BUILD | PROSE:
        return
    text = path.read_text(errors="replace")
    lines = text.splitlines()
    if text and not text.endswith("\n"):
        yield len(lines), "newline", "no newline at the end"
    for check in (check_patterns, check_lines, check_spdx, check_functions):
        yield from check(path, lines)


def check_names(root, paths):
    """Base names are unique, so that a file can be spoken of by its name."""
    seen = collections.defaultdict(list)
    for path in paths:
        if path.suffix in C:
            seen[path.name].append(path.relative_to(root))
            if path.stem != path.stem.lower():
                yield path.relative_to(root), "lower-case", "file names are lower-case"
    for same in seen.values():
        for path in same[1:]:
            yield path, "unique-name", f"has the name of {same[0]}"


def violations(root):
    root = pathlib.Path(root).resolve()
    paths = files(root)
    for path in paths:
        for number, rule, why in check_file(root, path):
            yield f"{path.relative_to(root)}:{number}: {rule}: {why}"
    for path, rule, why in check_names(root, paths):
        yield f"{path}:1: {rule}: {why}"


def clang_format(root, *options):
    program = shutil.which("clang-format-14")
    if not program:
        print("clang-format-14 is not installed")
        return 77
    paths = [str(p) for p in files(root) if p.suffix in {".c", ".h", ".cc"}]
    return subprocess.call([program, "--style=file", *options, *paths]) and 1


def shellcheck(root):
    program = shutil.which("shellcheck")
    if not program:
        print("shellcheck is not installed")
        return 77
    paths = [str(p) for p in files(root) if kind(p) in {".sh", "run"}]
    return subprocess.call([program, *paths]) and 1


def main(args):
    root = pathlib.Path(__file__).resolve().parent.parent
    if args == ["--format"]:
        return clang_format(root, "-i")
    if args == ["--check-format"]:
        return clang_format(root, "--dry-run", "-Werror")
    if args == ["--check-shell"]:
        return shellcheck(root)
    if len(args) > 1 or (args and args[0].startswith("-")):
        sys.exit(__doc__.strip())
    lines = list(violations(args[0] if args else root))
    for line in lines:
        print(line)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
