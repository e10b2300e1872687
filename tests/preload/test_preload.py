#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Programs behave the same with the preload module, and what they did is recorded.

usage: test_preload.py TRACED MODULE HOSTILE PLUGIN
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from tap import Skip, case, check, equal, run  # noqa: E402

TRACED, MODULE, HOSTILE, PLUGIN = (str(pathlib.Path(a).resolve()) for a in sys.argv[1:5])
ENVIRONMENT = {k: v for k, v in os.environ.items()
               if not k.startswith(("STELE_", "LD_", "MALLOC_"))} | {"HOSTILE_PLUGIN": PLUGIN}


def execute(command, environment=None, stdin=b""):
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=ENVIRONMENT | (environment or {}), timeout=120)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode, done.stdout, \
        done.stderr


class Result:
    """A traced run: status, output, and the counts that `traced` wrote."""

    def __init__(self, command, environment=None, stdin=b""):
        with tempfile.TemporaryDirectory() as folder:
            counts = pathlib.Path(folder, "counts")
            self.status, self.out, self.err = execute(
                [TRACED, MODULE, str(counts), *command], environment, stdin)
            self.counts = {name: int(value) for name, value in
                           (line.split() for line in counts.read_text().splitlines())}

    def __getitem__(self, name):
        return self.counts[name]


def lines(output):
    """As a multiset: threads and children may be faster or slower."""
    return sorted(output.split(b"\n"))


def same(command, environment=None, stdin=b""):
    """Runs it plainly and traced; the two must not differ. Returns the traced run."""
    plain = execute(command, environment, stdin)
    traced = Result(command, environment, stdin)
    equal(traced.err, plain[2], "stderr")
    equal(traced.status, plain[0], "status")
    equal(lines(traced.out), lines(plain[1]), "stdout")
    equal(traced["attached"], 1, "attached")
    equal(traced["dropped"], 0, "dropped")
    return traced


def hostile(name, environment=None):
    return same([HOSTILE, name], environment)


@case
def thousands_of_threads():
    r = hostile("many")
    equal(r["GO_CREATE"], 3001, "threads created")
    equal(r["THREAD_BEGIN"], 3002, "threads begun")
    equal(r["THREAD_END"], 3001, "threads ended")
    equal(r["GO_CANCEL"] + r["open.BLOCK"], 0, "left over")


@case
def main_thread_ends_first():
    r = hostile("exit-from-main")
    equal(r["THREAD_END"], 2, "threads ended")


@case
def destructors_have_all_their_rounds():
    r = hostile("destructors")
    equal(r["THREAD_END"], 3, "threads ended")
    check(r["GO_BLOCK.SLEEP"] >= 8, "sleeps in destructors not seen")


@case
def cancellation_points_remain():
    r = hostile("cancel")
    equal(r["THREAD_END"], 7, "threads ended")
    equal(r["open.SYSCALL"], 1, "reads left by cancellation")
    equal(r["open.BLOCK"], 4, "waits left by cancellation")


@case
def attributes_and_names():
    r = hostile("attributes")
    equal(r["GO_CANCEL"], 1, "creations that failed")
    equal(r["THREAD_NAME"], 2, "names")


@case
def c11_threads():
    r = hostile("c11")
    equal(r["GO_CREATE"], 3, "threads created")
    equal(r["THREAD_END"], 3, "threads ended")


@case
def joins_that_fail():
    hostile("join-errors")


@case
def kinds_of_mutexes():
    r = hostile("lock-kinds")
    equal(r["GO_BLOCK.MUTEX"], 5, "busy locks")


@case
def robust_mutexes():
    r = hostile("robust")
    equal(r["GO_BLOCK.MUTEX"], 0, "busy locks")


@case
def rwlocks():
    hostile("rwlock")


@case
def semaphores():
    r = hostile("semaphore")
    equal(r["GO_BLOCK.SEMAPHORE"], 2, "waits")


@case
def contended_locks_are_recorded_once():
    r = hostile("contended")
    equal(r["GO_BLOCK.MUTEX"], 1, "mutex waits")
    equal(r["GO_BLOCK.RWLOCK"], 1, "rwlock waits")
    equal(r["open.BLOCK"], 0, "left over")


@case
def free_locks_write_nothing():
    r = hostile("free")
    for why in ("MUTEX", "RWLOCK", "SEMAPHORE"):
        equal(r["GO_BLOCK." + why], 0, why)


@case
def once_barrier_condition():
    r = hostile("meeting")
    equal(r["GO_BLOCK.ONCE"], 1, "once")
    equal(r["GO_BLOCK.BARRIER"], 2, "barrier")
    check(r["GO_BLOCK.CONDITION"] >= 3, "conditions")


@case
def c11_locks():
    hostile("c11-locks")


@case
def failures_keep_result_and_errno():
    r = hostile("fail")
    check(r["SYSCALL_BEGIN"] >= 38, "calls not seen")
    equal(r["open.SYSCALL"] + r["open.BLOCK"], 0, "left over")


@case
def successes_keep_errno():
    r = hostile("succeed")
    check(r["RELEASE"] >= 2, "signals not told")
    equal(r["open.SYSCALL"] + r["open.BLOCK"], 0, "left over")


@case
def interruptions():
    r = hostile("interrupted")
    equal(r["open.SYSCALL"] + r["open.BLOCK"], 0, "left over")


@case
def calls_in_handlers():
    r = hostile("handlers")
    check(r["SYSCALL_BEGIN"] >= 1000, "calls not seen")
    equal(r["open.SYSCALL"] + r["open.BLOCK"], 0, "left over")


