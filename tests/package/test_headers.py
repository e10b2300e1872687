#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each public header compiles alone, twice, in C and C++, with gcc and clang, without a warning."""
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from tap import Skip, case, check, run  # noqa: E402

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wundef", "-Werror"]
LANGUAGES = [("c", "c99"), ("c", "c11"), ("c++", "c++17")]


def compiler(family, language):
    name = {"gcc": {"c": "gcc", "c++": "g++"}, "clang": {"c": "clang", "c++": "clang++"}}
    program = shutil.which(name[family][language])
    if not program:
        raise Skip(f"{name[family][language]} is not installed")
    return program


def define(header, family, language, standard):
    def test():
        source = f'#include "stele/{header.name}"\n' * 2 + "int main(void) { return 0; }\n"
        done = subprocess.run([compiler(family, language), "-x", language, f"-std={standard}",
                               *WARNINGS, "-I", str(ROOT / "include"), "-fsyntax-only", "-"],
                              input=source, capture_output=True, text=True, check=False)
        check(done.returncode == 0, done.stderr)
    test.__name__ = f"{header.stem}_compiles_alone_as_{standard}_with_{family}"
    case(test)


for path in sorted((ROOT / "include" / "stele").glob("*.h")):
    for fam in ("gcc", "clang"):
        for lang, std in LANGUAGES:
            define(path, fam, lang, std)
run()
