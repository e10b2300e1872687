#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run each fuzz target for some seconds, from the corpus in the tree.

usage: fuzz.py SECONDS [TARGET…]

New inputs are kept in build-fuzz/corpus/TARGET; a finding ends with the command that replays it.
"""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build-fuzz"
CORPUS = ROOT / "tests" / "fuzz" / "corpus"


def targets(chosen):
    found = sorted(p for p in (BUILD / "tests" / "fuzz").glob("fuzz_*")
                   if p.is_file() and not p.suffix)
    if not found:
        sys.exit("fuzz.py: the build has no fuzz targets")
    return [p for p in found if not chosen or p.name.removeprefix("fuzz_") in chosen]


def fuzz(program, seconds):
    name = program.name.removeprefix("fuzz_")
    grown = BUILD / "corpus" / name
    grown.mkdir(parents=True, exist_ok=True)
    folder = CORPUS / ("reader" if name in ("answers", "surgery") else name)
    seeds = [str(folder)] if folder.is_dir() else []
    print(f"== {name}, {seconds} s", flush=True)
    command = [str(program), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
               "-print_final_stats=1", f"-artifact_prefix={BUILD}/{name}-", str(grown), *seeds]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    lines = done.stderr.splitlines()
    if done.returncode:
        print("\n".join(lines[-60:]))
        return False
    print("\n".join(line for line in lines if line.startswith("stat::")))
    return True


def main(args):
    if not args or not args[0].isdigit():
        sys.exit(__doc__.strip())
    if not (BUILD / "build.ninja").exists():
        subprocess.check_call(["meson", "setup", "build-fuzz", "--native-file",
                               "native/fuzz.ini"], cwd=ROOT)
    subprocess.check_call(["ninja", "-C", BUILD, "--quiet"])
    results = [fuzz(program, int(args[0])) for program in targets(args[1:])]
    print(f"{results.count(True)} targets without a finding, {results.count(False)} with one")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
