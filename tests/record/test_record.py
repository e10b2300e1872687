#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""stele record around a real program: status, signals, files, programs that cannot be traced.

usage: test_record.py STELE BUSY REENTER CROWD
"""
import glob
import json
import os
import pathlib
import pty
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from record.place import ENV, STELE, Place, says, wait_for  # noqa: E402
from support.tap import Skip, case, check, equal, run  # noqa: E402

BUSY, REENTER, CROWD = (os.path.abspath(a) for a in sys.argv[2:5])


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(n) for n in file.read().split()]


def runs(pid, program):
    """Has a child of this process begun to execute the program? It is stele's copy before that."""
    for child in children(pid):
        try:
            if os.path.samefile(f"/proc/{child}/exe", program):
                return True
        except OSError:
            pass  # it is just changing, or gone
    return False


def state(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rsplit(")", 1)[1].split()[0]


# Opens the pipe before there is a writer, and takes 64 KiB in 5 ms.
SLOW_READER = """
import os, sys, time
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)
os.set_blocking(fd, True)
out = open(sys.argv[2], "wb")
data = b""
while not data:
    time.sleep(0.01)
    data = os.read(fd, 65536)
while data:
    out.write(data)
    time.sleep(0.005)
    data = os.read(fd, 65536)
"""


@case
def status_is_the_programs():
    with Place() as p:
        for script, status in (("exit 0", 0), ("exit 1", 1), ("exit 255", 255),
                               ("kill -9 $$", 137), ("kill -TERM $$", 143)):
            result = p.record("-f", "-o", "x.trace", "--", "sh", "-c", script)
            equal(result.returncode, status, script)
            says(result, "next      go tool trace x.trace")
            p.valid("x.trace")
        says(result, "killed by signal 15 (SIGTERM)")


@case
def default_name_holds_program_and_pid():
    with Place() as p:
        result = p.record("sh", "-c", "echo $$")
        equal(p.traces(), [f"sh.{result.stdout.strip()}.trace"], "files")
        equal(os.stat(p.path(p.traces()[0])).st_mode & 0o7777, 0o600, "mode")
        p.valid(p.traces()[0])


@case
def streams_and_arguments_are_untouched():
    with Place() as p:
        result = p.record("-q", "--", "sh", "-c", 'cat; echo "$@" >&2', "-", "a b", "-o", "--",
                          input="line\n")
        equal(result.stdout, "line\n", "stdout")
        equal(result.stderr, "a b -o --\n", "stderr")


@case
def descriptors_limits_and_environment_are_untouched():
    script = ("import os, resource, sys; print(sorted(os.listdir('/proc/self/fd')),"
              "resource.getrlimit(resource.RLIMIT_NOFILE),"
              "resource.getrlimit(resource.RLIMIT_FSIZE), os.environ['DEBUGINFOD_URLS'])")
    with Place() as p:
        env = {"DEBUGINFOD_URLS": "http://127.0.0.1:9/"}
        plain = subprocess.run([sys.executable, "-c", script], env={**ENV, **env},
                               capture_output=True, text=True, check=True)
        result = p.record("-o", "x.trace", sys.executable, "-c", script, env=env)
        equal(result.stdout, plain.stdout, "what the program sees")
        p.valid("x.trace")


@case
def existing_file_is_kept_without_force():
    with Place() as p:
        pathlib.Path(p.path("x.trace")).write_text("precious", encoding="ascii")
        result = p.record("-o", "x.trace", "touch", "ran")
        equal(result.returncode, 125, "status")
        says(result, "'x.trace' exists; -f overwrites it")
        check(not os.path.exists(p.path("ran")), "the program was run")
        equal(pathlib.Path(p.path("x.trace")).read_text(encoding="ascii"), "precious", "file")
        equal(p.record("-f", "-o", "x.trace", "touch", "ran").returncode, 0, "forced")
        p.valid("x.trace")


@case
def unwritable_place_is_said_before_the_program_runs():
    with Place() as p:
        for target in ("missing/x.trace", "/proc/x.trace", "."):
            result = p.record("-o", target, "touch", "ran")
            equal(result.returncode, 125, target)
            says(result, f"cannot create '{target}'")
            equal(len(result.stderr.splitlines()), 1, "lines said")
        result = p.record("-o", "-", "touch", "ran")
        equal(result.returncode, 125, "-o -")
        check(not os.path.exists(p.path("ran")), "the program was run")


@case
def names_with_pid_are_made():
    with Place() as p:
        result = p.record("-o", "a.%p.trace", "sh", "-c", "echo $$")
        equal(p.traces(), [f"a.{result.stdout.strip()}.trace"], "files")


@case
def programs_that_cannot_run():
    with Place() as p:
        pathlib.Path(p.path("data")).write_text("x", encoding="ascii")
        pathlib.Path(p.path("script")).write_text("#!/no/interpreter\n", encoding="ascii")
        os.chmod(p.path("script"), 0o755)
        for program, status, text in (("no-such-program", 127, "no program 'no-such-program'"),
                                      ("./none", 127, "no program './none'"),
                                      ("./data", 126, "not executable"),
                                      ("/", 126, "is a directory"),
                                      ("./script", 127, "interpreter '/no/interpreter'")):
            result = p.record(program)
            equal(result.returncode, status, program)
            says(result, text)
            equal(len(result.stderr.splitlines()), 1, f"lines said of {program}")
        equal(p.traces(), [], "files")


HELLO = '#include <stdio.h>\nint main(void) { puts("hello"); return 3; }\n'


def runs_untraced(p, program, text):
    result = p.record(program)
    equal(result.returncode, 3, "status")
    equal(result.stdout, "hello\n", "stdout")
    says(result, "untraced", text)
    equal(p.traces(), [], "files")


@case
def static_program_runs_untraced():
    with Place() as p:
        runs_untraced(p, p.compile("static", HELLO, "-static"), "statically linked")


@case
def musl_program_runs_untraced():
    with Place() as p:
        runs_untraced(p, p.compile("musl", HELLO, compiler="musl-gcc"), "musl")


@case
def setuid_program_runs_untraced():
    if os.geteuid() != 0:
        raise Skip("only root may give files away")
    with Place() as p:
        program = p.compile("setuid", HELLO)
        os.chmod(p.directory, 0o755)
        os.chown(p.path("setuid"), 12345, 12345)
        os.chmod(p.path("setuid"), 0o4755)
        runs_untraced(p, program, "is setuid")


@case
def script_of_static_interpreter_runs_untraced():
    with Place() as p:
        p.compile("static", HELLO, "-static")
        pathlib.Path(p.path("script")).write_text(f"#!{p.path('static')}\n", encoding="ascii")
        os.chmod(p.path("script"), 0o755)
        runs_untraced(p, "./script", "static' is statically linked")


@case
def scripts_are_recorded():
    with Place() as p:
        for name, text in (("plain", "echo hello; exit 3\n"),
                           ("shell", "#!/bin/sh\necho hello; exit 3\n")):
            pathlib.Path(p.path(name)).write_text(text, encoding="ascii")
            os.chmod(p.path(name), 0o755)
            result = p.record("-o", name + ".trace", "./" + name)
            equal((result.returncode, result.stdout), (3, "hello\n"), name)
            p.valid(name + ".trace")


@case
def sanitized_programs_are_recorded():
    with Place() as p:
        for flag in ("address", "thread"):
            program = p.compile(flag, HELLO, f"-fsanitize={flag}", "-pthread", compiler="gcc")
            result = p.record("-f", "-o", "x.trace", program)
            equal((result.returncode, result.stdout), (3, "hello\n"), result.stderr)
            p.valid("x.trace")


@case
def module_that_is_not_loaded_is_said():
    with Place() as p:
        library = glob.glob("/lib/*/libm.so.6") + glob.glob("/lib64/libm.so.6")
        if not library:
            raise Skip("there is no libm.so.6")
        result = p.record("sh", "-c", "exit 3", env={"STELE_PRELOAD_MODULE": library[0]})
        equal(result.returncode, 3, "status")
        says(result, "ran untraced and no trace is left")
        result = p.record("sh", env={"STELE_PRELOAD_MODULE": "/no/module"})
        equal(result.returncode, 125, "status")
        says(result, "stelepreload.so")
        equal(p.traces(), [], "files")


@case
def disabling_runs_untraced():
    with Place() as p:
        result = p.record("sh", "-c", "exit 3", env={"STELE_DISABLE": "1"})
        equal(result.returncode, 3, "status")
        says(result, "STELE_DISABLE is set")
        equal(p.traces(), [], "files")
        equal(p.record("-o", "x.trace", "true", env={"STELE_DISABLE": "0"}).returncode, 0, "0")
        p.valid("x.trace")


@case
def options_come_from_the_environment_too():
    with Place() as p:
        options = "output=a.trace:buffer-size=2M:nonsense=1:on-full=block"
        result = p.record("true", env={"STELE_OPTIONS": options})
        equal(result.returncode, 0, "status")
        equal(result.stderr.count("nonsense"), 1, "warnings")
        p.record("-o", "b.trace", "true", env={"STELE_OPTIONS": "output=a.trace"})
        equal(p.traces(), ["a.trace", "b.trace"], "files")
        equal(p.record("true", env={"STELE_OPTIONS": "go=1.99"}).returncode, 125, "bad value")


@case
def misuse_is_explained():
    with Place() as p:
        for args, text in (([], "no program"), (["--bogus", "x"], "no option '--bogus'"),
                           (["-Z", "x"], "no option '-Z'"), (["-o"], "needs a value"),
                           (["--go=1.24", "x"], "1.23, 1.25 or 1.26"),
                           (["--events=lock,nonsense", "x"], "sched, lock, syscall, cpu or user"),
                           (["--on-full=x", "x"], "drop or block"),
                           (["--reentry=x", "x"], "nest, flush, skip or abort"),
                           (["--follow-fork", "-o", "x.trace", "x"], "must hold %p"),
                           (["--buffer-size=1000", "x"], "1M to 16G"),
                           (["--buffer-size=1T", "x"], "1M to 16G"),
                           (["--stack-depth=129", "x"], "0 to 128"),
                           (["--generation=9ms", "x"], "10ms to 60s"),
                           (["--generation=2m", "x"], "10ms to 60s"),
                           (["--generation=soon", "x"], "10ms to 60s"),
                           (["--stack-depth=some", "x"], "0 to 128")):
            result = p.record(*args)
            equal(result.returncode, 125, f"status of {args}")
            says(result, text, "stele record --help")


@case
def help_names_every_option():
    with Place() as p:
        result = p.record("--help")
        equal(result.returncode, 0, "status")
        for word in ("--output", "--force", "--events", "--go", "--buffer-size", "--on-full",
                     "--reentry", "--quiet", "--verbose", "--help", "STELE_OPTIONS",
                     "STELE_DISABLE", "--follow-fork", "NO_COLOR", "exit status", "examples"):
            check(word in result.stdout, f"{word} is not explained")
        check(max(map(len, result.stdout.splitlines())) <= 100, "a line is too wide")


@case
def exec_continues_in_the_same_trace():
    with Place() as p:
        result = p.record("-v", "-o", "x.trace", "sh", "-c", "exec sh -c 'exec sh -c \"exit 5\"'")
        equal(result.returncode, 5, "status")
        says(result, "3 program images")
        equal(p.traces(), ["x.trace"], "files")
        p.valid("x.trace")


@case
def children_are_counted():
    with Place() as p:
        result = p.record("-o", "x.trace", "sh", "-c", "/bin/true; /bin/true; /bin/true; exit 2")
        equal(result.returncode, 2, "status")
        says(result, "3 children not recorded")
        p.valid("x.trace")


@case
def orphans_do_not_keep_the_recorder():
    with Place() as p:
        begin = time.monotonic()
        with open(os.devnull, "w", encoding="ascii") as null:
            result = p.record("-o", "x.trace", BUSY, "--orphan", capture_output=False,
                              stdout=null, stderr=null)
        equal(result.returncode, 4, "status")
        check(time.monotonic() - begin < 10, "it waited for the orphan")
        p.valid("x.trace")


@case
def signals_sent_to_stele_reach_the_program():
    script = 'trap "exit 7" USR1; trap "exit 8" TERM; trap "exit 9" HUP; echo ready; ' \
             'while :; do sleep 0.02; done'
    for number, status in ((signal.SIGUSR1, 7), (signal.SIGTERM, 8), (signal.SIGHUP, 9)):
        with Place() as p:
            process = p.start("-o", "x.trace", "sh", "-c", script)
            process.stdout.readline()
            process.send_signal(number)
            process.communicate(timeout=30)
            equal(process.returncode, status, f"status after {number!r}")
            p.valid("x.trace")


@case
def interrupt_leaves_a_valid_trace():
    with Place() as p:
        process = p.start("-o", "x.trace", "sh", "-c", "echo ready; exec sleep 30")
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        equal(process.returncode, 130, "status")
        check("killed by signal 2 (SIGINT)" in errors, errors)
        p.valid("x.trace")


@case
def each_signal_arrives_once():
    with Place() as p:
        process = p.start("-o", "x.trace", BUSY, "--interrupts", "1")
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
        equal(output, "1 interrupts\n", "from kill")


@case
def interrupt_of_the_terminal_arrives_once():
    with Place() as p:
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(p.directory)
            os.execve(STELE, [STELE, "record", "-o", "x.trace", BUSY, "--interrupts", "1"], ENV)
        output = b""
        while b"ready" not in output:
            output += os.read(terminal, 1024)
        os.write(terminal, b"\x03")
        try:
            while chunk := os.read(terminal, 1024):
                output += chunk
        except OSError:
            pass  # the other side is closed
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
        equal(os.waitstatus_to_exitcode(status), 0, "status")
        check(b"1 interrupts" in output, repr(output))
        p.valid("x.trace")


@case
def stop_and_continue_work():
    with Place() as p:
        # In a process group of its own: the kernel lets no terminal stop an orphaned one.
        process = p.start("-o", "x.trace", "sh", "-c", "echo ready; read line; exit 6",
                          stdin=subprocess.PIPE, preexec_fn=os.setpgrp)
        process.stdout.readline()
        child, = children(process.pid)
        process.send_signal(signal.SIGTSTP)
        wait_for(lambda: state(child) == "T" and state(process.pid) == "T", "both stopped")
        process.send_signal(signal.SIGCONT)
        wait_for(lambda: state(child) != "T" and state(process.pid) != "T", "both go on")
        process.communicate("x\n", timeout=30)
        equal(process.returncode, 6, "status")
        p.valid("x.trace")


@case
def stopped_program_does_not_stop_the_recorder():
    with Place() as p:
        process = p.start("-o", "x.trace", "sh", "-c", "echo ready; read line; exit 6",
                          stdin=subprocess.PIPE)
        process.stdout.readline()
        child, = children(process.pid)
        os.kill(child, signal.SIGSTOP)
        size = os.stat(p.path("x.trace")).st_size
        wait_for(lambda: os.stat(p.path("x.trace")).st_size > size, "another generation")
        check(state(process.pid) != "T", "the recorder stopped")
        os.kill(child, signal.SIGCONT)
        process.communicate("x\n", timeout=30)
        equal(process.returncode, 6, "status")
        p.valid("x.trace")


@case
def program_survives_the_recorder():
    with Place() as p:
        process = p.start("-o", "x.trace", BUSY, "--later", "done", stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
        wait_for(lambda: runs(process.pid, BUSY), "the program runs")
        time.sleep(0.2)
        process.kill()
        process.wait()
        check(not os.path.exists(p.path("done")), "it was too fast for this test")
        wait_for(lambda: os.path.exists(p.path("done")), "the program's own work")


@case
def full_disk_ends_the_trace_only():
    mount = "mount -t tmpfs -o size=40k none disk"
    with Place() as p:
        os.mkdir(p.path("disk"))
        script = f"{mount} || exit 77; '{STELE}' record -o disk/x.trace '{BUSY}' --slowly 3; " \
                 "echo $?; cp disk/x.trace ."
        result = subprocess.run(["unshare", "-m", "sh", "-c", script], cwd=p.directory, env=ENV,
                                capture_output=True, text=True, timeout=120, check=False)
        if result.returncode == 77 or "unshare" in result.stderr:
            raise Skip("no file system may be mounted here")
        equal(result.stdout, "0\n", "status")
        equal(result.stderr.count("No space left on device"), 1, "complaints: " + result.stderr)
        says(result, "cut short", "everything after writing failed")
        check(0 < os.stat(p.path("x.trace")).st_size <= 40960, "size")
        p.valid("x.trace")


@case
def limited_file_size_ends_the_trace_only():
    with Place() as p:
        script = f"ulimit -S -f 80; exec '{STELE}' record -o x.trace '{BUSY}' --slowly 3"
        result = subprocess.run(["sh", "-c", script], cwd=p.directory, env=ENV, timeout=120,
                                capture_output=True, text=True, check=False)
        equal(result.returncode, 0, "status")
        equal(result.stderr.count("File too large"), 1, "complaints: " + result.stderr)
        p.valid("x.trace")


@case
def nothing_that_can_be_kept_is_a_failure():
    with Place() as p:
        script = f"ulimit -S -f 8; exec '{STELE}' record -o x.trace '{BUSY}' 8 1000"
        result = subprocess.run(["sh", "-c", script], cwd=p.directory, env=ENV, timeout=120,
                                capture_output=True, text=True, check=False)
        equal(result.returncode, 125, "status")
        says(result, "File too large", "nothing of the trace could be kept")
        equal(p.traces(), [], "files")


@case
def slow_reader_of_a_pipe_costs_events_or_time():
    """Memory stays bounded: what does not fit is lost and counted, or threads wait."""
    logs = 2000000
    for policy in ("drop", "block"):
        with Place() as p:
            pipe, trace = p.path("pipe"), p.path("x.trace")
            os.mkfifo(pipe)
            result = p.record("-o", pipe, "true")
            equal(result.returncode, 125, "status without a reader")
            says(result, "nobody reads the pipe")
            reader = subprocess.Popen([sys.executable, "-c", SLOW_READER, pipe, trace])
            wait_for(lambda: os.path.exists(trace), "the reader")
            result = p.record("-f", "-o", pipe, "--buffer-size=4M", f"--on-full={policy}",
                              "--cpu-hz=0", CROWD, "texts", str(logs), timeout=120)
            equal(result.returncode, 0, result.stderr)
            equal(reader.wait(), 0, "reader")
            p.valid("x.trace")
            info = subprocess.run([STELE, "info", "--json", trace], capture_output=True, text=True,
                                  check=True)
            info = json.loads(info.stdout)
            equal(info["counts"]["logs"] + info["lost"]["events"], logs, f"{policy}: logs")
            if policy == "block":
                equal(info["lost"]["events"], 0, "lost")


@case
def trace_that_cannot_even_begin_is_a_failure():
    with Place() as p:
        result = p.record("-o", "/dev/full", "touch", "ran")
        equal(result.returncode, 125, "status")
        says(result, "No space left on device")
        check(not os.path.exists(p.path("ran")), "the program was run")


@case
def closed_streams_do_not_hurt():
    with Place() as p:
        for closing in ("2>&-", "0<&- 1>&- 2>&-", "1>&-"):
            script = f"exec '{STELE}' record -f -o x.trace '{BUSY}' 2 2 {closing}"
            result = subprocess.run(["sh", "-c", script], cwd=p.directory, env=ENV, timeout=60,
                                    capture_output=True, check=False)
            equal(result.returncode, 0, closing)
            p.valid("x.trace")
        # The reader of its messages has gone.
        read, write = os.pipe()
        os.close(read)
        result = p.record("-f", "-o", "x.trace", BUSY, "2", "2", capture_output=False,
                          stdout=subprocess.DEVNULL, stderr=write)
        os.close(write)
        equal(result.returncode, 0, "broken pipe")
        p.valid("x.trace")


@case
def ignored_signals_stay_ignored():
    with Place() as p:
        script = f"trap '' CHLD INT PIPE; exec '{STELE}' record -q -o x.trace " \
                 "grep SigIgn /proc/self/status"
        plain = subprocess.run(["sh", "-c", "trap '' CHLD INT PIPE; "
                                "exec grep SigIgn /proc/self/status"],
                               capture_output=True, text=True, check=True)
        result = subprocess.run(["sh", "-c", script], cwd=p.directory, env=ENV, timeout=60,
                                capture_output=True, text=True, check=False)
        equal((result.returncode, result.stdout), (0, plain.stdout), "ignored signals")
        p.valid("x.trace")


@case
def quiet_and_verbose():
    with Place() as p:
        equal(p.record("-q", "-o", "a.trace", "true").stderr, "", "quiet")
        says(p.record("-v", "-o", "b.trace", BUSY, "4", "4"), "generations", "THREAD_BEGIN")
        result = p.record("-o", "c.trace", BUSY, "4", "4")
        says(result, "17 threads", "lost      nothing", "go tool trace c.trace")
        check("\033" not in result.stderr, "colours without a terminal")


@case
def ten_thousand_threads_leave_nothing_behind():
    """More threads than the arena has slots: if one slot in two were lost, so would events be."""
    with Place() as p:
        result = p.record("-o", "x.trace", BUSY, "200", "50")
        equal(result.returncode, 0, "status")
        says(result, "10,001 threads", "lost      nothing")
        p.valid("x.trace")


@case
def a_thousand_threads_end_at_once():
    with Place() as p:
        result = p.record("-o", "x.trace", CROWD, "threads", "1000")
        equal(result.returncode, 0, result.stderr)
        says(result, "from 2,001 threads", "lost      nothing")
        p.valid("x.trace")


@case
def ten_million_texts_do_not_fit_and_are_counted():
    with Place() as p:
        result = p.record("--on-full=block", "--buffer-size=16M", "-o", "x.trace", CROWD, "texts",
                          "10000000")
        equal(result.returncode, 0, result.stderr)
        says(result, "lost      nothing", "texts because the buffer's table was full")
        info = subprocess.run([STELE, "info", "--json", p.path("x.trace")], capture_output=True,
                              text=True, check=True)
        info = json.loads(info.stdout)
        equal(info["counts"]["logs"], 10000000, "logs")
        full = info["lost"]["totals"]["names or stacks without room"]
        check(9000000 < full < 10000000, f"texts without room: {full}")


@case
def events_can_be_left_out():
    with Place() as p:
        for events, present, absent in (("sched", [], ["SYSCALL_BEGIN"]),
                                        ("lock", ["GO_BLOCK"], ["SYSCALL_BEGIN"])):
            result = p.record("-v", "-f", "-o", "x.trace", f"--events={events}", BUSY, "8", "20")
            says(result, *present)
            for word in absent:
                check(word not in result.stderr, f"{word} with --events={events}")
            p.valid("x.trace")


@case
def skipped_events_are_told_by_kind():
    with Place() as p:
        result = p.record("--heap", "--reentry=skip", "-o", "x.trace", REENTER, "300000")
        equal(result.returncode, 0, result.stderr)
        info = subprocess.run([STELE, "info", "--json", p.path("x.trace")], capture_output=True,
                              text=True, check=False)
        lost = json.loads(info.stdout)["lost"]
        equal(sum(lost["skipped"].values()), lost["events"], f"skipped of {lost}")
        check(set(lost["skipped"]) <= {"HeapObjectAlloc", "HeapObjectFree"}, lost)
        check(lost["events"] > 0, "the timer never came within an emission")
        says(result, f"{lost['events']:,} because they came within the writing of another")


@case
def abort_on_reentry_says_what_met():
    with Place() as p:
        result = p.record("--heap", "--reentry=abort", "-o", "x.trace", REENTER, "100000000")
        equal(result.returncode, 128 + signal.SIGABRT, result.stderr)
        says(result, "within the emission of another", "the inner one: OBJECT_",
             "the outer one: OBJECT_", "reenter+0x", "killed by signal 6")
        p.valid("x.trace")


@case
def reentry_changes_nothing_else():
    with Place() as p:
        for policy in ("nest", "flush"):
            result = p.record("--heap", f"--reentry={policy}", "-f", "-o", "x.trace", REENTER)
            equal(result.returncode, 0, result.stderr)
            says(result, "lost      nothing")
            p.valid("x.trace")


@case
def every_version_can_be_written():
    with Place() as p:
        for version in ("1.23", "1.25", "1.26"):
            p.record("-f", "-o", "x.trace", f"--go={version}", BUSY, "2", "2")
            with open(p.path("x.trace"), "rb") as file:
                equal(file.read(16), f"go {version} trace\0\0\0".encode(), "header")
            p.valid("x.trace")


@case
def a_recording_is_followed_to_its_last_words():
    """The end mark was not the last thing in the file: tables came behind it."""
    with Place() as p:
        for version in ("1.23", "1.26"):
            trace = p.path(f"{version}.trace")
            recorder = subprocess.Popen(
                [STELE, "record", "-q", f"--go={version}", "-o", trace, "--",
                 "sh", "-c", "sleep 0.2; sleep 0.8"])
            wait_for(lambda: os.path.exists(trace), "the trace")
            followed = subprocess.run([STELE, "events", "--follow", trace], timeout=60,
                                      capture_output=True, text=True, check=False)
            equal(recorder.wait(), 0, "recorder")
            equal(followed.returncode, 0, followed.stderr)
            whole = subprocess.run([STELE, "events", trace], capture_output=True, text=True,
                                   check=False)
            equal(followed.stdout, whole.stdout, "events")


@case
def totals_of_names_are_there_for_one_generation():
    """They were told before the names of the last generation were looked up."""
    with Place() as p:
        p.record("-f", "-o", "x.trace", "--", "sh", "-c", "sleep 0.1")
        info = subprocess.run([STELE, "info", "--json", p.path("x.trace")], capture_output=True,
                              text=True, check=False)
        check(json.loads(info.stdout)["lost"]["totals"]["code addresses"] > 0, info.stdout)


@case
def system_calls_have_their_names():
    with Place() as p:
        with open(p.path("in"), "w", encoding="utf-8") as file:
            file.write("a line\n")
        done = p.record("-o", "t", "--", "sh", "-c", "read x <in; sleep 0 & wait $!")
        equal(done.returncode, 0, done.stderr)
        report = subprocess.run([STELE, "report", "--json", p.path("t")], capture_output=True,
                                text=True, check=True)
    report = json.loads(report.stdout)
    names = {call["name"]: call["count"] for call in report["calls"]["top"]}
    check(names.get("read", 0) >= 1 and names.get("wait4", 0) >= 1, names)
    for call in report["syscalls"]["top"]:
        check(call["stack"][0]["function"] in names and len(call["stack"]) > 1, call)
    equal(sum(names.values()), report["syscalls"]["count"])


run()
