#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A stripped program's trace gets the names that its debugging information has.

usage: test_symbolize.py BUILD
"""
import http.server
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("support", "oracle")]
import oracle  # noqa: E402
from tap import Skip, case, check, equal, run  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]).resolve()
STELE = BUILD / "stele"
SOURCE = ROOT / "tests" / "record" / "symbols.cc"
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "DEBUGINFOD_URLS"}
TOP = pathlib.Path(tempfile.mkdtemp(prefix="stele-symbolize-"))


def command(*arguments, status=0, **environment):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True,
                          env=ENVIRONMENT | environment, cwd=TOP, check=False)
    equal(done.returncode, status, f"{arguments[:3]}: {done.stdout[-300:]}{done.stderr[-300:]}")
    return done


def build_id(path):
    notes = command("readelf", "-n", path).stdout
    return re.search(r"Build ID: ([0-9a-f]+)", notes).group(1)


def prepare():
    """The program, whole and stripped, its debugging information filed by build-id, and traces."""
    for tool in ("g++", "objcopy", "strip", "readelf"):
        if not shutil.which(tool):
            raise Skip(f"{tool} is not installed")
    if (TOP / "stripped.trace").exists():
        return
    command("g++", "-O2", "-g", "-std=c++17", "-pthread", "-o", "whole", SOURCE)
    command("strip", "-o", "program", "whole")
    name = build_id("whole")
    debug = TOP / "debug" / ".build-id" / name[:2] / f"{name[2:]}.debug"
    debug.parent.mkdir(parents=True)
    command("objcopy", "--only-keep-debug", "whole", debug)
    command(STELE, "record", "--heap", "-o", "whole.trace", "--", "./whole")
    command(STELE, "record", "--heap", "-o", "stripped.trace", "--", "./program")


def frames(trace):
    """Function:line of all frames of the trace's tables."""
    text = command(STELE, "raw", trace).stdout
    strings = dict(re.findall(r'^String id=(\d+)\n\tdata="(.*)"$', text, re.M))
    return {(strings.get(func, ""), int(line))
            for func, line in re.findall(r"func=(\d+) file=\d+ line=(\d+)", text)}


def ours(names):
    return {f for f in names if re.search(r"shelf<|^hold$|^main$|lambda", f[0])}


def symbolized(*options, source="stripped.trace", **environment):
    out = TOP / "out.trace"
    out.unlink(missing_ok=True)
    done = command(STELE, "symbolize", "-o", out, *options, source, **environment)
    return out, done.stderr


def counts(trace):
    return command(STELE, "check", trace).stdout.split(" first=")[0]


