#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the built artefacts export, need and demand of the machine they run on.

usage: test_symbols.py BUILD
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from tap import case, check, equal, run  # noqa: E402

BUILD = pathlib.Path(sys.argv[1])
LIBSTELE = BUILD / "src" / "libstele.so.0"
LIBSTELEFIBER = BUILD / "src" / "libstelefiber.so.0"
LIBSTELEREAD = BUILD / "src" / "libsteleread.so.0"
PRELOAD = BUILD / "src" / "preload" / "stelepreload.so"
PRELOAD_HEAP = BUILD / "src" / "preload" / "stelepreload-heap.so"
HEADERS = ["trace.h", "runtime.h", "stele.h", "version.h"]
GLIBC_MAX = (2, 28)

# What enters the traced process, and all that it may ask of libc: neither malloc, stdio, locks nor
# threads; nothing that is not async-signal-safe, but for the calls that the writer documents as
# "Signals: not safe" and makes outside of emissions.
WRITER = ["base", "sys", "arena", "unwind", "record"]
SIGNAL_SAFE = {
    "memcmp", "memcpy", "memmove", "memset", "strlen", "strnlen", "__errno_location",
    "__libc_stack_end", "_GLOBAL_OFFSET_TABLE_", "_DYNAMIC", "clock_gettime", "readlink",
    "getrlimit", "getrlimit64", "__stack_chk_fail", "__tls_get_addr", "_dl_find_object",
}
OUTSIDE_EMISSIONS = {"strerror", "dl_iterate_phdr", "getauxval", "__ehdr_start"}


def output(*command):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True,
                          text=True).stdout


def symbols(path, *options):
    """(type letter, name) of each line of nm."""
    for line in output("nm", *options, path).splitlines():
        fields = line.split()
        if len(fields) >= 2 and len(fields[-2]) == 1:
            yield fields[-2], fields[-1]


def public_functions(headers=HEADERS):
    names = set()
    for header in headers:
        text = (ROOT / "include" / "stele" / header).read_text()
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        text = re.sub(r"^static inline [^;]*?\{.*?^\}", "", text, flags=re.S | re.M)
        text = re.sub(r"^(?:__attribute__.* )?(inline\s[^;{]*)\{.*?^\}", r"\1;", text,
                      flags=re.S | re.M)
        names |= set(re.findall(r"\b(stele_[a-z]\w*)\s*\([^;{}]*\)\s*;", text))
    return names


def archive(folder):
    return BUILD / "src" / folder / f"libstele-{folder}.a"


@case
def libstele_exports_exactly_what_the_headers_declare():
    names = {n.split("@")[0] for t, n in symbols(LIBSTELE, "-D", "--defined-only")
             if not n.startswith("STELE_") or t != "A"}
    equal(sorted(names), sorted(public_functions() | {"stele__switch"}))


@case
def libstelefiber_exports_exactly_what_its_header_declares():
    names = {n.split("@")[0] for t, n in symbols(LIBSTELEFIBER, "-D", "--defined-only") if t != "A"}
    equal(sorted(names), sorted(public_functions(["fiber.h"])))


@case
def libsteleread_exports_exactly_what_its_headers_declare():
    names = {n.split("@")[0] for t, n in symbols(LIBSTELEREAD, "-D", "--defined-only") if t != "A"}
    headers = ["read.h", "analyze.h", "version.h"]
    equal(sorted(names), sorted(public_functions(headers) | {"stele__reader_next_run"}))


@case
def libstelefiber_uses_libstele_by_its_public_interface_alone():
    names = {n.split("@")[0] for _, n in symbols(LIBSTELEFIBER, "-D", "--undefined-only")}
    equal(sorted(n for n in names if n.startswith("stele_") and n not in public_functions()),
          ["stele__switch"])


@case
def exports_are_versioned():
    for path in (LIBSTELE, LIBSTELEFIBER, LIBSTELEREAD):
        for letter, name in symbols(path, "-D", "--defined-only"):
            check(letter == "A" or "@@STELE" in name, f"{path.name}: {name} has no version")


@case
def libstele_has_its_soname_and_stays_loaded():
    dynamic = output("readelf", "-dW", LIBSTELE)
    check("[libstele.so.0]" in dynamic, "no SONAME libstele.so.0")
    check("NODELETE" in dynamic, "may be unloaded under its users")
    check("TEXTREL" not in dynamic, "has text relocations")


