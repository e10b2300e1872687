#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the manual pages from what the program says of itself.

usage: man.py STELE OUT.1     OUT is stele or stele-COMMAND

The help of a command is blocks between blank lines: 'usage: …', prose, and sections that begin
with 'name:'. A section's indented lines are entries ('  TAG  text', continued deeper), prose
without such a gap, or, under 'examples:', commands.
"""
import pathlib
import re
import subprocess
import sys

SECTION = re.compile(r"^([a-z][a-z ]*):\s*(.*)$")
ENTRY = re.compile(r"^( {2,10})(\S.*?)(?:  +(\S.*))?$")


def escape(text):
    """As roff shows it: hyphens that can be searched for, no accidental requests."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text


def blocks(text):
    block = []
    for line in text.splitlines() + [""]:
        if line.strip():
            block.append(line)
        elif block:
            yield block
            block = []


def commands(lines):
    out = [".nf"]
    out += [escape(line.strip()) for line in lines]
    return out + [".fi"]


def entries(lines):
    """Indented lines of a section: tagged paragraphs, with what is deeper as their text."""
    out, indent, last = [], None, None
    for line in lines:
        match = ENTRY.match(line)
        depth = len(line) - len(line.lstrip())
        if match and match.group(3) and (indent is None or depth <= indent + 4):
            indent = depth if indent is None else indent
            out += [".TP", f".B {escape(match.group(2))}", escape(match.group(3))]
        elif match and indent is not None and depth <= indent + 4:
            # A tag too long for its column, or prose after the entries.
            out += [".TP", f".B {escape(line.strip())}"] if line.lstrip().startswith("-") else \
                   [".PP", escape(line.strip())]
        else:
            # A list inside an entry keeps its lines.
            inner = indent is not None and re.search(r"\S  +\S", line)
            if inner or (last is not None and depth > last and out):
                out.append(".br")
            out.append(re.sub(r"(?<=\S)  +", r"\\ \\ ", escape(line.strip())))
        last = None if out[-3:-2] == [".TP"] else depth
    return out


def section(block):
    match = SECTION.match(block[0])
    if not match:
        if all(line.startswith("  ") for line in block):
            return [".PP", *entries(block)]
        return [".PP", *(escape(line.strip()) for line in block)]
    out = [f".SH {match.group(1).upper()}"]
    if match.group(2):
        return out + [escape(match.group(2)), *(escape(line.strip()) for line in block[1:])]
    body = block[1:]
    return out + (commands(body) if match.group(1) == "examples" else entries(body))


def page(name, summary, version, text):
    """The page for a help text; name is as on the command line, with blanks."""
    first, *rest = list(blocks(text))
    title = name.replace(" ", "-")
    out = ['.\\" SPDX-License-Identifier: MIT',
           f'.TH {title.upper()} 1 "" "{version}" "Stele"',
           ".SH NAME", f"{escape(title)} \\- {escape(summary)}",
           ".SH SYNOPSIS"]
    usage = [re.sub(r"^usage:\s*", "", first[0]), *first[1:]]
    for number, line in enumerate(usage):
        out += ([".br"] if number else []) + [escape(line.strip())]
    out.append(".SH DESCRIPTION")
    for block in rest:
        out += section(block)
    return "\n".join(out) + "\n"


def say(*command):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True,
                          text=True).stdout


def summaries(text):
    """Command and its line, from the program's help."""
    return dict(re.findall(r"^  ([a-z]+) +(\S.*)$", text, re.M))


def make(stele, title):
    """The page called title: stele or stele-COMMAND."""
    version, top = say(stele, "--version").strip(), say(stele, "--help")
    if title == "stele":
        page_text = page("stele", "execution tracer for C programs", version, top)
        links = ", ".join(f".BR stele\\-{n} (1)" for n in sorted(summaries(top)))
    else:
        command = title.removeprefix("stele-")
        page_text = page(f"stele {command}", summaries(top)[command], version,
                         say(stele, command, "--help"))
        links = ".BR stele (1)"
    return page_text + ".SH SEE ALSO\n" + links.replace(", .BR", ",\n.BR") + "\n"


def main(args):
    if len(args) != 2:
        sys.exit(__doc__.strip())
    out = pathlib.Path(args[1])
    out.write_text(make(args[0], out.name.removesuffix(".1")))


if __name__ == "__main__":
    main(sys.argv[1:])