@case
def names_are_those_of_the_unstripped_program():
    prepare()
    check(not ours(frames("stripped.trace")), "the stripped program has names")
    out, told = symbolized("--debug-dir", "debug")
    want, got = ours(frames("whole.trace")), ours(frames(out))
    check(any(f == "hold" for f, _ in got),
          f"the inlined function is missing: {got}")
    check(any(f.startswith("shelf<") and "::add" in f for f, _ in got), f"no template: {got}")
    check(len(want & got) >= len(want) * 3 // 4, f"{want - got} are missing")
    check("better names now" in told, told)
    equal(counts(out), counts("stripped.trace"), "what stele check counts")


@case
def nothing_but_names_has_changed():
    prepare()
    out, _ = symbolized("--debug-dir", "debug")

    def events(trace):
        text = command(STELE, "raw", trace).stdout
        return re.findall(r"^(?:Go|Proc|Heap|Span)\w+ .*", text, re.M)

    equal(events(out), events("stripped.trace"), "events")
    try:
        good, _, text = oracle.verdict(BUILD, out)
        check(good, f"Go's reader: {text}")
    except oracle.Unavailable as reason:
        print(f"# Go's reader was not asked: {reason}")


def recorded(program):
    command(STELE, "record", "--heap", "-f", "-o", f"{program}.trace", "--", f"./{program}")
    return ours(frames(f"{program}.trace"))


def compiled(name, *flags):
    command("g++", "-O2", "-g", "-std=c++17", "-pthread", "-o", name, SOURCE, *flags)


def linked(name, debug):
    """Stripped, with the name of the file that has its debugging information."""
    command("objcopy", "--only-keep-debug", "whole", debug)
    command("strip", "-o", name, "whole")
    command("objcopy", "--remove-section=.note.gnu.build-id", f"--add-gnu-debuglink={debug}", name)


def shared_with_another(name):
    """A part of it is in a file that it shares with another program (dwz -m)."""
    if not shutil.which("dwz"):
        raise Skip("dwz is not installed")
    compiled(name)
    compiled("other", "-DOTHER")
    command("dwz", "-m", TOP / "common.debug", "-M", TOP / "common.debug", name, "other")
    check("gnu_debugaltlink" in command("readelf", "-SW", name).stdout, "dwz shared nothing")


@case
def names_are_found_wherever_they_are_put():
    prepare()
    want = ours(frames("whole.trace"))
    (TOP / ".debug").mkdir()
    compiled("split", "-gsplit-dwarf")
    compiled("compressed", "-gz=zlib")
    compiled("dwarf4", "-gdwarf-4")
    linked("beside", "beside.debug")
    linked("below", "below.debug")
    (TOP / "below.debug").rename(TOP / ".debug" / "below.debug")
    for name in ("split", "compressed", "dwarf4", "beside", "below"):
        got = recorded(name)
        check(len(want & got) >= len(want) * 3 // 4, f"{name}: {want - got} are missing")


@case
def names_that_two_programs_share_are_found():
    prepare()
    shared_with_another("shared")
    want, got = ours(frames("whole.trace")), recorded("shared")
    check(len(want & got) >= len(want) * 3 // 4, f"{want - got} are missing")


@case
def the_program_itself_need_not_be_there():
    prepare()
    (TOP / "program").rename(TOP / "elsewhere")
    try:
        out, _ = symbolized("--debug-dir", "debug")
        check(ours(frames(out)), "no names without the program")
        out, told = symbolized()
        equal(frames(out), frames("stripped.trace"), "frames without any information")
        check("no debugging information" in told and "--debug-dir" in told, told)
    finally:
        (TOP / "elsewhere").rename(TOP / "program")


@case
def information_of_another_build_is_refused():
    prepare()
    name = build_id("whole")
    place = TOP / "wrong" / ".build-id" / name[:2]
    place.mkdir(parents=True)
    shutil.copy("/bin/true", place / f"{name[2:]}.debug")
    out, _ = symbolized("--debug-dir", "wrong")
    check(not ours(frames(out)), "names from a file of another build")


@case
def a_file_without_build_id_is_not_believed():
    prepare()
    command("g++", "-O2", "-g", "-std=c++17", "-pthread", "-Wl,--build-id=none", "-o", "bare",
            SOURCE)
    (TOP / "bare").rename(TOP / "bare.whole")
    command("strip", "-o", "bare", "bare.whole")
    command(STELE, "record", "-f", "-o", "bare.trace", "--", "./bare")
    (TOP / "bare.whole").rename(TOP / "bare")
    out, told = symbolized("--debug-dir", ".", source="bare.trace")
    check(not ours(frames(out)), "names from a file that may be any")
    check("no debugging information" in told, told)


@case
def servers_are_asked_only_if_they_are_named():
    prepare()
    if not pathlib.Path("/usr/lib/x86_64-linux-gnu/libdebuginfod.so.1").exists():
        raise Skip("libdebuginfod is not installed")
    asked = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            parts = self.path.split("/")
            path = TOP / "debug" / ".build-id" / parts[2][:2] / f"{parts[2][2:]}.debug"
            if parts[-1] != "debuginfo" or not path.exists():
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(path.stat().st_size))
            self.end_headers()
            self.wfile.write(path.read_bytes())

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        out, _ = symbolized()
        check(not asked and not ours(frames(out)), f"asked without being told to: {asked}")
        out, _ = symbolized(DEBUGINFOD_URLS=f"http://127.0.0.1:{server.server_port}",
                            DEBUGINFOD_CACHE_PATH=str(TOP / "cache"))
        check(asked and ours(frames(out)), f"no names from the server, asked for {asked}")
    finally:
        server.shutdown()


@case
def damage_is_told_and_what_lies_before_is_kept():
    prepare()
    whole = (TOP / "stripped.trace").read_bytes()
    for bytes_left in range(len(whole) // 2, len(whole) // 2 + 40):  # between events, and within
        (TOP / "cut.trace").write_bytes(whole[:bytes_left])
        command(STELE, "symbolize", "-f", "-o", "out.trace", "cut.trace", status=3)
        check((TOP / "out.trace").stat().st_size > 100, "nothing was kept")
    (TOP / "text").write_text("no trace at all, but long enough")
    command(STELE, "symbolize", "-f", "-o", "out.trace", "text", status=3)
    command(STELE, "symbolize", "-o", "out.trace", "stripped.trace", status=2)
    command(STELE, "symbolize", status=2)


@case
def traces_of_go_are_copied():
    source = ROOT.parent / "shared" / "traces" / "chan.trace.zst"
    if not source.exists() or not shutil.which("zstd"):
        raise Skip("no reference traces")
    command("zstd", "-q", "-d", "-f", source, "-o", "go.trace")
    out, told = symbolized(source="go.trace")
    check("no module map" in told, told)
    equal(counts(out), counts("go.trace"), "what stele check counts")


try:
    run()
finally:
    shutil.rmtree(TOP, ignore_errors=True)