@case
def fork_in_threads():
    r = hostile("fork")
    equal(r["children"], 40, "children")
    equal(r["open.SYSCALL"] + r["open.BLOCK"], 0, "left over")


@case
def vfork_in_all_ways():
    r = hostile("vfork")
    equal(r["children"], 53, "children")
    equal(r["THREAD_BEGIN"], 2, "slots: main and the early thread")
    equal(r["GO_BLOCK.SLEEP"], 3, "sleeps of the parent")
    equal(r["open.SYSCALL"] + r["open.BLOCK"], 0, "left over")


@case
def spawn_system_popen_clone():
    r = hostile("others")
    equal(r["children"], 7, "children")
    equal(r["open.SYSCALL"] + r["open.BLOCK"], 0, "left over")


@case
def daemons():
    r = hostile("daemon")
    equal(r["children"], 2, "children")


@case
def no_descriptor_is_ours():
    hostile("closed")


@case
def exec_goes_on_in_the_same_arena():
    r = hostile("exec")
    equal(r["images"], 2, "images")
    equal(r["children"], 0, "children")


@case
def plugins_are_found_by_the_runpath_of_their_user():
    r = hostile("plugin")
    check(r["MODULE_UNLOAD"] >= 6, f"{r['MODULE_UNLOAD']} unloads seen")
    check(r["MODULE_LOAD"] >= r["MODULE_UNLOAD"] + 4, f"{r['MODULE_LOAD']} loads seen")


@case
def before_main_and_after_exit():
    r = hostile("early")
    equal(r["GO_CREATE"], 1, "threads created before main")
    check(r["GO_BLOCK.SLEEP"] >= 2, "sleeps after exit")


@case
def disabled_by_the_environment():
    r = Result([HOSTILE, "c11"], {"STELE_DISABLE": "1"})
    equal(r.status, 0, "status")
    equal(r["attached"], 0, "attached")


@case
def without_an_arena_nothing_happens():
    for arena in (None, "/does/not/exist", "/dev/null"):
        extra = {"LD_PRELOAD": MODULE} | ({"STELE_ARENA": arena} if arena else {})
        for name in ("c11", "fork", "cancel", "plugin"):
            plain = execute([HOSTILE, name])
            loaded = execute([HOSTILE, name], extra)
            equal((loaded[0], lines(loaded[1])), (plain[0], lines(plain[1])), name)


def with_allocator(soname):
    path = pathlib.Path("/usr/lib/x86_64-linux-gnu", soname)
    if not path.exists():
        raise Skip(f"{soname} is not installed")
    for order in (f"{path}:%s", f"%s:{path}"):
        for name in ("many", "destructors", "cancel", "handlers", "fork", "plugin"):
            plain = execute([HOSTILE, name], {"LD_PRELOAD": str(path)})
            r = Result([HOSTILE, name], {"TRACED_PRELOAD": order})
            equal((r.status, lines(r.out)), (plain[0], lines(plain[1])), f"{name}, {order}")
            equal(r["attached"], 1, "attached")


@case
def with_jemalloc():
    with_allocator("libjemalloc.so.2")


@case
def with_tcmalloc():
    with_allocator("libtcmalloc_minimal.so.4")


@case
def with_mimalloc():
    with_allocator("libmimalloc.so.2")


def sanitized(name, programs):
    """gcc's runtime of ASan insists on being the first of all libraries; clang's is in the
    program."""
    path = pathlib.Path(HOSTILE + "_" + name)
    if not path.exists():
        raise Skip(f"the compiler has no {name} sanitizer")
    runtime = re.search(r"=> (\S*/libasan\.so\S*)",
                        subprocess.run(["ldd", path], capture_output=True, text=True).stdout)
    extra = {"TRACED_PRELOAD": f"{runtime.group(1)}:%s"} if runtime else {}
    for program_name in programs:
        plain = execute([path, program_name])
        r = Result([str(path), program_name], extra)
        equal((r.status, lines(r.out)), (plain[0], lines(plain[1])), program_name)
        equal(r["attached"], 1, "attached")
        check(r["GO_CREATE"] > 0, "threads not seen")


@case
def with_address_sanitizer():
    sanitized("address", ("many", "destructors", "cancel", "robust", "handlers", "plugin"))


@case
def with_thread_sanitizer():
    sanitized("thread", ("c11", "destructors", "robust", "meeting", "handlers", "plugin"))


def program(name):
    path = shutil.which(name)
    if not path:
        raise Skip(f"{name} is not installed")
    return path


@case
def python_with_threads():
    script = ("import threading,time,subprocess,os\n"
              "def f():\n time.sleep(.01)\n"
              "ts=[threading.Thread(target=f) for _ in range(20)]\n"
              "[t.start() for t in ts]\n[t.join() for t in ts]\n"
              "print(subprocess.run(['echo','x'],capture_output=True).stdout)\n"
              "print(os.popen('echo y').read())\n")
    r = same([program("python3"), "-c", script])
    check(r["GO_CREATE"] >= 20, "threads not seen")


@case
def xz_with_threads():
    r = same([program("xz"), "-T2", "-1", "-c"], stdin=os.urandom(1 << 16) * 64)
    check(r["SYSCALL_BEGIN"] > 0, "calls not seen")


@case
def shell_with_children():
    r = same([program("sh"), "-c", "echo a | cat; (exit 3) & wait $!; exec echo b"])
    check(r["children"] >= 3, "children not seen")


run()