@case
def libstele_needs_libc_alone():
    needed = re.findall(r"NEEDED.*\[(.*)\]", output("readelf", "-dW", LIBSTELE))
    check(set(needed) <= {"libc.so.6", "ld-linux-x86-64.so.2"}, f"needs {needed}")


@case
def stacks_are_not_executable():
    for path in (LIBSTELE, LIBSTELEFIBER, PRELOAD, PRELOAD_HEAP, BUILD / "stele"):
        match = re.search(r"GNU_STACK.*?(\S+)\s+0x\S+$", output("readelf", "-lW", path), re.M)
        check(match and "E" not in match.group(1), f"{path.name}: executable stack")


@case
def internal_globals_are_ours_by_name():
    for folder in WRITER + ["format", "drain", "read", "supervise", "fiber"]:
        for letter, name in symbols(archive(folder), "--defined-only", "--extern-only"):
            check(name.startswith("stele_"), f"{folder}: {name} ({letter})")


@case
def writer_asks_libc_for_nothing_unsafe():
    defined, wanted = set(), {}
    for folder in WRITER:
        defined |= {n for _, n in symbols(archive(folder), "--defined-only", "--extern-only")}
        for letter, name in symbols(archive(folder), "--undefined-only"):
            wanted.setdefault(name, folder)
    for name, folder in sorted(wanted.items()):
        check(name in defined | SIGNAL_SAFE | OUTSIDE_EMISSIONS, f"src/{folder} needs {name}")


@case
def nothing_newer_than_glibc_2_28_is_required():
    for path in (LIBSTELE, PRELOAD, PRELOAD_HEAP):
        for letter, name in symbols(path, "-D", "--undefined-only", "--with-symbol-versions"):
            match = re.search(r"@GLIBC_(\d+)\.(\d+)", name)
            version = tuple(map(int, match.groups())) if match else (0, 0)
            check(version <= GLIBC_MAX, f"{path.name} needs {name}")


# Of liburing, which need not be there.
LIBURING = {"io_uring_submit", "io_uring_submit_and_wait", "io_uring_submit_and_wait_timeout",
            "io_uring_submit_and_get_events", "io_uring_get_events", "io_uring_wait_cqes",
            "io_uring_wait_cqe_timeout", "__io_uring_get_cqe", "io_uring_queue_exit"}


@case
def preload_module_exports_nothing_but_names_of_libc_and_liburing():
    libc = re.search(r"libc\.so\.6 => (\S+)", output("ldd", PRELOAD)).group(1)
    known = {n.split("@")[0] for _, n in symbols(libc, "-D", "--defined-only")}
    for letter, name in symbols(PRELOAD, "-D", "--defined-only"):
        check(name.split("@")[0] in known | LIBURING or letter == "A", f"exports {name}")


@case
def heap_module_exports_allocators_besides():
    plain = {n for _, n in symbols(PRELOAD, "-D", "--defined-only")}
    added = {n for _, n in symbols(PRELOAD_HEAP, "-D", "--defined-only")} - plain
    check(plain <= {n for _, n in symbols(PRELOAD_HEAP, "-D", "--defined-only")}, "lacks some")
    check(not plain & {"malloc", "free", "mmap", "_Znwm"}, "the plain module interposes malloc")
    known = {"malloc", "calloc", "realloc", "reallocarray", "free", "free_sized",
             "free_aligned_sized", "posix_memalign", "aligned_alloc", "memalign", "valloc",
             "pvalloc", "mmap", "mmap64", "munmap", "mremap"}
    for name in added:
        check(name in known or re.match(r"_Z(nw|na|dl|da)", name), f"exports {name}")
    check(known <= added, f"lacks {known - added}")


@case
def preload_modules_share_the_one_recorder():
    for path in (PRELOAD, PRELOAD_HEAP):
        dynamic = output("readelf", "-dW", path)
        check("[libstele.so.0]" in dynamic, f"{path.name} does not link the shared libstele")
        check(re.search(r"R(UN)?PATH.*\$ORIGIN", dynamic), f"{path.name}: not found beside itself")


run()
