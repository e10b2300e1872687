#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fail when a source file includes a project header that its folder may not see.

usage: check_layers.py ROOT     (one line per violation on stdout; exit status 1 if any)

The table is the architecture: files in KEY may include headers from KEY itself and from the
folders named; 'pub:NAME' is include/stele/NAME.h, 'pub:*' any of them. A folder of src/ that is
not in the table is a violation too.
"""
import pathlib
import re
import sys

RUNTIME = {"pub:version", "pub:trace", "pub:runtime"}
ALLOWED = {
    "include": {"pub:*"},
    "src/base": {"pub:version"},
    "src/sys": {"src/base"},
    "src/format": {"src/base"},
    "src/arena": {"src/base", "src/sys"},
    "src/unwind": {"src/base", "src/sys"},
    "src/record": {"src/base", "src/sys", "src/arena", "src/unwind"} | RUNTIME,
    "src/drain": {"src/base", "src/sys", "src/format", "src/arena"},
    "src/embed": {"src/base", "src/sys", "src/arena", "src/record", "src/drain", "pub:runtime",
                  "pub:stele", "pub:trace", "pub:version"},
    "src/fiber": {"src/base", "src/sys", "pub:fiber"} | RUNTIME,
    "src/supervise": {"src/base", "src/sys", "src/format", "src/arena", "src/drain", "src/surgery",
                      "pub:version", "pub:read"},
    "src/read": {"src/base", "src/format", "pub:version", "pub:read"},
    "src/analyze": {"src/base", "pub:read", "pub:analyze"},
    "src/preload": {"src/base", "src/sys"} | RUNTIME,
    "src/surgery": {"src/base", "src/format", "src/analyze", "pub:read"},
    "src/export": {"src/base", "src/analyze", "pub:read", "pub:analyze"},
    "src/cli": {"src/base", "src/format", "src/supervise", "src/export",
                "src/surgery", "pub:*"},
}
SUFFIXES = {".c", ".h", ".def", ".S"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)


def cycle(table):
    """The folders of a cycle in the table, or None."""
    done = set()

    def visit(node, path):
        if node in path:
            return path[path.index(node):] + [node]
        if node in done:
            return None
        for target in sorted(table.get(node, ())):
            found = None if target.startswith("pub:") else visit(target, path + [node])
            if found:
                return found
        done.add(node)
        return None

    for node in table:
        found = visit(node, [])
        if found:
            return found
    return None


def owner(root, including, name, quoted):
    """The table's name for the header that an include line reaches; None if it is not ours."""
    for base in (including.parent, root / "src", root / "include"):
        path = (base / name).resolve()
        if path.is_file() and path.is_relative_to(root):
            parts = path.relative_to(root).parts
            return "pub:" + path.stem if parts[0] == "include" else "/".join(parts[:2])
    # Generated headers lie in the build directory under their folder's name; <sys/…> is libc's.
    if not quoted:
        return None
    top = name.split("/")[0]
    return f"src/{top}" if "/" in name and (root / "src" / top).is_dir() else None


def sources(root):
    for top in ("include", "src"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in SUFFIXES:
                parts = path.relative_to(root).parts
                yield path, top if top == "include" else "/".join(parts[:2])


def reason(table, folder, target):
    """Why folder may not include target; None if it may."""
    if folder not in table:
        return f"{folder} is not in the table of layers"
    may = table[folder]
    if target == folder or target in may or (target.startswith("pub:") and "pub:*" in may):
        return None
    return f"{folder} may not see {target}"


def violations(root, table):
    root = pathlib.Path(root).resolve()
    for path, folder in sources(root):
        text = path.read_text()
        for match in INCLUDE.finditer(text):
            name = match.group(2)
            target = owner(root, path, name, match.group(1) == '"')
            why = reason(table, folder, target) if target else None
            if why:
                line = text.count("\n", 0, match.start(2)) + 1
                yield f'{path.relative_to(root)}:{line}: "{name}": {why}'


def main(args):
    if len(args) != 1:
        sys.exit(__doc__.strip())
    found = cycle(ALLOWED)
    if found:
        sys.exit("the table of layers has a cycle: " + " -> ".join(found))
    lines = list(violations(args[0], ALLOWED))
    for line in lines:
        print(line)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
