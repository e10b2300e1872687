#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The checker of layers finds what it is for: each seeded violation, and nothing else."""
import os
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tools")]
import check_layers  # noqa: E402
from tap import case, check, equal, run  # noqa: E402


def found(files, table=None):
    with tempfile.TemporaryDirectory() as name:
        for path, text in files.items():
            target = pathlib.Path(name, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        return list(check_layers.violations(name, table or check_layers.ALLOWED))


BASE = {"src/base/compiler.h": "", "src/format/spec.h": "", "src/record/ring.h": "",
        "include/stele/trace.h": "", "include/stele/read.h": ""}


@case
def layers_accept_the_tree():
    equal(list(check_layers.violations(ROOT, check_layers.ALLOWED)), [])


@case
def layers_accept_what_the_table_allows():
    text = ('#include "base/compiler.h"\n#include "ring.h"\n'
            '#include "stele/trace.h"\n#include <stdio.h>\n')
    equal(found({**BASE, "src/record/ring.c": text}), [])


@case
def layers_refuse_writer_that_sees_format():
    lines = found({**BASE, "src/record/ring.c": '\n#include "format/spec.h"\n'})
    equal(lines, ['src/record/ring.c:2: "format/spec.h": src/record may not see src/format'])


@case
def layers_refuse_angle_brackets_too():
    equal(len(found({**BASE, "src/read/merge.c": "#include <record/ring.h>\n"})), 1)


@case
def layers_know_the_sys_of_libc_from_ours():
    equal(found({**BASE, "src/sys/sys.h": "", "src/read/map.c": "#include <sys/mman.h>\n"}), [])
    equal(len(found({**BASE, "src/sys/sys.h": "", "src/read/map.c": '#include "sys/sys.h"\n'})), 1)


@case
def layers_refuse_relative_path():
    equal(len(found({**BASE, "src/read/merge.c": '#include "../record/ring.h"\n'})), 1)


@case
def layers_refuse_generated_header_of_another_folder():
    equal(len(found({**BASE, "src/arena/layout.h": "",
                     "src/read/merge.c": '#include "arena/fingerprint.h"\n'})), 1)


@case
def layers_refuse_public_header_of_the_reader_in_the_writer():
    equal(len(found({**BASE, "src/record/ring.c": '#include "stele/read.h"\n'})), 1)


@case
def layers_refuse_unknown_folder():
    equal(len(found({**BASE, "src/misc/all.c": '#include "base/compiler.h"\n'})), 1)


@case
def layers_table_has_no_cycle():
    equal(check_layers.cycle(check_layers.ALLOWED), None)


@case
def layers_cycle_is_found():
    loop = check_layers.cycle({"a": {"b"}, "b": {"c"}, "c": {"b", "pub:trace"}})
    equal(loop, ["b", "c", "b"])


@case
def layers_table_names_every_folder():
    for entry in os.scandir(ROOT / "src"):
        if entry.is_dir():
            check(f"src/{entry.name}" in check_layers.ALLOWED, f"src/{entry.name} has no row")


run()
